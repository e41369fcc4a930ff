"""The point of a surface that is nearest to another point."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

CANDIDATES = 24  # triangles whose middles are nearest, among which the nearest triangle is looked for


def find_closest(
    points: Float[np.ndarray, "k 3"], vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]
) -> tuple[Int[np.ndarray, "k"], Float[np.ndarray, "k 3"]]:
    """Face id and weights of its corners for the point of a surface that is nearest to each of ``points``.

    Among the `CANDIDATES` triangles whose middles are nearest: exact where triangles are about of one size.
    """
    corners = vertices[faces]
    _, near = KDTree(corners.mean(1)).query(points, k=min(CANDIDATES, len(faces)))
    near = near.reshape(len(points), -1)
    best_ids, best_weights, best = (
        np.zeros(len(points), np.int64),
        np.zeros((len(points), 3)),
        np.full(len(points), np.inf),
    )
    for column in near.T:
        weights = _closest_on_triangles(points, corners[column])
        distances = ((weights[..., None] * corners[column]).sum(1) - points) ** 2
        better = distances.sum(1) < best
        best[better] = distances.sum(1)[better]
        best_ids[better], best_weights[better] = column[better], weights[better]
    return best_ids, best_weights


def _closest_on_triangles(points: Float[np.ndarray, "k 3"], corners: Float[np.ndarray, "k 3 3"]) -> np.ndarray:
    """Weights [k, 3] of the corners: those of the foot of the perpendicular, or of the nearest point on an edge."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, ap = b - a, c - a, points - a
    d = [(x * y).sum(1) for x, y in ((ab, ab), (ab, ac), (ac, ac), (ap, ab), (ap, ac))]
    area = d[0] * d[2] - d[1] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        v, w = (d[2] * d[3] - d[1] * d[4]) / area, (d[0] * d[4] - d[1] * d[3]) / area
    inside = (area > 0) & (v >= 0) & (w >= 0) & (v + w <= 1)
    best = np.stack([1 - v - w, v, w], 1)
    nearest = np.where(inside, 0.0, np.inf)
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, along = corners[:, first], corners[:, second] - corners[:, first]
        share = (((points - start) * along).sum(1) / np.maximum((along**2).sum(1), 1e-30)).clip(0, 1)
        distance = ((start + share[:, None] * along - points) ** 2).sum(1)
        better = ~inside & (distance < nearest)
        nearest[better] = distance[better]
        own = np.zeros((len(points), 3))
        own[:, first], own[:, second] = 1 - share, share
        best[better] = own[better]
    return best
