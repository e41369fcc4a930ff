"""The parts of a head as glTF has them: a neutral shape and morph targets by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import to_numpy
from portraitist.export.combinations import COMBINATIONS
from portraitist.mesh.carrying import find_layer_deltas
from portraitist.types import EXPRESSION_NAMES, Head, Image, Mesh

ORIGINAL_SHAPE = "originalShape"
"""Morph target that slides the exaggeration out again: at weight 1 the head has its unstylized shape."""


@dataclass(frozen=True)
class Part:
    """A head, or one of its layers. ``mesh``: in its neutral shape, meters. ``morphs``: how far each target moves its
    vertices, meters, by the targets' names. ``material``: name of its material."""

    name: str
    mesh: Mesh
    morphs: dict[str, Float[np.ndarray, "n 3"]]
    texture: Image
    material: str


def list_parts(head: Head, *, visemes: bool = False, styles: Mapping[str, Head] | None = None) -> list[Part]:
    """The head and, behind it, its layers, all with the same targets: the 52 blendshapes, ``originalShape``, with
    ``visemes`` those of `COMBINATIONS`, and ``shape_NAME`` for each of ``styles``: other heads of the same topology."""
    shift = head.original - head.mesh.vertices
    morphs = _name_morphs(head.expression_deltas, shift, visemes)
    parts = [Part("Head", head.mesh.with_vertices(head.neutral), morphs, head.texture, "Painting")]
    for layer, deltas in zip(head.layers, find_layer_deltas(head), strict=True):
        neutral = layer.mesh.vertices - torch.einsum("e,ekd->kd", head.expression, deltas)
        morphs, name = _name_morphs(deltas, layer.original - layer.mesh.vertices, visemes), layer.name.capitalize()
        parts.append(Part(name, layer.mesh.with_vertices(neutral), morphs, layer.texture, name))
    for style, other in (styles or {}).items():
        for part, own, new in zip(parts, list_meshes(head), list_meshes(other), strict=True):
            shift = to_numpy(new.vertices - own.vertices, np.float32)
            part.morphs[f"shape_{style}"] = shift
    return parts


def list_meshes(head: Head) -> list[Mesh]:
    """Of the head and its layers."""
    return [head.mesh, *(layer.mesh for layer in head.layers)]


def list_textures(head: Head) -> list[Image]:
    """Of the head and its layers."""
    return [head.texture, *(layer.texture for layer in head.layers)]


def list_weights(head: Head, part: Part) -> list[float]:
    """Of the part's targets, at which it has the head's expression; all but the 52 are 0."""
    own = dict(zip(EXPRESSION_NAMES, to_numpy(head.expression).tolist(), strict=True))
    return [own.get(name, 0.0) for name in part.morphs]


def _name_morphs(
    deltas: Float[Tensor, "52 n 3"], to_original: Float[Tensor, "n 3"], visemes: bool
) -> dict[str, np.ndarray]:
    own = to_numpy(deltas, np.float32)
    morphs = dict(zip(EXPRESSION_NAMES, own, strict=True)) | {ORIGINAL_SHAPE: to_numpy(to_original, np.float32)}
    if visemes:
        for name, weights in COMBINATIONS.items():
            rows = [EXPRESSION_NAMES.index(each) for each in weights]
            morphs[name] = np.tensordot(np.array([*weights.values()], np.float32), own[rows], 1).astype(np.float32)
    return morphs
