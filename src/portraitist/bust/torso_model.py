"""The body under the head: a grid over neck and torso, shaped as bodies are, that begins on the head's own skin."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from safetensors.torch import load_file

from portraitist.assets import asset_path
from portraitist.devices import to_numpy

ASSET = "torso.safetensors"


@dataclass(frozen=True, eq=False)  # loaded once
class TorsoModel:
    """Columns run around the body, from the middle of the back by the sitter's right to the front; rows run down.

    ``ring``: vertices of the head model along its lower end; every third column begins at one. ``neck_faces``,
    ``neck_weights``: faces of the head model and weights of their corners for the rows above the ring, highest first.
    ``mean``: the rows below the ring, meters, on the mean head. ``modes``: how bodies differ, one standard deviation
    each, measured from the middle of the ring. ``mean_ring``: points of the mean head's ring, one for each column.
    """

    ring: Int[np.ndarray, "p"]
    neck_faces: Int[np.ndarray, "q c"]
    neck_weights: Float[np.ndarray, "q c 3"]
    mean: Float[np.ndarray, "r c 3"]
    modes: Float[np.ndarray, "k r c 3"]
    mean_ring: Float[np.ndarray, "c 3"]

    @property
    def ring_middle(self) -> Float[np.ndarray, "3"]:
        """On the mean head."""
        return self.mean_ring.mean(0)

    @property
    def ring_row(self) -> int:
        """Of all rows, those on the neck first."""
        return len(self.neck_faces)

    def follow_ring(self, vertices: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "c 3"]:
        """Points along the ring of a head with these vertices, one for each column."""
        points, step = vertices[self.ring], self.mean.shape[1] // len(self.ring)
        share = (np.arange(step) / step)[:, None]
        between = points[:, None] * (1 - share) + np.roll(points, -1, 0)[:, None] * share
        return between.reshape(-1, 3)

    def follow_neck(self, vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]) -> np.ndarray:
        """[q + 1, c, 3]: the rows on the skin of a head with these vertices; the ring is the last."""
        corners = vertices[faces[self.neck_faces]]
        neck = (corners * self.neck_weights[..., None]).sum(2)
        return np.concatenate([neck, self.follow_ring(vertices)[None]])


@functools.cache
def load_torso_model() -> TorsoModel:
    """The shipped one. Raises AssetError when its file is missing or damaged."""
    data = load_file(asset_path(ASSET))
    numbers = {name: to_numpy(data[name], np.float64) for name in ("neck_weights", "mean", "modes", "mean_ring")}
    return TorsoModel(to_numpy(data["ring"], np.int64), to_numpy(data["neck_faces"], np.int64), **numbers)
