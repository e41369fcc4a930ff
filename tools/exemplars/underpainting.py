"""The lit and colored picture that a medium then translates into its marks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from exemplars.anatomy import NOSTRILS, Eye, brow_hairs, lip_curves
from exemplars.fields import blend_directions, blur, smear_noise
from exemplars.scene import Scene, hair_margin
from exemplars.strokes import draw_taper, fill_polygon, hex_color, lay_over, resample_curve, taper

Ramp = tuple[tuple[float, str], ...]
"""Colors by tone: (tone 0..1, hex), in rising order."""


@dataclass(frozen=True)
class Palette:
    """``tints``: (x, y, radius on the mean head in meters, hex, strength), mirrored to both sides."""

    skin: Ramp
    lips: Ramp
    hair: Ramp
    sclera: Ramp
    iris: tuple[str, str]
    dark: str
    tints: tuple[tuple[float, float, float, str, float], ...] = ()
    bounce: tuple[str, float] = ("6080a0", 0.0)


@dataclass(frozen=True)
class Light:
    """``key``: direction it comes from (x right, y up, z to viewer). The rest weighs its parts;
    ``gamma`` sets contrast, ``neck_shadow`` darkens the neck so that the jaw stands out."""

    key: tuple[float, float, float]
    diffuse: float = 0.72
    ambient: float = 0.36
    gloss: float = 0.16
    gamma: float = 0.85
    neck_shadow: float = 0.25


@dataclass
class Portrait:
    """``color [h, w, 3]`` sRGB; ``tone [h, w]`` 0..1; ``flow [h, w, 2]`` stroke directions; ``importance [h, w]``:
    where small marks belong, 0..1; ``areas``: named coverages 0..1; ``eyes``: sitter's right, left."""

    scene: Scene
    color: np.ndarray
    tone: np.ndarray
    flow: np.ndarray
    importance: np.ndarray
    eyes: list[Eye]
    areas: dict[str, np.ndarray] = field(default_factory=dict)


def shade_tone(scene: Scene, light: Light) -> np.ndarray:
    """How light each pixel of the head is, 0..1."""
    key = np.array(light.key) / np.linalg.norm(light.key)
    facing = np.clip((scene.normals @ key + 0.12) / 1.12, 0, 1)
    half = key + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    shine = np.clip(scene.normals @ half, 0, 1) ** 26
    sun = blur(scene.sunlight, 1.2)
    sky = scene.occlusion * (0.72 + 0.28 * scene.normals[..., 1])
    tone = light.diffuse * facing * sun + light.ambient * sky + light.gloss * shine * sun
    under_chin = blur((scene.mask("neck") | (scene.mask("skin") & (scene.rest[..., 1] < -0.117))).astype(float), 3)
    return np.clip(tone * (1 - light.neck_shadow * under_chin), 0, 1) ** light.gamma


def color_by_tone(tone: np.ndarray, ramp: Ramp) -> np.ndarray:
    """``[h, w]`` tones to ``[h, w, 3]`` colors."""
    places = [place for place, _ in ramp]
    colors = np.array([hex_color(code) for _, code in ramp])
    return np.stack([np.interp(tone, places, colors[:, channel]) for channel in range(3)], axis=2)


def form_flow(scene: Scene, hair_flow: np.ndarray) -> np.ndarray:
    """Directions of strokes: round the form on skin, along the strands in hair."""
    normals = blur(scene.normals.astype(np.float32), 4)
    around = np.stack([normals[..., 1], normals[..., 0]], axis=2)
    hair = scene.mask("hair")
    skin = (scene.labels >= 0) & ~hair
    steep = np.linalg.norm(around, axis=2)
    across = np.zeros_like(around)
    across[..., 0], across[..., 1] = 1.0, 0.35
    everywhere = np.full(skin.shape, 0.02)
    return blend_directions([(around, skin * (0.1 + steep)), (hair_flow, hair * 2.0), (across, everywhere)], 5)


def comb_hair(scene: Scene, target: tuple[float, float, float], swirl: float = 0.0) -> np.ndarray:
    """Directions ``[h, w, 2]`` of strands drawn towards ``target`` (meters, mean head), as the picture shows them.

    The pull is projected on the surface: its gradient along rows and columns says how the picture runs there.
    """
    pull = -np.linalg.norm(scene.rest - np.array(target), axis=2)
    pull = pull + swirl * np.sin(scene.rest[..., 0] * 70 + scene.rest[..., 2] * 50) * 0.008
    hair = scene.mask("hair").astype(np.float32)
    smooth = blur((pull * hair).astype(np.float32), 5) / (blur(hair, 5) + 1e-3)
    return np.stack([np.gradient(smooth, axis=1), np.gradient(smooth, axis=0)], axis=2) * 1e3


def paint_head(
    scene: Scene, tone: np.ndarray, flow: np.ndarray, palette: Palette, drop: float, seed: int
) -> np.ndarray:
    """Skin with its warm and cool zones, lips and hair; eyes and brows come later. ``[h, w, 3]``."""
    skin = color_by_tone(tone, palette.skin)
    x, y = np.abs(scene.rest[..., 0]), scene.rest[..., 1]
    for center_x, center_y, radius, code, strength in palette.tints:
        near = np.exp(-((x - center_x) ** 2 + (y - center_y) ** 2) / radius**2) * (scene.rest[..., 2] > -0.05)
        skin = lay_over(skin, strength * near, hex_color(code) * (0.35 + 0.75 * tone[..., None]))
    code, strength = palette.bounce
    turned = np.clip(scene.normals[..., 0] * 0.8 - scene.normals[..., 1] * 0.3 - 0.25, 0, 1) * scene.occlusion
    skin = lay_over(skin, strength * turned * (1 - tone), hex_color(code))
    lips = blur(fill_polygon(tone.shape, lip_curves(scene)[0]), 1.2)
    skin = lay_over(skin, lips * 0.92, color_by_tone(tone, palette.lips))
    inside = blur(scene.mask("mouth_inside", "teeth", "tongue").astype(float), 1.0)
    skin = lay_over(skin, inside, hex_color(palette.dark))
    strands = smear_noise(flow, 70, 1.3, seed) * 0.6 + smear_noise(flow, 110, 4.0, seed + 1) * 0.8
    hair = color_by_tone(np.clip(tone * (1 + 0.10 * strands) + 0.045 * strands, 0, 1), palette.hair)
    margin = hair_margin(scene.rest, drop)
    fringe = np.clip((margin + 0.004 + 0.003 * strands) / 0.004, 0, 1) * (scene.rest[..., 2] > -0.10)
    cover = np.maximum(blur(scene.mask("hair").astype(float), 1.2), fringe * scene.mask("skin", "scalp") * 0.9)
    return lay_over(skin, cover, hair)


def paint_eyes(picture: np.ndarray, tone: np.ndarray, eyes: list[Eye], palette: Palette, lash: float) -> np.ndarray:
    """Eyeballs with iris, pupil, lid shadow, lashes and catch lights. ``lash``: lid line over the opening."""
    rows, columns = np.mgrid[: tone.shape[0], : tone.shape[1]] + 0.5
    dark = hex_color(palette.dark)
    for eye in eyes:
        top = _edge_height(eye.upper, columns[0])
        below = np.clip((rows - top) / eye.height_px, 0, 2)
        lid_shadow = 0.62 + 0.38 * np.clip(below / 0.38, 0, 1)
        ball = np.clip(0.30 + 0.75 * tone, 0, 1) * lid_shadow
        paint = color_by_tone(ball, palette.sclera)
        dx, dy = (columns - eye.iris[0]) / eye.radius_px, (rows - eye.iris[1]) / eye.radius_px
        radius, edge = np.hypot(dx, dy), 1.3 / eye.radius_px
        glow = np.clip(0.45 + 0.55 * (dx * 0.45 + dy * 0.75), 0, 1)[..., None]
        iris = hex_color(palette.iris[0]) * (1 - glow) + hex_color(palette.iris[1]) * glow
        ring = 0.5 + 0.5 * np.clip((1.0 - radius) / 0.22, 0, 1) ** 0.7
        iris = iris * (ring * (0.45 + 0.55 * lid_shadow))[..., None]
        paint = lay_over(paint, np.clip((1 - radius) / edge + 0.5, 0, 1), iris)
        paint = lay_over(paint, np.clip((0.44 - radius) / edge + 0.5, 0, 1), dark * 0.6)
        picture = lay_over(picture, eye.mask, paint)
        lines = np.zeros(tone.shape)
        draw_taper(lines, eye.upper, taper(len(eye.upper), 0.3, 1.0, 0.75, 0.65) * lash * eye.height_px)
        picture = lay_over(picture, lines, dark)
        lines[:] = 0
        draw_taper(lines, eye.lower, taper(len(eye.lower), 0.1, 0.45, 0.5, 0.7) * lash * eye.height_px)
        picture = lay_over(picture, lines * 0.6, dark)
        for at_x, at_y, size, strength in ((-0.36, -0.38, 0.24, 1.0), (0.42, 0.45, 0.15, 0.35)):
            spot = np.hypot(dx - at_x, dy - at_y)
            picture = lay_over(picture, eye.mask * strength * np.clip((size - spot) / edge + 0.5, 0, 1), np.ones(3))
    return picture


def _edge_height(edge: np.ndarray, columns: np.ndarray) -> np.ndarray:
    order = np.argsort(edge[:, 0])
    return np.interp(columns, edge[order, 0], edge[order, 1])


def paint_lines(picture: np.ndarray, scene: Scene, palette: Palette, brow_width: float, seed: int) -> np.ndarray:
    """Brows, nostrils and the line between the lips, in the palette's dark. ``brow_width``: of one hair, pixels."""
    dark = hex_color(palette.dark)
    brows = np.zeros(picture.shape[:2])
    for hair in brow_hairs(scene, 90, 0.24, seed):
        draw_taper(brows, hair, taper(len(hair), 0.7, 1.0, 0.1, 0.3) * brow_width)
    picture = lay_over(picture, blur(brows, 0.7) * 0.85, dark)
    mouth = lip_curves(scene)[1]
    lines = np.zeros(picture.shape[:2])
    width = np.linalg.norm(mouth[-1] - mouth[0])
    draw_taper(lines, mouth, taper(len(mouth), 0.018, 0.034, 0.018) * width)
    for ids in NOSTRILS:
        outer, inner = scene.landmarks[list(ids)]
        width = np.linalg.norm(outer - inner)
        curve = resample_curve(np.array([outer, (outer + inner) / 2 - [0, width * 0.18], inner]), 20)
        draw_taper(lines, curve, taper(20, 0.2, 0.5, 0.2) * width)
    return lay_over(picture, blur(lines, 0.8) * 0.85, dark)
