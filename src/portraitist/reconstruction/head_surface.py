"""Smooth displacement fields on the head: sparse handles in, every vertex out. Used by fitting and by deformation.

Skin and eye sockets are one connected surface and are solved. The mouth cavity hangs on the lips only: solved with the
rest it would stay large in a chin that shrinks, and poke through; it is carried by the skin around it. Eyeballs, teeth
and tongue are separate pieces and follow what surrounds them by a similarity each, and so does the inside of an eye
socket: it is wrapped around the ball.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float
from scipy.spatial import KDTree

from portraitist.devices import to_numpy
from portraitist.mesh.attachments import AttachedPart, attach, sphere_around
from portraitist.mesh.handles import DeformableSurface
from portraitist.mesh.laplacian import cotangent_laplacian
from portraitist.reconstruction.head_model import HeadModel

SURFACE_COMPONENTS = ("outer_skin", "eye_socket_left", "eye_socket_right")
SKIN_COMPONENTS = (*SURFACE_COMPONENTS, "mouth_cavity")
DECIMETER = 0.1  # meters: lengths of order one keep the systems well conditioned
CAVITY_NEIGHBORS = 64
REACH = 0.8  # decimeters: beyond this distance a displacement levels off instead of growing
BINDING_RADII = 1.35  # skin this near to an eyeball's center, in radii, carries the ball: lids and what is around them
GUM_REACH = 0.12  # decimeters between teeth and the gums that carry them
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

    attached = list(attach_to_gums(model))
    skin = to_numpy(model.vertex_ids("outer_skin"))
    for side in ("left", "right"):
        ball = to_numpy(model.vertex_ids(f"eyeball_{side}"))
        center, radius = sphere_around(vertices[ball])
        binding = skin[np.linalg.norm(vertices[skin] - center, axis=1) < BINDING_RADII * radius]
        attached += [attach(ball, binding), _hang_socket(vertices, model, side, binding)]
    inner, weights = _hang_cavity(vertices, ids, np.setdiff1d(to_numpy(model.vertex_ids("mouth_cavity")), ids))
    return DeformableSurface(len(vertices), ids, smoothness.tocsr(), inner, weights, tuple(attached))


@functools.lru_cache(maxsize=2)
def attach_to_gums(model: HeadModel) -> tuple[AttachedPart, ...]:
    """Upper teeth; lower teeth and tongue: each with the part of the mouth cavity next to the teeth."""
    vertices, cavity = to_numpy(model.mean, np.float64) / DECIMETER, to_numpy(model.vertex_ids("mouth_cavity"))
    near = KDTree(vertices[cavity])

    def gums(teeth: str) -> np.ndarray:
        found = near.query_ball_point(vertices[to_numpy(model.vertex_ids(teeth))], GUM_REACH)
        return cavity[np.unique(np.concatenate([np.array(f, int) for f in found]))]

    return (
        attach(to_numpy(model.vertex_ids("upper_teeth")), gums("upper_teeth")),
        attach(to_numpy(model.vertex_ids("lower_teeth", "tongue")), gums("lower_teeth")),
    )


def _hang_socket(vertices: np.ndarray, model: HeadModel, side: str, binding: np.ndarray) -> AttachedPart:
    """The socket without its rim: near the lids it moves with them, deeper inside with the ball.

    Solved with the skin it would keep its width behind eyes that are drawn close together, and come out beside them.
    """
    socket = to_numpy(model.vertex_ids(f"eye_socket_{side}"))
    rim = np.intersect1d(socket, to_numpy(model.vertex_ids("outer_skin")))
    inside = np.setdiff1d(socket, rim)
    distance = np.linalg.norm(vertices[inside, None] - vertices[rim], axis=2)
    weights = 1 / (distance**4 + 1e-8)
    weights *= (np.exp(-((distance.min(1) / RIM_REACH) ** 2)) / weights.sum(1))[:, None]
    return AttachedPart(inside, binding, rim, sp.csr_matrix(weights))


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


def vertex_share(model: HeadModel, region: str) -> Float[np.ndarray, "n"]:
    """Share of each vertex's faces that belong to the region."""
    faces = to_numpy(model.faces)
    counts = np.bincount(faces.ravel(), minlength=len(model.mean))
    inside = np.bincount(faces[to_numpy(model.face_mask(region))].ravel(), minlength=len(model.mean))
    return (inside / np.maximum(counts, 1)).astype(np.float32)
