"""Test-time augmentation: moved, scaled, turned, stretched, blurred views of a picture, for finding its face.

MediaPipe's detector was made for photos in which the face fills a fifth to a half of the frame, and it samples without
anti-aliasing. Paintings cropped tightly, hatching, mosaics, halftone dots and squeezed faces fall outside of that;
most of them are found in a view that is smaller, smoother or stretched back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

VIEW_SIDE = 512  # pixels
MIN_LEVEL_SIDE = 64  # pixels of the pyramid's smallest copy
CONTRAST_PERCENTILES = (1, 99)  # grays that become black and white


@dataclass(frozen=True)
class Augmentation:
    """How one view is made from the picture.

    ``zoom``: long side of the picture over the side of the view; below 1 there is a margin, above 1 a part is seen.
    ``center``: the point in the middle, as fractions of the picture's width and height. ``turn_deg``: counter-clockwise
    turn of the content. ``stretch``: width over height of what was square. ``blur_px``: sigma of the Gaussian, in view
    pixels. ``tone``: "color", "gray", or "contrast" (gray, stretched to the full range).
    """

    zoom: float = 1.0
    blur_px: float = 1.5
    stretch: float = 1.0
    turn_deg: float = 0.0
    tone: str = "color"
    center: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class View:
    """Square ``pixels [s, s, 3]`` uint8 and the affine map ``matrix [2, 3]`` from picture to view coordinates.

    Both use continuous coordinates, pixel centers at +0.5.
    """

    pixels: np.ndarray
    matrix: np.ndarray

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """View coordinates ``[k, 2]`` to picture coordinates."""
        return (points - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T


class ViewRenderer:
    """Renders views of one picture (``[h, w, 3]`` uint8) from a pyramid of halved copies: shrinking never aliases."""

    def __init__(self, pixels: np.ndarray):
        self.size = pixels.shape[:2]
        self.levels = [pixels]
        while min(self.levels[-1].shape[:2]) >= 2 * MIN_LEVEL_SIDE:
            height, width = self.levels[-1].shape[:2]
            self.levels.append(cv2.resize(self.levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
        self.mean_color = list(cv2.mean(pixels)[:3])

    def render(
        self, linear: np.ndarray, center: np.ndarray, blur_px: float = 0.0, tone: str = "color", side: int = VIEW_SIDE
    ) -> View:
        """The view in which picture point ``center`` lies in the middle and ``linear [2, 2]`` maps offsets from it.

        ``side``: of the view, pixels. What lies outside of the picture gets its mean color.
        """
        matrix = np.column_stack([linear, side / 2 - linear @ center])
        scale = math.sqrt(abs(np.linalg.det(linear)))
        level = min(max(0, math.floor(-math.log2(scale))), len(self.levels) - 1)
        source = self.levels[level]
        # OpenCV puts whole numbers at pixel centers, and odd sizes make a level's scale differ in x and y.
        level_to_picture = np.diag([self.size[1] / source.shape[1], self.size[0] / source.shape[0]])
        level_linear = linear @ level_to_picture
        level_matrix = np.column_stack([level_linear, matrix[:, 2] + level_linear @ [0.5, 0.5] - 0.5])
        pixels = cv2.warpAffine(source, level_matrix, (side, side), borderValue=self.mean_color)
        if blur_px > 0:
            pixels = cv2.GaussianBlur(pixels, (0, 0), blur_px)
        return View(apply_tone(pixels, tone), matrix)

    def render_augmented(self, augmentation: Augmentation) -> View:
        """The view that an augmentation describes."""
        height, width = self.size
        scale = VIEW_SIDE * augmentation.zoom / max(height, width)
        linear = scale * stretch_matrix(augmentation.stretch) @ rotation(-math.radians(augmentation.turn_deg))
        return self.render(
            linear, np.array(augmentation.center) * (width, height), augmentation.blur_px, augmentation.tone
        )


def apply_tone(pixels: np.ndarray, tone: str) -> np.ndarray:
    """Take the color out, and for "contrast" stretch the 1st..99th percentile to the full range."""
    if tone == "color":
        return pixels
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    if tone == "contrast":
        low, high = np.percentile(gray, CONTRAST_PERCENTILES)
        gray = ((gray - low) * (255 / max(high - low, 1))).clip(0, 255).astype(np.uint8)
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)


def stretch_matrix(stretch: float) -> np.ndarray:
    """Make things wider by ``sqrt(stretch)`` and lower by as much, so that their area stays."""
    return np.diag([math.sqrt(stretch), 1 / math.sqrt(stretch)])


def rotation(angle: float) -> np.ndarray:
    """2D rotation matrix; in pictures (y down) a positive angle turns clockwise."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
