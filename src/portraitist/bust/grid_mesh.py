"""The mesh of a bust: a grid around neck and body, closed above within the neck and below by a flat base."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.grids import grid_faces, grid_uvs
from portraitist.types import REGIONS, Mesh


def build_mesh(places: Float[np.ndarray, "r c 3"], like: Mesh) -> Mesh:
    """Closed mesh of rows of ``places``, highest first; behind them its vertices are the middles of lid and base. In
    UVs u runs around from the back, v down. ``like``: of its device and kinds of numbers."""
    rows, columns = places.shape[:2]
    faces = grid_faces(rows, columns)
    around = np.arange(columns)
    top, low = np.full(columns, rows * columns), np.full(columns, rows * columns + 1)
    first, last = around, (rows - 1) * columns + around
    lid = np.stack([top, first, np.roll(first, -1)], 1)
    base = np.stack([low, np.roll(last, -1), last], 1)
    uvs, uv_faces = _lay_out(rows, columns)
    corners = from_numpy(np.concatenate([faces, lid, base]), like.faces)
    return Mesh(
        vertices=from_numpy(list_vertices(places), like.vertices),
        faces=corners,
        uvs=from_numpy(uvs, like.uvs),
        uv_faces=from_numpy(uv_faces, like.faces),
        regions=torch.full_like(corners[:, 0], REGIONS.index("bust")),
    )


def list_vertices(places: Float[np.ndarray, "r c 3"]) -> Float[np.ndarray, "n 3"]:
    """Of the mesh with these rows: theirs, then the middles of lid and base."""
    return np.concatenate([places.reshape(-1, 3), places[0].mean(0)[None], places[-1].mean(0)[None]])


def list_rows(mesh: Mesh, columns: int) -> Float[np.ndarray, "r c 3"]:
    """The rows that a mesh was built of."""
    return to_numpy(mesh.vertices, np.float64)[:-2].reshape(-1, columns, 3)


def _lay_out(rows: int, columns: int) -> tuple[Float[np.ndarray, "m 2"], Int[np.ndarray, "f 3"]]:
    """UVs and their faces, in the order of `grid_faces`, lid and base; the back's column is there twice."""
    uvs = grid_uvs(rows, columns).reshape(-1, 2)
    ids = np.arange(len(uvs)).reshape(rows, columns + 1)
    lid = np.stack([ids[0, :-1], ids[0, :-1], ids[0, 1:]], 1)
    base = np.stack([ids[-1, :-1], ids[-1, 1:], ids[-1, :-1]], 1)
    return uvs, np.concatenate([grid_faces(rows, columns + 1, closed=False), lid, base])
