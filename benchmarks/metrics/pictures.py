"""Agreement of two pictures or masks inside a region."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

FINEST_ERROR = 1e-5
"""Mean squared error below which pictures count as equal (50 dB): 8-bit files are no better."""


def measure_psnr(
    first: Float[np.ndarray, "h w 3"], second: Float[np.ndarray, "h w 3"], inside: Bool[np.ndarray, "h w"]
) -> float:
    """Peak signal-to-noise ratio in dB of sRGB pictures 0..1 inside a mask, at most 50."""
    error = float(((first - second)[inside] ** 2).mean())
    return float(-10 * np.log10(max(error, FINEST_ERROR)))


def measure_overlap(first: Bool[np.ndarray, "h w"], second: Bool[np.ndarray, "h w"]) -> float:
    """Intersection over union; 0 when both are empty."""
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 0.0


def fill_hull(points: Float[np.ndarray, "k 2"], size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Pixels inside the convex hull of ``points`` (x, y) px."""
    hull = cv2.convexHull(np.asarray(points, np.float32))
    return cv2.fillConvexPoly(np.zeros(size, np.uint8), np.round(hull - 0.5).astype(np.int32), 1).astype(bool)


def fill_rows(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Every row filled from its first to its last set pixel."""
    from_left = np.maximum.accumulate(mask, axis=1)
    from_right = np.maximum.accumulate(mask[:, ::-1], axis=1)[:, ::-1]
    return from_left & from_right


def keep_band(
    size: tuple[int, int], top: Float[np.ndarray, "2"], bottom: Float[np.ndarray, "2"]
) -> Bool[np.ndarray, "h w"]:
    """Pixels between two parallel lines: through ``top`` and ``bottom`` (x, y), perpendicular to what joins them."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    down = (bottom - top) / np.linalg.norm(bottom - top)
    along = (x - top[0]) * down[0] + (y - top[1]) * down[1]
    return (along >= 0) & (along <= np.linalg.norm(bottom - top))
