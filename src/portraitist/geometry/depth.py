"""Depth of translated landmarks, of which a picture shows only the plane (paper Sec. 4.2, and beyond it).

A nose drawn longer also stands out farther: the head model's own covariance between frontal deviation and depth says by
how much. A face drawn from the side shows some of its depth, and less of its front: a chin that comes forward is drawn
to one side. The same covariance, seen along its view, says what is most probable: faces are nearly symmetric. The paper
only scales the sitter's depth with the face.
"""

from __future__ import annotations

import functools

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import CPU, move
from portraitist.geometry.shape_space import align_to, close_lips
from portraitist.geometry.whole_head import ENLARGEMENT, FREE, LOCAL_REACH_M, POINT_M
from portraitist.landmarks.ibug68 import MIRROR_IDS, outer_eye_distance
from portraitist.reconstruction.head_model import HeadModel

# What features of artworks do for themselves, alike on both sides and not; by training/whole_head_priors.py, too.
SYMMETRIC_M, ASYMMETRIC_M = 0.0038, 0.0018
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


def turn_to_front(
    frontal: Float[Tensor, "68 3"], deviation: Float[Tensor, "68 2"], rotation: Float[Tensor, "3 3"], model: HeadModel
) -> tuple[Float[Tensor, "68 2"], Float[Tensor, "68"]]:
    """The deviation and depth, outer eye distances, that an artwork seen along ``rotation`` most probably has; depth
    beyond what `predict_depth` makes of the deviation. From the front the deviation stays, and depth is zero: a picture
    shows none.

    ``frontal``: its landmarks in head space (meters) that are true along its view (``shape_space.frontal_landmarks``);
    ``deviation``: theirs from the mean face, outer eye distances.
    """
    # On the CPU and in double precision: single rounds differently from run to run, and the optimization of the texture
    # lets that grow.
    points, seen, view = (move(x, CPU).double() for x in (frontal, deviation, rotation))
    mean = _find_mean(model)
    unit = outer_eye_distance(mean[:, :2])
    size = align_to(points[:, :2], mean[:, :2])[1].det().sqrt()
    depth = (size * points[:, 2] - mean[:, 2]) / unit  # a slide along the axis says nothing
    in_view = (torch.cat([seen, depth[:, None]], 1) @ view.mT)[:, :2]
    shape = (_regress_shape(view, model) @ in_view.flatten()).unflatten(0, (68, 3))
    placed = _find_placements(mean[:, :2] / unit)  # of which the regression knows nothing
    lost = placed.mT @ (seen - shape[:, :2]).flatten() / placed.square().sum(0)
    turned = close_lips(shape[:, :2] + (placed @ lost).view(68, 2))
    beyond = shape[:, 2] - shape[:, 2].mean() - _regress_frontal(move(model, CPU)).double() @ shape[:, :2].flatten()
    return move(turned.float(), frontal.device), move(beyond.float(), frontal.device)


def _find_mean(model: HeadModel) -> Float[Tensor, "68 3"]:
    """Landmarks of the mean head (meters), on the CPU, in double precision."""
    return move(model.landmarks68.positions(model.mean, model.faces), CPU).double()


@functools.lru_cache(maxsize=2)
def _regress_frontal(model: HeadModel) -> Float[Tensor, "68 136"]:
    regression = _regress_shape(torch.eye(3, dtype=torch.float64), model).unflatten(0, (68, 3))[:, 2]
    return move((regression - regression.mean(0)).float(), model.mean.device)


def _regress_shape(rotation: Float[Tensor, "3 3"], model: HeadModel) -> Float[Tensor, "204 136"]:
    """Cov(deviation, seen) Cov(seen)^-1 over deviations seen along a view, on the CPU, in double precision."""
    mean = _find_mean(model)
    unit = outer_eye_distance(mean[:, :2])
    covariance = _find_covariance(move(model, CPU)) / unit**2
    view = torch.kron(torch.eye(68, dtype=torch.float64), rotation[:2])
    placed = FREE * _find_placements(mean @ rotation[:2].T / unit)  # say nothing
    seen = view @ covariance @ view.T + placed @ placed.T
    return torch.linalg.solve(seen, view @ covariance).T


def _find_placements(points: Float[Tensor, "68 2"]) -> Float[Tensor, "136 4"]:
    """What points move when a face is elsewhere, larger or tilted in its picture; columns are orthogonal."""
    x, y = (points - points.mean(0)).T
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    columns = [torch.stack(pair, 1).flatten() for pair in ((one, zero), (zero, one), (x, y), (-y, x))]
    return torch.stack(columns, 1)


@functools.lru_cache(maxsize=2)
def _find_covariance(model: HeadModel) -> Float[Tensor, "204 204"]:
    """Of artworks' deviations, square meters: heads, which are as probable mirrored, and what features do alone."""
    mean = _find_mean(model)
    heads = ENLARGEMENT * _differentiate_heads(mean, model).flatten(1)
    mirror = torch.zeros(204, 204, dtype=torch.float64)
    for axis, sign in enumerate((-1, 1, 1)):
        mirror[3 * torch.arange(68) + axis, 3 * torch.tensor(MIRROR_IDS) + axis] = sign
    smooth = torch.exp(-(torch.cdist(mean, mean) ** 2) / (2 * LOCAL_REACH_M**2))
    points = (POINT_M / SYMMETRIC_M) ** 2 * torch.diag(torch.tensor([1.0, 1.0, 0.0]))  # set by hand in a plane
    own = torch.kron(smooth, torch.eye(3)) + torch.kron(torch.eye(68), points)
    alike, unlike = torch.eye(204) + mirror, torch.eye(204) - mirror
    return (
        (heads.T @ heads + mirror @ heads.T @ heads @ mirror.T) / 2
        + SYMMETRIC_M**2 / 4 * alike @ own @ alike.T
        + ASYMMETRIC_M**2 / 4 * unlike @ own @ unlike.T
    )


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
