"""Eyeballs: gaze, iris and sclera measured in the photo and painted whole, the photo on top where it shows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.appearance_models import DARKEST_DIVISOR, SkinColors, brightness_ratio
from portraitist.unwrapping.gaze import Eyeball, Iris, locate_eyeballs, search_gazes, unit
from portraitist.unwrapping.texel_crop import TexelCrop

# Angles are relative to the iris: 1 at its limbus. Radii are texels of a 1024 texture; brightness is luminance.
IRIS_BINS = 8  # rings from the pupil's middle to the limbus
FEWEST_RINGS = 3  # that must be seen for the iris to have its own color
FEWEST_RING_TEXELS = 6
IRIS_BRIGHTNESS = 0.8  # of the sclera's: what is brighter within the limbus is glare
UNVEILED_SHARE = 0.7  # of a ring's texels, the darker ones: a lens may brighten one of both irises
DEFAULT_IRIS = np.array([0.23, 0.15, 0.10], np.float32)  # sRGB
PUPIL = np.array([0.04, 0.03, 0.03], np.float32)  # sRGB
PUPIL_RADIUS = 0.36  # of the iris
PUPIL_SOFTNESS = 0.1  # of the iris, to both sides of that radius
PUPIL_BRIGHTNESS = 0.5  # of the iris', at most
LIMBUS = (0.92, 1.1)  # angle: iris, sclera

BACK_OF_SCLERA = np.array([0.92, 0.82, 0.80], np.float32)  # of the sclera's color
SCLERA_BACK = (1.4, 3.2)  # angle at which it begins to redden and darken and is fully so
SCLERA_BRIGHTNESS = 1.15  # of the skin's, by default
SCLERA_RANGE = (0.2, 0.88)  # brightness, by default
SCLERA_LEAST = 0.75  # of the default brightness
SCLERA_MOST = 0.92  # brightness
SCLERA_BRIGHTEST = 0.95  # sRGB
SCLERA_ANGLE = 1.25  # from which a texel is surely beside the iris
SCLERA_REDNESS = 0.75  # of the skin's: what is redder is lid
LEAST_REDNESS = 0.02
FEWEST_SCLERA_TEXELS = 40
BRIGHTER_SHARE = 0.6  # quantile of the brightness from which samples are the sclera's own
OWN_HUE = 0.6  # share of the hue that is seen
SKIN_HUE = 0.4  # share of the skin's hue in the sclera of eyes that hardly show theirs

BORDER_RADIUS = 2.0  # over which the photo fades towards the lids
BORDER_WEIGHT = (0.45, 0.95)  # mean weight around a texel: close to a lid, far enough from it
WEIGHT_RADIUS = 2.0  # over which every change of the weights is softened
SHADING_RADII = (24.0, 9.0, 4.0)  # over which the photo's own shading is continued under the lids
SHADING_RANGE = (0.5, 1.15)  # of the paint's brightness
SHADING_SEEN = 0.2  # mean weight around a texel at which its surroundings give the shading alone
UPPER_LID_SHADE = 0.25
UPPER_LID_DEG = (3.0, 32.0)  # above the axis: that shade begins and is full
LOWER_LID_SHADE = 0.15
LOWER_LID_DEG = (8.0, 40.0)  # below the axis
LASH_BRIGHTNESS = 0.35  # of the painted eye's
LID_SHADOW_BRIGHTNESS = 0.70  # of the painted eye's
LASH_WEIGHT = 0.2  # of what is dark as lashes: the lid's shadow, no more than a haze on an opened eye
NEARER_SKIN = (-0.12, 0.04)  # sRGB: how much nearer to the skin's color than to the paint a lid is, and an eye
UNLIKE_SKIN = (0.25, 0.4)  # sRGB: distance to the skin's color of a lid, of an eye

GLARE_RADIUS = 8.0  # smaller spots are highlights
GLARE_EXCESS = (0.20, 0.35)  # mean brightness above the paint's, of the sclera's: none, glare
LARGEST_EXCESS = 0.5  # brightness
GLARE_ANGLE = 0.9  # within which it is measured
GLARE_REACH = (1.2, 1.0)  # angle to which it is taken out

HIGHLIGHT_OFFSET = (-0.30, 0.38)  # iris radii to the viewer's right, and up
HIGHLIGHT_RADIUS = 0.17  # angle
HIGHLIGHT_EDGE = (1.4, 0.6)  # of that radius
HIGHLIGHT_STRENGTH = 0.75
HIGHLIGHT_BRIGHTNESS = 1.25  # of the sclera's
SHINING_EXCESS = 0.35  # brightness above the paint's, of the sclera's: the photo's own highlight
SHINING_WEIGHT = 0.6
SHINING_ANGLE = 0.8
FEWEST_SHINING_TEXELS = 3


def paint_eyeballs(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    seen: TexelColors,
    skin: SkinColors,
    chroma: float,
    texels: HeadTexels,
    model: HeadModel,
    irises: tuple[Iris, ...] | None = None,
) -> Float[np.ndarray, "3"]:
    """Paint both balls into ``colors``, and set their ``weights``, in place. Returns the color of the sclera.

    ``chroma``: 0 for a black-and-white photo, whose eyes have to stay gray, else 1. ``irises``: where the detector saw
    them, if it did; else the picture is searched.
    """
    eyeballs = locate_eyeballs(model, texels)
    views = [observe_eyeball(eyeball, seen) for eyeball in eyeballs]
    if irises is None:
        gazes = search_gazes(eyeballs, views)
    else:
        gazes = [iris.direction for iris in irises]
        eyeballs = tuple(replace(ball, iris_radius=iris.radius) for ball, iris in zip(eyeballs, irises, strict=True))
    angles = [eyeball.angles_to(gaze) for eyeball, gaze in zip(eyeballs, gazes, strict=True)]
    sclera = estimate_sclera_color(angles, views, skin)
    iris = measure_iris(angles, views, sclera, chroma)
    for eyeball, view, gaze, angle in zip(eyeballs, views, gazes, angles, strict=True):
        painted = paint_eyeball(eyeball, angle, iris, sclera, chroma)
        # Everything that is visible tells about the light, texels that show a lid too.
        painted *= extrapolate_shading(view.colors, seen.weights[eyeball.crop.ids], painted, eyeball.crop)
        likelihood = eye_likelihood(view.colors, painted, skin.median)
        likelihood *= 1 - find_glare(view.colors, painted, angle, sclera, eyeball.crop)
        own_weights = view.weights * np.minimum(likelihood, eyeball.crop.smooth(likelihood, WEIGHT_RADIUS))
        # A highlight that the photo shows is the photo's own; an eye without one looks dead.
        shining = luminance(view.colors - painted) > SHINING_EXCESS * luminance(sclera)
        shining &= (own_weights > SHINING_WEIGHT) & (angle < SHINING_ANGLE)
        spot = paint_highlight(eyeball, gaze) * (shining.sum() < FEWEST_SHINING_TEXELS)
        painted = mix(painted, (HIGHLIGHT_BRIGHTNESS * sclera).clip(0, 1), spot[:, None])
        own_weights = own_weights * (1 - spot)
        colors[eyeball.crop.ids] = mix(painted, view.colors, own_weights[:, None]).clip(0, 1)
        weights[eyeball.crop.ids] = own_weights
    return sclera


def observe_eyeball(eyeball: Eyeball, seen: TexelColors) -> TexelColors:
    """What the photo shows of one ball. Lids and lashes are a pixel or two from where the fit has them: weights begin
    at a distance from them."""
    ids = eyeball.crop.ids
    inner = eyeball.crop.smooth(seen.weights[ids], BORDER_RADIUS)
    return TexelColors(seen.colors[ids], seen.weights[ids] * smoothstep(inner, *BORDER_WEIGHT), seen.view_cosines[ids])


def eye_likelihood(
    photo: Float[np.ndarray, "k 3"], painted: Float[np.ndarray, "k 3"], skin: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "k"]:
    """1 unless the photo shows a lid over the fitted eye: as skin is and not as the eye, or (less surely) dark
    where that is pale."""
    own = np.linalg.norm(photo - painted, axis=1)
    foreign = np.linalg.norm(photo - skin, axis=1)
    other = np.maximum(smoothstep(foreign - own, *NEARER_SKIN), smoothstep(foreign, *UNLIKE_SKIN))
    dark = luminance(photo) / np.maximum(luminance(painted), 0.05)
    return (other * mix(LASH_WEIGHT, 1.0, smoothstep(dark, LASH_BRIGHTNESS, LID_SHADOW_BRIGHTNESS))).astype(np.float32)


def find_glare(
    photo: Float[np.ndarray, "e 3"],
    painted: Float[np.ndarray, "e 3"],
    angle: Float[np.ndarray, "e"],
    sclera: Float[np.ndarray, "3"],
    crop: TexelCrop,
) -> Float[np.ndarray, "e"]:
    """1 where a reflection wider than a highlight (a spectacle lens) veils the iris."""
    excess = (luminance(photo) - luminance(painted)).clip(0, LARGEST_EXCESS) * (angle < GLARE_ANGLE)
    excess = excess / np.maximum(luminance(sclera), DARKEST_DIVISOR)
    return smoothstep(crop.smooth(excess, GLARE_RADIUS), *GLARE_EXCESS) * smoothstep(angle, *GLARE_REACH)


def estimate_sclera_color(
    angles: list[np.ndarray], views: list[TexelColors], skin: SkinColors
) -> Float[np.ndarray, "3"]:
    """Mean of the brighter half of what is visible beside the irises; a pale gray lit like the skin when nothing is."""
    default = float((SCLERA_BRIGHTNESS * luminance(skin.median)).clip(*SCLERA_RANGE))
    # A neutral gray among skin in warm light looks blue, and an eye dead.
    hue = mix(np.ones(3, np.float32), skin.median / np.maximum(luminance(skin.median), DARKEST_DIVISOR), SKIN_HUE)
    samples = np.concatenate(
        [view.colors[(view.weights > 0.5) & (angle > SCLERA_ANGLE)] for view, angle in zip(views, angles, strict=True)]
    )
    # Lids lie over part of a fitted eye: what is as colored as skin is not the sclera.
    samples = samples[redness(samples) <= np.maximum(SCLERA_REDNESS * redness(skin.median), LEAST_REDNESS)]
    if len(samples) < FEWEST_SCLERA_TEXELS:
        return (default * hue).clip(0, SCLERA_BRIGHTEST).astype(np.float32)
    gray = luminance(samples)
    bright = samples[gray >= np.quantile(gray, BRIGHTER_SHARE)].mean(0)
    level = luminance(bright).clip(SCLERA_LEAST * default, SCLERA_MOST)
    own = bright / np.maximum(luminance(bright), DARKEST_DIVISOR)
    return (level * mix(hue, own, OWN_HUE)).clip(0, SCLERA_BRIGHTEST).astype(np.float32)


def redness(colors: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k"]:
    """How much red exceeds blue, relative to both; 0 for gray."""
    red, blue = colors[..., 0], colors[..., 2]
    return np.asarray((red - blue) / (red + blue + 0.1))


def scale_saturation(color: Float[np.ndarray, "*k 3"], chroma: float) -> Float[np.ndarray, "*k 3"]:
    """``color`` with its saturation times ``chroma``."""
    return mix(luminance(color)[..., None], color, chroma).astype(np.float32)


def measure_iris(
    angles: list[np.ndarray],
    views: list[TexelColors],
    sclera: Float[np.ndarray, "3"],
    chroma: float,
) -> Float[np.ndarray, "bins 3"]:
    """Median colors in rings from pupil to limbus, both eyes together; a ring that is hidden takes its neighbors'.

    The pupil is at least half as dark as the iris, which in a small or blurred photo it is not; glare is left out.
    """
    angle = np.concatenate(angles)
    colors, weights = (np.concatenate(x) for x in zip(*((v.colors, v.weights) for v in views), strict=True))
    usable = (weights > 0.5) & (luminance(colors) < IRIS_BRIGHTNESS * luminance(sclera))
    rings = np.floor(angle * IRIS_BINS)
    medians = np.full((IRIS_BINS, 3), np.nan, np.float32)
    for ring in range(IRIS_BINS):
        inside = (rings == ring) & usable
        if inside.sum() >= FEWEST_RING_TEXELS:
            brightness = luminance(colors[inside])
            darker = brightness <= np.quantile(brightness, UNVEILED_SHARE)
            medians[ring] = np.median(colors[inside][darker], axis=0)
    known = np.flatnonzero(~np.isnan(medians[:, 0]))
    middles = (np.arange(IRIS_BINS)[:, None] + 0.5) / IRIS_BINS
    in_pupil = smoothstep(middles, PUPIL_RADIUS + PUPIL_SOFTNESS, PUPIL_RADIUS - PUPIL_SOFTNESS)
    if len(known) < FEWEST_RINGS:
        return scale_saturation(mix(DEFAULT_IRIS, PUPIL, in_pupil), chroma)
    filled = np.stack([np.interp(np.arange(IRIS_BINS), known, medians[known, c]) for c in range(3)], axis=1)
    disc = np.median(filled[IRIS_BINS // 2 :], axis=0)
    limit = PUPIL_BRIGHTNESS * luminance(disc)
    darker = filled * np.minimum(limit / np.maximum(luminance(filled), 1e-3), 1)[:, None]
    return mix(filled, darker, in_pupil).astype(np.float32)


def paint_eyeball(
    eyeball: Eyeball,
    angle: Float[np.ndarray, "e"],
    iris: Float[np.ndarray, "bins 3"],
    sclera: Float[np.ndarray, "3"],
    chroma: float,
) -> Float[np.ndarray, "e 3"]:
    """Rings of iris color, then sclera that reddens and darkens towards the back and under the lids."""
    middles = (np.arange(IRIS_BINS) + 0.5) / IRIS_BINS
    disc = np.stack([np.interp(angle, middles, iris[:, channel]) for channel in range(3)], axis=1)
    back = sclera * scale_saturation(BACK_OF_SCLERA, chroma)
    ball = mix(sclera, back, smoothstep(angle, *SCLERA_BACK)[:, None])
    colors = mix(disc, ball, smoothstep(angle, *LIMBUS)[:, None])
    # Lids shade the ball above more than below; they stay while it turns, so this is fixed to the model's axis.
    lift = np.degrees(np.arcsin(eyeball.directions[:, 1]) - np.arcsin(eyeball.axis[1]))
    shade = UPPER_LID_SHADE * smoothstep(lift, *UPPER_LID_DEG) + LOWER_LID_SHADE * smoothstep(-lift, *LOWER_LID_DEG)
    return (colors * (1 - shade)[:, None]).astype(np.float32)


def extrapolate_shading(
    photo: Float[np.ndarray, "e 3"],
    weights: Float[np.ndarray, "e"],
    painted: Float[np.ndarray, "e 3"],
    crop: TexelCrop,
) -> Float[np.ndarray, "e 1"]:
    """How bright the photo is against the paint, smoothed and continued under the lids.

    It keeps what a lid or its lashes do to the light on the eye, and nothing of their shapes.
    """
    ratio = brightness_ratio(photo, painted)
    weighted = np.column_stack([ratio.clip(*SHADING_RANGE) * weights, weights])
    shading = np.ones((len(ratio), 1), np.float32)
    for radius in SHADING_RADII:  # a wider one fills what the narrower ones do not reach
        sums = crop.smooth(weighted, radius)
        shading = mix(shading, sums[:, :1] / np.maximum(sums[:, 1:], 1e-4), smoothstep(sums[:, 1:], 0.0, SHADING_SEEN))
    return shading.astype(np.float32)


def paint_highlight(eyeball: Eyeball, gaze: Float[np.ndarray, "3"]) -> Float[np.ndarray, "e"]:
    """Share 0..1 of white in a small round reflection, above the pupil on the viewer's left."""
    side = unit(np.cross([0.0, 1.0, 0.0], gaze))
    up = np.cross(gaze, side)
    across, lift = (np.tan(eyeball.iris_radius) * share for share in HIGHLIGHT_OFFSET)
    center = unit(gaze + across * side + lift * up)
    outer, inner = (edge * HIGHLIGHT_RADIUS for edge in HIGHLIGHT_EDGE)
    return HIGHLIGHT_STRENGTH * smoothstep(eyeball.angles_to(center), outer, inner)
