"""Pictures for people: the labeled preview sheet and landmark overlays."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from torch import Tensor

from portraitist.io.images import image_from_pil, image_to_uint8
from portraitist.types import Image, Landmarks

GAP_PX = 12
LABEL_PX = 34
OVERLAY_PX = 1024
CURVE_SHARE = 250  # longer side of a picture over the width of the curves in it
INK = (40, 40, 40)
IBUG_LINES = ((0, 16), (17, 21), (22, 26), (27, 30), (31, 35), (36, 41), (42, 47), (48, 59), (60, 67))
"""First and last index of each curve of the 68 iBUG points: jaw, brows, nose, eyes, lips."""

CLOSED_LINES = {36, 42, 48, 60}
"""Curves (by first index) that return to their first point: eyes and lips."""


class Panel(NamedTuple):
    """One picture of a sheet and what is written under it."""

    label: str
    image: Image


def draw_sheet(rows: list[list[Panel]], width_px: int = 1572) -> Image:
    """Arrange labeled panels on white: every row as wide as the sheet, panels square, pictures fitted whole."""
    sides = [(width_px - GAP_PX * (len(row) + 1)) // len(row) for row in rows]
    height = GAP_PX + sum(side + LABEL_PX for side in sides)
    sheet = PillowImage.new("RGB", (width_px, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(20)
    top = GAP_PX
    for row, side in zip(rows, sides, strict=True):
        left = (width_px - len(row) * side - (len(row) - 1) * GAP_PX) // 2
        for panel in row:
            picture = _fit_into_square(PillowImage.fromarray(image_to_uint8(panel.image)), side)
            sheet.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
            draw.text((left + side / 2, top + side + LABEL_PX / 2 - 2), panel.label, fill=INK, font=font, anchor="mm")
            left += side + GAP_PX
        top += side + LABEL_PX
    return image_from_pil(sheet)


def draw_landmarks(image: Image, landmarks: Landmarks) -> Image:
    """The face with its 68 points, joined and numbered, and the dense points as dots, enlarged to be readable.

    Points are the whiter the less sure they are.
    """
    low, high = landmarks.points.amin(0), landmarks.points.amax(0)
    margin = 0.25 * (high - low).amax()
    left, top, right, bottom = [*(low - margin).round().int().tolist(), *(high + margin).round().int().tolist()]
    scale = OVERLAY_PX / max(right - left, bottom - top)
    picture = PillowImage.fromarray(image_to_uint8(image)).crop((left, top, right, bottom))
    size = (round((right - left) * scale), round((bottom - top) * scale))
    picture = picture.resize(size, PillowImage.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(12)
    origin = landmarks.points.new_tensor([left, top])
    if landmarks.dense is not None:
        for x, y in ((landmarks.dense - origin) * scale).tolist():
            draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(255, 220, 0))
    points = _draw_curves(draw, (landmarks.points - origin) * scale, width=2)
    confidence = landmarks.confidence
    sure = [1.0] * len(points) if confidence is None else (confidence / confidence.amax()).tolist()
    for index, ((x, y), share) in enumerate(zip(points, sure, strict=True)):
        white = round(255 - 215 * share)
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=(255, white, white))
        draw.text((x + 4, y - 12), str(index), fill="white", font=font, stroke_width=1, stroke_fill="black")
    return image_from_pil(picture)


def mark_landmarks(image: Image, landmarks: Landmarks) -> Image:
    """The whole picture with the curves of its 68 points, wide enough to be seen when it is made small."""
    picture = PillowImage.fromarray(image_to_uint8(image))
    _draw_curves(ImageDraw.Draw(picture), landmarks.points, width=max(round(max(picture.size) / CURVE_SHARE), 1))
    return image_from_pil(picture)


def _draw_curves(draw: ImageDraw.ImageDraw, points_px: Float[Tensor, "68 2"], width: int) -> list[tuple[float, float]]:
    """Draws them; returns their points."""
    points = [(x, y) for x, y in points_px.tolist()]
    for first, last in IBUG_LINES:
        curve = points[first : last + 1] + ([points[first]] if first in CLOSED_LINES else [])
        draw.line(curve, fill=(0, 255, 160), width=width)
    return points


def _fit_into_square(picture: PillowImage.Image, side: int) -> PillowImage.Image:
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, PillowImage.Resampling.LANCZOS)
