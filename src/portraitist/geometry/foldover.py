"""Extrapolation that does not fold: the map from the sitter's frontal landmarks to the displaced ones stays injective.

At strengths above the artwork's own, points run past their neighbors (an eye over the nose, a lip over the chin), and
the skin between them turns over or is squeezed to nothing. Between the landmarks the map is taken as linear on each
triangle. Its gradient F must satisfy x'Fx >= ``LEAST_STRETCH`` |x|^2 for every x: then no direction shrinks further,
and no two places of the face meet. This set is convex (one of the spaces of Lipman, "Bounded distortion mapping
spaces", 2012), so there is one nearest displacement, and it changes continuously with the strength.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import Delaunay
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.geometry.shape_space import LIP_CORNERS, LIP_PAIRS

LEAST_STRETCH = 0.3  # artists squeeze 1 to 2 triangles in a hundred further (168 annotated artworks)
TOLERANCE = 0.01  # of a stretch
ROUNDS = 300  # at most
PENALTY = 10.0  # of the method of multipliers; this and the next only change how fast it converges
OVER_RELAXATION = 1.7


class LandmarkTriangles(NamedTuple):
    """``gradient`` [2t, k]: displacements of the points to their gradients on the triangles, weighted by the root of
    the area. ``weights`` [t]: those roots. ``global_step`` [k, k]: see ``prevent_foldover``."""

    gradient: Float[np.ndarray, "t2 k"]
    weights: Float[np.ndarray, "t"]
    global_step: Float[np.ndarray, "k k"]


def prevent_foldover(points: Float[Tensor, "68 2"], moved: Float[Tensor, "68 2"]) -> Float[Tensor, "68 2"]:
    """Displacements nearest to ``moved`` (least squares) under which no triangle shrinks below ``LEAST_STRETCH``.

    Unchanged when none does. Upper and lower inner lip count as one line, since a closed mouth has no area. Solved by
    the alternating direction method of multipliers: triangles are stretched one by one, then the points are solved for.
    """
    before, asked_68 = to_numpy(points, np.float64), to_numpy(moved, np.float64)
    triangles, wanted = _triangulate((_CLOSING @ before).tobytes()), _CLOSING @ asked_68
    kept, rest = wanted, triangles.weights[:, None, None] * np.eye(2)
    allowed = asked = rest + (triangles.gradient @ kept).reshape(-1, 2, 2)
    multiplier = np.zeros_like(rest)
    for _ in range(ROUNDS):
        relaxed = OVER_RELAXATION * asked + (1 - OVER_RELAXATION) * allowed
        allowed = _stretch(relaxed + multiplier, LEAST_STRETCH * triangles.weights)
        if (np.abs(asked - allowed).max((1, 2)) <= TOLERANCE * triangles.weights).all():
            break
        multiplier += relaxed - allowed
        pulls = triangles.gradient.T @ (allowed - multiplier - rest).reshape(-1, 2)
        kept = triangles.global_step @ (wanted + PENALTY * pulls)
        asked = rest + (triangles.gradient @ kept).reshape(-1, 2, 2)
    return from_numpy(asked_68 + (kept - wanted)[_CLOSED_IDS], moved)


def _closed_ids() -> Int[np.ndarray, "68"]:
    """Which of 63 points each of the 68 belongs to: the inner lips' corners are the outer ones', the others pairs."""
    ids = np.arange(68)
    for inner, outer in LIP_CORNERS:
        ids[inner] = outer
    for row, pair in enumerate(LIP_PAIRS, start=60):
        ids[list(pair)] = row
    return ids


_CLOSED_IDS = _closed_ids()
_CLOSING = np.eye(63)[:, _CLOSED_IDS] / np.bincount(_CLOSED_IDS)[:, None]  # means over the points that belong together


def _stretch(gradients: Float[np.ndarray, "t 2 2"], least: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t 2 2"]:
    """The nearest matrices whose symmetric parts have no eigenvalue below ``least``."""
    mean = (gradients[:, 0, 0] + gradients[:, 1, 1]) / 2
    shear = np.stack([(gradients[:, 0, 0] - gradients[:, 1, 1]) / 2, (gradients[:, 0, 1] + gradients[:, 1, 0]) / 2], 1)
    half = np.hypot(*shear.T)  # of the difference of the two eigenvalues
    low, high = np.maximum(mean - half, least), np.maximum(mean + half, least)
    shear_change = ((high - low) / 2 / np.maximum(half, 1e-12) - 1)[:, None] * shear
    mean_change = (high + low) / 2 - mean
    changes = np.stack([mean_change + shear_change[:, 0], shear_change[:, 1], shear_change[:, 1],
                        mean_change - shear_change[:, 0]], 1)  # fmt: skip
    return gradients + changes.reshape(-1, 2, 2)


@functools.lru_cache(maxsize=8)
def _triangulate(points: bytes) -> LandmarkTriangles:
    """Delaunay triangles of the points; slivers on the hull are left out."""
    places = np.frombuffer(points).reshape(-1, 2)
    corners = Delaunay(places).simplices
    edges = places[np.roll(corners, -1, axis=1)] - places[corners]
    areas = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) / 2
    solid = areas > 0.01 * (edges**2).sum(2).max(1)
    corners, weights = corners[solid], np.sqrt(areas[solid])
    gradient = _gradient_matrix(places, corners) * np.repeat(weights, 2)[:, None]
    return LandmarkTriangles(gradient, weights, np.linalg.inv(np.eye(len(places)) + PENALTY * gradient.T @ gradient))


def _gradient_matrix(places: Float[np.ndarray, "k 2"], corners: Int[np.ndarray, "t 3"]) -> Float[np.ndarray, "t2 k"]:
    """Values at the points to their gradients (x, then y) on the triangles."""
    a, b, c = corners.T
    inverse = np.linalg.inv(np.stack([places[b] - places[a], places[c] - places[a]], 1))
    gradient, rows = np.zeros((len(corners), 2, len(places))), np.arange(len(corners))
    for column, corner in enumerate((b, c)):
        gradient[rows, :, corner] += inverse[:, :, column]
        gradient[rows, :, a] -= inverse[:, :, column]
    return gradient.reshape(-1, len(places))
