"""Long hair lies on shoulders, not in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.rendering.ray_casting import cast_rays
from portraitist.types import Layer, Mesh

FARTHEST = 1.0  # meters from where rays look at a bust
ABOVE = 0.008  # meters by which hair lies on the clothes under it
BELOW = 0.003  # meters by which its inner side lies in them


def drape_layers(layers: Sequence[Layer], bust: Mesh) -> tuple[Layer, ...]:
    """The layers over a head, with what hangs into a bust laid on it: what is in its front half before it, the rest
    behind it. The front view of what is before it stays as it is."""
    return tuple(replace(layer, mesh=_drape(layer.mesh, bust, np.array([0.0, 0.0, 1.0]))) for layer in layers)


def _drape(mesh: Mesh, bust: Mesh, view: Float[np.ndarray, "3"]) -> Mesh:
    places, under = to_numpy(mesh.vertices, np.float64), to_numpy(bust.vertices, np.float64)[to_numpy(bust.faces)]
    normals = vertex_normals(places, to_numpy(mesh.faces))
    met, front = _find_depth(places, under, view)
    _, back = _find_depth(places, under, -view)
    depth, middle = places @ view, (front - back) / 2
    moved = places.copy()
    for side, surface, half in ((view, front, depth >= middle), (-view, back, depth < middle)):
        # The inner side of hair stays under the clothes' surface, so that it has a thickness.
        height = np.where(normals @ side > 0, ABOVE, -BELOW)
        lift = np.where(met & half, np.maximum(surface + height - places @ side, 0), 0)
        moved += lift[:, None] * side
    return mesh.with_vertices(from_numpy(moved.astype(np.float32), mesh.vertices))


def _find_depth(
    places: Float[np.ndarray, "k 3"], corners: Float[np.ndarray, "f 3 3"], side: Float[np.ndarray, "3"]
) -> tuple[Bool[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Whether a line along ``side`` through each place meets a surface, and how far along it does last."""
    flat = places - (places @ side)[:, None] * side
    ids, _, distances = cast_rays(corners, flat + FARTHEST * side, np.broadcast_to(-side, places.shape))
    return ids >= 0, FARTHEST - distances
