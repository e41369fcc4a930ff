"""Surfaces that are regular grids closed around a body, rows running down."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from portraitist.mesh.laplacian import vertex_normals


def grid_faces(rows: int, columns: int, closed: bool = True) -> Int[np.ndarray, "f 3"]:
    """Triangles between vertices numbered row by row, seen from outside counter-clockwise, where columns run to the
    right. ``closed``: the last column goes on in the first."""
    ids = np.arange(rows * columns).reshape(rows, columns)
    if closed:
        ids = np.concatenate([ids, ids[:, :1]], 1)
    here, right, below, across = ids[:-1, :-1], ids[:-1, 1:], ids[1:, :-1], ids[1:, 1:]
    halves = (np.stack(corners, -1).reshape(-1, 3) for corners in ((here, below, across), (here, across, right)))
    return np.concatenate(list(halves))


def grid_uvs(rows: int, columns: int) -> Float[np.ndarray, "r d 2"]:
    """UVs of a closed grid, u along the rows and v down; the first column is there once more at the end, so that its
    triangles are those of `grid_faces` that is not closed."""
    return np.stack(np.broadcast_arrays(np.arange(columns + 1) / columns, (np.arange(rows)[:, None] + 0.5) / rows), -1)


def grid_normals(places: Float[np.ndarray, "r c 3"]) -> Float[np.ndarray, "r c 3"]:
    """Unit normals of the vertices of a closed grid, outwards."""
    return vertex_normals(places.reshape(-1, 3), grid_faces(*places.shape[:2])).reshape(places.shape)
