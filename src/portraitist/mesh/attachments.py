"""Attached parts, which move with a deforming surface by one similarity each: eyeballs and their sockets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class AttachedPart:
    """A separate piece and its binding region: the surface vertices (``anchor_ids``) whose similarity it takes.

    ``rim_weights`` [v, rim]: where the piece hangs on the surface (an eye socket on the lids), it takes over what its
    rim moves beyond the similarity; rows sum to 1 at the rim and fall to 0 away from it.
    """

    vertex_ids: np.ndarray
    anchor_ids: np.ndarray
    rim_ids: np.ndarray
    rim_weights: sp.csr_matrix

    def move(self, vertices: np.ndarray, displacement: np.ndarray) -> np.ndarray:
        """Displacement [m,3] of the piece: the similarity (linearized rotation) that best explains its anchors'."""
        center = vertices[self.anchor_ids].mean(0)
        arms, moves = vertices[self.anchor_ids] - center, displacement[self.anchor_ids]
        spread = (arms**2).sum()
        scale = (arms * moves).sum() / spread
        turn = np.linalg.solve(spread * np.eye(3) - arms.T @ arms, np.cross(arms, moves).sum(0))

        def similarity(ids: np.ndarray) -> np.ndarray:
            own = vertices[ids] - center
            return moves.mean(0) + scale * own + np.cross(turn, own)

        missed = displacement[self.rim_ids] - similarity(self.rim_ids)
        return similarity(self.vertex_ids) + self.rim_weights @ missed


def attach(vertex_ids: np.ndarray, anchor_ids: np.ndarray) -> AttachedPart:
    return AttachedPart(vertex_ids, anchor_ids, anchor_ids[:0], sp.csr_matrix((len(vertex_ids), 0)))
