"""Where the features are in the picture: curves that every medium draws in its own way, in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import UnivariateSpline
from scipy.spatial import cKDTree

from exemplars.scene import Scene
from exemplars.strokes import resample_curve

OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
UPPER_INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
BROW_TOPS = ((107, 66, 105, 63, 70), (336, 296, 334, 293, 300))  # sitter's right then left, from the nose outwards
BROW_BOTTOMS = ((55, 65, 52, 53, 46), (285, 295, 282, 283, 276))
NOSTRILS = ((98, 97), (327, 326))
JAW = (93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323)


@dataclass(frozen=True)
class Eye:
    """``mask [h, w]``: the visible eyeball, 0..1. ``upper``, ``lower [n, 2]``: its edges from the nose side outwards.
    ``iris``: center (x, y); ``radius_px``: of the iris. ``height_px``: opening of the lids."""

    mask: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    iris: np.ndarray
    radius_px: float
    height_px: float


def find_eyes(scene: Scene, gaze: tuple[float, float], iris_size: float) -> list[Eye]:
    """Both eyes, sitter's right first. ``gaze``: shift of the iris in lid openings (right, down); ``iris_size``: its
    radius over the opening."""
    visible = scene.mask("eyeballs").astype(np.uint8)
    columns = np.arange(visible.shape[1])[None, :]
    middle = scene.balls[:, 0].mean()
    eyes = []
    for right_one in (True, False):
        mask = visible * (columns < middle if right_one else columns >= middle).astype(np.uint8)
        xs = np.flatnonzero(mask.sum(0) > 1)
        tops = np.array([np.flatnonzero(mask[:, x])[0] for x in xs], float)
        bottoms = np.array([np.flatnonzero(mask[:, x])[-1] + 1 for x in xs], float)
        rigid = np.ones(len(xs))
        rigid[[0, -1]] = 5
        upper, lower = (
            np.stack([xs + 0.5, UnivariateSpline(xs, edge, w=rigid, s=len(xs) * 0.7)(xs)], axis=1)
            for edge in (tops, bottoms)
        )
        height = float(np.percentile(bottoms - tops, 92))
        center = (upper[len(xs) // 2] + lower[len(xs) // 2]) / 2
        iris = np.array([0.65 * center[0] + 0.35 * scene.balls[int(not right_one), 0], center[1]])
        iris = iris + np.array(gaze) * height
        if right_one:
            upper, lower = upper[::-1], lower[::-1]
        cover = cv2.GaussianBlur(mask.astype(float), (0, 0), 0.8)
        eyes.append(Eye(cover, upper, lower, iris, iris_size * height, height))
    return eyes


def lip_curves(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Closed outline of the lips ``[120, 2]`` and the line between them ``[60, 2]``, from the sitter's right."""
    points = scene.landmarks
    outline = resample_curve(points[list(OUTER_LIPS)], 120, closed=True)
    between = (points[list(UPPER_INNER_LIP)] + points[list(LOWER_INNER_LIP)]) / 2
    corner = points[[61]], points[[291]]
    return outline, resample_curve(np.concatenate([corner[0], between[1:-1], corner[1]]), 60)


def brow_hairs(scene: Scene, count: int, length: float, seed: int) -> list[np.ndarray]:
    """Short curves ``[8, 2]`` that make up both brows; ``length`` over the brow's length."""
    rng = np.random.default_rng(seed)
    hairs = []
    for tops, bottoms in zip(BROW_TOPS, BROW_BOTTOMS, strict=True):
        top, bottom = (resample_curve(scene.landmarks[list(ids)], 100) for ids in (tops, bottoms))
        size = np.linalg.norm(top[-1] - top[0])
        for place in rng.uniform(0, 0.93, count):
            at = int(place * 99)
            across = rng.uniform(0.1, 0.95)
            root = top[at] * (1 - across) + bottom[at] * across
            ahead = top[min(at + 8, 99)] + bottom[min(at + 8, 99)] - top[at] - bottom[at]
            ahead /= np.linalg.norm(ahead) + 1e-9
            up = top[at] - bottom[at]
            up /= np.linalg.norm(up) + 1e-9
            lean = (across - 0.35) * 1.1 + 0.7 * (1 - place) ** 3
            reach = size * length * rng.uniform(0.7, 1.2) * (1 - 0.45 * place)
            t = np.linspace(0, 1, 8)[:, None]
            hairs.append(root + reach * (ahead * t + up * lean * (t - 0.5 * t * t)))
    return hairs


class SkinMap:
    """Finds places of the mean head's face in the picture."""

    def __init__(self, scene: Scene) -> None:
        skin = scene.mask("skin", "nose", "lips", "eyelids", "brows") & (scene.rest[..., 2] > -0.02)
        self._pixels = np.argwhere(skin)[:, ::-1] + 0.5
        self._tree = cKDTree(scene.rest[skin][:, :2])

    def locate(self, places: list[tuple[float, float]]) -> np.ndarray:
        """Pixels ``[k, 2]`` that show the face at (x, y) meters of the mean head."""
        _, ids = self._tree.query(np.array(places), k=6)
        return self._pixels[ids].mean(axis=1)


NOSE_SIDE = [(0.013, 0.006), (0.0085, -0.006), (0.0085, -0.020), (0.011, -0.030)]
NOSE_WING = [(0.012, -0.031), (0.0165, -0.035), (0.0185, -0.041), (0.0165, -0.046), (0.012, -0.047)]
CHEEK_FOLD = [(0.020, -0.040), (0.026, -0.050), (0.030, -0.061), (0.031, -0.068)]
LID_CREASE = [(0.014, 0.001), (0.021, 0.0075), (0.031, 0.0105), (0.040, 0.0085), (0.046, 0.003)]
UNDER_EYE = [(0.016, -0.010), (0.025, -0.0155), (0.035, -0.0155), (0.043, -0.011)]


def face_line(finder: SkinMap, places: list[tuple[float, float]], side: int, count: int = 40) -> np.ndarray:
    """A line of the mean head's face drawn on this one; ``side`` -1 mirrors it to the sitter's right."""
    return resample_curve(finder.locate([(side * x, y) for x, y in places]), count)
