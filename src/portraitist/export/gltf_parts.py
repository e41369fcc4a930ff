"""The parts of a head as glTF has them: a neutral shape and morph targets by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from portraitist.body.body_model import load_body_model
from portraitist.body.clothes import find_cloth_normals
from portraitist.body.standing import BODY_LAYERS
from portraitist.devices import from_numpy, to_numpy
from portraitist.export.combinations import COMBINATIONS
from portraitist.mesh.carrying import find_layer_deltas
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import EXPRESSION_NAMES, Head, Image, Mesh

SAME_M = 1e-4  # vertices of head and body that are not further apart are one
SEEN_M = 1e-4  # by which an expression must move a body; the border of the neck hardly moves

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
    ``visemes`` those of `COMBINATIONS`, and ``shape_NAME`` for each of ``styles``: other heads of the same topology.
    A body and its clothes have those only that move them."""
    shift = head.original - head.mesh.vertices
    morphs = _name_morphs(head.expression_deltas, shift, visemes)
    parts = [Part("Head", head.mesh.with_vertices(head.neutral), morphs, head.texture, "Painting")]
    for layer, deltas in zip(head.layers, find_layer_deltas(head), strict=True):
        neutral = layer.mesh.vertices - torch.einsum("e,ekd->kd", head.expression, deltas)
        morphs, name = _name_morphs(deltas, layer.original - layer.mesh.vertices, visemes), layer.name.capitalize()
        if layer.name in BODY_LAYERS:
            morphs = {target: moves for target, moves in morphs.items() if np.abs(moves).max() > SEEN_M}
            neutral = _join(head, neutral)
        parts.append(Part(name, layer.mesh.with_vertices(neutral), morphs, layer.texture, name))
    for style, other in (styles or {}).items():
        for part, own, new in zip(parts, list_meshes(head), list_meshes(other), strict=True):
            shift = to_numpy(new.vertices - own.vertices, np.float32)
            part.morphs[f"shape_{style}"] = shift
    return parts


def _join(head: Head, vertices: Float[Tensor, "k 3"]) -> Float[Tensor, "k 3"]:
    """Those of a body, exactly in the same places as the head's neutral ones where both meet."""
    own = to_numpy(head.neutral)
    apart, nearest = KDTree(own).query(to_numpy(vertices))
    joined = np.where(apart[:, None] < SAME_M, own[np.asarray(nearest)], to_numpy(vertices))
    return from_numpy(joined, vertices)


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


def find_normals(parts: list[Part], target: str | None = None) -> list[Float[np.ndarray, "_n 3"]]:
    """Unit normals of the vertices of each part, in its neutral shape or moved by the morph ``target``. Where a body
    begins, head and body have vertices in the same places: these have the same normals, so that no light shows a seam.
    Hems have those of their outer sides.
    """
    shapes = [to_numpy(part.mesh.vertices, np.float32) for part in parts]
    moved = [shape + part.morphs.get(target or "", 0) for shape, part in zip(shapes, parts, strict=True)]
    starts = np.cumsum([0, *(len(shape) for shape in shapes)])
    own = np.arange(starts[-1])
    for number, part in enumerate(parts):
        if part.name == "Body":
            apart, nearest = KDTree(shapes[0]).query(shapes[number])
            own[starts[number] : starts[number + 1]][apart == 0] = np.asarray(nearest)[apart == 0]
    faces = [to_numpy(part.mesh.faces) + start for part, start in zip(parts, starts, strict=False)]
    normals = vertex_normals(np.concatenate(moved), own[np.concatenate(faces)])[own]
    split = np.split(normals, starts[1:-1])
    for number, part in enumerate(parts):
        if part.name == "Clothes":
            split[number] = find_cloth_normals(moved[number], to_numpy(part.mesh.faces), load_body_model())
    return split
