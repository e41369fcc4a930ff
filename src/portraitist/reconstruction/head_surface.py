"""Smooth displacement fields on the head: sparse handles in, every vertex out. Used by fitting and by deformation.

Skin and eye sockets are one connected surface and are solved. The mouth cavity hangs on the lips only: solved with the
rest it would stay large in a chin that shrinks, and poke through; it is carried by the skin around it. Eyeballs, teeth
and tongue are separate pieces and follow what surrounds them by a similarity each, and so does the inside of an eye
socket: it is wrapped around the ball.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from scipy.sparse.linalg import SuperLU, splu
from scipy.spatial import KDTree
from torch import Tensor

from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import LandmarkEmbedding

SURFACE_PARTS = ("outer_skin", "eye_socket_left", "eye_socket_right")
SKIN_PARTS = (*SURFACE_PARTS, "mouth_cavity")
DECIMETER = 0.1  # meters: lengths of order one keep the systems well conditioned
CAVITY_NEIGHBORS = 64
REACH = 0.8  # decimeters: beyond this distance a displacement levels off instead of growing
ORBIT = 1.35  # skin this near to an eyeball's center, in radii, carries the ball: lids and what is around them
GUM_REACH = 0.12  # decimeters between teeth and the gums that carry them
TIE_WEIGHT = 1.0
RIM_REACH = 0.05  # decimeters: how far into the socket the lids' own displacement is felt


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
    """A separate piece and the surface vertices that carry it.

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
    vertices = model.mean.double().numpy() / DECIMETER
    solved = model.face_mask(*SURFACE_PARTS)
    ids, faces = np.unique(model.faces[solved].numpy(), return_inverse=True)
    laplacian, areas = cotangent_laplacian(vertices[ids], faces.reshape(-1, 3))
    smoothness = laplacian @ sp.diags(1 / areas) @ laplacian + laplacian / REACH**2

    followers = list(follow_gums(model))
    skin = model.vertex_ids("outer_skin").numpy()
    for side in ("left", "right"):
        ball = model.vertex_ids(f"eyeball_{side}").numpy()
        center, radius = sphere_around(vertices[ball])
        orbit = skin[np.linalg.norm(vertices[skin] - center, axis=1) < ORBIT * radius]
        followers += [_follow(ball, orbit), _hang_socket(vertices, model, side, orbit)]
    inner, weights = _hang_cavity(vertices, ids, np.setdiff1d(model.vertex_ids("mouth_cavity").numpy(), ids))
    return Surface(ids, smoothness.tocsr(), inner, weights, tuple(followers))


@functools.lru_cache(maxsize=2)
def follow_gums(model: HeadModel) -> tuple[Follower, ...]:
    """Upper teeth; lower teeth and tongue: each with the part of the mouth cavity next to the teeth."""
    vertices, cavity = model.mean.double().numpy() / DECIMETER, model.vertex_ids("mouth_cavity").numpy()
    near = KDTree(vertices[cavity])

    def gums(teeth: str) -> np.ndarray:
        found = near.query_ball_point(vertices[model.vertex_ids(teeth).numpy()], GUM_REACH)
        return cavity[np.unique(np.concatenate([np.array(f, int) for f in found]))]

    return (
        _follow(model.vertex_ids("upper_teeth").numpy(), gums("upper_teeth")),
        _follow(model.vertex_ids("lower_teeth", "tongue").numpy(), gums("lower_teeth")),
    )


def sphere_around(vertices: np.ndarray) -> tuple[np.ndarray, float]:
    """Center and mean radius of an eyeball's vertices [v,3]."""
    center = (vertices.min(0) + vertices.max(0)) / 2
    return center, float(np.linalg.norm(vertices - center, axis=1).mean())


def _follow(vertex_ids: np.ndarray, anchor_ids: np.ndarray) -> Follower:
    return Follower(vertex_ids, anchor_ids, anchor_ids[:0], sp.csr_matrix((len(vertex_ids), 0)))


def _hang_socket(vertices: np.ndarray, model: HeadModel, side: str, orbit: np.ndarray) -> Follower:
    """The socket without its rim: near the lids it moves with them, deeper inside with the ball.

    Solved with the skin it would keep its width behind eyes that are drawn close together, and come out beside them.
    """
    socket = model.vertex_ids(f"eye_socket_{side}").numpy()
    rim = np.intersect1d(socket, model.vertex_ids("outer_skin").numpy())
    inside = np.setdiff1d(socket, rim)
    distance = np.linalg.norm(vertices[inside, None] - vertices[rim], axis=2)
    weights = 1 / (distance**4 + 1e-8)
    weights *= (np.exp(-((distance.min(1) / RIM_REACH) ** 2)) / weights.sum(1))[:, None]
    return Follower(inside, orbit, rim, sp.csr_matrix(weights))


def _hang_cavity(
    vertices: np.ndarray, skin_ids: np.ndarray, cavity_ids: np.ndarray
) -> tuple[np.ndarray, sp.csr_matrix]:
    """Shepard weights (inverse fourth power) of each cavity vertex over the nearest skin.

    Next to the lips it moves with the lips, deeper inside with chin, cheeks and upper lip.
    """
    distance, near = KDTree(vertices[skin_ids]).query(vertices[cavity_ids], k=CAVITY_NEIGHBORS)
    weights = 1 / (distance**4 + 1e-8)
    weights /= weights.sum(1, keepdims=True)
    rows = np.repeat(np.arange(len(cavity_ids)), CAVITY_NEIGHBORS)
    shape = (len(cavity_ids), len(skin_ids))
    return cavity_ids, sp.csr_matrix((weights.ravel(), (rows, near.ravel())), shape)


@dataclass(frozen=True)
class HandleSystem:
    """Factored system for one set of handles: ``minimize |B d - t|^2_w + stiffness * d' S d`` per coordinate."""

    surface: Surface
    factor: SuperLU
    weighted_handles: sp.csr_matrix  # [m, k]: transposed, weighted barycentric rows

    def solve(self, targets: Float[np.ndarray, "k c"]) -> Float[np.ndarray, "m c"]:
        """Displacement of the surface's vertices for handle displacements, any number of columns."""
        return self.factor.solve(self.weighted_handles @ targets)


def factor_handles(
    model: HeadModel,
    handles: LandmarkEmbedding,
    weights: Float[Tensor, "k"],
    stiffness: float,
    ties: Int[np.ndarray, "p 2"] | None = None,
) -> HandleSystem:
    """Factor once; ``stiffness`` trades handle residual against smoothness, handle weights are relative to 1.

    ``ties``: pairs of surface vertices that move alike.
    """
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
    if ties is not None:
        tie_matrix = difference_matrix(local[ties], len(surface.vertex_ids))
        system = system + TIE_WEIGHT * (tie_matrix.T @ tie_matrix)
    return HandleSystem(
        surface, splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}), weighted.tocsr()
    )


def difference_matrix(pairs: Int[np.ndarray, "p 2"], count: int) -> sp.csr_matrix:
    """[p, count]: the first of each pair minus the second."""
    rows = np.repeat(np.arange(len(pairs)), 2)
    return sp.csr_matrix((np.tile([1.0, -1.0], len(pairs)), (rows, pairs.ravel())), (len(pairs), count))


def spread_displacement(
    model: HeadModel, system: HandleSystem, vertices: Float[Tensor, "n 3"], targets: Float[Tensor, "k 3"]
) -> Float[Tensor, "n 3"]:
    """Handle displacements to a displacement of every vertex, followers included."""
    displacement = np.zeros((len(model.mean), 3))
    displacement[system.surface.vertex_ids] = system.solve(targets.double().numpy())
    complete = system.surface.carry_followers(vertices.double().numpy(), displacement)
    return torch.from_numpy(complete).to(vertices)
