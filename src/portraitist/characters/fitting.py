"""The new head on the skin of the character: the face keeps its own shape and color, the neck takes on the character's.

Between them lies the smoothest field there is (the bi-Laplacian of ``reconstruction/head_surface.py``), so that there
is no edge at which one ends and the other begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int

from portraitist.devices import to_numpy
from portraitist.mesh.closest_points import find_closest
from portraitist.mesh.handles import factor_handles
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import build_surface
from portraitist.rendering.ray_casting import cast_rays
from portraitist.types import LandmarkEmbedding

ROUNDS = 4  # of looking for the nearest points and moving there
STIFFNESS = 1e-4  # as of the deformation (``GeometryConfig.stiffness``)
AGREEMENT = 0.3  # cosine between normals from which on two surfaces are the same side of a body
CLEARANCE = 0.003  # meters that a skull stays below hair
DEEPEST = 0.8  # of its radius, down to which a skull is pressed in: what lies deeper in it are roots of hair
FARTHEST = 0.06  # meters on a head: what is farther off is something else


@dataclass(frozen=True)
class Target:
    """The character's skin in head space; ``open``: vertices on a border of it."""

    vertices: Float[np.ndarray, "m 3"]
    faces: Int[np.ndarray, "g 3"]
    open: Bool[np.ndarray, "m"]

    def find(self, points: Float[np.ndarray, "k 3"], normals: Float[np.ndarray, "k 3"]) -> Nearest:
        face_ids, weights = find_closest(points, self.vertices, self.faces)
        corners = self.faces[face_ids]
        places = (self.vertices[corners] * weights[..., None]).sum(1)
        own = self.vertices[corners]
        facing = np.cross(own[:, 1] - own[:, 0], own[:, 2] - own[:, 0])
        facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-12)
        beside = ((weights * self.open[corners]).sum(1)) > 1 - 1e-6  # beyond the end of the surface
        near = np.linalg.norm(places - points, axis=1) < FARTHEST
        return Nearest(face_ids, weights, places, near & ~beside & ((facing * normals).sum(1) > AGREEMENT))


@dataclass(frozen=True)
class Nearest:
    """``found``: whether there is such a point at all."""

    face_ids: Int[np.ndarray, "k"]
    weights: Float[np.ndarray, "k 3"]
    places: Float[np.ndarray, "k 3"]
    found: Bool[np.ndarray, "k"]


def fit_to_skin(
    model: HeadModel,
    shape: Float[np.ndarray, "n 3"],
    shares: Float[np.ndarray, "n"],
    target: Target,
    cover: Float[np.ndarray, "c 3 3"],
) -> Float[np.ndarray, "n 3"]:
    """``shape`` (meters, head space) with what is the character's on the character's skin; what is the face's stays.

    Where there is no skin, as on a skull that nobody sees, it stays below the triangles ``cover``: hair and hats.
    """
    surface, faces = build_surface(model), to_numpy(model.faces)
    ids = surface.vertex_ids
    ears = np.isin(ids, to_numpy(model.vertex_ids("ears")))  # they go with the skin around them: others lie elsewhere
    corner_of = _embed_vertices(faces, ids)
    moved = shape.copy()
    skin = faces[to_numpy(model.face_mask("outer_skin"))]
    for _ in range(ROUNDS):
        normals = vertex_normals(moved, skin)[ids].astype(np.float64)
        nearest = target.find(moved[ids], normals)
        held = shares[ids] == 0
        covered, below = _stay_below(moved[ids], cover)
        places = np.where(nearest.found[:, None], nearest.places, below)
        led = (nearest.found | covered) & ~ears
        weights = np.where(held, 1.0, np.where(led, shares[ids] ** 2, 0.0))
        wished = np.where(held[:, None], 0.0, places - shape[ids])
        known = weights > 1e-3
        handles = LandmarkEmbedding(
            torch.from_numpy(corner_of.face_ids[known]), torch.from_numpy(corner_of.barycentrics[known])
        )
        system = factor_handles(
            surface, torch.from_numpy(faces), handles, torch.from_numpy(weights[known].astype(np.float32)), STIFFNESS
        )
        moves = torch.from_numpy(wished[known].astype(np.float32))
        moved = shape + to_numpy(system.displace(torch.from_numpy(shape.astype(np.float32)), moves), np.float64)
    return moved


def _stay_below(
    points: Float[np.ndarray, "k 3"], cover: Float[np.ndarray, "c 3 3"]
) -> tuple[Bool[np.ndarray, "k"], Float[np.ndarray, "k 3"]]:
    """Which points come out of what covers them, seen from the middle of the head, and where they are just below it."""
    if not len(cover):
        return np.zeros(len(points), bool), points
    arms = points - points.mean(0)
    ids, _, shares = cast_rays(cover, np.broadcast_to(points.mean(0), points.shape), arms)
    shares = np.where(ids >= 0, shares - CLEARANCE / np.linalg.norm(arms, axis=1), 1.0)
    out = (shares < 1) & (shares > DEEPEST)
    return out, points.mean(0) + np.where(out, shares, 1.0)[:, None] * arms


@dataclass(frozen=True)
class _Corners:
    face_ids: Int[np.ndarray, "k"]
    barycentrics: Float[np.ndarray, "k 3"]


def _embed_vertices(faces: Int[np.ndarray, "f 3"], ids: Int[np.ndarray, "k"]) -> _Corners:
    """Each vertex as the corner of a triangle."""
    face_of = np.zeros(faces.max() + 1, np.int64)
    corner_of = np.zeros(faces.max() + 1, np.int64)
    for corner in range(3):
        face_of[faces[:, corner]], corner_of[faces[:, corner]] = np.arange(len(faces)), corner
    return _Corners(face_of[ids], np.eye(3, dtype=np.float32)[corner_of[ids]])


def mark_borders(faces: Int[np.ndarray, "g 3"], count: int) -> Bool[np.ndarray, "m"]:
    """Vertices on edges of one triangle only."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    links = sp.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count)).tocsr().tocoo()
    single = links.data == 1
    border = np.zeros(count, bool)
    border[links.row[single]] = border[links.col[single]] = True
    return border
