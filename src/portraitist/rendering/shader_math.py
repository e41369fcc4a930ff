"""Small functions that every shading language has."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Values = np.ndarray | np.floating | float


def smoothstep(x: np.ndarray | np.floating, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between. ``low`` may exceed ``high``."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def mix(a: Values, b: Values, share: Values) -> np.ndarray:
    """``a`` where share is 0, ``b`` where it is 1."""
    return np.asarray(a + (b - a) * share)


def luminance(colors: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k"]:
    """Rec. 709 weights on sRGB values: a perceptual gray, not radiometric."""
    return np.asarray(colors @ np.array([0.2126, 0.7152, 0.0722], colors.dtype))
