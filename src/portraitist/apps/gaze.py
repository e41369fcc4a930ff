"""Where the eyes look in a frame of a video: weights of the eyeLook actions that bring the irises where they are seen."""

from __future__ import annotations

import functools

import numpy as np
import torch
from jaxtyping import Float

from portraitist.devices import to_numpy
from portraitist.landmarks.faces import EYE_CORNERS
from portraitist.reconstruction.gauss_newton import solve_box_constrained
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import EXPRESSION_NAMES, Camera, HeadFit

GAZE = [index for index, name in enumerate(EXPRESSION_NAMES) if name.startswith("eyeLook")]
IRISES = {"Right": 468, "Left": 473}  # dense points: the centers
CORNERS = {"Right": EYE_CORNERS[:2], "Left": EYE_CORNERS[2:]}
IRIS_NOISE = 0.0008  # meters: standard deviation of an iris' place between the corners of its eye
SCORE_NOISE = 0.25  # of the detector's scores
PARALLEL = 0.1  # difference of the two eyes' weights: standard deviation


def estimate_gaze(
    points: Float[np.ndarray, "478 2"],
    scores: Float[np.ndarray, "52"],
    camera: Camera,
    fit: HeadFit,
    model: HeadModel,
) -> Float[np.ndarray, "8"]:
    """Weights 0..1 of the actions `GAZE`, most probable given where the irises are between the corners of their eyes,
    what the detector says, and that both eyes look at the same thing."""
    rest, moves = _embed_eyes(fit, model)
    rotation = to_numpy(camera.rotation, np.float64)[:2]
    rows, seen = [], []
    for eye, side in enumerate(IRISES):
        picture = points[IRISES[side]] - points[list(CORNERS[side])].mean(0)
        seen.append(picture * [1, -1] / camera.scale_px - rotation @ rest[eye])
        rows.append(rotation @ moves[:, eye].T)
    design, target = np.concatenate(rows) / IRIS_NOISE, np.concatenate(seen) / IRIS_NOISE
    prior = scores[GAZE]
    normal = design.T @ design + np.eye(len(GAZE)) / SCORE_NOISE**2 + _parallel_term()
    right = design.T @ target + prior / SCORE_NOISE**2
    return solve_box_constrained(normal, right, np.zeros(len(GAZE)), np.ones(len(GAZE)))


@functools.cache
def _parallel_term() -> Float[np.ndarray, "8 8"]:
    """What looking in two directions costs: left and right, up and down."""
    names = [EXPRESSION_NAMES[index] for index in GAZE]
    # The left eye's turn less that of the right eye: out is to the sitter's left for one, to the right for the other.
    across = np.array([{"Out": 1.0, "In": -1.0}.get(name[7:-len(_side(name))], 0.0) for name in names])
    along = np.array([{"Up": 1.0, "Down": -1.0}.get(name[7:-len(_side(name))], 0.0) for name in names])
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
