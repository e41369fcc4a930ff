"""Labels drawn by hand as polygons: ``paintings.json`` and ``photos.json`` beside this file, ``benchmarks/masks``.

Per picture and part a list of polygons of (x, y), fractions of the whole picture; ``<part>_holes`` are cut out of it.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import UInt8

from portraitist.segmentation.picture import PART_NAMES

Polygons: TypeAlias = dict[str, list[list[list[float]]]]
LOWEST_FIRST = ("clothes", "skin", "beard", "hair", "headwear", "other", "glasses")
"""Where parts overlap, the later one shows."""


def draw_labels(polygons: Polygons, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """Index into `PART_NAMES` of every pixel of a picture of ``size`` (height, width)."""
    labels = np.zeros(size, np.uint8)
    for name in LOWEST_FIRST:
        mask = np.zeros(size, np.uint8)
        for outlines, value in ((polygons.get(name, ()), 1), (polygons.get(f"{name}_holes", ()), 0)):
            for outline in outlines:
                points = np.round(np.array(outline) * size[::-1] - 0.5).astype(np.int32)
                cv2.fillPoly(mask, [points], value)
        labels[mask > 0] = PART_NAMES.index(name)
    return labels
