"""What landmarks miss, told apart: how strongly this person moves, and what the face is like at rest.

The residual of a fit goes to the neutral head as well, and with it whatever the 52 actions could not say of a wide grin
or a scream: lips stayed open and eyes stared when all weights were 0. So a person's actions first get amplitudes of
their own, and lips that touch on every head touch on the neutral one, too.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.reconstruction.gauss_newton import solve_box_constrained
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.landmark_noise import LandmarkNoise
from portraitist.types import EXPRESSION_NAMES, Camera, LandmarkEmbedding

AMPLITUDE_SPREAD = 0.3  # standard deviation of how much further than average one moves
NO_OPENING = 0.003  # meters: lips that an expression parts by less may as well be closed ones, badly seen
LARGEST_EXCESS = 0.5  # of that: beyond, the fit is wrong
JAW_OPEN, MOUTH_CLOSE = (EXPRESSION_NAMES.index(name) for name in ("jawOpen", "mouthClose"))
DENSE_LIP_PAIRS = (
    (13, 14), (82, 87), (312, 317), (81, 178), (311, 402), (80, 88), (310, 318), (191, 95), (415, 324),
)  # fmt: skip
"""Dense landmarks of the upper and the lower lip that lie on each other when the mouth is closed."""
IBUG_LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
"""The same of the 68."""


def personalize_actions(
    missing_px: Float[Tensor, "k 2"],
    embedding: LandmarkEmbedding,
    expression: Float[Tensor, "52"],
    camera: Camera,
    noise: LandmarkNoise,
    model: HeadModel,
) -> Float[Tensor, "52 n 3"]:
    """The model's 52 actions with the most probable amplitudes of this person; an action that is not shown keeps its
    own.

    ``missing_px``: from the landmarks of the fitted head, which lie at ``embedding``, to where they are seen.
    ``expression``: fitted weights 0..1. ``noise``: of the landmarks.
    """
    deltas = model.expression_deltas
    missing = to_numpy(missing_px, np.float64) / camera.scale_px * [1, -1]
    moves = (deltas[:, model.faces[embedding.face_ids]] * embedding.barycentrics[..., None]).sum(2)
    seen = expression[:, None, None] * moves @ camera.rotation[:2].T
    moves = to_numpy(seen, np.float64).reshape(len(deltas), -1)
    # What closes a mouth over an open jaw goes as far as the jaw.
    moves[JAW_OPEN] += moves[MOUTH_CLOSE]
    moves[MOUTH_CLOSE] = 0
    # Jointly the detector's errors explain nearly all that a fit misses. Its residual believes the points one by one.
    weighted = moves / (noise.variance + (noise.loadings**2).sum(1))
    normal = weighted @ moves.T + np.eye(len(moves)) / AMPLITUDE_SPREAD**2
    limit = np.full(len(moves), LARGEST_EXCESS)
    excess = solve_box_constrained(normal, weighted @ missing.ravel(), -limit, limit)
    excess[MOUTH_CLOSE] = excess[JAW_OPEN]
    return deltas * from_numpy(1 + excess, deltas)[:, None, None]


def close_lips(targets: Float[Tensor, "k 3"], dense: bool) -> Float[Tensor, "k 3"]:
    """Displacements of the landmarks without what parts the lips: both of a pair move alike."""
    upper, lower = torch.tensor(pick_lip_pairs(dense), device=targets.device).T
    closed = targets.clone()
    closed[upper] = closed[lower] = (targets[upper] + targets[lower]) / 2
    return closed


def carry_opening(
    opening: Float[Tensor, "n 3"],
    expression: Float[Tensor, "52"],
    deltas: Float[Tensor, "52 n 3"],
    embedding: LandmarkEmbedding,
    model: HeadModel,
    dense: bool,
) -> Float[Tensor, "52 n 3"]:
    """The actions with ``opening``, a displacement of the shown head, put down to those that open its mouth.

    Each gets as much of it as it has in the gap between the lips; the smaller that gap, the less is carried. What an
    opening jaw gets, ``mouthClose`` takes back.
    """
    corners = model.faces[embedding.face_ids]
    at_points = (deltas[:, corners] * embedding.barycentrics[..., None]).sum(2)
    gaps = torch.stack([_measure_gap(points, dense) for points in at_points]).clamp(min=0)
    total = (expression * gaps).sum()
    shares = gaps * total / (total**2 + NO_OPENING**2)
    shares[MOUTH_CLOSE] = -shares[JAW_OPEN]
    return deltas + torch.einsum("e,nd->end", shares, opening)


def _measure_gap(points: Float[Tensor, "k 3"], dense: bool) -> Float[Tensor, ""]:
    """Mean height of the upper lip over the lower one, meters."""
    upper, lower = torch.tensor(pick_lip_pairs(dense), device=points.device).T
    return (points[upper, 1] - points[lower, 1]).mean()


def pick_lip_pairs(dense: bool) -> tuple[tuple[int, int], ...]:
    return DENSE_LIP_PAIRS if dense else IBUG_LIP_PAIRS
