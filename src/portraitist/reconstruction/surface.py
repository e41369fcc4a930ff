"""Smooth displacement fields on the head: sparse handles in, every vertex out. Used by fitting and by deformation.

Skin and eye sockets are one connected surface and are solved. The mouth cavity hangs on the lips only: solved with the
rest it would stay large in a chin that shrinks, and poke through; it is carried by the skin around it. Eyeballs, teeth
and tongue are separate pieces and follow what surrounds them by a similarity each.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from scipy.sparse.linalg import SuperLU, splu
from scipy.spatial import KDTree
from torch import Tensor

from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import LandmarkEmbedding

SURFACE_PARTS = ("outer_skin", "eye_socket_left", "eye_socket_right")
DECIMETRE = 0.1  # metres: lengths of order one keep the systems well conditioned
CAVITY_NEIGHBOURS = 64
REACH = 0.8  # decimetres: beyond this distance a displacement levels off instead of growing


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


@dataclass(frozen=True)
class Follower:
    """A separate piece and the surface vertices that carry it."""

    vertex_ids: np.ndarray
    anchor_ids: np.ndarray

    def move(self, vertices: np.ndarray, displacement: np.ndarray) -> np.ndarray:
        """Displacement [m,3] of the piece: the similarity (linearised rotation) that best explains its anchors'."""
        centre = vertices[self.anchor_ids].mean(0)
        arms, moves = vertices[self.anchor_ids] - centre, displacement[self.anchor_ids]
        spread = (arms**2).sum()
        scale = (arms * moves).sum() / spread
        turn = np.linalg.solve(spread * np.eye(3) - arms.T @ arms, np.cross(arms, moves).sum(0))
        own = vertices[self.vertex_ids] - centre
        return moves.mean(0) + scale * own + np.cross(turn, own)


@dataclass(frozen=True)
class Surface:
    """What the smooth fields need, made once per head model."""

    vertex_ids: np.ndarray  # of the connected surface, into the model's vertices
    smoothness: sp.csr_matrix  # quadratic form on those vertices
    cavity_ids: np.ndarray  # mouth cavity without its rim on the lips
    cavity_weights: sp.csr_matrix  # [cavity, surface]: rows sum to 1
    followers: tuple[Follower, ...]

    def carry_followers(self, vertices: np.ndarray, displacement: np.ndarray) -> np.ndarray:
        """Complete a displacement [n,3] that is known on the surface only."""
        complete = displacement.copy()
        complete[self.cavity_ids] = self.cavity_weights @ displacement[self.vertex_ids]
        for follower in self.followers:
            complete[follower.vertex_ids] = follower.move(vertices, complete)
        return complete


@functools.lru_cache(maxsize=2)
def build_surface(model: HeadModel) -> Surface:
    """Bi-Laplacian smoothness plus a little membrane, so that far from any handle a field becomes constant rather than
    growing linearly, and the followers with their anchors."""
    vertices = model.mean.double().numpy() / DECIMETRE
    solved = model.face_mask(*SURFACE_PARTS)
    ids, faces = np.unique(model.faces[solved].numpy(), return_inverse=True)
    laplacian, areas = cotangent_laplacian(vertices[ids], faces.reshape(-1, 3))
    smoothness = laplacian @ sp.diags(1 / areas) @ laplacian + laplacian / REACH**2

    def ring(inner: str) -> np.ndarray:
        return np.intersect1d(model.vertex_ids("outer_skin").numpy(), model.vertex_ids(inner).numpy())

    cavity = model.vertex_ids("mouth_cavity").numpy()
    near = KDTree(vertices[cavity])

    def gums(*parts: str) -> np.ndarray:
        found = near.query_ball_point(vertices[model.vertex_ids(*parts).numpy()], 0.12)
        return cavity[np.unique(np.concatenate([np.array(f, int) for f in found]))]

    followers = [
        Follower(model.vertex_ids(f"eyeball_{side}").numpy(), ring(f"eye_socket_{side}")) for side in ("left", "right")
    ]
    followers.append(Follower(model.vertex_ids("upper_teeth").numpy(), gums("upper_teeth")))
    followers.append(Follower(model.vertex_ids("lower_teeth", "tongue").numpy(), gums("lower_teeth")))
    inner, weights = _hang_cavity(vertices, ids, np.setdiff1d(cavity, ids))
    return Surface(ids, smoothness.tocsr(), inner, weights, tuple(followers))


def _hang_cavity(
    vertices: np.ndarray, skin_ids: np.ndarray, cavity_ids: np.ndarray
) -> tuple[np.ndarray, sp.csr_matrix]:
    """Shepard weights (inverse fourth power) of each cavity vertex over the nearest skin.

    Next to the lips it moves with the lips, deeper inside with chin, cheeks and upper lip.
    """
    distance, near = KDTree(vertices[skin_ids]).query(vertices[cavity_ids], k=CAVITY_NEIGHBOURS)
    weights = 1 / (distance**4 + 1e-8)
    weights /= weights.sum(1, keepdims=True)
    rows = np.repeat(np.arange(len(cavity_ids)), CAVITY_NEIGHBOURS)
    shape = (len(cavity_ids), len(skin_ids))
    return cavity_ids, sp.csr_matrix((weights.ravel(), (rows, near.ravel())), shape)


@dataclass(frozen=True)
class HandleSystem:
    """Factored system for one set of handles: ``minimise |B d - t|^2_w + stiffness * d' S d`` per coordinate."""

    surface: Surface
    factor: SuperLU
    weighted_handles: sp.csr_matrix  # [m, k]: transposed, weighted barycentric rows

    def solve(self, targets: Float[np.ndarray, "k c"]) -> Float[np.ndarray, "m c"]:
        """Displacement of the surface's vertices for handle displacements, any number of columns."""
        return self.factor.solve(self.weighted_handles @ targets)


def factor_handles(
    model: HeadModel, handles: LandmarkEmbedding, weights: Float[Tensor, "k"], stiffness: float
) -> HandleSystem:
    """Factor once; ``stiffness`` trades handle residual against smoothness, handle weights are relative to 1."""
    surface = build_surface(model)
    local = np.full(len(model.mean), -1)
    local[surface.vertex_ids] = np.arange(len(surface.vertex_ids))
    corners = local[model.faces[handles.face_ids].numpy()]
    count = len(corners)
    rows = np.repeat(np.arange(count), 3)
    shape = (count, len(surface.vertex_ids))
    handle_matrix = sp.coo_matrix(
        (handles.barycentrics.double().numpy().ravel(), (rows, corners.ravel())), shape
    ).tocsr()
    weighted = handle_matrix.T @ sp.diags(weights.double().numpy())
    system = weighted @ handle_matrix + stiffness * surface.smoothness
    return HandleSystem(
        surface, splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}), weighted.tocsr()
    )


def spread_displacement(
    model: HeadModel, system: HandleSystem, vertices: Float[Tensor, "n 3"], targets: Float[Tensor, "k 3"]
) -> Float[Tensor, "n 3"]:
    """Handle displacements to a displacement of every vertex, followers included."""
    displacement = np.zeros((len(model.mean), 3))
    displacement[system.surface.vertex_ids] = system.solve(targets.double().numpy())
    complete = system.surface.carry_followers(vertices.double().numpy(), displacement)
    return torch.from_numpy(complete).to(vertices)
