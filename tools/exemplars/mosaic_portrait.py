"""The mosaic: an empress with a wide face and very large eyes, crowned, before gold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from exemplars.anatomy import (
    BROW_BOTTOMS,
    BROW_TOPS,
    JAW,
    LID_CREASE,
    NOSE_SIDE,
    NOSE_WING,
    OUTER_LIPS,
    UNDER_EYE,
    SkinMap,
    face_line,
    find_eyes,
    lip_curves,
)  # fmt: skip
from exemplars.dress import cut_cloth, lay_cloth, place_points
from exemplars.fields import along_edges, blend_directions, blur
from exemplars.mosaic import color_tesserae, set_tesserae
from exemplars.oil import importance_of
from exemplars.scene import Scene, look_at
from exemplars.sitters import MOSAIC
from exemplars.strokes import draw_taper, hex_color, lay_over, resample_curve, taper
from exemplars.underpainting import (
    Light,
    Palette,
    Portrait,
    color_by_tone,
    comb_hair,
    form_flow,
    paint_eyes,
    paint_head,
    shade_tone,
)  # fmt: skip

LIGHT = Light(key=(-0.50, 0.24, 0.84), diffuse=0.74, ambient=0.34, gloss=0.12, gamma=0.80, neck_shadow=0.42)
PALETTE = Palette(
    skin=(
        (0.0, "3b1f22"), (0.25, "7c4632"), (0.42, "ad7a52"), (0.58, "d2a277"), (0.74, "e8c49c"), (0.88, "f4dfc0"),
        (1.0, "fdf3e0"),
    ),
    lips=((0.0, "3f0f18"), (0.35, "8e2428"), (0.65, "bf4440"), (1.0, "e99a80")),
    hair=((0.0, "0d0a12"), (0.35, "24161c"), (0.6, "46281f"), (0.85, "7a4a2a"), (1.0, "a9733f")),
    sclera=((0.0, "5b5a60"), (0.5, "b9b7ae"), (1.0, "faf4e6")),
    iris=("23140f", "74431f"),
    dark="1d1116",
    tints=(
        (0.044, -0.038, 0.017, "dd5a48", 0.55),
        (0.0, -0.042, 0.010, "e0785c", 0.30),
        (0.052, -0.080, 0.022, "7d9160", 0.50),
        (0.030, 0.008, 0.014, "9a8a50", 0.35),
        (0.0, -0.093, 0.010, "8f9a62", 0.35),
    ),
    bounce=("6f8f5a", 0.6),
)  # fmt: skip
GOLD = ((0.0, "7d5512"), (0.4, "b9852a"), (0.7, "dcb04a"), (1.0, "f6df92"))
ROBE = ((0.0, "1d0a24"), (0.35, "45154a"), (0.6, "6d2a6c"), (0.85, "9a5a98"), (1.0, "cfa0c4"))
SHOULDERS = [
    (-1.25, 1.2), (-1.2, 0.50), (-0.92, 0.24), (-0.62, 0.11), (-0.40, 0.08), (-0.22, 0.20), (0.0, 0.25),
    (0.22, 0.20), (0.40, 0.08), (0.62, 0.11), (0.92, 0.24), (1.2, 0.50), (1.25, 1.2),
]  # fmt: skip

COLLAR = (
    (0, 12, "caa03a"), (12, 26, "f4ecd8"), (26, 34, "caa03a"), (34, 72, "1f6a5a"), (72, 82, "caa03a"),
    (82, 96, "8c1f24"),
)  # fmt: skip
"""Bands of the collar: from, to (pixels of a 960 px picture below the neckline), color."""


def lay_mosaic_portrait(height_px: int) -> np.ndarray:
    """``[h, w, 3]`` sRGB 0..1."""
    portrait = draw_cartoon(height_px)
    unit = height_px / 960
    edges, strength = along_edges(portrait.color, 4 * unit)
    flow = blend_directions(
        [(portrait.flow, np.full(strength.shape, 0.6)), (edges, np.clip(strength / 0.06, 0, 1) ** 1.5 * 5)], 4 * unit
    )
    lids = [(np.concatenate([eye.upper, eye.lower, eye.iris[None]]), 0.5 * eye.height_px, 1.0) for eye in portrait.eyes]
    points = portrait.scene.landmarks
    brows = [(points[list(ids)], 12 * unit, 0.9) for ids in BROW_TOPS]
    mouth = (points[list(OUTER_LIPS)], 12 * unit, 1.0)
    fine = importance_of(strength.shape, [*lids, *brows, mouth], portrait.importance)
    sides = blur((unit * (12.5 - 6.3 * fine)).astype(np.float32), 6)
    setting = set_tesserae(flow, sides, seed=5)
    return color_tesserae(setting, portrait.color, portrait.areas["gold"], 0.022, hex_color("4a4038"), 6)


def draw_cartoon(height_px: int) -> Portrait:
    """The picture that the tesserae follow: flat bands of tone, dark outlines, gold ground."""
    sitter = replace(MOSAIC, size=tuple(round(side * height_px / MOSAIC.size[0]) for side in MOSAIC.size))
    scene = look_at(sitter, LIGHT.key)
    unit = height_px / 960
    eyes = find_eyes(scene, (0.03, -0.05), 0.50)
    tone = shade_tone(scene, LIGHT)
    flow = form_flow(scene, comb_hair(scene, (0.0, -0.05, -0.16)))
    head = paint_head(scene, band_tone(tone), flow, PALETTE, sitter.hair_drop, 3)
    head = paint_eyes(head, tone, eyes, PALETTE, 0.13)
    head = draw_outlines(head, scene, unit)
    inside = blur((scene.labels >= 0).astype(float), 1.0)
    ground, ground_flow, gold = lay_gold(scene, unit)
    face = blur(scene.mask("skin", "nose", "lips", "eyelids", "brows").astype(float), 2)
    portrait = Portrait(
        scene=scene,
        color=ground + inside[..., None] * (head - ground),
        tone=tone,
        flow=np.where(scene.labels[..., None] >= 0, flow, ground_flow),
        importance=0.72 * face + 0.35 * blur(scene.mask("hair", "ears").astype(float), 2),
        eyes=eyes,
        areas={"gold": gold * (1 - inside)},
    )
    lay_cloth(portrait, "robe", cut_cloth(scene, SHOULDERS), ROBE, LIGHT, softness_px=70 * unit, folds=0.10, seed=4)
    lay_collar(portrait, unit)
    lay_crown(portrait)
    hang_pearls(portrait, unit)
    return portrait


def band_tone(tone: np.ndarray) -> np.ndarray:
    """Tone in soft steps, as rows of one glass color give it."""
    steps = tone * 9
    return (np.floor(steps) + np.clip((steps % 1 - 0.5) * 2.5 + 0.5, 0, 1)) / 9 * 0.8 + tone * 0.2


def draw_outlines(picture: np.ndarray, scene: Scene, unit: float) -> np.ndarray:
    """Brows, nose, lids, mouth and the edge of the face in dark lines a tile wide."""
    lines, soft = np.zeros(picture.shape[:2]), np.zeros(picture.shape[:2])
    finder = SkinMap(scene)
    for side, tops, bottoms in zip((-1, 1), BROW_TOPS, BROW_BOTTOMS, strict=True):
        brow = resample_curve((scene.landmarks[list(tops)] + scene.landmarks[list(bottoms)]) / 2, 60)
        draw_taper(lines, brow, taper(60, 8, 13, 8, 0.4) * unit)
        for places, width, canvas in (
            (NOSE_SIDE, 5, soft), (NOSE_WING, 6, lines), (LID_CREASE, 5, soft), (UNDER_EYE, 4, soft),
        ):  # fmt: skip
            line = face_line(finder, places, side)
            draw_taper(canvas, line, taper(len(line), 0.5, 1.0, 0.5) * width * unit)
    jaw = resample_curve(scene.landmarks[list(JAW)], 120)
    draw_taper(soft, jaw, taper(120, 4, 6, 4) * unit)
    outline, between = lip_curves(scene)
    draw_taper(lines, between, taper(len(between), 6, 8, 6) * unit)
    draw_taper(soft, outline[72:109], taper(37, 1, 5, 1) * unit)
    picture = lay_over(picture, blur(soft, 0.8) * 0.7, hex_color("7a3a2a"))
    return lay_over(picture, blur(lines, 0.8), hex_color(PALETTE.dark))


def lay_gold(scene: Scene, unit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ground with a halo: color, directions of the rows, and where the gold is."""
    shape = scene.labels.shape
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    center = (scene.landmarks[152] + scene.landmarks[10]) / 2 - [0, 40 * unit]
    dx, dy = columns - center[0], rows - center[1]
    radius = np.hypot(dx, dy) / (430 * unit)
    inner = radius < 1
    tone = np.where(inner, 0.86 - 0.16 * radius, 0.42 + 0.18 * (1 - rows / shape[0]))
    color = color_by_tone(tone, GOLD)
    around = np.stack([-dy, dx], axis=2) / (np.hypot(dx, dy)[..., None] + 1)
    straight = np.zeros_like(around)
    straight[..., 0] = 1.0
    near = np.clip((1.25 - radius) / 0.2, 0, 1)
    flow = blend_directions([(around, near), (straight, 1 - near)], 6)
    for start, end, code in ((0.955, 0.985, "f3ead2"), (0.985, 1.045, "8c1f24"), (1.045, 1.07, "f3ead2")):
        color = np.where(((radius >= start) & (radius < end))[..., None], hex_color(code), color)
    plain = 1.0 - ((radius >= 0.955) & (radius < 1.07))
    return color, flow, plain


def lay_collar(portrait: Portrait, unit: float) -> None:
    """A broad collar: gold bands, pearls and green stones along the neckline, in place."""
    neckline = resample_curve(place_points(portrait.scene, SHOULDERS[4:9]), 400)
    robe = portrait.areas["robe"]
    rows, columns = np.mgrid[: robe.shape[0], : robe.shape[1]] + 0.5
    distance, index = cKDTree(neckline).query(np.stack([columns.ravel(), rows.ravel()], axis=1))
    distance, index = distance.reshape(robe.shape) / unit, index.reshape(robe.shape)
    shade = 0.75 + 0.25 * portrait.tone
    for start, end, code in COLLAR:
        band = ((distance >= start) & (distance < end)) * robe
        color = hex_color(code) * shade[..., None]
        portrait.color = lay_over(portrait.color, band, color)
        portrait.areas["gold"] = np.maximum(portrait.areas["gold"], band * (code == "caa03a") * 0.8)
    along = index / 399 * 14 % 1
    stone = (np.abs(along - 0.5) < 0.22) & (np.abs(distance - 53) < 12)
    portrait.color = lay_over(portrait.color, stone * robe, hex_color("b3262c") * shade[..., None])
    portrait.importance = np.maximum(portrait.importance, 0.35 * (distance < 96) * robe)


def lay_crown(portrait: Portrait) -> None:
    """A diadem over the brow, drawn on the mean head so that it sits on this one; in place."""
    scene, rest = portrait.scene, portrait.scene.rest
    x, y, z = np.moveaxis(rest, -1, 0)
    on_head = scene.mask("hair", "skin") & (z > -0.10)
    for low, high, code, gold in (
        (0.074, 0.079, "f4ecd8", 0.0), (0.079, 0.098, "caa03a", 1.0), (0.098, 0.103, "f4ecd8", 0.0),
    ):  # fmt: skip
        band = blur((on_head & (y >= low) & (y < high)).astype(float), 0.8)
        portrait.color = lay_over(portrait.color, band, hex_color(code) * (0.6 + 0.45 * portrait.tone[..., None]))
        portrait.areas["gold"] = np.maximum(portrait.areas["gold"], band * gold)
    angle = np.arctan2(x, z + 0.07) / 0.42
    off = np.abs((angle + 0.5) % 1 - 0.5)
    stone = on_head & (np.abs(y - 0.0885) < 0.0055) & (off < 0.20)
    colors = np.where((np.round(angle) % 2 == 0)[..., None], hex_color("b3262c"), hex_color("1f5f8a"))
    portrait.color = np.where(stone[..., None], colors, portrait.color)
    portrait.importance = np.maximum(portrait.importance, 0.5 * (on_head & (y > 0.07)))


def hang_pearls(portrait: Portrait, unit: float) -> None:
    """Strings of pearls that fall from the diadem beside the cheeks, ending in a blue stone; in place."""
    scene = portrait.scene
    hair = scene.mask("hair") & (scene.rest[..., 1] < 0.072)
    rows, columns = np.mgrid[: portrait.tone.shape[0], : portrait.tone.shape[1]] + 0.5
    end = scene.landmarks[list(OUTER_LIPS), 1].mean()
    for side in (-1, 1):
        cheek = side * (side * scene.landmarks[:, 0]).max()
        for outset, drop in ((16, 0.0), (44, -44)):
            x = cheek + side * outset * unit
            start = np.flatnonzero(hair[:, int(x)])[0] + 12 * unit
            for number, y in enumerate(np.arange(start, end + drop * unit, 21 * unit)):
                last = y + 21 * unit >= end + drop * unit
                radius = (13.0 if last else 9.5) * unit
                offset = np.hypot(columns - x - 2.0 * np.sin(number) * unit, rows - y)
                code = "1f5f8a" if last else "f6efdf"
                rim = np.clip(radius + 2 * unit - offset, 0, 1)
                portrait.color = lay_over(portrait.color, rim, hex_color("5a3416"))
                portrait.color = lay_over(portrait.color, np.clip(radius - offset, 0, 1), hex_color(code))
                portrait.importance = np.maximum(portrait.importance, 0.45 * (offset < 2 * radius))
                portrait.areas["gold"] = portrait.areas["gold"] * (offset > radius)
