"""Normals of surfaces."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int


def vertex_normals(vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "n 3"]:
    """Area-weighted unit normals; +Z where a vertex has no area around it."""
    corners = vertices[faces].astype(np.float64)
    area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    triangles = np.repeat(np.arange(len(faces)), 3)
    spread = sp.csr_matrix((np.ones(faces.size), (faces.ravel(), triangles)), shape=(len(vertices), len(faces)))
    normals = spread @ area_normals
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    has_area = lengths > 0
    return np.where(has_area, normals / np.where(has_area, lengths, 1.0), [0.0, 0.0, 1.0]).astype(np.float32)
