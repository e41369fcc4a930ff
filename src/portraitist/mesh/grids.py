"""Surfaces that are regular grids closed around a body, rows running down."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def grid_faces(rows: int, columns: int) -> Int[np.ndarray, "f 3"]:
    """Triangles between vertices numbered row by row, seen from outside counter-clockwise, where columns run to the
    right; the last column goes on in the first."""
    ids = np.arange(rows * columns).reshape(rows, columns)
    here, right, below = ids[:-1], np.roll(ids, -1, 1)[:-1], ids[1:]
    across = np.roll(ids, -1, 1)[1:]
    halves = (np.stack(corners, -1).reshape(-1, 3) for corners in ((here, below, across), (here, across, right)))
    return np.concatenate(list(halves))
