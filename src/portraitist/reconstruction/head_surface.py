"""Smooth displacement fields on the head: sparse handles in, every vertex out. Used by fitting and by deformation.

Skin and eye sockets are one connected surface and are solved. What is inside the mouth hangs on the lips or on nothing:
solved with the rest it would stay large in a chin that shrinks, and poke through. Cavity, teeth and tongue keep their
place between the skin on either side of them. Eyeballs follow the rims of their lids by a similarity each, and so does
the inside of an eye socket: it is wrapped around the ball.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from portraitist.devices import to_numpy
from portraitist.mesh.attachments import AttachedPart, attach
from portraitist.mesh.handles import DeformableSurface
from portraitist.mesh.laplacian import cotangent_laplacian
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.ray_casting import cast_rays

SURFACE_COMPONENTS = ("outer_skin", "eye_socket_left", "eye_socket_right")
SKIN_COMPONENTS = (*SURFACE_COMPONENTS, "mouth_cavity")
DECIMETER = 0.1  # meters: lengths of order one keep the systems well conditioned
MOUTH_COMPONENTS = ("mouth_cavity", "upper_teeth", "lower_teeth", "tongue")
LINES = 64  # in which the skin is looked for, from each vertex of the mouth
REACH = 0.8  # decimeters: beyond this distance a displacement levels off instead of growing
RIM_REACH = 0.05  # decimeters: how far into the socket the lids' own displacement is felt


@functools.lru_cache(maxsize=2)
def build_surface(model: HeadModel) -> DeformableSurface:
    """Bi-Laplacian smoothness plus a little Laplacian, so that far from any handle a field becomes constant rather
    than growing linearly, and the attached parts with their anchors."""
    vertices = to_numpy(model.mean, np.float64) / DECIMETER
    solved = model.face_mask(*SURFACE_COMPONENTS)
    ids, faces = np.unique(to_numpy(model.faces[solved]), return_inverse=True)
    laplacian, areas = cotangent_laplacian(vertices[ids], faces.reshape(-1, 3))
    smoothness = laplacian @ sp.diags(1 / areas) @ laplacian + laplacian / REACH**2

    attached = []
    for side in ("left", "right"):
        lids = _rim_of_socket(model, side)
        attached += [attach(to_numpy(model.vertex_ids(f"eyeball_{side}")), lids), _hang_socket(vertices, model, side)]
    inside = np.setdiff1d(to_numpy(model.vertex_ids(*MOUTH_COMPONENTS)), ids)
    weights = _hang_inside(vertices, model, ids, inside)
    return DeformableSurface(len(vertices), ids, smoothness.tocsr(), inside, weights, tuple(attached))


def _rim_of_socket(model: HeadModel, side: str) -> np.ndarray:
    """Vertices where lids and socket meet."""
    return np.intersect1d(to_numpy(model.vertex_ids(f"eye_socket_{side}")), to_numpy(model.vertex_ids("outer_skin")))


def _hang_socket(vertices: np.ndarray, model: HeadModel, side: str) -> AttachedPart:
    """The socket without its rim: near the lids it moves with them, deeper inside with the ball.

    Solved with the skin it would keep its width behind eyes that are drawn close together, and come out beside them.
    """
    rim = _rim_of_socket(model, side)
    inside = np.setdiff1d(to_numpy(model.vertex_ids(f"eye_socket_{side}")), rim)
    distance = np.linalg.norm(vertices[inside, None] - vertices[rim], axis=2)
    weights = 1 / (distance**4 + 1e-8)
    weights *= (np.exp(-((distance.min(1) / RIM_REACH) ** 2)) / weights.sum(1))[:, None]
    return AttachedPart(inside, rim, rim, sp.csr_matrix(weights))


def _hang_inside(vertices: np.ndarray, model: HeadModel, skin_ids: np.ndarray, ids: np.ndarray) -> sp.csr_matrix:
    """Coordinates [h, m] of the vertices ``ids`` inside the head, over the skin that each of them sees.

    Every line through a vertex meets the skin on both sides; the vertex keeps its place between the two. This is
    averaged over all directions, as in positive mean value coordinates (Lipman et al. 2007), but short lines count
    more: where the head becomes narrow, what is inside becomes narrow too. An affine map of the skin is reproduced.
    """
    faces = to_numpy(model.faces[model.face_mask("outer_skin")])
    directions = _spread_directions(LINES)
    origins = np.repeat(vertices[ids], LINES, 0)
    ends = [cast_rays(vertices[faces], origins, np.tile(sign * directions, (len(ids), 1))) for sign in (1, -1)]
    met = (ends[0][0] >= 0) & (ends[1][0] >= 0)  # lines that leave through the neck say nothing
    local = np.full(len(vertices), -1)
    local[skin_ids] = np.arange(len(skin_ids))
    weights = sp.csr_matrix((len(ids), len(skin_ids)))
    rows = np.repeat(np.arange(len(ids)), LINES)[met]
    nearness = [1 / np.maximum(distance[met], 1e-4) for _, _, distance in ends]
    for (face_ids, barycentrics, _), near in zip(ends, nearness, strict=True):
        shares = barycentrics[met] * (near * sum(nearness) ** 2)[:, None]
        places = (np.repeat(rows, 3), local[faces[face_ids[met]]].ravel())
        weights += sp.csr_matrix((shares.ravel().astype(np.float64), places), weights.shape)
    return sp.csr_matrix(sp.diags(1 / np.asarray(weights.sum(1)).ravel()) @ weights)


def _spread_directions(count: int) -> np.ndarray:
    """Unit vectors [count, 3] spread evenly over half of the sphere (Fibonacci lattice)."""
    z = (np.arange(count) + 0.5) / count
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], 1)


def vertex_share(model: HeadModel, region: str) -> Float[np.ndarray, "n"]:
    """Share of each vertex's faces that belong to the region."""
    faces = to_numpy(model.faces)
    counts = np.bincount(faces.ravel(), minlength=len(model.mean))
    inside = np.bincount(faces[to_numpy(model.face_mask(region))].ravel(), minlength=len(model.mean))
    return (inside / np.maximum(counts, 1)).astype(np.float32)
