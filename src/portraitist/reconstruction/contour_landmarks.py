"""Contour landmarks: where on the head the 17 jaw points of a picture lie.

Annotators mark the outline they see, not a place of the skin. On a turned head the cheek hides its own jaw, and the
marked outline runs over the cheek. So each jaw point may slide along a section of the head to the place that stands
out farthest in the view (after Zhu et al., "High-fidelity pose and expression normalization for face recognition in
the wild", 2015, with sections across the jaw for their parallels).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import LandmarkEmbedding

JAW_POINTS = 17  # iBUG 0..16, from the sitter's right ear over the chin to the left one
SECTION_LENGTH = 0.06  # meters: a section ends before it meets nose or eyes


@dataclass(frozen=True, eq=False)
class ContourCandidates:
    """Per jaw point the ``s`` places it may slide to, its own first; shorter sections repeat it.

    ``outward``: unit vectors in the frontal plane, from the face outwards across its contour.
    """

    places: LandmarkEmbedding  # [17 * s]
    outward: Float[np.ndarray, "17 3"]

    def select(
        self, places: Float[np.ndarray, "17 s 3"], rotation: Float[np.ndarray, "3 3"]
    ) -> tuple[Int[np.ndarray, "17"], Float[np.ndarray, "17 2"]]:
        """Index of each section's outermost place in the view, and the contour's tangent there (x right, y up): unit
        vectors, zero where the point is at its own place."""
        outward = self.outward @ rotation[:2].T
        selected = np.einsum("jsd,jd->js", places @ rotation[:2].T, outward).argmax(1)
        lengths = np.linalg.norm(outward, axis=1, keepdims=True)
        tangents = outward[:, ::-1] * [1, -1] / np.maximum(lengths, 1e-9)  # nothing is left of some in exact profile
        return selected, tangents * (selected > 0)[:, None]


@dataclass(frozen=True)
class ContourLandmarks:
    """Where on a head its 68 annotated points lie in a view. ``tangents``: see ``ContourCandidates.select``."""

    embedding: LandmarkEmbedding
    tangents: Float[Tensor, "68 2"]


def find_contour_landmarks(
    vertices: Float[Tensor, "n 3"], rotation: Float[Tensor, "3 3"], model: HeadModel
) -> ContourLandmarks:
    """The places of a head that its 68 annotated points show in a view: on the jaw, those on the contour."""
    candidates = find_contour_candidates(model)
    places = to_numpy(candidates.places.positions(vertices, model.faces).view(JAW_POINTS, -1, 3), np.float64)
    selected, tangents = candidates.select(places, to_numpy(rotation, np.float64))
    fixed = model.landmarks68
    slid = from_numpy(selected + np.arange(JAW_POINTS) * places.shape[1], fixed.face_ids)
    embedding = LandmarkEmbedding(
        torch.cat([candidates.places.face_ids[slid], fixed.face_ids[JAW_POINTS:]]),
        torch.cat([candidates.places.barycentrics[slid], fixed.barycentrics[JAW_POINTS:]]),
    )
    still = np.zeros((68 - JAW_POINTS, 2))
    return ContourLandmarks(embedding, from_numpy(np.concatenate([tangents, still]), vertices))


@functools.lru_cache(maxsize=2)
def find_contour_candidates(model: HeadModel) -> ContourCandidates:
    """Sections of the mean head from each jaw point forward over cheek or chin, at right angles to the contour."""
    jaw = to_numpy(model.landmarks68.positions(model.mean, model.faces)[:JAW_POINTS], np.float64)
    tangents = np.gradient(jaw, axis=0) * [1, 1, 0]
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    outward = np.stack([tangents[:, 1], -tangents[:, 0], np.zeros(JAW_POINTS)], axis=1)
    sections = [_cut_skin(model, jaw[i], tangents[i]) for i in range(JAW_POINTS)]
    longest = 1 + max(len(ids) for ids, _ in sections)
    face_ids = model.landmarks68.face_ids[:JAW_POINTS, None].repeat(1, longest)
    barycentrics = model.landmarks68.barycentrics[:JAW_POINTS, None].repeat(1, longest, 1)
    for row, (ids, weights) in enumerate(sections):
        face_ids[row, 1 : 1 + len(ids)] = from_numpy(ids, face_ids)
        barycentrics[row, 1 : 1 + len(ids)] = from_numpy(weights, barycentrics)
    return ContourCandidates(LandmarkEmbedding(face_ids.flatten(), barycentrics.flatten(0, 1)), outward)


def _cut_skin(
    model: HeadModel, start: Float[np.ndarray, "3"], normal: Float[np.ndarray, "3"]
) -> tuple[Int[np.ndarray, "e"], Float[np.ndarray, "e 3"]]:
    """Where a plane through ``start`` cuts the edges of the skin in front of it: triangles and barycentrics."""
    (skin,) = np.nonzero(to_numpy(model.face_mask("skin")))
    corners = to_numpy(model.mean, np.float64)[to_numpy(model.faces)[skin]]
    height = (corners - start) @ normal
    face_ids, weights, places = [], [], []
    for first, second in ((0, 1), (1, 2), (2, 0)):
        a, b = height[:, first], height[:, second]
        crossing = np.flatnonzero((a < 0) & (b >= 0))  # the triangle beyond the edge has it the other way round
        share = a[crossing] / (a[crossing] - b[crossing])
        barycentrics = np.zeros((len(crossing), 3))
        barycentrics[:, first], barycentrics[:, second] = 1 - share, share
        face_ids.append(skin[crossing])
        weights.append(barycentrics)
        places.append((corners[crossing] * barycentrics[..., None]).sum(1))
    ids, barycentrics, arms = np.concatenate(face_ids), np.concatenate(weights), np.concatenate(places) - start
    near = (np.linalg.norm(arms, axis=1) < SECTION_LENGTH) & (arms[:, 2] > 0)
    return ids[near], barycentrics[near]
