"""Silhouette fitting: skull, ears and neck are moved inside the person's silhouette.

Landmarks end at jaw and forehead, so a fitted head guesses how large the skull is, how far ears stand out and how wide
the neck is. Where it reaches beyond the person in the photo that is mostly wrong. Where it falls short nothing is: hair
and collar are part of the person too. A skull has little shape of its own, and masks end at hats, wreaths and dark
hair, so the skull is only moved as skulls of the head model differ; ears and neck are moved freely, but smoothly.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import cv2
import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.handles import factor_handles
from portraitist.reconstruction.fitting import SKIN_POINTS, FitConfig, fit_head
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import build_surface
from portraitist.types import Camera, HeadFit, LandmarkEmbedding, Landmarks

FIT_ROUNDS = 3  # the nearest edge changes as the head moves
STIFFNESS = 3e-4  # see handles.factor_handles; as smooth as the residual of a fit
SILHOUETTE_WEIGHT = 20.0  # of all silhouette points together, against 68 landmarks
LEAST_OVERHANG = 0.01  # outer eye distances: the mask's edge is no more certain
LARGEST_OVERHANG = 0.25  # further away it is the mask that is wrong; for the crown, two standard deviations
CROWN_HEIGHT = 0.06  # meters above the eyes of the mean head: from here on the skull closes in
LANDMARK_HOLD = 0.002  # meters by which a landmark may move (standard deviation) while the skull changes
EDGE_ERROR = 0.003  # meters: standard deviation of the mask's edge around the skull
EDGE_POINTS = 10  # independent points that the edge counts as


@dataclass(frozen=True)
class _Outside:
    """Where the picture is not the person: distance to the person and the person's nearest place, by pixel of the
    picture widened by ``pad`` on all sides."""

    distance_px: np.ndarray  # [h, w]
    nearest_px: np.ndarray  # [h, w, 2]
    pad: int
    eye_distance_px: float

    def find_overhang(self, points: Float[Tensor, "k 3"], camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """How far points reach beyond the person (outer eye distances), and the move ``[k, 2]`` to its edge: meters in
        the picture's plane, x right and y up."""
        seen_px = to_numpy(camera.project(points)) + self.pad
        columns = np.clip(seen_px[:, 0].astype(np.int64), 0, self.distance_px.shape[1] - 1)
        rows = np.clip(seen_px[:, 1].astype(np.int64), 0, self.distance_px.shape[0] - 1)
        move_px = self.nearest_px[rows, columns] - seen_px
        return self.distance_px[rows, columns] / self.eye_distance_px, move_px / camera.scale_px * [1, -1]


def fit_photo(
    landmarks: Landmarks, person: Float[Tensor, "h w"], model: HeadModel, config: FitConfig | None = None
) -> HeadFit:
    """Head of a photo: from its landmarks, and no wider than the person mask. An artwork's head has only landmarks."""
    eye_distance_px = float((landmarks.points[36] - landmarks.points[45]).norm())
    return fit_silhouette(fit_head(landmarks, model, config), person, eye_distance_px, model)


def fit_silhouette(fit: HeadFit, person: Float[Tensor, "h w"], eye_distance_px: float, model: HeadModel) -> HeadFit:
    """The same fit with skin that overhangs the person mask (0..1) moved in to its edge; landmarks are held.

    The displacement is smooth and goes to the neutral head as well; below the crown it lies in the picture's plane.
    """
    outside = _measure_outside(to_numpy(person) > 0.5, round(eye_distance_px), eye_distance_px)
    moved = _fit_crown(fit, outside, model)
    return _fit_ears_and_neck(moved, outside, model)


def _fit_crown(fit: HeadFit, outside: _Outside, model: HeadModel) -> HeadFit:
    """The most probable skull within the mask. Where more of it is missing than heads differ by, something covers the
    head, and the whole skull stays as it was guessed."""
    modes, (ids,) = _find_crown_modes(model), np.nonzero(_mark_crown(model))
    crown = fit.mesh.vertices[from_numpy(ids, model.faces)]
    in_plane = modes[:, ids] @ to_numpy(fit.camera.rotation[:2], np.float64).T
    displacement = np.zeros_like(modes[0])
    for round_number in range(FIT_ROUNDS):
        shown = crown + from_numpy(displacement[ids], crown)
        overhang, move = outside.find_overhang(shown, fit.camera)
        (out,) = np.nonzero(overhang > LEAST_OVERHANG)
        if not len(out) or (round_number == 0 and overhang.max() > LARGEST_OVERHANG):
            break
        certainty = min(1.0, EDGE_POINTS / len(out)) / EDGE_ERROR**2
        slopes = in_plane[:, out].reshape(len(modes), -1)
        normal = certainty * slopes @ slopes.T + np.eye(len(modes))
        weights = np.linalg.solve(normal, certainty * slopes @ move[out].ravel())
        displacement += np.einsum("k,knd->nd", weights, modes)
    return _displace(fit, from_numpy(displacement, crown))


def _mark_crown(model: HeadModel) -> Bool[np.ndarray, "n"]:
    scalp = np.isin(np.arange(len(model.mean)), to_numpy(model.vertex_ids("scalp")))
    return scalp & (to_numpy(model.mean[:, 1]) > CROWN_HEIGHT)


@functools.lru_cache(maxsize=2)
def _find_crown_modes(model: HeadModel) -> Float[np.ndarray, "k n 3"]:
    """How heads with the same landmarks differ: displacements whose weights are standard normal."""
    basis = to_numpy(model.identity_basis, np.float64)
    dense = model.landmarks478
    corners = to_numpy(model.faces[dense.face_ids[:SKIN_POINTS]])
    at_points = (basis[:, corners] * to_numpy(dense.barycentrics[:SKIN_POINTS], np.float64)[..., None]).sum(2)
    at_points = at_points.reshape(len(basis), -1) / LANDMARK_HOLD
    covariance = np.linalg.inv(np.eye(len(basis)) + at_points @ at_points.T)
    return np.tensordot(np.linalg.cholesky(covariance), basis, axes=(0, 0))


def _fit_ears_and_neck(fit: HeadFit, outside: _Outside, model: HeadModel) -> HeadFit:
    skin_ids, skin_points = _embed_ears_and_neck(model)
    dense = model.landmarks478
    for _ in range(FIT_ROUNDS):
        overhang, move = outside.find_overhang(fit.mesh.vertices[from_numpy(skin_ids, model.faces)], fit.camera)
        out = _select_overhang(overhang, skin_ids, model)
        if not len(out):
            break
        chosen = from_numpy(out, model.faces)
        handles = LandmarkEmbedding(
            torch.cat([dense.face_ids[:SKIN_POINTS], skin_points.face_ids[chosen]]),
            torch.cat([dense.barycentrics[:SKIN_POINTS], skin_points.barycentrics[chosen]]),
        )
        weights = fit.neutral.new_full((SKIN_POINTS + len(out),), 68 / SKIN_POINTS)
        weights[SKIN_POINTS:] = min(1.0, SILHOUETTE_WEIGHT / len(out))
        targets = fit.neutral.new_zeros(SKIN_POINTS + len(out), 3)
        targets[SKIN_POINTS:] = from_numpy(move[out], targets) @ fit.camera.rotation[:2]
        system = factor_handles(build_surface(model), model.faces, handles, weights, STIFFNESS)
        fit = _displace(fit, system.displace(fit.mesh.vertices, targets))
    return fit


def _select_overhang(overhang: np.ndarray, skin_ids: np.ndarray, model: HeadModel) -> Int[np.ndarray, "o"]:
    """Which of the skin's vertices to move in: where the mask leaves out too much it is wrong all around that place."""
    everywhere = np.zeros(len(model.mean))
    everywhere[skin_ids] = overhang
    out = everywhere > LEAST_OVERHANG
    edges = to_numpy(model.faces)[:, [0, 1, 1, 2]].reshape(-1, 2)
    edges = edges[out[edges].all(1)]
    graph = sp.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (len(out), len(out)))
    _, patches = connected_components(graph, directed=False)
    wrong = np.isin(patches, patches[everywhere > LARGEST_OVERHANG])
    return np.flatnonzero((out & ~wrong)[skin_ids])


def _displace(fit: HeadFit, displacement: Float[Tensor, "n 3"]) -> HeadFit:
    if not displacement.any():
        return fit
    shown = fit.mesh.vertices + displacement
    return replace(fit, mesh=fit.mesh.with_vertices(shown), neutral=fit.neutral + displacement)


def _measure_outside(inside: Bool[np.ndarray, "h w"], pad: int, eye_distance_px: float) -> _Outside:
    """Beyond the picture's border the person goes on as it meets it: what is cut off there is no overhang."""
    inside = np.pad(inside, pad, mode="edge")
    distance_px, labels = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(labels, np.int64)
    rows, columns = np.nonzero(inside)
    places = np.zeros((labels.max() + 1, 2))
    places[labels[rows, columns]] = np.stack([columns, rows], 1) + 0.5
    return _Outside(distance_px, places[labels], pad, eye_distance_px)


def _embed_ears_and_neck(model: HeadModel) -> tuple[np.ndarray, LandmarkEmbedding]:
    """The outer skin's vertices below the crown, each as a corner of one of its triangles."""
    (face_ids,) = torch.nonzero(model.face_mask("outer_skin"), as_tuple=True)
    ids, first = np.unique(to_numpy(model.faces[face_ids]).ravel(), return_index=True)
    below = ~_mark_crown(model)[ids]
    ids, first = ids[below], first[below]
    barycentrics = from_numpy(np.eye(3)[first % 3], model.mean)
    return ids, LandmarkEmbedding(face_ids[from_numpy(first // 3, face_ids)], barycentrics)
