"""Eyeballs, teeth, tongue and the inside of the mouth: parts of which a photo shows a sliver, or nothing.

Each gets a clean paint whose colours come from what is visible, and the photo on top where it surely shows the part.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.observation import SkinColours, TexelColours, luminance, mix, smoothstep
from portraitist.reconstruction.texel_atlas import TexelAtlas

SIDES = {"right": slice(468, 473), "left": slice(473, 478)}  # iris points: centre, then four on the rim
IRIS_BINS = 8
DEFAULT_IRIS = np.array([0.23, 0.15, 0.10], np.float32)
PUPIL = np.array([0.04, 0.03, 0.03], np.float32)
GAZE_SEARCH_DEG, GAZE_STEP_DEG = 12.0, 1.5
RIM_SHARE = 0.75
MOUTH_RED = np.array([0.62, 0.30, 0.30], np.float32)  # of the lips' colour, deep inside
TOOTH_OF_WHITE = np.array([0.97, 0.93, 0.84], np.float32)
BACK_TOOTH_OF_WHITE = np.array([0.40, 0.31, 0.27], np.float32)
CLOSED_MOUTH_LIGHT = 0.5
DEFAULT_LIPS = np.array([0.60, 0.35, 0.33], np.float32)
SPREAD_RADIUS = 6.0  # texels of 1024
TONGUE_OF_LIPS = np.array([0.95, 0.80, 0.82], np.float32)


@dataclass(frozen=True)
class Eyeball:
    """One ball's texels: which of the k, their directions from its centre, and the model's iris.

    ``axis``: unit direction of the model's iris. ``iris_radius``: angle in radians at which the iris ends.
    """

    texels: Bool[np.ndarray, "k"]
    directions: Float[np.ndarray, "e 3"]
    axis: Float[np.ndarray, "3"]
    iris_radius: float


@functools.lru_cache(maxsize=2)
def locate_eyeballs(model: HeadModel, atlas: TexelAtlas) -> tuple[Eyeball, ...]:
    """Both balls of the model's mean head; a ball only turns and moves, so its texels' directions are for good."""
    vertices = model.mean.numpy()
    iris_points = model.landmarks478.positions(model.mean, model.faces).numpy()
    eyeballs = []
    for side, rows in SIDES.items():
        own = vertices[model.vertex_ids(f"eyeball_{side}").numpy()]
        centre = (own.min(0) + own.max(0)) / 2
        texels = atlas.in_parts(f"eyeball_{side}")
        rim = unit(iris_points[rows] - centre)
        # The lids hide the rim above and below in most photos, so that only the points to the sides are good.
        radius = np.arccos(rim[1] @ rim[3]) / 2
        eyeballs.append(Eyeball(texels, unit(atlas.interpolation[texels] @ vertices - centre), rim[0], float(radius)))
    return tuple(eyeballs)


def unit(vectors: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k 3"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def paint_inner_parts(
    colours: Float[np.ndarray, "k 3"], seen: TexelColours, skin: SkinColours, atlas: TexelAtlas, model: HeadModel
) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k"]]:
    """The surface's ``colours`` with eyeballs, teeth, tongue and mouth painted; and the final trust in the photo."""
    colours, weights = colours.copy(), seen.weights.copy()
    eyeballs = locate_eyeballs(model, atlas)
    white = find_eye_white(eyeballs, seen, skin)
    gazes = [find_gaze(eyeball, seen) for eyeball in eyeballs]
    angles = [
        np.arccos((eyeball.directions @ gaze).clip(-1, 1)) / eyeball.iris_radius
        for eyeball, gaze in zip(eyeballs, gazes, strict=True)
    ]
    iris = measure_iris(eyeballs, angles, seen)
    for eyeball, angle in zip(eyeballs, angles, strict=True):
        painted = paint_eyeball(angle, iris, white)
        photo, trust = seen.colours[eyeball.texels], weights[eyeball.texels]
        # A lid that covers more than the fitted one leaves a rim; pure white there would stand out.
        trust = trust * mix(RIM_SHARE, 1.0, resembles(photo, painted, skin.median))
        colours[eyeball.texels] = mix(painted, photo, trust[:, None])
        weights[eyeball.texels] = trust
    paint_mouth(colours, weights, seen, white, atlas, model)
    return colours, weights


def resembles(
    photo: Float[np.ndarray, "e 3"], painted: Float[np.ndarray, "e 3"], other: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "e"]:
    """1 unless the photo is close to ``other`` (a lid over the fitted eye) and closer than to what should be there."""
    own = np.linalg.norm(photo - painted, axis=1)
    foreign = np.linalg.norm(photo - other, axis=1)
    return np.maximum(smoothstep(foreign - own, -0.12, 0.04), smoothstep(foreign, 0.25, 0.4))


def find_gaze(eyeball: Eyeball, seen: TexelColours) -> Float[np.ndarray, "3"]:
    """Direction of the iris in the photo: the disc that is darkest against the ring around it, near the fitted one."""
    side = unit(np.cross([0.0, 1.0, 0.0], eyeball.axis))
    up = np.cross(eyeball.axis, side)
    weights = seen.weights[eyeball.texels]
    visible = weights > 0.2
    if weights.sum() < 50:
        return eyeball.axis
    directions, grey = eyeball.directions[visible], luminance(seen.colours[eyeball.texels][visible])
    best, best_score = eyeball.axis, -np.inf
    steps = np.radians(np.arange(-GAZE_SEARCH_DEG, GAZE_SEARCH_DEG + 0.1, GAZE_STEP_DEG))
    for across in steps:
        for lift in steps:
            gaze = unit(eyeball.axis + np.tan(across) * side + np.tan(lift) * up).astype(np.float32)
            angle = np.arccos((directions @ gaze).clip(-1, 1)) / eyeball.iris_radius
            inside, ring = angle < 0.9, (angle > 1.1) & (angle < 1.7)
            if inside.sum() < 20 or ring.sum() < 20:
                continue
            contrast = grey[ring].mean() - grey[inside].mean()
            score = contrast - 0.15 * (across**2 + lift**2) / np.radians(GAZE_SEARCH_DEG) ** 2
            if score > best_score:
                best, best_score = gaze, score
    return best


def find_eye_white(eyeballs: tuple[Eyeball, ...], seen: TexelColours, skin: SkinColours) -> Float[np.ndarray, "3"]:
    """Mean of the brighter half of what is visible beside the irises; a pale grey lit like the skin when nothing is."""
    default = np.full(3, (1.15 * luminance(skin.median)).clip(0.2, 0.88), np.float32)
    found = []
    for eyeball in eyeballs:
        angle = np.arccos((eyeball.directions @ eyeball.axis).clip(-1, 1)) / eyeball.iris_radius
        beside = (seen.weights[eyeball.texels] > 0.5) & (angle > 1.3)
        found.append(seen.colours[eyeball.texels][beside])
    samples = np.concatenate(found)
    # Lids lie over part of a fitted eye: what is as coloured as skin is not the white.
    samples = samples[redness(samples) < 0.75 * redness(skin.median)]
    if len(samples) < 40:
        return default
    grey = luminance(samples)
    bright = samples[grey >= np.quantile(grey, 0.6)].mean(0)
    level = luminance(bright).clip(0.75 * default[0], 0.92)
    return mix(level, bright * level / luminance(bright), 0.6).astype(np.float32)


def redness(colours: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k"]:
    """How much red exceeds blue, relative to both; 0 for grey."""
    red, blue = colours[..., 0], colours[..., 2]
    return np.asarray((red - blue) / (red + blue + 0.1))


def measure_iris(
    eyeballs: tuple[Eyeball, ...], angles: list[np.ndarray], seen: TexelColours
) -> Float[np.ndarray, "bins 3"]:
    """Median colours in rings from pupil to rim, both eyes together; a ring that is hidden takes its neighbours'."""
    angle = np.concatenate(angles)
    colours = np.concatenate([seen.colours[eyeball.texels] for eyeball in eyeballs])
    weights = np.concatenate([seen.weights[eyeball.texels] for eyeball in eyeballs])
    rings = np.floor(angle * IRIS_BINS)
    medians = np.full((IRIS_BINS, 3), np.nan, np.float32)
    for ring in range(IRIS_BINS):
        inside = (rings == ring) & (weights > 0.5)
        if inside.sum() >= 6:
            medians[ring] = np.median(colours[inside], axis=0)
    known = np.flatnonzero(~np.isnan(medians[:, 0]))
    if len(known) < 3:
        rim = np.linspace(0, 1, IRIS_BINS)[:, None]
        return np.where(rim < 0.4, PUPIL, DEFAULT_IRIS).astype(np.float32)
    filled = [np.interp(np.arange(IRIS_BINS), known, medians[known, channel]) for channel in range(3)]
    return np.stack(filled, axis=1).astype(np.float32)


def paint_eyeball(
    angle: Float[np.ndarray, "e"], iris: Float[np.ndarray, "bins 3"], white: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "e 3"]:
    """Rings of iris colour, then white that reddens and darkens towards the back. ``angle``: 1 at the iris' rim."""
    middles = (np.arange(IRIS_BINS) + 0.5) / IRIS_BINS
    disc = np.stack([np.interp(angle, middles, iris[:, channel]) for channel in range(3)], axis=1)
    back = white * np.array([0.85, 0.72, 0.70], np.float32)
    ball = mix(white, back, smoothstep(angle, 1.8, 4.0)[:, None])
    return mix(disc, ball, smoothstep(angle, 0.92, 1.1)[:, None]).astype(np.float32)


def paint_mouth(
    colours: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    seen: TexelColours,
    white: Float[np.ndarray, "3"],
    atlas: TexelAtlas,
    model: HeadModel,
) -> None:
    """Dark red cavity, off-white teeth, pink tongue, in place; the photo stays where it shows them."""
    lips = atlas.in_regions("lips") & (weights > 0.3)
    lip_colour = np.median(colours[lips], axis=0) if lips.any() else DEFAULT_LIPS
    depth = atlas.interpolation @ model.mean.numpy()[:, 2]
    # What is seen spreads a little: beside a slit between the lips the teeth are as dark as in it.
    nearby = atlas.smooth(np.column_stack([seen.colours * weights[:, None], weights]), SPREAD_RADIUS)
    spread = nearby[:, :3] / np.maximum(nearby[:, 3:], 1e-3)
    # Teeth that a closed mouth hides are painted in its shade, or any gap between the lips would gleam.
    teeth = atlas.in_parts("upper_teeth", "lower_teeth")
    light = mix(CLOSED_MOUTH_LIGHT, 1.0, smoothstep(weights[teeth].mean(), 0.01, 0.06))
    for part in ("mouth_cavity", "upper_teeth", "lower_teeth", "tongue"):
        own = atlas.in_parts(part)
        if part == "mouth_cavity":
            painted = colours[own] * MOUTH_RED
        elif part == "tongue":
            painted = lip_colour * TONGUE_OF_LIPS
        else:
            front = smoothstep(depth[own], float(depth[own].min()), float(depth[own].max()))
            painted = light * white * mix(BACK_TOOTH_OF_WHITE, TOOTH_OF_WHITE, front[:, None])
        painted = mix(painted, spread[own], (4 * nearby[own, 3:]).clip(0, 1))
        colours[own] = mix(painted, seen.colours[own], weights[own, None])
