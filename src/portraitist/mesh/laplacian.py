"""Operators on triangle meshes: normals, the cotangent Laplacian, and the one screened Poisson solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.sparse.linalg import SuperLU, splu


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


def triangle_areas(corners: Float[np.ndarray, "f 3 3"]) -> Float[np.ndarray, "f"]:
    """Area of each triangle."""
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2


def cotangent_laplacian(vertices: np.ndarray, faces: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
    """Positive semi-definite cotangent Laplacian [n,n] (rows sum to 0) and barycentric vertex areas [n].

    Cotangents are clamped at zero so that obtuse triangles cannot make the matrix indefinite.
    """
    count = len(vertices)
    rows, columns, values = [], [], []
    areas = np.zeros(count)
    for corner in range(3):
        i, j, k = faces[:, corner], faces[:, (corner + 1) % 3], faces[:, (corner + 2) % 3]
        a, b = vertices[j] - vertices[i], vertices[k] - vertices[i]
        doubled = np.linalg.norm(np.cross(a, b), axis=1)
        weight = 0.5 * np.maximum((a * b).sum(1), 0) / np.maximum(doubled, 1e-12)
        rows += [j, k]
        columns += [k, j]
        values += [weight, weight]
        np.add.at(areas, i, doubled / 6)
    adjacency = sp.coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (count, count))
    adjacency = adjacency.tocsr()
    return sp.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency, np.maximum(areas, 1e-9)


def difference_matrix(pairs: Int[np.ndarray, "p 2"], count: int) -> sp.csr_matrix:
    """[p, count]: the first of each pair minus the second."""
    rows = np.repeat(np.arange(len(pairs)), 2)
    return sp.csr_matrix((np.tile([1.0, -1.0], len(pairs)), (rows, pairs.ravel())), (len(pairs), count))


def factor_symmetric(system: sp.spmatrix | sp.sparray) -> SuperLU:
    """Factor a symmetric positive definite matrix; ``solve`` of the result takes any number of columns."""
    return splu(sp.csc_matrix(system), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})


@dataclass(frozen=True)
class ScreenedPoisson:
    """The field ``x`` that minimizes ``sum_i screen_i |x_i - data_i|^2 + x' L x - 2 x' divergence``.

    With divergence 0 it is the smoothest field near the data; with the divergence of a guidance field, its differences
    along edges are drawn to that field's. Factored once, solved for any number of columns.
    """

    screen: Float[np.ndarray, "n"]
    factor: SuperLU

    @classmethod
    def factorize(
        cls,
        laplacian: sp.spmatrix | sp.sparray,
        screen: Float[np.ndarray, "n"],
        constraints: sp.spmatrix | sp.sparray | None = None,
    ) -> ScreenedPoisson:
        """``laplacian``: positive semi-definite, rows sum to 0. ``screen``: positive weights of the data.
        ``constraints``: a further positive semi-definite form, such as ``T' T`` of differences that should vanish."""
        system = laplacian + sp.diags(screen)
        return cls(screen, factor_symmetric(system if constraints is None else system + constraints))

    def solve(
        self, data: Float[np.ndarray, "n c"], divergence: Float[np.ndarray, "n c"] | float = 0.0
    ) -> Float[np.ndarray, "n c"]:
        return self.factor.solve(self.screen[:, None] * data + divergence)
