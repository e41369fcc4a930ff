"""The oil portrait: a woman drawn out long, auburn hair parted in the middle, in front of a green-blue wall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exemplars.anatomy import OUTER_LIPS, find_eyes
from exemplars.dress import cut_cloth, lay_cloth
from exemplars.fields import along_edges, blend_directions, blur, smear_noise
from exemplars.oil import importance_of, paint_oil
from exemplars.scene import look_at
from exemplars.sitters import BRUSH
from exemplars.strokes import hex_color
from exemplars.underpainting import (
    Light,
    Palette,
    Portrait,
    color_by_tone,
    comb_hair,
    form_flow,
    paint_eyes,
    paint_head,
    paint_lines,
    shade_tone,
)  # fmt: skip

LIGHT = Light(key=(-0.62, 0.55, 0.62), gloss=0.14, gamma=0.82)
PALETTE = Palette(
    skin=((0.0, "2b1c2c"), (0.22, "5e3436"), (0.42, "a05a41"), (0.60, "d18a5f"), (0.78, "eab98c"), (1.0, "fbe6c2")),
    lips=((0.0, "2a0f18"), (0.30, "6e1f28"), (0.60, "b8433f"), (0.85, "de7a66"), (1.0, "f5b7a0")),
    hair=((0.0, "150c10"), (0.25, "3a1712"), (0.50, "7a3216"), (0.75, "bb6424"), (1.0, "ecb15c")),
    sclera=((0.0, "3a3238"), (0.5, "a39a92"), (1.0, "f3eadb")),
    iris=("1d3a3a", "6fa08a"),
    dark="1c1014",
    tints=(
        (0.043, -0.040, 0.022, "e0604a", 0.42),
        (0.0, -0.042, 0.014, "dd5d48", 0.32),
        (0.0, 0.050, 0.040, "f2d48c", 0.25),
        (0.030, 0.004, 0.016, "8a4a68", 0.28),
        (0.0, -0.100, 0.025, "7f8a5c", 0.22),
        (0.050, -0.085, 0.025, "6c8a72", 0.25),
    ),
    bounce=("4f8f9c", 0.75),
)
WALL = ((0.0, "16303a"), (0.35, "2a5a60"), (0.65, "5f8f7f"), (1.0, "b9b47a"))
DRESS = ((0.0, "0c1020"), (0.35, "1b2347"), (0.6, "32407a"), (0.85, "6c77ad"), (1.0, "a9b2cf"))
SHOULDERS = [
    (-0.78, 1.20), (-0.74, 0.66), (-0.56, 0.47), (-0.335, 0.40), (-0.235, 0.36), (-0.12, 0.50), (0.02, 0.585),
    (0.16, 0.50), (0.275, 0.36), (0.37, 0.40), (0.60, 0.47), (0.78, 0.66), (0.82, 1.20),
]  # fmt: skip


def paint_brush_portrait(height_px: int) -> np.ndarray:
    """``[h, w, 3]`` sRGB 0..1."""
    portrait = underpaint(height_px)
    eyes = portrait.eyes
    lids = [(np.concatenate([eye.upper, eye.lower]), eye.height_px * 0.55, 1.0) for eye in eyes]
    iris = [(eye.iris[None], eye.radius_px * 1.3, 1.0) for eye in eyes]
    lips = [(portrait.scene.landmarks[list(OUTER_LIPS)], eyes[0].height_px * 0.5, 0.85)]
    importance = importance_of(portrait.tone.shape, lids + iris + lips, portrait.importance)
    edges, strength = along_edges(portrait.color, 5 * height_px / 1024)
    still = np.ones_like(strength)
    flow = blend_directions([(portrait.flow, still), (edges, np.clip(strength / 0.05, 0, 1) ** 2 * 6)], 3)
    return paint_oil(portrait.color, flow, importance, hex_color("6b4a34"), seed=20)


def underpaint(height_px: int) -> Portrait:
    """The finished picture before it is broken into strokes."""
    sitter = replace(BRUSH, size=tuple(round(side * height_px / BRUSH.size[0]) for side in BRUSH.size))
    scene = look_at(sitter, LIGHT.key)
    eyes = find_eyes(scene, (0.05, -0.06), 0.60)
    tone = shade_tone(scene, LIGHT)
    flow = form_flow(scene, comb_hair(scene, (0.0, -0.06, -0.13)))
    head = paint_head(scene, tone, flow, PALETTE, sitter.hair_drop, 3)
    head = paint_lines(paint_eyes(head, tone, eyes, PALETTE, 0.16), scene, PALETTE, 3.2 * height_px / 1024, 5)
    inside = blur((scene.labels >= 0).astype(float), 1.0)
    wall_tone, wall_flow = paint_wall(inside.shape)
    wall = color_by_tone(wall_tone, WALL)
    face = blur(scene.mask("skin", "nose", "lips", "eyelids", "brows", "ears").astype(float), 2)
    importance = 0.42 * face + 0.30 * blur(scene.mask("hair").astype(float), 2)
    portrait = Portrait(
        scene=scene,
        color=wall + inside[..., None] * (head - wall),
        tone=np.where(scene.labels >= 0, tone, wall_tone),
        flow=np.where(scene.labels[..., None] >= 0, flow, wall_flow),
        importance=importance,
        eyes=eyes,
        areas={"hair": scene.mask("hair").astype(float), "skin": face},
    )
    lay_cloth(
        portrait,
        "dress",
        cut_cloth(scene, SHOULDERS),
        DRESS,
        LIGHT,
        softness_px=60 * height_px / 1024,
        folds=0.08,
        seed=9,
    )
    return portrait


def paint_wall(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Tone and stroke directions of a wall that is light on the shaded side of the face, as painters set it."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    rows, columns = rows / shape[0], columns / shape[1]
    sweep = np.stack([np.ones(shape), 0.8 * np.sin(rows * 5 + columns * 4)], axis=2)
    flow = blend_directions([(sweep, np.ones(shape))], 8)
    clouds = smear_noise(flow, 90, 22 * shape[0] / 1024, 1)
    return np.clip(0.22 + 0.42 * columns + 0.12 * (1 - rows) + 0.07 * clouds, 0, 1), flow
