"""Labels of a head's texels: the part of the face that each shows."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from portraitist.rendering.uv_layout import mark_texels
from portraitist.segmentation.parts import FACE_REGIONS, UNLABELED, label_faces, select_faces
from portraitist.types import Mesh


def mark_face_texels(mesh: Mesh, size: int) -> Bool[Tensor, "t t"]:
    """Texels of the face, without ears and neck, in a head's texture of this side."""
    face_ids = mark_texels(mesh, size)
    return (face_ids >= 0) & select_faces(mesh, FACE_REGIONS)[face_ids.clamp(min=0)]


def label_texels(mesh: Mesh, size: int) -> Int[Tensor, "t t"]:
    """Part of every texel of a texture of this side, `UNLABELED` between the UV islands."""
    face_ids = mark_texels(mesh, size)
    return torch.where(face_ids >= 0, label_faces(mesh)[face_ids.clamp(min=0)], UNLABELED)
