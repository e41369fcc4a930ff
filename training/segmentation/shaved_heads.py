"""Bald and half bald heads, of which hardly any are labeled: hair painted over with skin as far as the fitted skull
reaches, and with what is behind beyond it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Float
from sources import Source

from portraitist.segmentation.picture import PART_NAMES

SKIN, HAIR, HEADWEAR = (PART_NAMES.index(name) for name in ("skin", "hair", "headwear"))
LONG = 0.1  # share of the hair below the nose from which on it would not be known what is behind it
HALF_BALD = 0.4
FALL_OFF = (0.2, 0.6)  # how fast skin darkens towards the outline of the skull
DARKEST = 0.15  # of the way to the middle: no darker rim
GRAIN = 4.0
EDGE_PX = 1.5
STRAY_PX = 11  # across: strands beyond the drawn outline


def can_be_shaved(source: Source) -> bool:
    hair, y = source.labels == HAIR, np.arange(len(source.labels))[:, None]
    low = hair & (y > source.points[33, 1])
    is_covered = (source.labels == HEADWEAR).sum() > 0.05 * hair.sum()
    return bool(hair.any() and low.sum() < LONG * hair.sum() and not is_covered)


def shave(source: Source, rng: np.random.Generator) -> Source:
    """The source with less hair, in pixels, labels and person mask."""
    hair, head = source.labels == HAIR, source.head > 0
    if rng.random() < HALF_BALD:  # it stays around ears and nape
        unit = np.linalg.norm(source.points[36] - source.points[45])
        y, x = np.mgrid[: len(hair), : len(hair)]
        middle = source.points[27]
        hair = (
            hair & (y < middle[1] - rng.uniform(0.0, 0.4) * unit) & (abs(x - middle[0]) < rng.uniform(0.6, 0.9) * unit)
        )
    on_head, behind = hair & head, hair & ~head
    around = cv2.dilate(hair.astype(np.uint8), np.ones((STRAY_PX, STRAY_PX), np.uint8)) > 0
    depth = cv2.distanceTransform(head.astype(np.uint8), cv2.DIST_L2, 5)
    shade = np.clip(depth / max(depth.max(), 1), DARKEST, 1) ** rng.uniform(*FALL_OFF)
    bare = cv2.erode(((source.labels == SKIN) & head).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    if not bare.any():
        return source
    skin = spread(source.pixels / shade[..., None], bare) * shade[..., None]
    far = cv2.erode(((source.labels == 0) & (source.inside > 128)).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    ground = spread(source.pixels.astype(float), far if far.any() else source.inside > 128)
    pixels = source.pixels.astype(np.float32)
    strays = around & (source.labels == SKIN) & head, around & (source.labels == 0)
    for mask, color in ((on_head | strays[0], skin), (behind | strays[1], ground)):
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), EDGE_PX)[..., None]
        soft = np.maximum(soft, mask[..., None])
        pixels += soft * (color + rng.normal(0, GRAIN, (*mask.shape, 1)) - pixels)
    labels, person = source.labels.copy(), source.person.copy()
    labels[on_head], labels[behind], person[behind] = SKIN, 0, 0
    return replace(source, pixels=pixels.clip(0, 255).astype(np.uint8), labels=labels, person=person)


def spread(colors: Float[np.ndarray, "s s 3"], known: Bool[np.ndarray, "s s"]) -> Float[np.ndarray, "s s 3"]:
    """Known colors carried to where they are not known, the smoother the farther (pull-push, Gortler et al. 1996)."""
    weights = known.astype(np.float32)[..., None]
    levels = [(weights * colors.astype(np.float32), weights)]
    while len(levels[-1][0]) > 2:
        size = (-(-len(levels[-1][0]) // 2),) * 2
        levels.append(
            tuple(cv2.resize(each, size, interpolation=cv2.INTER_AREA).reshape(*size, -1) for each in levels[-1])
        )
    filled = levels[-1][0] / np.maximum(levels[-1][1], 1e-6)
    for weighed, weight in reversed(levels[:-1]):
        filled = cv2.resize(filled, weight.shape[:2], interpolation=cv2.INTER_LINEAR)
        sure = np.minimum(weight, 1)
        filled = sure * weighed / np.maximum(weight, 1e-6) + (1 - sure) * filled
    return filled
