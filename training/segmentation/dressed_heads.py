"""Wide pictures, long hair and hats, of which few are labeled: painted around and over labeled pictures."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Float
from shaved_heads import spread
from sources import SIDE_PX, SOURCE_WINDOW, Source

from portraitist.segmentation.picture import PART_NAMES

SKIN, HAIR, HEADWEAR, CLOTHES = (PART_NAMES.index(name) for name in ("skin", "hair", "headwear", "clothes"))
EYE_PX = SIDE_PX / SOURCE_WINDOW
LEAST_HAIR = 400  # px of hair that is well inside, to take its colors from
STRANDS = ((1.0, 25.0, 0.6), (3.0, 50.0, 0.5), (18.0, 30.0, 0.6))  # px across and along, weight
ONE_SIDED, BRIM, PATTERNED = 0.2, 0.5, 0.4


def widen(source: Source, other: Source, rng: np.random.Generator) -> Source:
    """The source with what its border cut off: ground, the rest of hair and hat, shoulders and clothes."""
    inside = source.inside > 128
    well_inside = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if inside.all() or not (well_inside & (source.labels == 0)).any():
        return source
    pixels, labels = spread(source.pixels.astype(np.float32), well_inside & (source.labels == 0)), source.labels.copy()
    labels[~inside] = 0
    cloth = _draw_cloth(other, rng)
    worn = well_inside & (source.labels == CLOTHES)
    if worn.any():
        cloth += spread(source.pixels.astype(np.float32), worn) - cloth.mean((0, 1))
    for label, shape, colors in (
        (CLOTHES, _draw_torso(source, rng), cloth),
        (HEADWEAR, _continue(source, HEADWEAR, rng), None),
        (HAIR, _continue(source, HAIR, rng), None),
    ):
        known = well_inside & (source.labels == label)
        shape &= ~inside
        if colors is None and known.any():
            colors = _draw_strands(source.pixels[known], rng) if label == HAIR else spread(source.pixels, known)
        if colors is not None:
            soft = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 1.0)[..., None]
            pixels += soft * (colors - pixels)
            labels[shape] = label
    pixels += rng.normal(0, 3, (SIDE_PX, SIDE_PX, 1)).astype(np.float32)
    person = np.where(inside, source.person, np.uint8(255) * (labels > 0))
    pixels = np.where(inside[..., None], source.pixels, pixels.clip(0, 255)).astype(np.uint8)
    return replace(source, pixels=pixels, labels=labels, person=person, inside=np.full_like(source.inside, 255))


def grow_hair(source: Source, rng: np.random.Generator) -> Source:
    """The source with hair that falls beside the face, before or behind the shoulders."""
    inner = cv2.erode((source.labels == HAIR).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if inner.sum() < LEAST_HAIR:
        return source
    sides = [-1, 1] if rng.random() > ONE_SIDED else [int(rng.choice([-1, 1]))]
    covers = [_draw_fall(source, side, rng) for side in sides]
    grown = np.maximum.reduce(covers)
    if len(sides) == 2 and rng.random() < 0.5:
        grown = np.maximum(grown, _draw_behind(source, grown, rng))
    grown *= source.inside > 128
    pixels = source.pixels + grown[..., None] * (_draw_strands(source.pixels[inner], rng) - source.pixels)
    labels, person = source.labels.copy(), source.person.copy()
    labels[(grown > 0.5) & (labels != HEADWEAR)] = HAIR
    person[grown > 0.5] = 255
    kept = (source.labels == HEADWEAR)[..., None]
    return replace(source, pixels=np.where(kept, source.pixels, pixels).astype(np.uint8), labels=labels, person=person)


def put_on_hat(source: Source, other: Source, rng: np.random.Generator) -> Source:
    """The source with a cap, a beret or a brimmed hat that covers the head above the brows."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    brows = source.points[17:27].mean(0)
    across = source.points[45] - source.points[36]
    line = brows[1] + across[1] / across[0] * (x - brows[0]) - rng.uniform(0.15, 0.8) * EYE_PX
    covered = ((source.labels == HAIR) | (source.head > 0)) & (y < line)
    if (source.labels == HEADWEAR).any() or not covered.any():
        return source
    size = 2 * int(rng.uniform(0.0, 0.35) * EYE_PX) + 3
    hat = cv2.dilate(covered.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0
    hat &= y < line + 2
    if rng.random() < BRIM:
        middle, wide, high = brows[0] + rng.normal(0, 0.2) * EYE_PX, rng.uniform(1.3, 2.6), rng.uniform(0.12, 0.45)
        hat |= ((x - middle) / (wide * EYE_PX)) ** 2 + ((y - line) / (high * EYE_PX)) ** 2 < 1
    hat &= source.inside > 128
    depth = cv2.distanceTransform(hat.astype(np.uint8), cv2.DIST_L2, 5)
    shade = (0.5 + 0.5 * np.clip(depth / (0.6 * EYE_PX), 0, 1)) ** rng.uniform(0.2, 1.0)
    soft = np.maximum(cv2.GaussianBlur(hat.astype(np.float32), (0, 0), 1.0), hat)[..., None]
    pixels = source.pixels + soft * (_draw_cloth(other, rng) * shade[..., None] - source.pixels)
    labels, person = source.labels.copy(), source.person.copy()
    labels[hat], person[hat] = HEADWEAR, 255
    return replace(source, pixels=pixels.clip(0, 255).astype(np.uint8), labels=labels, person=person)


def _draw_fall(source: Source, side: int, rng: np.random.Generator) -> Float[np.ndarray, "s s"]:
    """Cover of the hair on one side: from the temple down, between an inner and an outer edge."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    temple, jaw, chin = source.points[0 if side < 0 else 16], source.points[4 if side < 0 else 12], source.points[8]
    reach = chin[1] + rng.uniform(-0.3, 4.5) * EYE_PX
    middle = source.points[27, 0]
    edge = [(temple[1] - 0.8 * EYE_PX, temple[0]), (jaw[1], jaw[0] + side * rng.uniform(-0.25, 0.15) * EYE_PX)]
    edge.append((chin[1] + 1.5 * EYE_PX, middle + side * rng.uniform(0.4, 1.6) * EYE_PX))
    rows, places = zip(*edge, strict=True)
    inner = side * (np.interp(y, rows, places) - middle)
    widths = (0.0, *(rng.uniform(0.25, 1.2, 2) * EYE_PX))
    width = np.interp(y, (rows[0], rows[0] + EYE_PX, chin[1] + 2 * EYE_PX), widths)
    away = side * (x - middle) + _wave(y, rng)
    sides = np.clip(np.minimum(away - inner, inner + width - away) / 2 + 0.5, 0, 1)
    ends = cv2.GaussianBlur(rng.normal(0, 60, (1, SIDE_PX)).astype(np.float32), (0, 0), 1.5)
    ends = np.clip((reach + ends - y) / 8 + 0.5, 0, 1) * (y > rows[0])
    return sides * ends


def _continue(source: Source, label: int, rng: np.random.Generator) -> Bool[np.ndarray, "s s"]:
    """What the part's shape would be around the picture's border."""
    size = 2 * int(rng.uniform(0.15, 0.6) * EYE_PX) + 1
    inside = (source.inside > 128).astype(np.uint8)
    at_border = inside - cv2.erode(inside, np.ones((9, 9), np.uint8))
    shape = at_border * (source.labels == label)
    return cv2.dilate(shape, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0


def _draw_torso(source: Source, rng: np.random.Generator) -> Bool[np.ndarray, "s s"]:
    """Neckline, shoulders and arms below the chin."""
    chin, middle = source.points[8], source.points[27, 0] + rng.normal(0, 0.1) * EYE_PX
    neck, shoulder, width = rng.uniform(0.3, 0.8), rng.uniform(1.0, 1.9), rng.uniform(1.4, 2.5)
    outline = [(0.5, neck), (width - 0.3, shoulder), (width, shoulder + 0.5), (width + 0.3, 6.0)]
    half = np.array(outline) * EYE_PX
    polygon = np.array([middle, chin[1]]) + np.concatenate([half, half[::-1] * [-1, 1]])
    return cv2.fillPoly(np.zeros((SIDE_PX, SIDE_PX), np.uint8), [polygon.round().astype(np.int32)], 1) > 0


def _draw_behind(source: Source, sides: Float[np.ndarray, "s s"], rng: np.random.Generator) -> Bool[np.ndarray, "s s"]:
    """Between both sides, behind neck and jaw."""
    y = np.arange(SIDE_PX)[:, None]
    to_left, to_right = (np.maximum.accumulate(half, axis=1) > 0 for half in (sides, sides[:, ::-1]))
    between = to_left & to_right[:, ::-1]
    reach = source.points[8, 1] + rng.uniform(0.2, 1.5) * EYE_PX
    return between & (source.labels != SKIN) & (source.head == 0) & (y > source.points[0, 1]) & (y < reach)


def _wave(y: Float[np.ndarray, "s s"], rng: np.random.Generator) -> Float[np.ndarray, "s s"]:
    return rng.exponential(3.0) * np.sin(y / rng.uniform(8, 40) + rng.uniform(0, 6))


def _draw_strands(colors: Float[np.ndarray, "n 3"], rng: np.random.Generator) -> Float[np.ndarray, "s s 3"]:
    """Hair of the same mean and spread of colors over the whole square, running down in waves."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    value = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    for across, along, weight in STRANDS:
        noise = cv2.GaussianBlur(rng.normal(0, 1, value.shape).astype(np.float32), (0, 0), across, sigmaY=along)
        value += weight * noise / noise.std()
    value = cv2.remap(value, x + _wave(y, rng).astype(np.float32), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    colors = colors.astype(np.float64)
    spreads, axes = np.linalg.eigh(np.cov(colors.T))
    spreads = np.maximum(spreads, 0)  # those of a gray picture may be negative by rounding
    drawn = colors.mean(0) + value[..., None] * (axes[:, 2] * np.sqrt(spreads[2]))
    return (drawn + rng.normal(0, np.sqrt(spreads[1]), (*value.shape, 1)) * axes[:, 1]).clip(0, 255)


def _draw_cloth(other: Source, rng: np.random.Generator) -> Float[np.ndarray, "s s 3"]:
    """A plain color with some grain, or a piece of another picture, turned."""
    if rng.random() < PATTERNED:
        turned = np.ascontiguousarray(np.rot90(other.pixels, int(rng.choice([1, 2, 3]))))
        return cv2.GaussianBlur(turned, (0, 0), rng.uniform(0.5, 4.0)).astype(np.float32)
    color = rng.uniform(0, 255, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(0, 255))
    grain = cv2.GaussianBlur(rng.normal(0, 1, (SIDE_PX, SIDE_PX)).astype(np.float32), (0, 0), rng.uniform(0.5, 3.0))
    return color + rng.uniform(2, 20) * (grain / grain.std())[..., None]
