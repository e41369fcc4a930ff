"""Depth of translated landmarks, of which a picture shows only the plane (paper Sec. 4.2, and beyond it).

A nose drawn longer also stands out farther: the head model's own covariance between frontal deviation and depth says by
how much. A face drawn from the side shows some of its depth: the same covariance, seen along its view, says how much of
it to believe. The paper only scales the sitter's depth with the face.
"""

from __future__ import annotations

import functools

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import CPU, move
from portraitist.geometry.shape_space import align_to, close_lips
from portraitist.geometry.whole_head import ENLARGEMENT, FREE, POINT_M, find_local_movement
from portraitist.landmarks.ibug68 import outer_eye_distance
from portraitist.reconstruction.head_model import HeadModel

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
    return _regress_frontal(model) @ moved.flatten()


def measure_depth(
    frontal: Float[Tensor, "68 3"], deviation: Float[Tensor, "68 2"], rotation: Float[Tensor, "3 3"], model: HeadModel
) -> Float[Tensor, "68"]:
    """The depth that an artwork seen along ``rotation`` shows beyond what `predict_depth` makes of its deviation, in
    outer eye distances; zero seen from the front, where a picture shows none.

    ``frontal``: its landmarks in head space (meters) that are true along its view (``shape_space.frontal_landmarks``);
    ``deviation``: theirs from the mean face, outer eye distances.
    """
    mean = model.landmarks68.positions(model.mean, model.faces)
    unit = outer_eye_distance(mean[:, :2])
    size = align_to(frontal[:, :2], mean[:, :2])[1].det().sqrt()
    depth = (size * frontal[:, 2] - mean[:, 2]) / unit  # a slide along the axis says nothing
    seen = (torch.cat([deviation, depth[:, None]], 1) @ rotation.mT)[:, :2]
    regression = _regress_depth(move(rotation, CPU).double(), move(model, CPU)).float()
    return move(regression, frontal.device) @ seen.flatten() - predict_depth(deviation, model)


@functools.lru_cache(maxsize=2)
def _regress_frontal(model: HeadModel) -> Float[Tensor, "68 136"]:
    regression = _regress_depth(torch.eye(3, dtype=torch.float64), move(model, CPU))
    return move(regression.float(), model.mean.device)


def _regress_depth(rotation: Float[Tensor, "3 3"], model: HeadModel) -> Float[Tensor, "68 136"]:
    """Cov(depth, seen) Cov(seen)^-1 over deviations seen along a view, on the CPU, in double precision."""
    mean = model.landmarks68.positions(model.mean, model.faces).double()
    unit = outer_eye_distance(mean[:, :2])
    heads = ENLARGEMENT * _differentiate_heads(mean, model)
    local = torch.from_numpy(find_local_movement(mean.numpy()))
    covariance = heads.flatten(1).T @ heads.flatten(1) + torch.kron(local, torch.eye(3, dtype=torch.float64))
    view = torch.kron(torch.eye(68, dtype=torch.float64), rotation[:2])
    # Where, how large and how tilted the face is in its picture says nothing.
    x, y = ((mean - mean.mean(0)) @ rotation[:2].T / unit).T
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    columns = [torch.stack(pair, 1).flatten() for pair in ((one, zero), (zero, one), (x, y), (-y, x))]
    placed = FREE * torch.stack(columns, 1)
    seen = view @ covariance @ view.T / unit**2 + (POINT_M / unit) ** 2 * torch.eye(136) + placed @ placed.T
    depth = (covariance @ view.T).unflatten(0, (68, 3))[:, 2] / unit**2
    return torch.linalg.solve(seen, (depth - depth.mean(0)).T).T


def _differentiate_heads(mean: Float[Tensor, "68 3"], model: HeadModel) -> Float[Tensor, "k 68 3"]:
    """Deviation per standard deviation of the head model's coefficients, through the alignment (meters)."""
    corners = model.faces[model.landmarks68.face_ids]
    columns = (model.identity_basis[:, corners] * model.landmarks68.barycentrics[None, :, :, None]).sum(2).double()
    heads = mean + DIFFERENCE_STEP * columns
    aligned, linear = align_to(heads[..., :2], mean[:, :2])
    depth = linear.det().sqrt()[:, None] * (heads[..., 2] - heads[..., 2].mean(1, keepdim=True))
    depth = depth - (mean[:, 2] - mean[:, 2].mean())
    return torch.cat([close_lips(aligned - mean[:, :2]), depth[..., None]], 2) / DIFFERENCE_STEP


def _diagonal(points: Float[Tensor, "k 2"]) -> Float[Tensor, ""]:
    return (points.amax(0) - points.amin(0)).norm()
