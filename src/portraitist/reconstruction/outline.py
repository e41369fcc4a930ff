"""Ears, neck and skull drawn in to the person's outline.

Landmarks end at the jaw, so a fitted head guesses how far ears stand out and how wide neck and skull are. Where it
reaches beyond the person in the photo that is certainly wrong. Where it falls short nothing is: hair and collar are
part of the person too.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.reconstruction.fitting import SKIN_POINTS
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.surface import factor_handles, spread_displacement
from portraitist.types import HeadFit, LandmarkEmbedding

ROUNDS = 3
STIFFNESS = 3e-4
OUTLINE_WEIGHT = 20.0  # of all outline points together, against 68 landmarks
LEAST_OVERHANG = 0.01  # outer eye distances: the mask's edge is no more certain
LARGEST_OVERHANG = 0.25  # further away it is the mask that is wrong


def fit_outline(fit: HeadFit, person: Float[Tensor, "h w"], eye_distance_px: float, model: HeadModel) -> HeadFit:
    """The same fit with skin that overhangs the person mask (0..1) pulled in to its edge; landmarks are held.

    The displacement is smooth, lies in the picture's plane and goes to the neutral head as well.
    """
    distance_px, nearest_px, pad = _measure_outside(person.numpy() > 0.5, round(eye_distance_px))
    skin_ids, skin_points = _embed_vertices(model)
    dense = model.landmarks478
    shown, neutral = fit.mesh.vertices, fit.neutral
    for _ in range(ROUNDS):
        seen_px = fit.camera.project(shown[skin_ids]).numpy() + pad
        columns = np.clip(seen_px[:, 0].astype(np.int64), 0, distance_px.shape[1] - 1)
        rows = np.clip(seen_px[:, 1].astype(np.int64), 0, distance_px.shape[0] - 1)
        overhang = distance_px[rows, columns] / eye_distance_px
        out = np.flatnonzero((overhang > LEAST_OVERHANG) & (overhang < LARGEST_OVERHANG))
        if not len(out):
            break
        move_px = nearest_px[rows[out], columns[out]] - seen_px[out]
        handles = LandmarkEmbedding(
            torch.cat([dense.face_ids[:SKIN_POINTS], skin_points.face_ids[out]]),
            torch.cat([dense.barycentrics[:SKIN_POINTS], skin_points.barycentrics[out]]),
        )
        weights = torch.full((SKIN_POINTS + len(out),), 68 / SKIN_POINTS)
        weights[SKIN_POINTS:] = min(1.0, OUTLINE_WEIGHT / len(out))
        targets = torch.zeros(SKIN_POINTS + len(out), 3)
        in_plane = torch.from_numpy(move_px).float() / fit.camera.scale_px * torch.tensor([1.0, -1.0])
        targets[SKIN_POINTS:] = in_plane @ fit.camera.rotation[:2]
        system = factor_handles(model, handles, weights, STIFFNESS)
        displacement = spread_displacement(model, system, shown, targets)
        shown, neutral = shown + displacement, neutral + displacement
    return replace(fit, mesh=fit.mesh.with_vertices(shown), neutral=neutral)


def _measure_outside(inside: np.ndarray, pad: int) -> tuple[np.ndarray, np.ndarray, int]:
    """For each pixel, its distance from the person and the person's nearest pixel centre; ``pad`` more on all sides.

    Beyond the picture's border the person goes on as it meets it: what is cut off there is no overhang.
    """
    inside = np.pad(inside, pad, mode="edge")
    distance, labels = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(labels, np.int64)
    rows, columns = np.nonzero(inside)
    places = np.zeros((labels.max() + 1, 2))
    places[labels[rows, columns]] = np.stack([columns, rows], 1) + 0.5
    return distance, places[labels], pad


def _embed_vertices(model: HeadModel) -> tuple[Tensor, LandmarkEmbedding]:
    """The outer skin's vertices, each as a corner of one of its triangles."""
    (face_ids,) = torch.nonzero(model.face_mask("outer_skin"), as_tuple=True)
    corners = model.faces[face_ids]
    ids, first = np.unique(corners.numpy().ravel(), return_index=True)
    barycentrics = torch.eye(3)[torch.from_numpy(first % 3)]
    return torch.from_numpy(ids), LandmarkEmbedding(face_ids[torch.from_numpy(first // 3)], barycentrics)
