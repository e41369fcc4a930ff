"""How far the two readings of an artwork are off, by maximum likelihood, and what follows for their fusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

from portraitist.geometry.shape_space import frontal_landmarks, measure_deviation
from portraitist.geometry.translation import mean_face
from portraitist.landmarks.ibug68 import MIRROR_IDS, outer_eye_distance
from portraitist.landmarks.refinement import ErrorModel, LandmarkRefiner, Reading
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import Landmarks

SIZE_STEPS = 3
START = (1e-3, 0.25, 3e-4, 3e-4, 0.3)


def fit_error_models(
    plane: Float[np.ndarray, "68 2"], readings: Sequence[Reading], truths: Sequence[Float[np.ndarray, "68 2"]]
) -> tuple[ErrorModel, ErrorModel]:
    """Of the detector, and of the network with the errors that it expects itself."""
    detected = np.stack([reading.detected - truth for reading, truth in zip(readings, truths, strict=True)])
    read = np.stack([reading.read - truth for reading, truth in zip(readings, truths, strict=True)])
    expected = np.stack([reading.expected for reading in readings])
    return _fit(plane, detected, None), _fit(plane, read, expected)


def _fit(plane: np.ndarray, errors: np.ndarray, expected: np.ndarray | None) -> ErrorModel:
    start = torch.tensor(START[: 4 if expected is None else 5], dtype=torch.float64).log()
    place, seen = torch.from_numpy(plane), torch.from_numpy(errors)
    apart = (place[:, None] - place).square().sum(-1)
    own = None if expected is None else torch.from_numpy(expected).square()

    def likelihood(logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        values = torch.tensor(logarithms, requires_grad=True)
        loss = _negative_log_likelihood(values.exp(), apart, seen, own)
        loss.backward()
        assert values.grad is not None
        return float(loss.detach()), values.grad.numpy()

    found = minimize(likelihood, start.numpy(), jac=True, method="L-BFGS-B", bounds=[(-16, 3)] * len(start))
    return ErrorModel(*np.exp(found.x).tolist())


def _negative_log_likelihood(values: Tensor, apart: Tensor, errors: Tensor, own: Tensor | None) -> Tensor:
    local, reach, shared, single, *share = values
    covariance = local * (-apart / (2 * reach**2)).exp() + shared + single * torch.eye(68, dtype=apart.dtype)
    if own is not None:
        covariance = covariance + share[0] * torch.diag_embed(own)
    factor = torch.linalg.cholesky(covariance).expand(len(errors), 68, 68)
    whitened = torch.linalg.solve_triangular(factor, errors, upper=False)
    return whitened.square().sum() / 2 + 2 * factor.diagonal(dim1=1, dim2=2).log().sum()


def finish(
    refiner: LandmarkRefiner, readings: Sequence[Reading], truths: Sequence[np.ndarray], normals: Sequence[Reading]
) -> LandmarkRefiner:
    """The refiner with its error models and normal readings, of size 1.

    ``readings``, ``truths``: of artworks, by networks that never saw them. ``normals``: of photos, at rest.
    """
    errors = fit_error_models(refiner.mean[:, :2], readings, truths)
    refiner = replace(refiner, detector_error=errors[0], network_error=errors[1])
    normal = find_normal([refiner.weigh(reading)[0] for reading in normals])
    by_hand = find_normal([reading.read for reading in normals])  # the network speaks the annotators' scheme
    return replace(refiner, normal=normal, by_hand=by_hand, size=1.0)


def find_size(
    refiner: LandmarkRefiner, model: HeadModel, readings: Sequence[Reading], detected: Sequence[Landmarks],
    truths: Sequence[Landmarks],
) -> float:  # fmt: skip
    """What makes deviations as large as the artworks' own, where it counts: after the fit, without pose and expression.

    The fit takes a part of what is read for expression, so it is found in a few steps.
    """
    mean = mean_face(model) + torch.from_numpy(refiner.by_hand).float()

    def measure(landmarks: Sequence[Landmarks]) -> float:
        """Mean square."""
        frontal = (frontal_landmarks(points, fit_head(points, model), model)[:, :2] for points in landmarks)
        return float(torch.stack([measure_deviation(shape, mean).square().mean() for shape in frontal]).mean())

    wanted, size = measure(truths), 1.0
    for _ in range(SIZE_STEPS):
        sized = replace(refiner, size=size)
        seen = [sized.correct(*pair) for pair in zip(detected, readings, strict=True)]
        size *= (wanted / measure(seen)) ** 0.5
    return size


def take_off_expression(reading: Reading, landmarks: Landmarks, model: HeadModel) -> Reading:
    """A photo's reading at rest. People smile into a camera; a mean of smiles would make every artwork look sullen.

    ``landmarks``: the detector's.
    """
    fit = fit_head(landmarks, model)
    rest = model.landmarks68.positions(fit.neutral, model.faces)
    moved = (model.landmarks68.positions(fit.mesh.vertices, model.faces) - rest)[:, :2] / outer_eye_distance(rest)
    moved = moved.double().numpy()
    return replace(reading, detected=reading.detected - moved, read=reading.read - moved)


def find_normal(deviations: Sequence[Float[np.ndarray, "68 2"]]) -> Float[np.ndarray, "68 2"]:
    """Their mean, made symmetric."""
    mean = np.mean(deviations, 0)
    return (mean + mean[list(MIRROR_IDS)] * [-1, 1]) / 2
