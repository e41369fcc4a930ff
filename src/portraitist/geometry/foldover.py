"""Extrapolation that does not fold: frontal landmarks keep the order of their triangles.

At strengths above the artwork's own, points run past their neighbors (an eye over its brow, a lip over the nose), and
the skin between them turns over. Where a triangle would shrink too far, its corners move together instead.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import Delaunay
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy

INNER_LIPS = range(60, 68)
OUTER_OF_INNER = (48, 50, 51, 52, 54, 56, 57, 58)  # of points 60..67
LEAST_AREA = 0.2  # of a triangle, against what it was
ROUNDS = 200  # at most
RELAXATION = 0.3  # of the way to a common displacement, per round


def prevent_foldover(points: Float[Tensor, "68 2"], moved: Float[Tensor, "68 2"]) -> Float[Tensor, "68 2"]:
    """Displacements nearest to ``moved`` that keep every triangle's area above ``LEAST_AREA`` of what it was.

    Unchanged when none falls below. The inner lips, which have no area of their own, follow the outer ones.
    """
    before, wanted = to_numpy(points, np.float64), to_numpy(moved, np.float64)
    triangles = _triangulate(before.tobytes())
    areas = _signed_areas(before[triangles])
    kept = wanted.copy()
    for _ in range(ROUNDS):
        bad = _signed_areas((before + kept)[triangles]) < LEAST_AREA * areas
        if not bad.any():
            break
        sums, counts = np.zeros_like(kept), np.zeros((len(kept), 1))
        corners = triangles[bad]
        np.add.at(sums, corners, kept[corners].mean(1, keepdims=True) - kept[corners])
        np.add.at(counts, corners, 1)
        kept += RELAXATION * sums / np.maximum(counts, 1)
    kept[INNER_LIPS] = wanted[INNER_LIPS] + (kept - wanted)[list(OUTER_OF_INNER)]
    return from_numpy(kept, moved)


@functools.lru_cache(maxsize=8)
def _triangulate(points: bytes) -> Int[np.ndarray, "t 3"]:
    """Delaunay triangles of the outer 60 points, counter-clockwise; slivers on the hull are left out."""
    places = np.frombuffer(points).reshape(68, 2)[:60]
    triangles = Delaunay(places).simplices
    areas = _signed_areas(places[triangles])
    triangles = np.where((areas < 0)[:, None], triangles[:, ::-1], triangles)
    longest = np.linalg.norm(places[triangles] - places[np.roll(triangles, 1, axis=1)], axis=2).max(1)
    return triangles[np.abs(areas) > 0.01 * longest**2]


def _signed_areas(corners: Float[np.ndarray, "t 3 2"]) -> Float[np.ndarray, "t"]:
    (ax, ay), (bx, by) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    return (ax * by - ay * bx) / 2
