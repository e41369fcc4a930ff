"""How far the two readings of an artwork are off, by maximum likelihood, and what follows for their fusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

from portraitist.landmarks.ibug68 import MIRROR_IDS
from portraitist.landmarks.refinement import ErrorModel, LandmarkRefiner, Reading, without_similarity

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
    """The refiner with its error models, the normal reading, and the size.

    ``readings``, ``truths``: of artworks, by networks that never saw them. ``normals``: of photos.
    """
    plane = refiner.mean[:, :2]
    errors = fit_error_models(plane, readings, truths)
    refiner = replace(refiner, detector_error=errors[0], network_error=errors[1])
    weighed = np.stack([refiner.weigh(reading)[0] for reading in readings])
    normal = find_normal([refiner.weigh(reading)[0] for reading in normals])
    by_hand = find_normal([reading.read for reading in normals])  # the network speaks the annotators' scheme
    wanted = without_similarity(np.stack(truths), plane) - without_similarity(by_hand, plane)
    seen = without_similarity(weighed, plane) - without_similarity(normal, plane)
    size = float(np.sqrt((wanted**2).sum() / (seen**2).sum()))
    return replace(refiner, normal=normal, by_hand=by_hand, size=size)


def find_normal(deviations: Sequence[Float[np.ndarray, "68 2"]]) -> Float[np.ndarray, "68 2"]:
    """Their mean, made symmetric."""
    mean = np.mean(deviations, 0)
    return (mean + mean[list(MIRROR_IDS)] * [-1, 1]) / 2
