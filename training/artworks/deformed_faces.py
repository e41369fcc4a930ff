"""Faces deformed as strongly as caricatures are: random exaggerations of 68 points, and pictures warped along.

All shapes are iBUG points in the frame of the mean face: its middle at 0, y down, outer eye distance 1.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy.interpolate import RBFInterpolator

from portraitist.devices import to_numpy
from portraitist.reconstruction.head_model import load_head_model

PARTS = {
    "brows": np.arange(17, 27),
    "nose": np.arange(27, 36),
    "right eye": np.arange(36, 42),
    "left eye": np.arange(42, 48),
    "mouth": np.arange(48, 68),
}
OUTLINE = np.arange(0, 17)
STRENGTHS = (0.2, 1.3)  # of a whole exaggeration: the widths below are multiplied by it

# Widths of log normal scales: of a part, of it across and along.
PART_SCALES = {"right eye": (0.25, 0.05, 0.05), "left eye": (0.25, 0.05, 0.05)} | {
    "nose": (0.25, 0.12, 0.15), "mouth": (0.25, 0.15, 0.2), "brows": (0.0, 0.08, 0.2)
}  # fmt: skip
PART_SHIFTS = (0.036, 0.06)  # across, along; eye distances
EYES_APART = 0.06
CHEEKS, JAW, CHIN, OUTLINE_SHIFT = 0.15, 0.2, 0.2, 0.05
WIDER = 0.03  # caricatures have larger jaws and chins more often than smaller ones
BUMPS, BUMP_SIZE, BUMP_HEIGHT = 5, (0.35, 0.8), 0.08
ASPECT = 0.1

REACH = 2.2  # eye distances around the face: from here on the picture stays
GRID = 40  # points across a picture at which a warp is computed
LEAST_AREA = 0.05  # of a grid cell: smaller ones have folded over, or nearly


@functools.cache
def find_mean_face() -> Float[np.ndarray, "68 3"]:
    """The head model's mean face: y down, depth away from the camera, outer eye distance 1, middle at 0."""
    model = load_head_model()
    points = to_numpy(model.landmarks68.positions(model.mean, model.faces), np.float64) * [1, -1, -1]
    return (points - points.mean(0)) / np.linalg.norm(points[36, :2] - points[45, :2])


def exaggerate(shape: Float[np.ndarray, "68 2"], mean: Float[np.ndarray, "68 2"], rng: np.random.Generator):
    """A random caricature of the shape: its own deviation enlarged or not, parts resized and moved, jaw and chin
    stretched, the plane bent."""
    strength = rng.uniform(*STRENGTHS)
    made = shape.copy()
    if rng.random() < 0.6:
        made += strength * rng.uniform(0, 1) * (shape - mean)

    def factor(width: float) -> float:
        return float(np.exp(rng.normal(0, width * strength)))

    eyes = factor(PART_SCALES["left eye"][0])  # both alike, nearly
    for name, ids in PARTS.items():
        size, across, along = PART_SCALES[name]
        whole = eyes if "eye" in name else factor(size)
        middle = made[ids].mean(0)
        made[ids] = middle + (made[ids] - middle) * [whole * factor(across), whole * factor(along)]
        made[ids] += rng.normal(0, strength, 2) * PART_SHIFTS
    apart = rng.normal(0, EYES_APART * strength)
    made[PARTS["right eye"], 0] -= apart
    made[PARTS["left eye"], 0] += apart
    _stretch_outline(made, strength, rng)
    centers, sizes = rng.uniform(-0.8, 0.8, (BUMPS, 2)), rng.uniform(*BUMP_SIZE, BUMPS)
    bumps = np.exp(-((made[:, None] - centers) ** 2).sum(-1) / (2 * sizes**2))
    made += bumps @ rng.normal(0, BUMP_HEIGHT * strength, (BUMPS, 2))
    aspect = factor(ASPECT)
    return made * [aspect, 1 / aspect]


def _stretch_outline(made: Float[np.ndarray, "68 2"], strength: float, rng: np.random.Generator) -> None:
    x, y = made[OUTLINE].T
    down = (y - y.min()) / (np.ptp(y) + 1e-9)
    cheeks, jaw = rng.normal(WIDER, CHEEKS * strength), rng.normal(0, JAW * strength)
    made[OUTLINE, 0] = x.mean() + (x - x.mean()) * np.exp(cheeks * (1 - down) + jaw * down)
    made[OUTLINE, 1] += down**1.5 * rng.normal(WIDER, CHIN * strength) + rng.normal(0, OUTLINE_SHIFT * strength)


@dataclass
class SmoothWarp:
    """Thin plate spline that moves ``source`` points to ``target`` points (pixels) and fades out around the face.

    ``folds`` after `apply`: whether the picture was folded over somewhere.
    """

    source: Float[np.ndarray, "k 2"]
    target: Float[np.ndarray, "k 2"]
    folds: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.unit = float(np.linalg.norm(self.target[36] - self.target[45]))
        self.middle, self.reach = self.target.mean(0), REACH * self.unit
        angles = np.linspace(0, 2 * np.pi, 17)[:-1]
        rim = self.middle + 1.15 * self.reach * np.stack([np.cos(angles), np.sin(angles)], 1)
        known = np.concatenate([self.target, rim]) / self.unit
        back = np.concatenate([self.source - self.target, np.zeros_like(rim)]) / self.unit
        self.spline = RBFInterpolator(known, back, kernel="thin_plate_spline", smoothing=1e-4)

    def trace_back(self, points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 2"]:
        """Where points of the warped picture come from."""
        away = np.linalg.norm(points - self.middle, axis=1) / self.reach
        fading = np.clip((1.6 - away) / 0.45, 0, 1)[:, None]
        return points + fading * self.unit * self.spline(points / self.unit)

    def apply(self, picture: UInt8[np.ndarray, "s s 3"]) -> UInt8[np.ndarray, "s s 3"]:
        side = len(picture)
        ticks = np.linspace(0, side - 1, GRID)
        grid = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
        places = self.trace_back(grid).reshape(GRID, GRID, 2).astype(np.float32)
        across, down = np.diff(places, axis=1)[:-1], np.diff(places, axis=0)[:, :-1]
        areas = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
        self.folds = bool((areas < LEAST_AREA * (ticks[1] - ticks[0]) ** 2).any())
        steps = np.linspace(0, GRID - 1, side, dtype=np.float32)
        x, y = np.meshgrid(steps, steps)
        every = cv2.remap(places, x, y, cv2.INTER_LINEAR)
        return cv2.remap(picture, every[..., 0], every[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
