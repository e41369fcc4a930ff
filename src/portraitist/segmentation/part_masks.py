"""Part masks: what each pixel of a picture shows, as a picture of eight colors that people can see and correct."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import scipy.ndimage
import torch
from jaxtyping import UInt8

from portraitist.devices import move, to_numpy
from portraitist.errors import InputError
from portraitist.io.images import PNG_LEVEL, image_to_uint8, load_image
from portraitist.io.output_file import new_file
from portraitist.segmentation.picture import PART_NAMES, PictureParts
from portraitist.types import Image

# The corners of the color cube: no mix of two of them is near a third. Background is white since that is what is left
# where a mask was erased, and what editors widen a picture with.
PALETTE = {
    "background": ("white", (255, 255, 255)),
    "skin": ("yellow", (255, 255, 0)),
    "hair": ("blue", (0, 0, 255)),
    "beard": ("cyan", (0, 255, 255)),
    "headwear": ("red", (255, 0, 0)),
    "glasses": ("magenta", (255, 0, 255)),
    "clothes": ("green", (0, 255, 0)),
    "other": ("black", (0, 0, 0)),
}
"""Name and sRGB color of each of `PART_NAMES`."""

NEAR = 64  # a quarter of the way to the next color: JPEG's noise stays within, the mixed pixels of an edge do not
MOST_MIXED = 0.1  # of the pixels: edges are fewer; in 78 photos and artworks at least 0.23 have none of the colors

ADVICE = f"Paint {', '.join(f'{name} {color}' for name, (color, _) in PALETTE.items())}."
START = "portraitist landmarks PICTURE -o FILE --mask PNG writes one to start from."


def save_part_mask(path: str | Path, parts: PictureParts, size: tuple[int, int] | None = None) -> None:
    """Write the largest part of each pixel in its color of `PALETTE`, as a PNG whose palette these colors are.

    ``size``: (height, width) of the picture's file, where that was scaled down when it was loaded. The file appears
    whole or not at all. Raises OutputError when it cannot be written.
    """
    labels = to_numpy(parts.labels()).astype(np.uint8)
    height, width = size or labels.shape
    mask = PIL.Image.fromarray(cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))
    mask.putpalette(_list_colors().tobytes())
    with new_file(Path(path)) as temporary:
        mask.save(temporary, format="PNG", compress_level=PNG_LEVEL)


def read_part_mask(path: str | Path, size: tuple[int, int]) -> PictureParts:
    """Read a mask painted in the colors of `PALETTE` over a picture; every pixel shows one part alone.

    Any picture that ``load_image`` reads may be a mask, and is made smaller as pictures are. ``size``: (height, width)
    of the picture as ``load_image`` gives it. Mixed pixels, as along smooth edges, go with the nearest clear one.
    Raises InputError as ``load_image`` does, for a mask of another size, for a picture that is no mask, and where
    nothing is marked as skin.
    """
    pixels = image_to_uint8(load_image(path))
    if pixels.shape[:2] != size:
        got, needed = (f"{width} x {height}" for height, width in (pixels.shape[:2], size))
        raise InputError(
            f"The mask {path} is loaded with {got} pixels, its picture with {needed}: paint it over this very picture. "
            f"{START}"
        )
    labels = _read_labels(path, pixels)
    if not (labels == PART_NAMES.index("skin")).any():
        raise InputError(f"The mask {path} has nothing in yellow, which marks the skin. {ADVICE} {START}")
    shares = np.arange(len(PART_NAMES))[:, None, None] == labels
    return PictureParts(torch.from_numpy(shares.astype(np.float32)))


def place_parts(parts: PictureParts, image: Image, what: str) -> PictureParts:
    """Parts given for a picture, on its device. ``what`` names it. Raises InputError for those of another size."""
    if parts.shares.shape[1:] != image.shape[1:]:
        got, needed = (f"{shape[-1]} x {shape[-2]}" for shape in (parts.shares.shape, image.shape))
        raise InputError(
            f"The parts given for the {what} are {got} pixels, it is {needed}: give those of this picture."
        )
    return move(parts, image.device)


def _list_colors() -> UInt8[np.ndarray, "8 3"]:
    return np.array([PALETTE[name][1] for name in PART_NAMES], np.uint8)


def _read_labels(path: str | Path, pixels: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    """Index into `PART_NAMES` of each pixel. Raises InputError where too many have none of the colors."""
    labels = np.zeros(pixels.shape[:2], np.int64)
    distance = np.full(pixels.shape[:2], np.inf, np.float32)
    for index, color in enumerate(_list_colors()):
        to_color = np.linalg.norm(pixels.astype(np.float32) - color, axis=2)
        labels[to_color < distance] = index
        np.minimum(distance, to_color, out=distance)
    mixed = distance > NEAR
    if mixed.mean() > MOST_MIXED:
        raise InputError(
            f"{path} is no mask: {100 * mixed.mean():.0f} % of its pixels have none of a mask's colors. "
            f"{ADVICE} {START}"
        )
    if not mixed.any():
        return labels
    nearest = scipy.ndimage.distance_transform_edt(mixed, return_distances=False, return_indices=True)
    return labels[tuple(np.asarray(nearest))]
