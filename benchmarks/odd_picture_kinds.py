"""Ways in which a picture can be odd, applied to any picture with a face: ``odd_pictures.py`` runs them to the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageFilter

from odd_files import GRAY


@dataclass(frozen=True)
class Face:
    """A picture [h, w, 3] uint8 and its 68 landmarks in pixels."""

    pixels: np.ndarray
    points: np.ndarray

    def box(self, margin: float = 0.0) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the landmarks, with a margin in heights of the face, cut at the border."""
        low, high = self.points.min(0), self.points.max(0)
        reach = margin * (high - low)[1]
        (left, top), (right, bottom) = np.maximum(low - reach, 0), np.minimum(high + reach, self.pixels.shape[1::-1])
        return int(left), int(top), int(right), int(bottom)


Spoil = Callable[[Face, Face, Path], object]
"""Saves the first face, spoilt, to the path; the second is another person's, for pictures of several."""


@dataclass(frozen=True)
class Kind:
    """``name`` says what was done to the picture in the ``role`` of "photo" or "art"."""

    name: str
    role: str
    suffix: str
    spoil: Spoil


def change_pixels(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    """The same change of all colors, which are floats 0..255 [h, w, 3]."""
    return lambda face, other, path: write(path, change(face.pixels.astype(np.float32)))


def change_picture(change: Callable[[PIL.Image.Image], PIL.Image.Image], **values: object) -> Spoil:
    return lambda face, other, path: change(PIL.Image.fromarray(face.pixels)).save(path, **values)


def change_face(change: Callable[[Face], np.ndarray]) -> Spoil:
    return lambda face, other, path: write(path, change(face))


def write(path: Path, pixels: np.ndarray) -> None:
    PIL.Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8)).save(path)


def to_gray(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean(2, keepdims=True).repeat(3, 2)


def scale(width: float, height: float) -> Callable[[PIL.Image.Image], PIL.Image.Image]:
    return lambda picture: picture.resize((max(32, int(picture.width * width)), max(32, int(picture.height * height))))


def crop(margin: float) -> Callable[[Face], np.ndarray]:
    def change(face: Face) -> np.ndarray:
        left, top, right, bottom = face.box(margin)
        return face.pixels[top:bottom, left:right]

    return change


def shrink_to_face(side: int) -> Callable[[Face], np.ndarray]:
    """Only the face, ``side`` pixels wide."""
    return lambda face: cv2.resize(crop(0.15)(face), (side, round(side * 1.2)), interpolation=cv2.INTER_AREA)


def cut_half(face: Face) -> np.ndarray:
    return face.pixels[:, int(face.points[27, 0]) :]


def put_in_corner(face: Face) -> np.ndarray:
    """Whole, but small, at the lower right of a wide empty wall."""
    small = cv2.resize(face.pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    wall = np.full((3 * small.shape[0], 3 * small.shape[1], 3), GRAY, np.uint8)
    wall[-small.shape[0] :, -small.shape[1] :] = small
    return wall


def widen_canvas(face: Face) -> np.ndarray:
    side = 4 * face.pixels.shape[1]
    return cv2.copyMakeBorder(face.pixels, 0, 0, side, side, cv2.BORDER_CONSTANT, value=GRAY)


def cover(ids: list[int], height: float) -> Callable[[Face], np.ndarray]:
    """A black bar over these landmarks, across the face; ``height`` in heights of the face."""

    def change(face: Face) -> np.ndarray:
        left, top, right, bottom = face.box()
        middle, half = face.points[ids, 1].mean(), height * (bottom - top) / 2
        return cv2.rectangle(face.pixels.copy(), (left, int(middle - half)), (right, int(middle + half)), 0, -1)

    return change


def shade_half(face: Face) -> np.ndarray:
    columns = np.arange(face.pixels.shape[1])[None, :, None]
    return np.where(columns < face.points[27, 0], 0.08, 1.0) * face.pixels


def stack_faces(rows: int, columns: int) -> Spoil:
    """The face and the other's in turn, in reading order, each a little smaller than the one before."""

    def spoil(face: Face, other: Face, path: Path) -> None:
        side = 512
        sheet = np.full((rows * side, columns * side, 3), GRAY, np.uint8)
        for number in range(rows * columns):
            pixels = crop(0.6)(face if number % 2 == 0 else other)
            factor = side * 0.85**number / max(pixels.shape)
            one = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            top, left = side * (number // columns), side * (number % columns)
            sheet[top : top + one.shape[0], left : left + one.shape[1]] = one
        write(path, sheet)

    return spoil


def save_hole(face: Face, other: Face, path: Path) -> None:
    """A cut-out of the face itself: transparent where it was."""
    alpha = np.full(face.pixels.shape[:2], 255, np.uint8)
    alpha = cv2.fillConvexPoly(alpha, cv2.convexHull(face.points.astype(np.int32)), 0)
    PIL.Image.fromarray(np.dstack([face.pixels, alpha])).save(path)


def save_floats(factor: float) -> Spoil:
    """Gray, as 32-bit floats up to ``factor``."""
    return lambda face, other, path: PIL.Image.fromarray(
        (to_gray(face.pixels)[..., 0] * (factor / 255)).astype(np.float32)
    ).save(path)


def save_color_floats(face: Face, other: Face, path: Path) -> None:
    cv2.imwrite(str(path), face.pixels[..., ::-1].astype(np.float32) / 255)


def save_turned_note(face: Face, other: Face, path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(face.pixels).transpose(PIL.Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)


def save_heic(face: Face, other: Face, path: Path) -> None:
    import pillow_heif

    pillow_heif.from_pillow(PIL.Image.fromarray(face.pixels)).save(path, quality=80)


def save_animation(face: Face, other: Face, path: Path) -> None:
    picture = PIL.Image.fromarray(face.pixels)
    blank = PIL.Image.new("RGB", picture.size, GRAY)
    picture.save(path, save_all=True, append_images=[blank, blank])


def add_noise(pixels: np.ndarray) -> np.ndarray:
    return pixels + 70 * np.random.default_rng(0).standard_normal(pixels.shape)


PHOTO_KINDS = (
    ("black and white at a threshold", "png", change_pixels(lambda p: 255 * (to_gray(p) > 127))),
    ("inverted", "png", change_pixels(lambda p: 255 - p)),
    ("1-bit dither", "png", change_picture(lambda picture: picture.convert("1"))),
    ("8 % brightness", "png", change_pixels(lambda p: 0.08 * p)),
    ("threefold overexposure", "png", change_pixels(lambda p: 3 * p)),
    ("squashed to half its height", "png", change_picture(scale(1, 0.5))),
    ("squashed to half its width", "png", change_picture(scale(0.5, 1))),
    ("turned by 90 degrees", "png", change_picture(lambda picture: picture.rotate(90, expand=True))),
    ("upside down", "png", change_picture(lambda picture: picture.rotate(180))),
    ("mirrored", "png", change_picture(lambda picture: picture.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT))),
    ("a face of 32 pixels and nothing else", "png", change_face(shrink_to_face(32))),
    ("ten times as large", "jpg", change_picture(scale(10, 10))),
    ("on an extremely wide canvas", "png", change_face(widen_canvas)),
    ("gray", "png", change_picture(lambda picture: picture.convert("L"))),
    ("CMYK", "jpg", change_picture(lambda picture: picture.convert("CMYK"))),
    ("16 bits", "png", lambda face, other, path: cv2.imwrite(str(path), face.pixels[..., ::-1].astype("u2") * 257)),
    ("gray float TIFF, 0..1", "tiff", save_floats(1)),
    ("gray float TIFF, 0..255", "tiff", save_floats(255)),
    ("color float TIFF", "tiff", save_color_floats),
    ("palette with a transparent color", "png", change_picture(lambda picture: picture.quantize(32), transparency=0)),
    ("transparent over the face", "png", save_hole),
    ("JPEG of quality 1", "jpg", change_picture(lambda picture: picture, quality=1)),
    ("strongly blurred", "png", change_picture(lambda picture: picture.filter(PIL.ImageFilter.GaussianBlur(9)))),
    ("heavy noise", "png", change_pixels(add_noise)),
    ("sepia", "png", change_pixels(lambda p: to_gray(p) * [1.0, 0.85, 0.6])),
    ("posterized to three levels", "png", change_pixels(lambda p: (p / 127.5).round() * 127.5)),
    ("red light only", "png", change_pixels(lambda p: p * [1, 0, 0])),
    ("half in deep shadow", "png", change_face(shade_half)),
    ("cropped to the face", "png", change_face(crop(0))),
    ("half the face beyond the border", "png", change_face(cut_half)),
    ("small, in the corner of a wall", "png", change_face(put_in_corner)),
    ("two faces", "png", stack_faces(1, 2)),
    ("four faces", "png", stack_faces(2, 2)),
    ("bar over the eyes", "png", change_face(cover([*range(36, 48)], 0.3))),
    ("bar over mouth and chin", "png", change_face(cover([33, 8, *range(48, 60)], 0.45))),
    ("blank", "png", change_pixels(lambda p: 0 * p + 128)),
    ("animated GIF", "gif", save_animation),
    ("turned by its EXIF note", "jpg", save_turned_note),
    ("HEIC", "heic", save_heic),
)
ART_KINDS = (
    ("black and white at a threshold", "png", change_pixels(lambda p: 255 * (to_gray(p) > 127))),
    ("8 % brightness", "png", change_pixels(lambda p: 0.08 * p)),
    ("squashed to half its height", "png", change_picture(scale(1, 0.5))),
    ("upside down", "png", change_picture(lambda picture: picture.rotate(180))),
    ("a face of 32 pixels and nothing else", "png", change_face(shrink_to_face(32))),
    ("cropped to the face", "png", change_face(crop(0))),
    ("two faces", "png", stack_faces(1, 2)),
    ("transparent over the face", "png", save_hole),
)
KINDS = [
    *(Kind(name, "photo", suffix, spoil) for name, suffix, spoil in PHOTO_KINDS),
    *(Kind(name, "art", suffix, spoil) for name, suffix, spoil in ART_KINDS),
]
