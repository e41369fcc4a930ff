"""Noise of observed landmarks: how far, and how jointly, they are off.

The detector's dense points move together and depend on the view (it underrates how far a head is lifted or lowered).
Counting each as a measurement of its own lets those errors into pose and identity. Their mean and covariance were
learnt from rendered heads of known shape by ``tools/detector_errors``. Points set by hand are off one by one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file

from portraitist.assets import asset_path

TOLERATED_SQUARED_DISTANCE = 150.0  # for dense points: two and a half times the median of fitted photos


@dataclass(frozen=True, eq=False)
class LandmarkNoise:
    """Gaussian noise of k points, in meters on the head, x right and y up in a picture in which the head stands
    upright (without roll). Vectors ``[d]``, d = 2k, go x, y of the first point, then of the second.

    ``bias_terms``: mean error as a quadratic of the view, see ``view_terms``. The covariance is
    ``loadings @ loadings.T + diag(variance)``. ``tolerated``: squared Mahalanobis distance up to which a fit's errors
    are believed to be of this kind.
    """

    bias_terms: Float[np.ndarray, "5 d"]
    variance: Float[np.ndarray, "d"]
    loadings: Float[np.ndarray, "d r"]
    tolerated: float = np.inf

    def bias(self, yaw: float, pitch: float) -> Float[np.ndarray, "d"]:
        """Mean error in the view ``yaw``, ``pitch`` (radians)."""
        return view_terms(yaw, pitch) @ self.bias_terms

    def bias_jacobian(self, yaw: float, pitch: float) -> Float[np.ndarray, "2 d"]:
        """Derivative of the mean error by yaw and by pitch."""
        slope = np.array([[1, 0, 2 * yaw, pitch, 0], [0, 1, 0, yaw, 2 * pitch]])
        return slope @ self.bias_terms

    def apply_precision(self, columns: np.ndarray) -> np.ndarray:
        """Inverse covariance times ``columns`` ``[2k]`` or ``[2k, c]``, by Woodbury's identity."""
        scaled = (columns.T / self.variance).T
        return scaled - self._root @ (self._root.T @ columns)

    def robust_weight(self, error: Float[np.ndarray, "d"]) -> float:
        """1, falling with the squared Mahalanobis distance of an error beyond ``tolerated``."""
        return min(1.0, self.tolerated / max(float(error @ self.apply_precision(error)), 1e-12))

    @functools.cached_property
    def _root(self) -> Float[np.ndarray, "d r"]:
        scaled = self.loadings / self.variance[:, None]
        inner = np.eye(self.loadings.shape[1]) + self.loadings.T @ scaled
        return scaled @ np.linalg.cholesky(np.linalg.inv(inner))


def view_terms(yaw: float, pitch: float) -> Float[np.ndarray, "5"]:
    """What the mean error is linear in; radians. Nothing from the front: the model's landmarks were read off there."""
    return np.array([yaw, pitch, yaw * yaw, yaw * pitch, pitch * pitch])


def independent_noise(deviation: Float[np.ndarray, "k"]) -> LandmarkNoise:
    """No bias, and every point off by itself; ``deviation``: standard deviation per coordinate, meters."""
    variance = np.repeat(deviation**2, 2)
    return LandmarkNoise(np.zeros((5, len(variance))), variance, np.zeros((len(variance), 0)))


@functools.cache
def load_detector_noise() -> LandmarkNoise:
    """Noise of the detector's 468 dense points on the skin. Raises AssetError when the file is missing or damaged."""
    stored = load_file(asset_path("detector_errors.safetensors"))
    data = {name: tensor.astype(np.float64) for name, tensor in stored.items()}
    return LandmarkNoise(data["bias_terms"], data["variance"], data["loadings"], TOLERATED_SQUARED_DISTANCE)
