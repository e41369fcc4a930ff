"""Where on the head the 17 jaw points of a picture lie: annotators mark the outline they see, not a place of the skin.

On a turned head the cheek hides its own jaw, and the marked outline runs over the cheek. So each jaw point may slide
along a section of the head: to the place that stands out farthest in the view (after Zhu et al., "High-fidelity pose
and expression normalization for face recognition in the wild", 2015, with sections across the jaw for their parallels).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import LandmarkEmbedding

JAW_POINTS = 17  # iBUG 0..16, from the sitter's right ear over the chin to the left one
REACH = 0.06  # meters: a section ends before it meets nose or eyes


@dataclass(frozen=True, eq=False)
class JawSections:
    """Per jaw point the ``s`` places it may slide to, its own first; shorter sections repeat it.

    ``outward``: unit vectors in the frontal plane, from the face outwards across its outline.
    """

    places: LandmarkEmbedding  # [17 * s]
    outward: Float[np.ndarray, "17 3"]

    def pick(
        self, places: Float[np.ndarray, "17 s 3"], rotation: Float[np.ndarray, "3 3"]
    ) -> tuple[Int[np.ndarray, "17"], Float[np.ndarray, "17 2"]]:
        """Number of each section's outermost place in the view, and the outline's direction there (x right, y up):
        unit vectors, zero where the point is at its own place."""
        outward = self.outward @ rotation[:2].T
        picked = np.einsum("jsd,jd->js", places @ rotation[:2].T, outward).argmax(1)
        lengths = np.linalg.norm(outward, axis=1, keepdims=True)
        along = outward[:, ::-1] * [1, -1] / np.maximum(lengths, 1e-9)  # nothing is left of some in exact profile
        return picked, along * (picked > 0)[:, None]


@dataclass(frozen=True)
class SeenPoints:
    """Where on a head its 68 annotated points lie in a view. ``along``: see ``JawSections.pick``."""

    embedding: LandmarkEmbedding
    along: Float[Tensor, "68 2"]


def find_seen_points(vertices: Float[Tensor, "n 3"], rotation: Float[Tensor, "3 3"], model: HeadModel) -> SeenPoints:
    """The places of a head that its 68 annotated points show in a view: on the jaw, those on the outline."""
    sections = find_jaw_sections(model)
    places = sections.places.positions(vertices, model.faces).view(JAW_POINTS, -1, 3).double().numpy()
    picked, along = sections.pick(places, rotation.double().numpy())
    picked += np.arange(JAW_POINTS) * places.shape[1]
    fixed = model.landmarks68
    embedding = LandmarkEmbedding(
        torch.cat([sections.places.face_ids[picked], fixed.face_ids[JAW_POINTS:]]),
        torch.cat([sections.places.barycentrics[picked], fixed.barycentrics[JAW_POINTS:]]),
    )
    return SeenPoints(embedding, torch.cat([torch.from_numpy(along).float(), torch.zeros(68 - JAW_POINTS, 2)]))


@functools.lru_cache(maxsize=2)
def find_jaw_sections(model: HeadModel) -> JawSections:
    """Sections of the mean head from each jaw point forward over cheek or chin, at right angles to the outline."""
    jaw = model.landmarks68.positions(model.mean, model.faces)[:JAW_POINTS].double().numpy()
    along = np.gradient(jaw, axis=0) * [1, 1, 0]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    outward = np.stack([along[:, 1], -along[:, 0], np.zeros(JAW_POINTS)], axis=1)
    sections = [_cut_skin(model, jaw[i], along[i]) for i in range(JAW_POINTS)]
    longest = 1 + max(len(ids) for ids, _ in sections)
    face_ids = model.landmarks68.face_ids[:JAW_POINTS, None].repeat(1, longest)
    barycentrics = model.landmarks68.barycentrics[:JAW_POINTS, None].repeat(1, longest, 1)
    for row, (ids, weights) in enumerate(sections):
        face_ids[row, 1 : 1 + len(ids)] = torch.from_numpy(ids)
        barycentrics[row, 1 : 1 + len(ids)] = torch.from_numpy(weights).float()
    return JawSections(LandmarkEmbedding(face_ids.flatten(), barycentrics.flatten(0, 1)), outward)


def _cut_skin(
    model: HeadModel, start: Float[np.ndarray, "3"], normal: Float[np.ndarray, "3"]
) -> tuple[Int[np.ndarray, "e"], Float[np.ndarray, "e 3"]]:
    """Where a plane through ``start`` cuts the edges of the skin in front of it: triangles and barycentrics."""
    (skin,) = np.nonzero(model.face_mask("skin").numpy())
    corners = model.mean.double().numpy()[model.faces.numpy()[skin]]
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
    near = (np.linalg.norm(arms, axis=1) < REACH) & (arms[:, 2] > 0)
    return ids[near], barycentrics[near]
