"""Direction fields: smoothing them without sign trouble, smearing noise along them, and evenly spaced streamlines."""

from __future__ import annotations

import cv2
import numpy as np

_BREAK_TURN = 0.6
"""A streamline ends where the field turns by more than this cosine allows within one step."""


def blur(values: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur of ``[h, w]`` or ``[h, w, k]``; 0 px leaves it unchanged."""
    return cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE) if sigma_px else values


def blend_directions(layers: list[tuple[np.ndarray, np.ndarray]], sigma_px: float) -> np.ndarray:
    """One smooth field ``[h, w, 2]`` of unit directions (x right, y down; sign is free) from several weighted ones.

    ``layers``: (directions ``[h, w, 2]`` of any length, weights ``[h, w]``). Directions d and -d mean the same stroke,
    so the outer products are averaged and the main eigenvector is read off in closed form.
    """
    total = 0.0
    for directions, weights in layers:
        x, y = directions[..., 0], directions[..., 1]
        total = total + np.stack([x * x - y * y, 2 * x * y], axis=2) * weights[..., None]
    double = blur(np.asarray(total, dtype=np.float32), sigma_px)
    angle = np.arctan2(double[..., 1], double[..., 0]) / 2
    return np.stack([np.cos(angle), np.sin(angle)], axis=2)


def along_edges(color: np.ndarray, sigma_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Directions ``[h, w, 2]`` along the edges of a picture ``[h, w, 3]`` and how strong these are, ``[h, w]``."""
    smooth = blur(color.astype(np.float32), sigma_px)
    down, right = np.gradient(smooth, axis=0), np.gradient(smooth, axis=1)
    xx, xy, yy = (right * right).sum(2), (right * down).sum(2), (down * down).sum(2)
    angle = np.arctan2(2 * xy, xx - yy) / 2
    strength = np.sqrt(np.hypot(xx - yy, 2 * xy)) * sigma_px
    return np.stack([-np.sin(angle), np.cos(angle)], axis=2), strength


def smear_noise(flow: np.ndarray, length_px: float, grain_px: float, seed: int) -> np.ndarray:
    """Noise drawn out along the field (line integral convolution), ``[h, w]``, zero mean and unit deviation."""
    height, width = flow.shape[:2]
    noise = np.random.default_rng(seed).standard_normal((height, width)).astype(np.float32)
    noise = blur(noise, grain_px)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    flow = flow.astype(np.float32)
    total = noise.copy()
    step = max(length_px / 40, 1.0)
    for sense in (1.0, -1.0):
        x, y, heading = columns.copy(), rows.copy(), flow * sense
        for _ in range(int(length_px / 2 / step)):
            x, y = x + step * heading[..., 0], y + step * heading[..., 1]
            ahead = cv2.remap(flow, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            heading = np.where((ahead * heading).sum(2, keepdims=True) < 0, -ahead, ahead)
            total += cv2.remap(noise, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return (total - total.mean()) / total.std()


def trace_streamlines(
    flow: np.ndarray, spacing_px: np.ndarray, inside: np.ndarray, seed: int, shortest_px: float, step_px: float = 2.0
) -> list[np.ndarray]:
    """Evenly spaced lines ``[n, 2]`` (x, y) along the field (after Jobard and Lefer 1997).

    ``spacing_px [h, w]``: wanted distance to the next line. ``inside [h, w]``: where lines may run. A raster of
    occupied pixels takes the place of the distance queries: a line blocks the disc around each of its points, and
    may not enter what others have blocked.
    """
    height, width = inside.shape
    owner = np.zeros((height, width), np.int32)
    rng = np.random.default_rng(seed)
    candidates = np.argwhere(inside)[:, ::-1]
    candidates = candidates[rng.permutation(len(candidates))[: max(4000, len(candidates) // 12)]]
    queue = [tuple(point) for point in candidates[::-1].astype(float)]
    lines: list[np.ndarray] = []
    while queue:
        start = queue.pop()
        line = _trace_both_ways(flow, inside, owner, start, step_px)
        if len(line) * step_px < shortest_px:
            continue
        lines.append(line)
        for x, y in line[::2]:
            spacing = spacing_px[int(y), int(x)]
            cv2.circle(owner, (round(float(x)), round(float(y))), max(round(float(spacing) * 0.72), 1), 1, -1)
        queue.extend(_seed_beside(line, flow, spacing_px))
    return lines


def _seed_beside(line: np.ndarray, flow: np.ndarray, spacing_px: np.ndarray) -> list[tuple[float, float]]:
    """Starts for neighbors: one spacing to either side of every few points."""
    height, width = spacing_px.shape
    seeds = []
    for x, y in line[:: max(len(line) // 8, 1)]:
        direction, spacing = flow[int(y), int(x)], spacing_px[int(y), int(x)]
        for sense in (1, -1):
            point = x - sense * direction[1] * spacing, y + sense * direction[0] * spacing
            if 0 <= point[0] < width and 0 <= point[1] < height:
                seeds.append(point)
    return seeds


def _trace_both_ways(
    flow: np.ndarray, inside: np.ndarray, owner: np.ndarray, start: tuple[float, float], step_px: float
) -> np.ndarray:
    forward = _trace(flow, inside, owner, start, step_px, 1.0)
    backward = _trace(flow, inside, owner, start, step_px, -1.0)
    return np.array(backward[:0:-1] + forward) if forward else np.zeros((0, 2))


def _trace(
    flow: np.ndarray, inside: np.ndarray, owner: np.ndarray, start: tuple[float, float], step_px: float, sense: float
) -> list[tuple[float, float]]:
    height, width = inside.shape
    x, y = start
    line: list[tuple[float, float]] = []
    heading = None
    for _ in range(600):
        column, row = int(x), int(y)
        if not (0 <= x < width and 0 <= y < height) or not inside[row, column] or owner[row, column]:
            break
        line.append((x, y))
        along, down = flow[row, column]
        if heading is None:
            along, down = along * sense, down * sense
        else:
            turn = along * heading[0] + down * heading[1]
            if abs(turn) < _BREAK_TURN:
                break
            if turn < 0:
                along, down = -along, -down
        heading = along, down
        x, y = x + step_px * along, y + step_px * down
    return line
