"""A drawn silhouette laid over a labeled one, and how much of one is in the other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from metrics.pictures import measure_overlap

REACH = 0.08
"""Scale and shift within which silhouettes are aligned; shift in heights of the labeled picture."""
COARSEST_PX = 16
"""Step of the first, exhaustive search; then it is halved down to one pixel."""


@dataclass(frozen=True)
class Alignment:
    """Maps points of one picture to another: ``scale * point + shift``, pixels."""

    scale: float
    shift: tuple[float, float]

    def apply(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        return self.scale * points + np.asarray(self.shift)


@dataclass(frozen=True)
class Outline:
    """What is to be laid over the truth. ``mask``: all of it, on a picture that holds it whole. ``anchor``: the middle
    of its features, ``chin``: the point below which nothing counts (x, y), ``up``: its upright direction, of length 1;
    all in pixels of that picture."""

    mask: Bool[np.ndarray, "h w"]
    anchor: Float[np.ndarray, "2"]
    chin: Float[np.ndarray, "2"]
    up: Float[np.ndarray, "2"]


@dataclass(frozen=True)
class Truth:
    """What it is compared with. ``known``: pixels that tell something, ``anchor``: as of an `Outline`."""

    mask: Bool[np.ndarray, "h w"]
    known: Bool[np.ndarray, "h w"]
    anchor: Float[np.ndarray, "2"]


def align_outline(outline: Outline, truth: Truth, height: float) -> Alignment:
    """The alignment with the best overlap above the chin, from anchor on anchor and scale 1 within `REACH` of the
    picture's ``height``. The anchors matter: without them a head slides out of a picture that cuts its hair."""
    step = COARSEST_PX
    shifts = np.arange(-(REACH * height // step), REACH * height // step + 1) * step
    scales = np.linspace(1 - REACH, 1 + REACH, 9)
    best = max(itertools.product(scales, shifts, shifts), key=lambda place: _overlap_at(place, outline, truth, step))
    while step > 1:
        step //= 2
        best = _climb(best, outline, truth, step, height)
    return _place(best, outline, truth)


def _climb(place: tuple, outline: Outline, truth: Truth, step: int, height: float) -> tuple:
    """To the best place around, by steps of so many pixels, at the same resolution."""
    scale_step = step / height  # moves what is a picture's height away as far as a shift does
    value = _overlap_at(place, outline, truth, step)
    while True:
        around = [
            (
                float(np.clip(place[0] + i * scale_step, 1 - REACH, 1 + REACH)),
                float(np.clip(place[1] + j * step, -REACH * height, REACH * height)),
                float(np.clip(place[2] + k * step, -REACH * height, REACH * height)),
            )
            for i, j, k in itertools.product((-1, 0, 1), repeat=3)
        ]
        better, place_there = max((_overlap_at(there, outline, truth, step), there) for there in around)
        if better <= value:
            return place
        value, place = better, place_there


def _place(place: tuple, outline: Outline, truth: Truth) -> Alignment:
    """Of (scale, shift across, shift down) from anchor on anchor."""
    scale, *shift = place
    x, y = truth.anchor - scale * outline.anchor + np.asarray(shift)
    return Alignment(float(scale), (float(x), float(y)))


def _overlap_at(place: tuple, outline: Outline, truth: Truth, step: int) -> float:
    """Overlap above the chin, looked at in every ``step``-th pixel of the truth each way."""
    alignment = _place(place, outline, truth)
    first = step // 2
    seen, known = truth.mask[first::step, first::step], truth.known[first::step, first::step]
    # OpenCV counts from the middle of the first pixel; its matrix leads from what is made to what is read.
    factor = step / alignment.scale
    start = (first + 0.5 - np.asarray(alignment.shift)) / alignment.scale - 0.5
    matrix = np.array([[factor, 0, start[0]], [0, factor, start[1]]])
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(outline.mask.astype(np.uint8), matrix, (seen.shape[1], seen.shape[0]), flags=flags) > 0
    counted = known & mark_above(truth.mask.shape, alignment.apply(outline.chin), outline.up, step)
    return measure_overlap(drawn & counted, seen & counted)


def mark_above(
    size: tuple[int, ...], chin: Float[np.ndarray, "2"], up: Float[np.ndarray, "2"], step: int = 1
) -> Bool[np.ndarray, "_h _w"]:
    """Pixels on the upper side of the line through ``chin`` (x, y), perpendicular to ``up``; every ``step``-th."""
    y, x = np.ogrid[step // 2 : size[0] : step, step // 2 : size[1] : step]
    return (x + 0.5 - chin[0]) * up[0] + (y + 0.5 - chin[1]) * up[1] >= 0


def measure_coverage(drawn: Bool[np.ndarray, "h w"], labeled: Bool[np.ndarray, "h w"]) -> float:
    """Share of what is labeled that is drawn; 1 when nothing is labeled."""
    labels = np.count_nonzero(labeled)
    return float(np.count_nonzero(drawn & labeled) / labels) if labels else 1.0


def pad_labels(labels: Int[np.ndarray, "h w"], margin: int) -> tuple[Int[np.ndarray, "H W"], Bool[np.ndarray, "H W"]]:
    """Labels with a margin of background (0) all around, and what is known of it: where the picture ends within the
    labeled person, nobody knows how it goes on; elsewhere the person has ended."""
    padded = np.pad(labels, margin)
    beyond = np.pad(labels, margin, mode="edge")
    return padded, (padded > 0) | (beyond == 0)


def drop_face_pieces(
    hair: Bool[np.ndarray, "h w"], face: Bool[np.ndarray, "h w"], scalp: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Hair labels without brows and beards: connected pieces with more than half of them on ``face`` and nothing on
    ``scalp``. A fringe is one piece with the hair above it, and stays."""
    _, pieces = cv2.connectedComponents(hair.astype(np.uint8))
    sizes, on_face, on_scalp = (
        np.bincount(pieces[of].ravel(), minlength=pieces.max() + 1) for of in (..., face, scalp)
    )
    stays = (2 * on_face <= sizes) | (on_scalp > 0)
    stays[0] = False  # what is no hair
    return stays[pieces]
