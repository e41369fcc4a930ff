"""Depth of translated landmarks, of which a picture shows only the plane (paper Sec. 4.2, and beyond it).

A nose drawn longer also stands out farther: the head model's own covariance between frontal deviation and depth says by
how much. The paper only scales the sitter's depth with the face.
"""

from __future__ import annotations

import functools

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import CPU, move
from portraitist.geometry.shape_space import align_to, close_lips
from portraitist.landmarks.ibug68 import outer_eye_distance
from portraitist.reconstruction.head_model import HeadModel

LANDMARK_NOISE = 0.02  # of a frontal coordinate, in outer eye distances: what a drawn point may be off
DIFFERENCE_STEP = 0.1  # standard deviations, for differences through the alignment


def scale_depth(
    neutral: Float[Tensor, "68 2"], moved: Float[Tensor, "68 2"], depth: Float[Tensor, "68"]
) -> Float[Tensor, "68"]:
    """The depth added when it is scaled by the ratio of the bounding box diagonals (revised paper, Sec. 4.2).

    About the mean landmark depth, or the whole head would slide along its axis.
    """
    ratio = _diagonal(neutral + moved) / _diagonal(neutral)
    return (ratio - 1) * (depth - depth.mean())


def predict_depth(moved: Float[Tensor, "68 2"], model: HeadModel) -> Float[Tensor, "68"]:
    """The depth most probably added with a frontal displacement, both in outer eye distances of the mean face.

    Linear, so that strengths may be scaled; the mean over the landmarks is zero, so that the head does not slide.
    """
    return _regression(model) @ moved.flatten()


@functools.lru_cache(maxsize=2)
def _regression(model: HeadModel) -> Float[Tensor, "68 136"]:
    """Cov(depth, frontal) (Cov(frontal) + noise)^-1 over heads of the model's prior."""
    device, model = model.mean.device, move(model, CPU)  # once, and in double precision, which not every GPU has
    mean = model.landmarks68.positions(model.mean, model.faces).double()
    unit = outer_eye_distance(mean[:, :2])
    corners = model.faces[model.landmarks68.face_ids]
    columns = (model.identity_basis[:, corners] * model.landmarks68.barycentrics[None, :, :, None]).sum(2).double()
    heads = mean + DIFFERENCE_STEP * columns
    aligned, linear = align_to(heads[..., :2], mean[:, :2])
    frontal = close_lips((aligned - mean[:, :2]) / DIFFERENCE_STEP / unit).flatten(1)
    depth = linear.det().sqrt()[:, None] * (heads[..., 2] - heads[..., 2].mean(1, keepdim=True))
    depth = (depth - (mean[:, 2] - mean[:, 2].mean())) / DIFFERENCE_STEP / unit
    covariance = frontal.T @ frontal + LANDMARK_NOISE**2 * torch.eye(136, dtype=torch.float64)
    return move(torch.linalg.solve(covariance, frontal.T @ depth).T.float(), device)


def _diagonal(points: Float[Tensor, "k 2"]) -> Float[Tensor, ""]:
    return (points.amax(0) - points.amin(0)).norm()
