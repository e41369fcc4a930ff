"""Openings of a mesh, closed."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int


def close_openings(
    vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"], floor: float | None = None
) -> tuple[Float[np.ndarray, "m 3"], Int[np.ndarray, "g 3"]]:
    """The mesh with every opening closed by a fan around the middle of its rim; what is new comes last.

    ``floor``: a height (z). The lowest opening is first drawn straight down to it, and ends in a plane.
    """
    rim = _find_rim(faces)
    if not len(rim):
        return vertices, faces
    links = sp.coo_matrix((np.ones(len(rim)), (rim[:, 0], rim[:, 1])), (len(vertices), len(vertices)))
    _, group = sp.csgraph.connected_components(links, directed=False)
    openings = [rim[group[rim[:, 0]] == one] for one in np.unique(group[rim[:, 0]])]
    if floor is not None:
        lowest = min(range(len(openings)), key=lambda i: vertices[openings[i]].mean(axis=(0, 1))[2])
        upper = openings[lowest]
        ids, lower = np.unique(upper, return_inverse=True)
        lower = lower.reshape(upper.shape) + len(vertices)
        vertices = np.concatenate([vertices, np.column_stack([vertices[ids, :2], np.full(len(ids), floor)])])
        walls = [np.column_stack([upper[:, ::-1], lower[:, 0]]), np.column_stack([upper[:, 1], lower])]
        faces = np.concatenate([faces, *walls])
        openings[lowest] = lower
    for opening in openings:
        middle = np.full(len(opening), len(vertices))
        vertices = np.concatenate([vertices, vertices[np.unique(opening)].mean(0, keepdims=True)])
        faces = np.concatenate([faces, np.column_stack([opening[:, ::-1], middle])])
    return vertices, faces


def _find_rim(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, "r 2"]:
    """Edges (from, to) of triangles that no neighbor has the other way round, each as often as that is so."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    pairs, edge_of = np.unique(np.sort(edges, 1), axis=0, return_inverse=True)
    excess = np.bincount(edge_of.reshape(-1), np.where(edges[:, 0] < edges[:, 1], 1, -1), len(pairs)).astype(int)
    return np.repeat(np.where(excess[:, None] > 0, pairs, pairs[:, ::-1]), np.abs(excess), axis=0)
