"""Pen and ink: hatching whose lines swell with the shadow, contours, and a sparse wash on warm paper."""

from __future__ import annotations

import cv2
import numpy as np

from exemplars.fields import blur, smear_noise, trace_streamlines
from exemplars.strokes import draw_taper


def slice_surface(normals: np.ndarray, plane: tuple[float, float, float]) -> np.ndarray:
    """Directions ``[h, w, 2]`` in which parallel planes cut the surface: hatching that wraps around the form."""
    cut = np.cross(blur(normals.astype(np.float32), 7), np.array(plane))
    flat = cut[..., :2] * [1, -1]
    return flat / (np.linalg.norm(flat, axis=2, keepdims=True) + 1e-6)


def hatch(
    ink: np.ndarray, darkness: np.ndarray, flow: np.ndarray, inside: np.ndarray, *,
    threshold: float, full: float, spacing_px: float, widest_px: float, shortest_px: float, seed: int,
) -> None:  # fmt: skip
    """One set of parallel pen lines, in place on ``ink [h, w]`` 0..1.

    A line is drawn where ``darkness [h, w]`` exceeds ``threshold`` and reaches ``widest_px`` at ``full``.
    """
    rng = np.random.default_rng(seed)
    area = inside & (darkness > threshold - 0.04)
    spacing = np.full(darkness.shape, spacing_px, np.float32)
    for line in trace_streamlines(flow, spacing, area, seed, shortest_px):
        values = darkness[line[:, 1].astype(int), line[:, 0].astype(int)]
        press = np.clip((values - threshold) / (full - threshold), 0, 1)
        press = np.convolve(np.pad(press, 3, "edge"), np.ones(7) / 7, "valid")
        ends = np.clip(np.minimum(np.arange(len(line)), np.arange(len(line))[::-1]) / 6.0, 0.15, 1)
        widths = (0.35 + 0.65 * press) * widest_px * ends * rng.uniform(0.85, 1.1) * (press > 0.01)
        wobble = np.convolve(rng.standard_normal(len(line) + 24), np.ones(25) / 25, "valid")[: len(line)]
        drift = np.stack([-flow[..., 1], flow[..., 0]], axis=2)[line[:, 1].astype(int), line[:, 0].astype(int)]
        draw_taper(ink, line + drift * wobble[:, None] * 0.8, widths)


def trace_outline(
    ink: np.ndarray, cover: np.ndarray, darkness: np.ndarray, width_px: float, seed: int, skip: np.ndarray | None = None
) -> None:
    """A pen line round a shape, in place: heavier on the shaded side, lifted at random and inside ``skip``."""
    rng = np.random.default_rng(seed)
    shaded = blur(darkness.astype(np.float32), 8)
    solid = (blur(cover.astype(np.float32), 2.0) > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(solid, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    last_row, last_column = cover.shape[0] - 1, cover.shape[1] - 1
    for contour in contours:
        points = contour[:, 0].astype(float) + 0.5
        if len(points) < 60:
            continue
        kernel = np.hanning(15) / np.hanning(15).sum()
        points = np.stack([np.convolve(np.pad(axis, 7, "wrap"), kernel, "valid") for axis in points.T], axis=1)
        press = np.convolve(np.pad(rng.standard_normal(len(points)), 40, "wrap"), np.hanning(81) / 12, "valid")
        column, row = points.astype(int).T
        inner = np.minimum.reduce([column, row, last_column - column, last_row - row]) > 3
        widths = width_px * np.clip(0.45 + 0.9 * shaded[row, column] + 0.35 * press, 0, 2)
        widths *= inner * (1.0 if skip is None else 1.0 - skip[row, column])
        for start in range(0, len(points), 60):
            piece = slice(start, start + 62)
            if widths[piece].max() > 0.3 and len(points[piece]) > 2:
                draw_taper(ink, points[piece], widths[piece])


def draw_creases(ink: np.ndarray, points: np.ndarray, inside: np.ndarray, jump_px: float, width_px: float) -> None:
    """Lines where one part of the head hides another, in place: jumps of depth inside the figure."""
    depth = np.where(inside, points[..., 2], 0).astype(np.float32)
    near = cv2.dilate(depth, np.ones((3, 3))) - depth
    jump = (near > jump_px) & cv2.erode(inside.astype(np.uint8), np.ones((5, 5))).astype(bool)
    strength = blur(jump.astype(np.float32), width_px * 0.7)
    np.maximum(ink, np.clip((strength - 0.22) / 0.2, 0, 1), out=ink)


def lay_wash(darkness: np.ndarray, levels: list[tuple[float, float]], seed: int) -> np.ndarray:
    """Diluted ink ``[h, w]`` 0..1: flat pools with a darker rim; ``levels``: (darkness where it starts, strength)."""
    flow = np.zeros((*darkness.shape, 2), np.float32)
    flow[..., 0] = 1.0
    cloud = smear_noise(flow, 24, 12, seed)
    fine = blur(np.random.default_rng(seed).standard_normal(darkness.shape).astype(np.float32), 1.2)
    soft = blur(darkness.astype(np.float32), 4) + 0.025 * cloud
    wash = np.zeros(darkness.shape)
    for start, strength in levels:
        pool = np.clip((soft - start) / 0.05, 0, 1)
        rim = np.clip(pool - blur(pool, 5), 0, 1) * 0.45
        wash += strength * (pool * (1 + 0.10 * cloud + 0.10 * fine) + rim)
    return np.clip(wash, 0, 1)


def make_paper(shape: tuple[int, int], color: np.ndarray, seed: int) -> np.ndarray:
    """Warm laid paper ``[h, w, 3]`` with fibres and slightly toned borders."""
    rng = np.random.default_rng(seed)
    grain = blur(rng.standard_normal(shape).astype(np.float32), 1.0) * 0.9
    stains = blur(rng.standard_normal(shape).astype(np.float32), 60) * 60
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    from_middle = np.hypot(rows / shape[0] - 0.5, columns / shape[1] - 0.5)
    light = 1 + 0.018 * grain + 0.012 * stains - 0.10 * np.clip(from_middle - 0.35, 0, 1)
    warm = np.array([0.0, 0.02, 0.06]) * np.clip(from_middle - 0.3, 0, 1)[..., None]
    return np.clip(color * light[..., None] - warm, 0, 1)
