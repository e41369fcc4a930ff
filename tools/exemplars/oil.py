"""Oil: layers of oriented bristle strokes from broad to fine, then light raking over the paint."""

from __future__ import annotations

import cv2
import numpy as np

from exemplars.fields import blur

ANGLES, BENDS, VARIANTS = 32, (-0.5, -0.2, 0.0, 0.2, 0.5), 3


class Brush:
    """Stamps of one brush: every angle, bend and load of paint, made when first asked for."""

    def __init__(self, width_px: float, aspect: float, seed: int) -> None:
        self._width, self._length, self._seed = width_px, width_px * aspect, seed
        self._stamps: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]] = {}

    def stamp(self, angle: int, bend: int, variant: int) -> tuple[np.ndarray, np.ndarray]:
        """Coverage and paint height, both ``[k, k]`` in 0..1."""
        key = angle, bend, variant
        if key not in self._stamps:
            self._stamps[key] = self._make(angle * np.pi / ANGLES, BENDS[bend], variant)
        return self._stamps[key]

    def _make(self, angle: float, bend: float, variant: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self._seed, variant))
        reach = int(np.ceil((self._length + self._width) / 2)) + 1
        rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        along = (columns * np.cos(angle) + rows * np.sin(angle)) / self._length
        across = (-columns * np.sin(angle) + rows * np.cos(angle)) / self._width - bend * (along**2 - 0.08) * 0.9
        bristles = np.convolve(rng.standard_normal(48), [0.25, 0.5, 0.25], "same")
        place = np.clip((across + 0.5) * 31 + 8, 0, 47)
        hair = np.interp(place, np.arange(48), bristles)
        ragged = 0.5 - 0.05 * np.abs(hair) - 0.10 * rng.random()
        ends = np.clip((ragged - np.abs(along)) * self._length / max(self._width * 0.22, 1.2), 0, 1)
        sides = np.clip((0.5 - np.abs(across)) * self._width / 1.3, 0, 1)
        dry = np.clip((along - 0.15) * 1.6, 0, 1) * np.clip(hair * 0.9, 0, 1)
        cover = ends * sides * (1 - 0.75 * dry)
        ridge = 0.55 + 0.22 * hair + 0.35 * np.clip(np.abs(across) * 2 - 0.65, 0, 1) + 0.3 * np.clip(-along, 0, 0.4)
        return cover.astype(np.float32), (np.clip(ridge, 0, 1.4) * cover).astype(np.float32)


def paint_layer(
    canvas: np.ndarray, height: np.ndarray, target: np.ndarray, flow: np.ndarray, chance: np.ndarray, *,
    width_px: float, aspect: float, spacing: float, jitter: float, opacity: float, seed: int,
) -> None:  # fmt: skip
    """One layer of strokes, in place on ``canvas [h, w, 3]`` and paint ``height [h, w]``.

    Strokes stand on a jittered grid of ``spacing`` widths where a draw falls below ``chance [h, w]``, take the mean
    color under them, and lie over each other from dark to light in part, as painters work.
    """
    rng = np.random.default_rng(seed)
    rows, columns = height.shape
    step = spacing * width_px
    grid = np.mgrid[step / 2 : rows : step, step / 2 : columns : step].reshape(2, -1).T
    grid = np.clip(grid + rng.uniform(-0.5, 0.5, grid.shape) * step, 0, [rows - 1, columns - 1]).astype(int)
    grid = grid[rng.random(len(grid)) < chance[grid[:, 0], grid[:, 1]]]
    smooth = blur(target.astype(np.float32), width_px * 0.30)
    colors = smooth[grid[:, 0], grid[:, 1]]
    order = np.argsort(colors.mean(1) * 0.6 + rng.random(len(grid)) * 0.8)
    brush = Brush(width_px, aspect, seed)
    for (row, column), color in zip(grid[order], colors[order], strict=True):
        x, y = flow[row, column]
        angle = np.arctan2(y, x) + rng.normal(0, 0.10)
        bend = _bend(flow, row, column, width_px * aspect)
        cover, ridge = brush.stamp(round(float(angle) / np.pi * ANGLES) % ANGLES, bend, int(rng.integers(VARIANTS)))
        shift = rng.normal(0, jitter) + rng.normal(0, jitter * 0.6, 3)
        _lay(canvas, height, cover * opacity, ridge, row, column, np.clip(color + shift, 0, 1), width_px)


def _bend(flow: np.ndarray, row: int, column: int, length: float) -> int:
    """Which of BENDS follows the field best over the length of a stroke."""
    here = flow[row, column]
    r, c = int(row + here[1] * length / 2), int(column + here[0] * length / 2)
    if not (0 <= r < flow.shape[0] and 0 <= c < flow.shape[1]):
        return 2
    ahead = flow[r, c]
    turn = (here[0] * ahead[1] - here[1] * ahead[0]) * np.sign(here @ ahead)
    sense = 1 if here[1] >= 0 else -1
    return int(np.argmin(np.abs(np.array(BENDS) - np.clip(turn * sense, -0.5, 0.5))))


def _lay(
    canvas: np.ndarray, height: np.ndarray, cover: np.ndarray, ridge: np.ndarray, row: int, column: int,
    color: np.ndarray, width_px: float,
) -> None:  # fmt: skip
    reach = cover.shape[0] // 2
    top, left = max(row - reach, 0), max(column - reach, 0)
    bottom, right = min(row + reach + 1, height.shape[0]), min(column + reach + 1, height.shape[1])
    part = slice(top - row + reach, bottom - row + reach), slice(left - column + reach, right - column + reach)
    here = slice(top, bottom), slice(left, right)
    alpha = cover[part]
    canvas[here] += alpha[..., None] * (color.astype(np.float32) - canvas[here])
    height[here] += alpha * (ridge[part] * width_px**0.6 - height[here])


def light_paint(canvas: np.ndarray, height: np.ndarray, strength: float) -> np.ndarray:
    """The picture under a lamp from the upper left: ridges of paint catch it on one side and shade the other."""
    weave = np.sin(np.arange(height.shape[0])[:, None] * 1.9) + np.sin(np.arange(height.shape[1])[None, :] * 1.9)
    relief = blur(height.astype(np.float32), 0.8) + 0.02 * weave
    slope_y, slope_x = np.gradient(relief)
    lit = -(slope_x + slope_y)
    lit = np.tanh(lit * 0.55)[..., None] * strength
    return np.clip(canvas * (1 + lit * 0.9) + np.clip(lit, 0, None) * 0.12, 0, 1)


def paint_oil(
    target: np.ndarray, flow: np.ndarray, importance: np.ndarray, ground: np.ndarray, seed: int
) -> np.ndarray:
    """``target [h, w, 3]`` in oil. ``importance [h, w]`` 0..1 says where the small brushes go."""
    canvas = np.broadcast_to(ground, target.shape).astype(np.float32).copy()
    height = np.zeros(target.shape[:2], np.float32)
    scale = target.shape[0] / 1024
    everywhere = np.ones_like(height)
    layers = [
        (44, 2.8, 0.42, 0.035, 0.95, everywhere),
        (26, 3.0, 0.45, 0.030, 0.92, everywhere * 0.8 + 0.2 * importance),
        (15, 3.2, 0.50, 0.026, 0.90, np.clip(importance * 1.4 + 0.25, 0, 1)),
        (8, 3.6, 0.55, 0.020, 0.88, np.clip(importance * 1.4 - 0.1, 0, 1)),
        (4.2, 4.0, 0.60, 0.012, 0.85, np.clip(importance * 2.2 - 1.15, 0, 1)),
    ]
    for number, (width, aspect, spacing, jitter, opacity, chance) in enumerate(layers):
        wrong = np.abs(blur(np.abs(canvas - target.astype(np.float32)).mean(2), width * 0.3))
        keep = chance if number < 2 else chance * np.clip(wrong / 0.04 - 0.2, 0.05, 1)
        paint_layer(canvas, height, target, flow, keep, width_px=width * scale, aspect=aspect, spacing=spacing,
                    jitter=jitter, opacity=opacity, seed=seed + number)  # fmt: skip
    glaze = 0.6 * np.clip((importance - 0.8) / 0.15, 0, 1)[..., None]
    canvas += glaze * (blur(target.astype(np.float32), 0.7) - canvas)  # a last thin coat keeps the look in the eyes
    return light_paint(canvas, height, 0.38)


def importance_of(shape: tuple[int, int], spots: list[tuple[np.ndarray, float, float]], base: np.ndarray) -> np.ndarray:
    """0..1: ``base`` raised around ``spots`` (points ``[k, 2]``, radius in pixels, value)."""
    result = base.copy()
    for points, radius, value in spots:
        mark = np.zeros(shape, np.uint8)
        for x, y in points:
            cv2.circle(mark, (int(x), int(y)), max(int(radius), 1), 1, -1)
        result = np.maximum(result, blur(mark.astype(np.float32), radius * 0.35) * value)
    return np.clip(result, 0, 1)
