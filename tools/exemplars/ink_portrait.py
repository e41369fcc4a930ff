"""The pen drawing: a heavy-jawed man with a great nose and a low forehead, in evening dress."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from exemplars.anatomy import (
    CHEEK_FOLD,
    JAW,
    LID_CREASE,
    NOSE_WING,
    UNDER_EYE,
    Eye,
    SkinMap,
    brow_hairs,
    face_line,
    find_eyes,
    lip_curves,
)  # fmt: skip
from exemplars.dress import cut_cloth, lay_cloth
from exemplars.fields import blend_directions, blur, smear_noise
from exemplars.ink import draw_creases, hatch, lay_wash, make_paper, slice_surface, trace_outline
from exemplars.scene import Scene, look_at
from exemplars.sitters import INK
from exemplars.strokes import draw_taper, fill_polygon, hex_color, lay_over, resample_curve, taper
from exemplars.underpainting import Light, Portrait, comb_hair, form_flow, shade_tone

LIGHT = Light(key=(-0.55, 0.38, 0.76), diffuse=0.84, ambient=0.30, gloss=0.20, gamma=0.86, neck_shadow=0.50)
PAPER, INK_COLOR, WASH_COLOR, ROSE = "f4e8cd", "121a33", "5b6b8c", "c9705a"
GRAY = ((0.0, "000000"), (1.0, "ffffff"))
COAT = [
    (-1.05, 1.2), (-1.0, 0.40), (-0.76, 0.17), (-0.48, 0.05), (-0.32, 0.14), (-0.12, 0.42), (0.03, 0.62),
    (0.18, 0.42), (0.38, 0.14), (0.54, 0.05), (0.80, 0.17), (1.02, 0.40), (1.1, 1.2),
]  # fmt: skip
NECKCLOTH = [
    (-0.40, 0.10), (-0.34, 0.02), (-0.18, 0.10), (0.02, 0.13), (0.22, 0.10), (0.40, 0.02), (0.46, 0.10),
    (0.30, 0.34), (0.16, 0.48), (0.03, 0.64), (-0.10, 0.48), (-0.24, 0.34),
]  # fmt: skip
BOW = [
    (-0.005, 0.235), (-0.09, 0.195), (-0.18, 0.16), (-0.20, 0.26), (-0.18, 0.37), (-0.09, 0.325), (-0.005, 0.29),
    (0.03, 0.30), (0.065, 0.29), (0.15, 0.325), (0.24, 0.37), (0.26, 0.26), (0.24, 0.16), (0.15, 0.195),
    (0.065, 0.235), (0.03, 0.225),
]  # fmt: skip


def draw_ink_portrait(height_px: int) -> np.ndarray:
    """``[h, w, 3]`` sRGB 0..1."""
    sitter = replace(INK, size=tuple(round(side * height_px / INK.size[0]) for side in INK.size))
    scene = look_at(sitter, LIGHT.key)
    unit = height_px / 1024
    eyes = find_eyes(scene, (-0.10, -0.04), 0.62)
    portrait = block_in(scene, eyes, unit)
    darkness = 1 - portrait.tone
    ink = np.zeros(darkness.shape)
    hatch_head(ink, portrait, darkness, unit)
    hatch_cloth(ink, portrait, darkness, unit)
    draw_contours(ink, portrait, darkness, unit)
    ink *= 1 - np.clip(sum(eye.mask for eye in eyes), 0, 1)
    draw_features(ink, scene, eyes, unit)
    return ink_on_paper(portrait, ink, darkness)


def block_in(scene: Scene, eyes: list[Eye], unit: float) -> Portrait:
    """Tones and directions, no marks yet."""
    head = scene.labels >= 0
    tone = np.where(head, shade_tone(scene, LIGHT), 1.0)
    flow = form_flow(scene, comb_hair(scene, (0.03, 0.0, -0.20), swirl=1.0))
    hair = scene.mask("hair")
    locks = smear_noise(flow, 90 * unit, 5 * unit, 4)
    tone = np.where(hair, np.clip(tone * 0.62 + 0.13 * locks, 0, 1), tone)
    lips = fill_polygon(tone.shape, lip_curves(scene)[0])
    tone = tone * (1 - 0.22 * blur(lips, 1.5))
    portrait = Portrait(scene, np.repeat(tone[..., None], 3, 2), tone, flow, head.astype(float), eyes,
                        {"head": head.astype(float), "hair": hair.astype(float)})  # fmt: skip
    lay_cloth(
        portrait, "neckcloth", cut_cloth(scene, NECKCLOTH), GRAY, LIGHT, softness_px=40 * unit, folds=0.10, seed=7
    )
    lightened = np.clip(portrait.tone * 0.8 + 0.36, 0, 1)
    portrait.tone = np.where(portrait.areas["neckcloth"] > 0.5, lightened, portrait.tone)
    lay_cloth(portrait, "bow", cut_cloth(scene, BOW), GRAY, LIGHT, softness_px=18 * unit, folds=0.16, seed=6)
    portrait.tone = np.where(portrait.areas["bow"] > 0.5, portrait.tone * 0.62, portrait.tone)
    lay_cloth(portrait, "coat", cut_cloth(scene, COAT), GRAY, LIGHT, softness_px=60 * unit, folds=0.06, seed=8)
    portrait.tone = np.where(portrait.areas["coat"] > 0.5, portrait.tone * 0.52, portrait.tone)
    return portrait


def hatch_head(ink: np.ndarray, portrait: Portrait, darkness: np.ndarray, unit: float) -> None:
    """Three crossing sets on skin, strands in the hair."""
    skin = (portrait.areas["head"] > 0.5) & (portrait.areas["hair"] < 0.5)
    planes = [(0.35, 0.90, 0.25), (-0.55, 0.65, 0.50), (0.95, 0.10, 0.20)]
    for number, (plane, start) in enumerate(zip(planes, (0.24, 0.46, 0.64), strict=True)):
        flow = blend_directions([(slice_surface(portrait.scene.normals, plane), np.ones(skin.shape))], 5 * unit)
        hatch(ink, darkness, flow, skin, threshold=start, full=start + 0.42, spacing_px=6.2 * unit,
              widest_px=2.3 * unit, shortest_px=14 * unit, seed=30 + number)  # fmt: skip
    hair = portrait.areas["hair"] > 0.5
    for number, (start, spacing) in enumerate(((0.22, 5.0), (0.55, 3.4))):
        hatch(ink, darkness, portrait.flow, hair, threshold=start, full=0.95, spacing_px=spacing * unit,
              widest_px=3.4 * unit, shortest_px=18 * unit, seed=40 + number)  # fmt: skip


def hatch_cloth(ink: np.ndarray, portrait: Portrait, darkness: np.ndarray, unit: float) -> None:
    """Long crossing strokes; the coat is nearly black, the neckcloth nearly bare."""
    across = np.stack([-portrait.flow[..., 1], portrait.flow[..., 0]], axis=2)
    slanted = blend_directions([(across + portrait.flow * 0.6, np.ones(darkness.shape))], 4)
    for number, (name, flow, start, width) in enumerate((
        ("neckcloth", portrait.flow, 0.25, 1.8), ("bow", portrait.flow, 0.30, 3.0), ("bow", slanted, 0.5, 1.8),
        ("neckcloth", slanted, 0.50, 1.8),
        ("coat", portrait.flow, 0.30, 3.0), ("coat", slanted, 0.52, 2.6), ("coat", across, 0.70, 2.6),
    )):  # fmt: skip
        hatch(ink, darkness, flow, portrait.areas[name] > 0.5, threshold=start, full=start + 0.45,
              spacing_px=6.0 * unit, widest_px=width * unit, shortest_px=20 * unit, seed=50 + number)  # fmt: skip


def draw_contours(ink: np.ndarray, portrait: Portrait, darkness: np.ndarray, unit: float) -> None:
    head, hair = portrait.areas["head"], portrait.areas["hair"]
    cloth = np.maximum.reduce([portrait.areas[name] for name in ("coat", "neckcloth", "bow")])
    trace_outline(ink, np.maximum(head, cloth), darkness, 4.2 * unit, 1)
    trace_outline(ink, portrait.areas["coat"], darkness, 3.6 * unit, 2)
    for name in ("neckcloth", "bow"):
        trace_outline(ink, portrait.areas[name], darkness, 3.0 * unit, 3)
    hairline = blur(hair * (portrait.scene.rest[..., 2] > -0.03), 3)
    trace_outline(ink, hair, darkness, 2.6 * unit, 4, skip=np.clip(hairline * 1.6, 0, 1))
    ears = cv2.dilate(portrait.scene.mask("ears").astype(np.uint8), np.ones((5, 5))) > 0
    draw_creases(ink, portrait.scene.points, ears, 7 * unit, 1.2 * unit)


def draw_features(ink: np.ndarray, scene: Scene, eyes: list[Eye], unit: float) -> None:
    """Lids, pupils, brows, nose, mouth and folds, with the pressure of a nib."""
    finder = SkinMap(scene)
    for side in (-1, 1):
        for places, width in ((LID_CREASE, 2.2), (UNDER_EYE, 1.5), (NOSE_WING, 4.5), (CHEEK_FOLD, 3.0)):
            line = face_line(finder, places, side)
            draw_taper(ink, line, taper(len(line), 0.2, 1.0, 0.1) * width * unit)
    jaw = resample_curve(scene.landmarks[list(JAW)], 120)
    draw_taper(ink, jaw, taper(len(jaw), 0.8, 3.6, 3.0, 0.6) * unit)
    for hair in brow_hairs(scene, 75, 0.30, 6):
        draw_taper(ink, hair, taper(len(hair), 0.5, 1.0, 0.1, 0.3) * 3.4 * unit)
    outline, between = lip_curves(scene)
    draw_taper(ink, between, taper(len(between), 2.5, 6.0, 2.5) * unit)
    upper, lower = outline[5:56], outline[70:111]
    draw_taper(ink, upper, taper(len(upper), 0.4, 2.0, 0.4) * unit)
    draw_taper(ink, lower, taper(len(lower), 0.2, 2.8, 0.2) * unit)
    for eye in eyes:
        draw_eye(ink, eye, unit)


def draw_eye(ink: np.ndarray, eye: Eye, unit: float) -> None:
    rows, columns = np.mgrid[: ink.shape[0], : ink.shape[1]] + 0.5
    dx, dy = (columns - eye.iris[0]) / eye.radius_px, (rows - eye.iris[1]) / eye.radius_px
    radius, edge, angle = np.hypot(dx, dy), 1.2 / eye.radius_px, np.arctan2(dy, dx)
    rays = 0.5 + 0.5 * np.sin(angle * 26 + 3 * np.sin(angle * 5))
    threads = np.clip(0.42 + 0.50 * rays * (0.8 - dy) + 0.9 * (radius > 0.86), 0, 1)
    iris = np.clip((1 - radius) / edge + 0.5, 0, 1) * threads
    pupil = np.clip((0.50 - radius) / edge + 0.5, 0, 1)
    spot = np.clip((0.26 - np.hypot(dx + 0.34, dy + 0.36)) / edge + 0.5, 0, 1)
    ball = np.maximum(iris, pupil) * (1 - spot)
    np.maximum(ink, eye.mask * ball, out=ink)
    draw_taper(ink, eye.upper, taper(len(eye.upper), 2.0, 6.5, 3.0, 0.6) * unit)
    draw_taper(ink, eye.lower, taper(len(eye.lower), 0.4, 2.0, 1.6, 0.7) * unit)


def ink_on_paper(portrait: Portrait, ink: np.ndarray, darkness: np.ndarray) -> np.ndarray:
    """Paper, then rose, then gray wash, then the pen."""
    paper = make_paper(ink.shape, hex_color(PAPER), 2)
    figure = np.maximum.reduce([portrait.areas[name] for name in ("head", "coat", "neckcloth", "bow")])
    rest = portrait.scene.rest
    x, y = np.abs(rest[..., 0]), rest[..., 1]
    blush = np.exp(-((x - 0.045) ** 2 + (y + 0.042) ** 2) / 0.018**2) + np.exp(-(x**2 + (y + 0.040) ** 2) / 0.015**2)
    lips = blur(fill_polygon(ink.shape, lip_curves(portrait.scene)[0]), 1.5)
    rose = np.clip(0.30 * blush * portrait.areas["head"] + 0.42 * lips, 0, 0.6) * (portrait.scene.labels >= 0)
    eyes = np.clip(sum(eye.mask for eye in portrait.eyes), 0, 1)
    wash = lay_wash(darkness, [(0.42, 0.20), (0.62, 0.24), (0.82, 0.25)], 3) * blur(figure, 1.5) * (1 - eyes)
    picture = paper * (1 - blur(rose, 2)[..., None] * (1 - hex_color(ROSE)))
    picture = lay_over(picture, wash, picture * hex_color(WASH_COLOR))
    rng = np.random.default_rng(4)
    flooded = ink * np.clip(0.93 + 0.12 * blur(rng.standard_normal(ink.shape).astype(np.float32), 2) * 3, 0.7, 1)
    return np.clip(lay_over(picture, flooded, hex_color(INK_COLOR)), 0, 1)
