"""Tinting: by how much a person's teeth, irises and whites differ from the authored ones, told from what a photo shows.

The photo of such a small part also shows lids, lashes, lips, glare. Each color is either the part's own, up to a factor
and some noise, or something else; a factor's prior and this mixture (EM) decide both at once, without thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_texels import DARKEST
from portraitist.unwrapping.appearance_models import SkinColors

ROUNDS = 12  # of EM
EFFECTIVE_SAMPLES = 12.0  # that all texels together count as at most: neighbors err alike
ANYTHING_ELSE = 0.02  # density, in log colors, of what is neither the part nor skin
SKIN_BRIGHTNESS = 0.35  # standard deviation of skin, or lips, in light and shade around their median, log
SKIN_HUE = 0.075  # the same of their hue
SHADE_HUE = 0.15  # of what is dark, log
SHADE_DEPTH = 3.0  # log, from white down to black


@dataclass(frozen=True)
class Material:
    """``mean``: expected factor on the authored color, log per channel. ``brightness``, ``hue``: standard deviations of
    a factor's common and its separate part. ``noise``: of a photo's colors around the tinted ones. ``white``: what is
    darker may be its shade; a dark iris is dark by itself."""

    mean: Float[np.ndarray, "3"]
    brightness: float
    hue: float
    noise: float
    white: bool = True

    @property
    def precision(self) -> Float[np.ndarray, "3 3"]:
        """Of the factor."""
        gray = np.full((3, 3), 1 / 3)
        return gray / (3 * self.brightness**2) + (np.eye(3) - gray) / self.hue**2


def to_logs(values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Logarithms of sRGB colors or luminances, in which a change of the light is an offset."""
    return np.log(values.clip(0) + DARKEST)


def estimate_factor(
    photo: Float[np.ndarray, "e 3"],
    authored: Float[np.ndarray, "e 3"],
    weights: Float[np.ndarray, "e"],
    material: Material,
    skin: SkinColors,
) -> Float[np.ndarray, "3"]:
    """The most probable factor, log, given colors of the photo and how much each is seen (0..1)."""
    ratios = to_logs(photo) - to_logs(authored)
    total = max(float(weights.sum()), 1e-6)
    weights = weights * min(1.0, EFFECTIVE_SAMPLES / total)
    factor, precision = material.mean, material.precision
    for _ in range(ROUNDS):
        # As long as the factor is uncertain, so is which colors are the part's.
        spread = material.noise**2 * np.eye(3) + np.linalg.inv(precision)
        own = weights * _share(ratios - factor, spread, photo, skin, white=material.white)
        precision = material.precision + own.sum() / material.noise**2 * np.eye(3)
        right = material.precision @ material.mean + own @ ratios / material.noise**2
        factor = np.linalg.solve(precision, right)
    return factor.astype(np.float32)


def tint(authored: Float[np.ndarray, "*k 3"], factor: Float[np.ndarray, "3"]) -> Float[np.ndarray, "*k 3"]:
    """Authored colors times a log factor."""
    return ((authored + DARKEST) * np.exp(factor) - DARKEST).clip(0, 1).astype(np.float32)


def likelihood_of(
    photo: Float[np.ndarray, "e 3"], painted: Float[np.ndarray, "e 3"], material: Material, skin: SkinColors
) -> Float[np.ndarray, "e"]:
    """Probability 0..1 that the photo shows the tinted part, and neither skin nor anything else."""
    spread = material.noise**2 * np.eye(3)
    return _share(to_logs(photo) - to_logs(painted), spread, photo, skin, white=material.white).astype(np.float32)


def _share(
    residuals: Float[np.ndarray, "e 3"],
    spread: Float[np.ndarray, "3 3"],
    photo: Float[np.ndarray, "e 3"],
    skin: SkinColors,
    *,
    white: bool,
) -> Float[np.ndarray, "e"]:
    """Of the part, whose colors have a covariance ``spread``, in all that a color may be."""
    squares = ((residuals @ np.linalg.inv(spread)) * residuals).sum(1)
    own = np.exp(-0.5 * squares) / np.sqrt((2 * np.pi) ** 3 * np.linalg.det(spread))
    other = skin_density(to_logs(photo) - to_logs(skin.median))
    if white:
        other = other + shade_density(residuals)
    return own / (own + other + ANYTHING_ELSE)


def shade_density(residuals: Float[np.ndarray, "e 3"]) -> Float[np.ndarray, "e"]:
    """Of what is as gray as the part, and darker by any amount: gaps, lashes, pupils, its own shade. Nothing in eyes or
    mouths is brighter than their white."""
    common = residuals.mean(1, keepdims=True)
    squares = ((residuals - common) ** 2).sum(1) / SHADE_HUE**2
    return np.exp(-0.5 * squares) / (2 * np.pi * SHADE_HUE**2 * np.sqrt(3) * SHADE_DEPTH) * (common[:, 0] < 0)


def density(residuals: Float[np.ndarray, "e 3"], deviation: float) -> Float[np.ndarray, "e"]:
    """Of an isotropic Gaussian over the three channels."""
    return np.exp(-0.5 * (residuals**2).sum(1) / deviation**2) / (np.sqrt(2 * np.pi) * deviation) ** 3


def skin_density(residuals: Float[np.ndarray, "e 3"]) -> Float[np.ndarray, "e"]:
    """Of skin or lips around their median: light and shade change their brightness, and hardly their hue."""
    common = residuals.mean(1, keepdims=True)
    squares = ((residuals - common) ** 2).sum(1) / SKIN_HUE**2 + common[:, 0] ** 2 / SKIN_BRIGHTNESS**2
    return np.exp(-0.5 * squares) / ((2 * np.pi) ** 1.5 * SKIN_HUE**2 * np.sqrt(3) * SKIN_BRIGHTNESS)
