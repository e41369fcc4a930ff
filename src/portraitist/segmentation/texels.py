"""Labels of a head's texels: the part of the face that each shows."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.rendering.uv_layout import mark_texels
from portraitist.segmentation.appearance import (
    APPEARANCE_NOISE,
    MIN_PIXELS,
    TEXEL_WINDOW,
    classify_hair,
    measure_appearance,
)
from portraitist.segmentation.parts import FACE_REGIONS, HAIR, NOSE, SKIN, UNLABELED, label_faces, select_faces
from portraitist.types import REGIONS, Image, Mesh


def mark_face_texels(mesh: Mesh, size: int) -> Bool[Tensor, "t t"]:
    """Texels of the face, without ears and neck, in a head's texture of this side."""
    face_ids = mark_texels(mesh, size)
    return (face_ids >= 0) & select_faces(mesh, FACE_REGIONS)[face_ids.clamp(min=0)]


def label_texels(mesh: Mesh, texture: Image) -> Int[Tensor, "t t"]:
    """Part of every texel of a head's texture, `UNLABELED` between the UV islands.

    Hair ends where it ends in the photo, not where the model's scalp does: over forehead and temples, whatever looks
    more like the scalp's hair than like the face is hair; and a bald scalp is skin.
    """
    face_ids = mark_texels(mesh, texture.shape[-1])
    labels = to_numpy(torch.where(face_ids >= 0, label_faces(mesh)[face_ids.clamp(min=0)], UNLABELED))
    heights = mesh.vertices[mesh.faces].mean(1)[:, 1]
    eyes = heights[mesh.regions == REGIONS.index("eyeballs")]
    above = to_numpy((face_ids >= 0) & (heights[face_ids.clamp(min=0)] > eyes.mean())) if len(eyes) else None
    if above is None or not above.any():
        return from_numpy(labels, face_ids)
    window = TEXEL_WINDOW * texture.shape[-1]
    appearance = measure_appearance(to_numpy(texture), window)
    hair, skin = labels == HAIR, np.isin(labels, (SKIN, NOSE)) & ~above
    if _is_bald(appearance[hair], appearance[skin]):
        labels[hair] = SKIN
    else:
        labels[classify_hair(appearance, (labels == SKIN) & above, hair, skin, hair, window)] = HAIR
    return from_numpy(labels, face_ids)


def _is_bald(hair: Float[np.ndarray, "n 4"], skin: Float[np.ndarray, "m 4"]) -> bool:
    """Whether the scalp looks like the face below the eyes: means less than one Mahalanobis distance apart."""
    if min(len(hair), len(skin)) < MIN_PIXELS:
        return False
    covariance = (np.cov(hair.T) + np.cov(skin.T)) / 2 + APPEARANCE_NOISE**2 * np.eye(4)
    apart = hair.mean(0) - skin.mean(0)
    return float(apart @ np.linalg.solve(covariance, apart)) < 1
