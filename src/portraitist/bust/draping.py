"""Long hair lies on shoulders, not in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from portraitist.devices import from_numpy, to_numpy
from portraitist.rendering.ray_casting import cast_rays, is_occluded
from portraitist.types import Layer, Mesh

FARTHEST = 1.0  # meters from where rays look at a bust
ABOVE = 0.008  # meters by which hair lies on the clothes under it
RAY_STEP = 0.002  # meters before the surface at which rays start


def drape_layers(layers: Sequence[Layer], bust: Mesh, view: Float[np.ndarray, "3"], head: Mesh) -> tuple[Layer, ...]:
    """The layers over a head, with what hangs into a bust laid on it: what is seen from ``view`` (a direction towards
    the viewer) before it, what is seen from the other side behind it. A picture of it from there stays as it is."""
    return tuple(replace(layer, mesh=_drape(layer.mesh, bust, view, head)) for layer in layers)


def _drape(mesh: Mesh, bust: Mesh, view: Float[np.ndarray, "3"], head: Mesh) -> Mesh:
    places = to_numpy(mesh.vertices, np.float64)
    own, under, around = (to_numpy(m.vertices, np.float64)[to_numpy(m.faces)] for m in (mesh, bust, head))
    moved, before = places.copy(), np.zeros(len(places), bool)
    for side in (view, -view):
        depth = places @ side
        met, surface = _find_depth(places, under, side)
        shown = ~_is_hidden(places, np.concatenate([own, around]), side) & ~before
        before |= shown
        lift = np.where(met & shown, np.maximum(surface + ABOVE - depth, 0), 0)
        moved += lift[:, None] * side
    return mesh.with_vertices(from_numpy(moved.astype(np.float32), mesh.vertices))


def _find_depth(
    places: Float[np.ndarray, "k 3"], corners: Float[np.ndarray, "f 3 3"], side: Float[np.ndarray, "3"]
) -> tuple[Bool[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Whether a line along ``side`` through each place meets a surface, and how far along it does first."""
    flat = places - (places @ side)[:, None] * side
    ids, _, distances = cast_rays(corners, flat + FARTHEST * side, np.broadcast_to(-side, places.shape))
    return ids >= 0, FARTHEST - distances


def _is_hidden(
    places: Float[np.ndarray, "k 3"], corners: Float[np.ndarray, "f 3 3"], side: Float[np.ndarray, "3"]
) -> Bool[np.ndarray, "k"]:
    return is_occluded(corners, places + RAY_STEP * side, np.broadcast_to(side, places.shape))
