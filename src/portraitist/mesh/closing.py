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
    openings = list_openings(faces)
    if not openings:
        return vertices, faces
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


def list_openings(faces: Int[np.ndarray, "f 3"]) -> list[Int[np.ndarray, "_r 2"]]:
    """The rim of each opening, as edges (from, to) of triangles that no neighbor has the other way round, each as often
    as that is so."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    count = int(faces.max()) + 1
    keys, edge_of = np.unique(edges.min(1) * count + edges.max(1), return_inverse=True)
    pairs = np.stack(np.divmod(keys, count), 1)
    excess = np.bincount(edge_of, np.where(edges[:, 0] < edges[:, 1], 1, -1), len(pairs)).astype(int)
    rim = np.repeat(np.where(excess[:, None] > 0, pairs, pairs[:, ::-1]), np.abs(excess), axis=0)
    if not len(rim):
        return []
    links = sp.coo_matrix((np.ones(len(rim)), (rim[:, 0], rim[:, 1])), (count, count))
    _, group = sp.csgraph.connected_components(links, directed=False)
    return [rim[group[rim[:, 0]] == one] for one in np.unique(group[rim[:, 0]])]
