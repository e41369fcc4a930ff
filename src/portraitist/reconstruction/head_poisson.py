"""Smooth fields on the vertices of the mean head, where the cut down the back of the UV layout does not exist."""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from portraitist.devices import to_numpy
from portraitist.mesh.laplacian import ScreenedPoisson, cotangent_laplacian
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import SURFACE_COMPONENTS

UNGUIDED_STIFFNESS = 0.05
LEAST_SCREEN = 1e-7


class HeadPoisson:
    """Screened Poisson problems on the connected surface of the mean head; other vertices stay 0."""

    def __init__(self, model: HeadModel) -> None:
        ids, faces = np.unique(to_numpy(model.faces[model.face_mask(*SURFACE_COMPONENTS)]), return_inverse=True)
        self.ids = ids
        self.laplacian, self.areas = cotangent_laplacian(to_numpy(model.mean, np.float64)[ids], faces.reshape(-1, 3))
        edges = sp.coo_matrix(sp.triu(self.laplacian, 1))
        self.edges, self.stiffness = np.stack([edges.row, edges.col], axis=1), -np.asarray(edges.data, np.float64)

    def solve(self, data: Float[np.ndarray, "n c"], weights: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n c"]:
        """Minimize ``sum w |x - data|² + x' L x``."""
        return self._minimize(self.laplacian, data, weights, 0.0)

    def solve_guided(
        self,
        data: Float[np.ndarray, "n c"],
        weights: Float[np.ndarray, "n"],
        guide: Float[np.ndarray, "n c"],
        trust: Float[np.ndarray, "n"],
    ) -> Float[np.ndarray, "n c"]:
        """The same, but differences along edges are drawn to the guide's where both ends trust it, else weakly to 0."""
        first, second = self.edges.T
        agreed = np.minimum(trust[self.ids][first], trust[self.ids][second])
        flow = (guide[self.ids][first] - guide[self.ids][second]) * (self.stiffness * agreed)[:, None]
        count = len(self.ids)
        rows, signs = np.concatenate([first, second]), np.repeat([1.0, -1.0], len(first))
        spread = sp.csr_matrix((signs, (rows, np.tile(np.arange(len(first)), 2))), (count, len(first)))
        laplacian = spread @ sp.diags(self.stiffness * np.maximum(agreed, UNGUIDED_STIFFNESS)) @ spread.T
        return self._minimize(laplacian, data, weights, spread @ flow)

    def _minimize(
        self, laplacian: sp.spmatrix, data: np.ndarray, weights: np.ndarray, divergence: np.ndarray | float
    ) -> np.ndarray:
        screen = np.maximum(weights[self.ids].astype(np.float64), LEAST_SCREEN)
        result = np.zeros_like(data, np.float32)
        result[self.ids] = ScreenedPoisson.factorize(laplacian, screen).solve(data[self.ids], divergence)
        return result


@functools.lru_cache(maxsize=2)
def build_head_poisson(model: HeadModel) -> HeadPoisson:
    """Of the model's mean head; remembered."""
    return HeadPoisson(model)
