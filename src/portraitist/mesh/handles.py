"""Smooth displacement fields from sparse handles: a few points move, the whole surface follows (Eq. 8-10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.sparse.linalg import SuperLU
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.attachments import AttachedPart
from portraitist.mesh.laplacian import difference_matrix, factor_symmetric
from portraitist.types import LandmarkEmbedding

CONSTRAINT_WEIGHT = 1.0
"""Of soft constraints, against handles of weight 1."""


@dataclass(frozen=True)
class DeformableSurface:
    """What smooth displacement fields on a mesh need, made once per topology.

    ``vertex_count``: of the whole mesh. ``vertex_ids`` [m]: of the connected surface that is solved for.
    ``smoothness`` [m, m]: quadratic form on it. ``hung_ids`` [h], ``hung_weights`` [h, m]: vertices that take a
    weighted mean of the surface's displacements (rows sum to 1). ``attached``: separate pieces.
    """

    vertex_count: int
    vertex_ids: Int[np.ndarray, "m"]
    smoothness: sp.csr_matrix
    hung_ids: Int[np.ndarray, "h"]
    hung_weights: sp.csr_matrix
    attached: tuple[AttachedPart, ...]

    def complete(self, vertices: np.ndarray, displacement: np.ndarray) -> np.ndarray:
        """A displacement [n, 3] that is known on the surface only, continued to everything that hangs on it."""
        completed = displacement.copy()
        completed[self.hung_ids] = self.hung_weights @ displacement[self.vertex_ids]
        for part in self.attached:
            completed[part.vertex_ids] = part.move(vertices, completed)
        return completed


@dataclass(frozen=True)
class HandleSystem:
    """Factored system of one set of handles: ``minimize |B d - t|^2_w + stiffness * d' S d`` per coordinate.

    ``weighted_handles`` [m, k]: transposed barycentric rows, times the handles' weights.
    """

    surface: DeformableSurface
    factor: SuperLU
    weighted_handles: sp.csr_matrix

    def solve(self, targets: Float[np.ndarray, "k c"]) -> Float[np.ndarray, "m c"]:
        """Displacement of the surface's vertices for handle displacements, any number of columns."""
        return self.factor.solve(self.weighted_handles @ targets)

    def displace(self, vertices: Float[Tensor, "n 3"], targets: Float[Tensor, "k 3"]) -> Float[Tensor, "n 3"]:
        """Displacement of every vertex for handle displacements, hung vertices and attached parts included."""
        displacement = np.zeros((self.surface.vertex_count, 3))
        displacement[self.surface.vertex_ids] = self.solve(to_numpy(targets, np.float64))
        return from_numpy(self.surface.complete(to_numpy(vertices, np.float64), displacement), vertices)


def factor_handles(
    surface: DeformableSurface,
    faces: Int[Tensor, "f 3"],
    handles: LandmarkEmbedding,
    weights: Float[Tensor, "k"],
    stiffness: float,
    soft_constraints: Int[np.ndarray, "p 2"] | None = None,
) -> HandleSystem:
    """Factor once; ``stiffness`` trades handle residual against smoothness, handle weights are relative to 1.

    ``soft_constraints``: pairs of surface vertices that should move alike.
    """
    count, size = len(handles.face_ids), len(surface.vertex_ids)
    local = np.full(surface.vertex_count, -1)
    local[surface.vertex_ids] = np.arange(size)
    corners = local[to_numpy(faces[handles.face_ids])]
    barycentrics = to_numpy(handles.barycentrics, np.float64).ravel()
    handle_matrix = sp.csr_matrix((barycentrics, (np.repeat(np.arange(count), 3), corners.ravel())), (count, size))
    weighted = handle_matrix.T @ sp.diags(to_numpy(weights, np.float64))
    system = weighted @ handle_matrix + stiffness * surface.smoothness
    if soft_constraints is not None:
        differences = difference_matrix(local[soft_constraints], size)
        system = system + CONSTRAINT_WEIGHT * (differences.T @ differences)
    return HandleSystem(surface, factor_symmetric(system), sp.csr_matrix(weighted))
