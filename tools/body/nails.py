"""The nails of the fingers: flat patches of the mesh within a fold of thin faces."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from anny_bodies import Source
from portraitist.body.skeleton import JOINTS

FINGERS = ("Thumb", "Index", "Middle", "Ring", "Little")
TIP = 0.3  # least weight of a finger's last joint
FOLDS = np.arange(0.0008, 0.003, 0.0001)  # meters, narrowest first: faces thinner than one of them lie in the fold
SMALLEST, LARGEST = 5, 16  # quads of a nail


def find_nails(source: Source, body: np.ndarray) -> np.ndarray:
    """Vertices of all ten nails."""
    found = []
    for side in ("left", "right"):
        for finger in FINGERS:
            tip = (source.weights[:, JOINTS[f"{side}{finger}Distal"]][source.quads] > TIP).all(1)
            found.append(_find_patch(source.quads[tip], body))
    return np.unique(np.concatenate(found))


def _find_patch(quads: np.ndarray, body: np.ndarray) -> np.ndarray:
    corners = body[quads]
    thin = np.stack([np.linalg.norm(corners[:, i] - corners[:, i - 1], axis=1) for i in range(4)]).min(0)
    for fold in FOLDS:
        flat = quads[thin > fold]
        patches = _join(flat)
        for patch in np.unique(patches):
            own = flat[patches == patch]
            if SMALLEST <= len(own) <= LARGEST and len(own) < len(flat) / 2:
                return np.unique(own)
    raise AssertionError("a finger without a nail")


def _join(quads: np.ndarray) -> np.ndarray:
    """Patch of each quad: those that share an edge are of one."""
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), axis=1)
    _, numbers = np.unique(edges, axis=0, return_inverse=True)
    own = np.repeat(np.arange(len(quads)), 4)
    ties = sp.coo_matrix((np.ones(len(own)), (own, numbers.ravel())), (len(quads), numbers.max() + 1)).tocsr()
    return connected_components(ties @ ties.T, directed=False)[1]
