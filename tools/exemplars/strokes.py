"""Drawing with a pen or brush whose width swells and fades, antialiased."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

_SHIFT = 4
"""Fractional bits of OpenCV's drawing coordinates."""


def resample_curve(points: np.ndarray, count: int, closed: bool = False) -> np.ndarray:
    """``count`` points ``[count, 2]`` evenly along a smooth curve through ``points [k, 2]``."""
    if closed:
        points = np.concatenate([points, points[:1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1) + 1e-6)])
    curve = CubicSpline(length, points, bc_type="periodic" if closed else "natural")
    fine = curve(np.linspace(0, length[-1], 400))
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    places = np.interp(np.linspace(0, along[-1], count), along, np.linspace(0, length[-1], 400))
    return curve(places)


def draw_taper(coverage: np.ndarray, points: np.ndarray, widths_px: np.ndarray) -> None:
    """Lay a stroke of varying width over ``coverage [h, w]`` (float 0..1, the largest wins), in place.

    The outline polygon is filled at four times the resolution in the stroke's box: thin ends fade instead of breaking.
    """
    normals = np.gradient(points, axis=0)[:, ::-1] * [1, -1]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    half = widths_px[:, None] / 2
    outline = np.concatenate([points + normals * half, (points - normals * half)[::-1]])
    low = np.maximum(np.floor(outline.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + 2, coverage.shape[::-1])
    if (high <= low).any():
        return
    fine = np.zeros(((high - low)[::-1] * 4), np.uint8)
    scaled = ((outline - low) * 4 * (1 << _SHIFT)).round().astype(np.int32)
    quads = np.stack([scaled[: len(points) - 1], scaled[1 : len(points)],
                      scaled[::-1][1 : len(points)], scaled[::-1][: len(points) - 1]], axis=1)  # fmt: skip
    for quad in quads:
        cv2.fillConvexPoly(fine, quad, 255, shift=_SHIFT)
    box = cv2.resize(fine, tuple((high - low).tolist()), interpolation=cv2.INTER_AREA) / 255.0
    region = coverage[low[1] : high[1], low[0] : high[0]]
    np.maximum(region, box, out=region)


def taper(count: int, start: float, middle: float, end: float, peak: float = 0.5) -> np.ndarray:
    """Widths ``[count]`` that swell from ``start`` to ``middle`` at ``peak`` (0..1) and sink to ``end``, rounded."""
    place = np.linspace(0, 1, count)
    rise = np.where(place < peak, place / peak, (1 - place) / (1 - peak))
    ends = np.where(place < peak, start, end)
    return ends + (middle - ends) * np.sin(rise * np.pi / 2)


def fill_polygon(shape: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """Antialiased coverage ``[h, w]`` of a closed polygon."""
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [(points * (1 << _SHIFT)).round().astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
    return canvas / 255.0


def lay_over(picture: np.ndarray, coverage: np.ndarray, color: np.ndarray) -> np.ndarray:
    """``picture [h, w, 3]`` under paint of one color or a picture of colors."""
    return picture + coverage[..., None] * (color - picture)


def hex_color(code: str) -> np.ndarray:
    """``"rrggbb"`` to sRGB 0..1."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)]) / 255
