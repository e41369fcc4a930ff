"""Eyeballs: gaze, iris and white measured in the photo and painted whole, with the photo on top where it shows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.gaze import Eyeball, Iris, find_gazes, locate_eyeballs, unit
from portraitist.unwrapping.observation import SkinColors
from portraitist.unwrapping.texel_patch import TexelPatch

IRIS_BINS = 8
DEFAULT_IRIS = np.array([0.23, 0.15, 0.10], np.float32)
PUPIL = np.array([0.04, 0.03, 0.03], np.float32)
PUPIL_RADIUS = 0.36  # of the iris
BACK_OF_WHITE = np.array([0.92, 0.82, 0.80], np.float32)
BORDER = 2.0  # texels of 1024 over which the photo fades towards the lids
SOFTNESS = 2.0  # texels of 1024, of every change of trust
SPREAD_RADII = (4.0, 9.0, 24.0)  # texels of 1024: how far the photo's own light is continued under the lids
GLARE_WIDTH = 8.0  # texels of 1024; smaller spots are highlights
LIGHT_RANGE = (0.5, 1.15)  # of the paint's brightness
LASH, LID_SHADOW = 0.35, 0.70  # brightness against the painted eye's: that of lashes, that of a lid's shadow
LASH_TRUST = 0.2  # in what is dark as lashes: the lid's shadow in the photo, no more than a haze on an opened eye
WHITE_OF_SKIN = 0.4  # share of the skin's hue in the white of eyes that hardly show theirs
HIGHLIGHT_OFFSET = (-0.30, 0.38)  # iris radii to the viewer's right, and up
HIGHLIGHT_RADIUS, HIGHLIGHT_STRENGTH = 0.17, 0.75


def paint_eyeballs(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    seen: TexelColors,
    skin: SkinColors,
    chroma: float,
    atlas: HeadTexels,
    model: HeadModel,
    irises: tuple[Iris, ...] | None = None,
) -> Float[np.ndarray, "3"]:
    """Paint both balls into ``colors``, and set their ``weights``, in place. Returns the color of the white.

    ``chroma``: 0 for a black-and-white photo, whose eyes have to stay gray, else 1. ``irises``: where the detector saw
    them, if it did; else the picture is searched.
    """
    eyeballs = locate_eyeballs(model, atlas)
    views = [look_at(eyeball, seen) for eyeball in eyeballs]
    if irises is None:
        gazes = find_gazes(eyeballs, views)
    else:
        gazes = [iris.direction for iris in irises]
        eyeballs = tuple(replace(ball, iris_radius=iris.radius) for ball, iris in zip(eyeballs, irises, strict=True))
    angles = [eyeball.angles_to(gaze) for eyeball, gaze in zip(eyeballs, gazes, strict=True)]
    white = find_eye_white(angles, views, skin)
    iris = measure_iris(angles, views, white, chroma)
    for eyeball, view, gaze, angle in zip(eyeballs, views, gazes, angles, strict=True):
        painted = paint_eyeball(eyeball, angle, iris, white, chroma)
        # Everything that is visible tells about the light, the rims that show a lid too.
        painted *= continue_light(view.colors, seen.weights[eyeball.patch.ids], painted, eyeball.patch)
        likeness = resembles(view.colors, painted, skin.median)
        likeness *= 1 - find_glare(view.colors, painted, angle, white, eyeball.patch)
        trust = view.weights * np.minimum(likeness, eyeball.patch.smooth(likeness, SOFTNESS))
        # A highlight that the photo shows is the photo's own; an eye without one looks dead.
        shining = (luminance(view.colors - painted) > 0.35 * luminance(white)) & (trust > 0.6) & (angle < 0.8)
        spot = paint_highlight(eyeball, gaze) * (shining.sum() < 3)
        painted, trust = mix(painted, (1.25 * white).clip(0, 1), spot[:, None]), trust * (1 - spot)
        colors[eyeball.patch.ids] = mix(painted, view.colors, trust[:, None]).clip(0, 1)
        weights[eyeball.patch.ids] = trust
    return white


def look_at(eyeball: Eyeball, seen: TexelColors) -> TexelColors:
    """What the photo shows of one ball. Lids and lashes are a pixel or two from where the fit has them: trust begins
    at a distance from them."""
    ids = eyeball.patch.ids
    inner = eyeball.patch.smooth(seen.weights[ids], BORDER)
    return TexelColors(seen.colors[ids], seen.weights[ids] * smoothstep(inner, 0.45, 0.95), seen.facing[ids])


def resembles(
    photo: Float[np.ndarray, "k 3"], painted: Float[np.ndarray, "k 3"], skin: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "k"]:
    """1 unless the photo shows a lid over the fitted eye: as skin is and not as the eye, or (less surely) dark
    where that is pale."""
    own = np.linalg.norm(photo - painted, axis=1)
    foreign = np.linalg.norm(photo - skin, axis=1)
    other = np.maximum(smoothstep(foreign - own, -0.12, 0.04), smoothstep(foreign, 0.25, 0.4))
    dark = luminance(photo) / np.maximum(luminance(painted), 0.05)
    return (other * mix(LASH_TRUST, 1.0, smoothstep(dark, LASH, LID_SHADOW))).astype(np.float32)


def find_glare(
    photo: Float[np.ndarray, "e 3"],
    painted: Float[np.ndarray, "e 3"],
    angle: Float[np.ndarray, "e"],
    white: Float[np.ndarray, "3"],
    patch: TexelPatch,
) -> Float[np.ndarray, "e"]:
    """1 where a reflection wider than a highlight (a spectacle lens) veils the iris."""
    excess = (luminance(photo) - luminance(painted)).clip(0, 0.5) / np.maximum(luminance(white), 0.02) * (angle < 0.9)
    return smoothstep(patch.smooth(excess, GLARE_WIDTH), 0.20, 0.35) * smoothstep(angle, 1.2, 1.0)


def find_eye_white(angles: list[np.ndarray], views: list[TexelColors], skin: SkinColors) -> Float[np.ndarray, "3"]:
    """Mean of the brighter half of what is visible beside the irises; a pale gray lit like the skin when nothing is."""
    default = float((1.15 * luminance(skin.median)).clip(0.2, 0.88))
    # A neutral gray among skin in warm light looks blue, and an eye dead.
    hue = mix(np.ones(3, np.float32), skin.median / np.maximum(luminance(skin.median), 0.02), WHITE_OF_SKIN)
    samples = np.concatenate(
        [view.colors[(view.weights > 0.5) & (angle > 1.25)] for view, angle in zip(views, angles, strict=True)]
    )
    # Lids lie over part of a fitted eye: what is as colored as skin is not the white.
    samples = samples[redness(samples) <= np.maximum(0.75 * redness(skin.median), 0.02)]
    if len(samples) < 40:
        return (default * hue).clip(0, 0.95).astype(np.float32)
    gray = luminance(samples)
    bright = samples[gray >= np.quantile(gray, 0.6)].mean(0)
    level = luminance(bright).clip(0.75 * default, 0.92)
    own = bright / np.maximum(luminance(bright), 0.02)
    return (level * mix(hue, own, 0.6)).clip(0, 0.95).astype(np.float32)


def redness(colors: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k"]:
    """How much red exceeds blue, relative to both; 0 for gray."""
    red, blue = colors[..., 0], colors[..., 2]
    return np.asarray((red - blue) / (red + blue + 0.1))


def keep_gray(color: Float[np.ndarray, "*k 3"], chroma: float) -> Float[np.ndarray, "*k 3"]:
    """``color`` with its saturation times ``chroma``."""
    return mix(luminance(color)[..., None], color, chroma).astype(np.float32)


def measure_iris(
    angles: list[np.ndarray],
    views: list[TexelColors],
    white: Float[np.ndarray, "3"],
    chroma: float,
) -> Float[np.ndarray, "bins 3"]:
    """Median colors in rings from pupil to rim, both eyes together; a ring that is hidden takes its neighbors'.

    The pupil is at least half as dark as the iris, which in a small or blurred photo it is not; glare is left out.
    """
    angle = np.concatenate(angles)
    colors, weights = (np.concatenate(x) for x in zip(*((v.colors, v.weights) for v in views), strict=True))
    usable = (weights > 0.5) & (luminance(colors) < 0.8 * luminance(white))
    rings = np.floor(angle * IRIS_BINS)
    medians = np.full((IRIS_BINS, 3), np.nan, np.float32)
    for ring in range(IRIS_BINS):
        inside = (rings == ring) & usable
        if inside.sum() >= 6:
            brightness = luminance(colors[inside])
            darker = brightness <= np.quantile(brightness, 0.7)  # a lens may brighten one of both irises
            medians[ring] = np.median(colors[inside][darker], axis=0)
    known = np.flatnonzero(~np.isnan(medians[:, 0]))
    middles = (np.arange(IRIS_BINS)[:, None] + 0.5) / IRIS_BINS
    in_pupil = smoothstep(middles, PUPIL_RADIUS + 0.1, PUPIL_RADIUS - 0.1)
    if len(known) < 3:
        return keep_gray(mix(DEFAULT_IRIS, PUPIL, in_pupil), chroma)
    filled = np.stack([np.interp(np.arange(IRIS_BINS), known, medians[known, c]) for c in range(3)], axis=1)
    disc = np.median(filled[IRIS_BINS // 2 :], axis=0)
    limit = 0.5 * luminance(disc)
    darker = filled * np.minimum(limit / np.maximum(luminance(filled), 1e-3), 1)[:, None]
    return mix(filled, darker, in_pupil).astype(np.float32)


def paint_eyeball(
    eyeball: Eyeball,
    angle: Float[np.ndarray, "e"],
    iris: Float[np.ndarray, "bins 3"],
    white: Float[np.ndarray, "3"],
    chroma: float,
) -> Float[np.ndarray, "e 3"]:
    """Rings of iris color, then white that reddens and darkens towards the back and under the lids."""
    middles = (np.arange(IRIS_BINS) + 0.5) / IRIS_BINS
    disc = np.stack([np.interp(angle, middles, iris[:, channel]) for channel in range(3)], axis=1)
    back = white * keep_gray(BACK_OF_WHITE, chroma)
    ball = mix(white, back, smoothstep(angle, 1.4, 3.2)[:, None])
    colors = mix(disc, ball, smoothstep(angle, 0.92, 1.1)[:, None])
    # Lids shade the ball above more than below; they stay while it turns, so this is fixed to the model's axis.
    lift = np.degrees(np.arcsin(eyeball.directions[:, 1]) - np.arcsin(eyeball.axis[1]))
    shade = 0.25 * smoothstep(lift, 3.0, 32.0) + 0.15 * smoothstep(-lift, 8.0, 40.0)
    return (colors * (1 - shade)[:, None]).astype(np.float32)


def continue_light(
    photo: Float[np.ndarray, "e 3"],
    weights: Float[np.ndarray, "e"],
    painted: Float[np.ndarray, "e 3"],
    patch: TexelPatch,
) -> Float[np.ndarray, "e 1"]:
    """How bright the photo is against the paint, smoothed and continued under the lids.

    It keeps what a lid or its lashes do to the light on the eye, and nothing of their shapes.
    """
    ratio = luminance(photo) / np.maximum(luminance(painted), 0.02)
    weighted = np.column_stack([ratio.clip(*LIGHT_RANGE) * weights, weights])
    light = np.ones((len(ratio), 1), np.float32)
    for radius in reversed(SPREAD_RADII):  # a wider one fills what the narrower ones do not reach
        sums = patch.smooth(weighted, radius)
        light = mix(light, sums[:, :1] / np.maximum(sums[:, 1:], 1e-4), smoothstep(sums[:, 1:], 0.0, 0.2))
    return light.astype(np.float32)


def paint_highlight(eyeball: Eyeball, gaze: Float[np.ndarray, "3"]) -> Float[np.ndarray, "e"]:
    """Share 0..1 of white in a small round reflection, above the pupil on the viewer's left."""
    side = unit(np.cross([0.0, 1.0, 0.0], gaze))
    up = np.cross(gaze, side)
    across, lift = (np.tan(eyeball.iris_radius) * share for share in HIGHLIGHT_OFFSET)
    spot = unit(gaze + across * side + lift * up)
    return HIGHLIGHT_STRENGTH * smoothstep(eyeball.angles_to(spot), 1.4 * HIGHLIGHT_RADIUS, 0.6 * HIGHLIGHT_RADIUS)
