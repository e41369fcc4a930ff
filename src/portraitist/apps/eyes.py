"""Eyes in a video: weights that bring the irises where they are seen, and close the lids as far as they are closed.

The detector's scores say little of both: they reach 0.5 when an eye is shut, and follow small movements of the irises
late. Its points on lids and irises say more.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from portraitist.devices import to_numpy
from portraitist.landmarks.faces import EYE_CORNERS
from portraitist.reconstruction.gauss_newton import solve_box_constrained
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import EXPRESSION_NAMES, Head, HeadFit

GAZE = [index for index, name in enumerate(EXPRESSION_NAMES) if name.startswith("eyeLook")]
IRISES = {"Right": 468, "Left": 473}  # dense points: the centers
CORNERS = {"Right": list(EYE_CORNERS[:2]), "Left": list(EYE_CORNERS[2:])}
LIDS = {"Right": ([158, 159, 160], [153, 145, 144]), "Left": ([385, 386, 387], [380, 374, 373])}
"""Dense points of each upper lid and, across the eye, of the lower one."""

LIDS_68 = {"Right": ([37, 38], [41, 40]), "Left": ([43, 44], [47, 46])}
"""The same of the 68 points."""

SEEN_WHEN_SHUT = 0.03  # of the eye's width: how far apart the detector sees lids that touch
IRIS_NOISE = 0.0008  # meters: standard deviation of an iris' place between the corners of its eye
SCORE_NOISE = 0.25  # of the detector's scores
PARALLEL = 0.1  # difference of the two eyes' weights: standard deviation


def estimate_gaze(
    points: Float[np.ndarray, "t 478 2"],
    scores: Float[np.ndarray, "t 52"],
    rotations: Float[np.ndarray, "t 3 3"],
    scales_px: Float[np.ndarray, "t"],
    rest: Sequence[int],
    fit: HeadFit,
    model: HeadModel,
) -> Float[np.ndarray, "t 8"]:
    """Weights 0..1 of the actions `GAZE`, most probable given where the irises are between the corners of their eyes,
    what the detector says, and that both eyes look at the same thing. ``rest``: frames in which they look ahead, on
    average. NaN where the rest is."""
    ahead, moves = _embed_eyes(fit, model)
    offsets = np.zeros((len(points), len(IRISES), 2))
    for eye, side in enumerate(IRISES):
        seen = (points[:, IRISES[side]] - points[:, CORNERS[side]].mean(1)) * [1, -1] / scales_px[:, None]
        offsets[:, eye] = seen - rotations[:, :2] @ ahead[eye]
    offsets -= np.median(offsets[list(rest)], axis=0)
    weights, zeros = np.full((len(points), len(GAZE)), np.nan), np.zeros(len(GAZE))
    for frame in np.flatnonzero(np.isfinite(scales_px)):
        design = np.concatenate([rotations[frame, :2] @ moves[:, eye].T for eye in range(len(IRISES))]) / IRIS_NOISE
        normal = design.T @ design + np.eye(len(GAZE)) / SCORE_NOISE**2 + _parallel_term()
        right = design.T @ offsets[frame].ravel() / IRIS_NOISE + scores[frame, GAZE] / SCORE_NOISE**2
        weights[frame] = solve_box_constrained(normal, right, zeros, zeros + 1)
    return weights


@functools.cache
def _parallel_term() -> Float[np.ndarray, "8 8"]:
    """What looking in two directions costs: left and right, up and down."""
    names = [EXPRESSION_NAMES[index] for index in GAZE]
    # The left eye's turn less that of the right eye: out is to the sitter's left for one, to the right for the other.
    across = np.array([{"Out": 1.0, "In": -1.0}.get(name[7 : -len(_side(name))], 0.0) for name in names])
    along = np.array([{"Up": 1.0, "Down": -1.0}.get(name[7 : -len(_side(name))], 0.0) for name in names])
    along *= [1 if _side(name) == "Left" else -1 for name in names]
    return (np.outer(across, across) + np.outer(along, along)) / PARALLEL**2


def _side(name: str) -> str:
    return "Left" if name.endswith("Left") else "Right"


@functools.lru_cache(maxsize=2)
def _embed_eyes(fit: HeadFit, model: HeadModel) -> tuple[Float[np.ndarray, "2 3"], Float[np.ndarray, "8 2 3"]]:
    """Each iris from the middle of its eye's corners, meters in head space: at rest, and what the actions add."""
    ids = [[IRISES[side], *CORNERS[side]] for side in IRISES]
    dense = model.landmarks478

    def from_corners(vertices: torch.Tensor) -> np.ndarray:
        places = to_numpy(dense.positions(vertices, model.faces), np.float64)[ids]
        return places[:, 0] - places[:, 1:].mean(1)

    rest = from_corners(fit.neutral)
    return rest, np.stack([from_corners(fit.neutral + fit.expression_deltas[index]) - rest for index in GAZE])


def measure_openness(
    points: Float[np.ndarray, "t 478 2"],
    rotations: Float[np.ndarray, "t 3 3"],
    scales_px: Float[np.ndarray, "t"],
    rest: Sequence[int],
    fit: HeadFit,
    model: HeadModel,
) -> Float[np.ndarray, "t 2"]:
    """How far right and left eye are open: 0 shut, 1 as in the frames ``rest``. NaN where the others are."""
    openness = []
    for side, (upper, lower) in LIDS.items():
        gap, width = _embed_lids(side, fit, model)
        apart = points[:, upper].mean(1) - points[:, lower].mean(1)
        seen = np.linalg.norm(apart, axis=1) / (scales_px * np.linalg.norm(rotations[:, :2] @ gap, axis=1))
        shut = SEEN_WHEN_SHUT * width / np.linalg.norm(gap)
        openness.append((seen - shut) / max(float(np.median(seen[list(rest)])) - shut, 1e-3))
    return np.stack(openness, axis=1).clip(min=0)


def close_lids(
    weights: Float[np.ndarray, "t 52"], openness: Float[np.ndarray, "t 2"], at_rest: Float[np.ndarray, "52"], head: Head
) -> Float[np.ndarray, "t 52"]:
    """``weights`` with those of the two blinks such that the head's own lids are as open as ``openness`` says, given
    what all other actions do to them. ``at_rest``: weights at which they are as open as 1 says."""
    weights, faces = weights.copy(), head.mesh.faces
    neutral = to_numpy(head.landmarks68.positions(head.neutral, faces), np.float64)
    moved = [to_numpy(head.landmarks68.positions(delta, faces), np.float64) for delta in head.expression_deltas]
    for column, (side, (upper, lower)) in enumerate(LIDS_68.items()):
        gap, *moves = (places[upper].mean(0) - places[lower].mean(0) for places in (neutral, *moved))
        along = np.array(moves) @ gap / max(gap @ gap, 1e-12)  # of the head's gap, by each action
        blink = EXPRESSION_NAMES.index(f"eyeBlink{side}")
        others = np.where(np.arange(len(along)) == blink, 0.0, along)
        wanted = (1 + at_rest @ along) * openness[:, column]
        # A whole blink shuts the eye of any head, so that the way to it is from what the others leave open to 0.
        weights[:, blink] = (1 - wanted / np.maximum(1 + weights @ others, 1e-3)).clip(0, 1)
    return weights


@functools.lru_cache(maxsize=4)
def _embed_lids(side: str, fit: HeadFit, model: HeadModel) -> tuple[Float[np.ndarray, "3"], float]:
    """From the lower lid to the upper one, and the eye's width; meters."""
    places = to_numpy(model.landmarks478.positions(fit.neutral, model.faces), np.float64)
    (upper, lower), corners = LIDS[side], CORNERS[side]
    return places[upper].mean(0) - places[lower].mean(0), float(np.linalg.norm(places[corners[0]] - places[corners[1]]))
