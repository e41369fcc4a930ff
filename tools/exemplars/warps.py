"""Smooth one-to-one maps of space that exaggerate a head: nothing folds, and eyeballs stay in their sockets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import PchipInterpolator

Warp = Callable[[np.ndarray], np.ndarray]
"""Points ``[n, 3]`` in meters, head space, to points ``[n, 3]``."""


def stretch_heights(heights: list[float], moved: list[float]) -> Warp:
    """Carry each height y to its moved place, monotonically in between and linearly beyond."""
    low = (moved[1] - moved[0]) / (heights[1] - heights[0])
    high = (moved[-1] - moved[-2]) / (heights[-1] - heights[-2])
    curve = PchipInterpolator(
        [heights[0] - 0.3, *heights, heights[-1] + 0.3], [moved[0] - 0.3 * low, *moved, moved[-1] + 0.3 * high]
    )
    return lambda points: np.stack([points[:, 0], curve(points[:, 1]), points[:, 2]], axis=1)


def scale_widths(heights: list[float], widths: list[float], depths: list[float] | None = None) -> Warp:
    """Scale x (and z, when given) by a factor that follows the height."""
    reach = [heights[0] - 0.3, *heights, heights[-1] + 0.3]
    width = PchipInterpolator(reach, [widths[0], *widths, widths[-1]])
    depths = depths or [1.0] * len(heights)
    depth = PchipInterpolator(reach, [depths[0], *depths, depths[-1]])

    def warp(points: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        return np.stack([x * width(y), y, z * depth(y)], axis=1)

    return warp


def swell(center: tuple[float, float, float], radius: float, factors: tuple[float, float, float]) -> Warp:
    """Enlarge (or shrink) the neighborhood of a point, per axis, fading as a Gaussian of ``radius`` meters.

    One-to-one for factors below 3.2, where the slope of r * (1 + (f - 1) exp(-r² / R²)) reaches zero.
    """
    return lambda points: points + (points - center) * (np.array(factors) - 1) * _fade(points, center, radius)


def push(center: tuple[float, float, float], radius: float, offset: tuple[float, float, float]) -> Warp:
    """Shift the neighborhood of a point by ``offset`` meters, which has to be shorter than ``radius``."""
    return lambda points: points + np.array(offset) * _fade(points, center, radius)


def on_both_sides(
    warp: Callable[..., Warp], center: tuple[float, float, float], radius: float, change: tuple[float, float, float]
) -> Warp:
    """The same warp about ``center`` and about its mirror image."""
    x, y, z = center
    mirrored = (-change[0], *change[1:]) if warp is push else change
    left, right = warp((x, y, z), radius, change), warp((-x, y, z), radius, mirrored)
    return lambda points: left(points) + right(points) - points


def in_turn(warps: list[Warp]) -> Warp:
    """One warp after the other."""

    def warp(points: np.ndarray) -> np.ndarray:
        for each in warps:
            points = each(points)
        return points

    return warp


def _fade(points: np.ndarray, center: tuple[float, float, float], radius: float) -> np.ndarray:
    return np.exp(-((points - center) ** 2).sum(axis=1, keepdims=True) / radius**2)
