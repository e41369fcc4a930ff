"""Eyeballs: authored, turned to where the photo's eyes look, tinted by their own iris and white, in their own light;
the photo on top where it surely shows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.adaptation import (
    ANYTHING_ELSE,
    Material,
    density,
    estimate_factor,
    tint,
    to_logs,
)
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.authored import AuthoredEye, draw_eye, scale_saturation
from portraitist.unwrapping.gaze import Eyeball, Iris, locate_eyeballs, search_gazes, unit
from portraitist.unwrapping.texel_crop import TexelCrop

# Angles are relative to the iris: 1 at its limbus. Radii are texels of a 1024 texture.
IRIS_COLOR = np.array([0.34, 0.24, 0.18], np.float32)  # sRGB of irises of all colors, on average
PUPIL_COLOR = np.array([0.04, 0.03, 0.03], np.float32)  # sRGB
WHITE = np.array([0.93, 0.91, 0.89], np.float32)  # sRGB, authored
WHITE_OF_SKIN = 1.05  # brightness of the white, of the skin's
WHITE_RANGE = (0.35, 0.82)  # brightness

BORDER_RADIUS = 2.0  # over which the photo fades towards the lids
BORDER_WEIGHT = (0.45, 0.95)  # mean weight around a texel: close to a lid, far enough from it
LIGHT_RADIUS = 4.0  # over which the photo's own light on the eye is continued
LIGHT_RANGE = (0.5, 1.15)  # of the paint's brightness

HIGHLIGHT_OFFSET = (-0.30, 0.38)  # iris radii to the viewer's right, and up
HIGHLIGHT_RADIUS = 0.17  # angle
HIGHLIGHT_EDGE = (1.4, 0.6)  # of that radius
HIGHLIGHT_STRENGTH = 0.85

IRIS = Material(np.zeros(3), brightness=0.6, hue=0.35, noise=0.30, white=False)
IRIS_SHOWN = (0.25, 0.5)  # of its disc: a slit of an eye, which on an opened one would be a stripe; an eye
EYE_PRIOR = 0.8  # probability that what is within the fitted lids is eye, before its color is looked at
OWN_NOISE = 0.5  # log: of an eye's colors around the painted ones; it has rings, veins and shades of its own
LID_NOISE = 0.25  # log: of lids around the skin's median; they are redder, or made up
ELSEWHERE = 0.05  # share of an eye's colors that are not where they are painted
SCLERA = Material(np.zeros(3), brightness=0.15, hue=0.04, noise=0.12)


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
    """Paint both balls into ``colors``, and set their ``weights``, in place. Returns the log factor of the light that
    the whites of the eyes are in.

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
    drawn = [draw_eye(eyeball, gaze, chroma) for eyeball, gaze in zip(eyeballs, gazes, strict=True)]
    light = adapt_sclera(drawn, views, skin)
    iris = adapt_iris(drawn, views, light, skin, chroma)
    for eyeball, view, gaze, eye in zip(eyeballs, views, gazes, drawn, strict=True):
        painted = assemble_eye(eye, iris, light)
        painted *= extend_light(view.colors, seen.weights[eyeball.crop.ids], painted, eyeball.crop)
        own = eye_probability(view, painted, iris, light, skin)
        own = eyeball.crop.smooth(np.minimum(own, eyeball.crop.smooth(own, BORDER_RADIUS)), BORDER_RADIUS / 2)
        own = seen.weights[eyeball.crop.ids] * own
        own *= smoothstep(np.average(view.weights, weights=eye.iris), *IRIS_SHOWN)
        # An eye without a highlight looks dead. Where the photo shows the eye, its own is there.
        spot = paint_highlight(eyeball, gaze) * (1 - own)
        painted = mix(painted, tint(np.ones(3, np.float32), light), spot[:, None])
        colors[eyeball.crop.ids] = mix(painted, view.colors, own[:, None]).clip(0, 1)
        weights[eyeball.crop.ids] = own
    return light


def observe_eyeball(eyeball: Eyeball, seen: TexelColors) -> TexelColors:
    """What the photo shows of one ball. Lids and lashes are a pixel or two from where the fit has them: weights begin
    at a distance from them."""
    ids = eyeball.crop.ids
    inner = eyeball.crop.smooth(seen.weights[ids], BORDER_RADIUS)
    return TexelColors(seen.colors[ids], seen.weights[ids] * smoothstep(inner, *BORDER_WEIGHT), seen.view_cosines[ids])


def adapt_sclera(drawn: list[AuthoredEye], views: list[TexelColors], skin: SkinColors) -> Float[np.ndarray, "3"]:
    """Log factor of the white of the eyes in this photo."""
    seen = [view.weights * (1 - eye.iris) for eye, view in zip(drawn, views, strict=True)]
    authored = np.concatenate([eye.sclera * eye.shade[:, None] for eye in drawn])
    photo = np.concatenate([view.colors for view in views])
    return estimate_factor(photo, authored, np.concatenate(seen), expect_sclera(skin), skin)


def expect_sclera(skin: SkinColors) -> Material:
    """The white of eyes next to a skin: as bright as the light on that makes it."""
    expected = (WHITE_OF_SKIN * luminance(skin.median)).clip(*WHITE_RANGE)
    return replace(SCLERA, mean=to_logs(expected * WHITE / luminance(WHITE)) - to_logs(WHITE))


def adapt_iris(
    drawn: list[AuthoredEye],
    views: list[TexelColors],
    light: Float[np.ndarray, "3"],
    skin: SkinColors,
    chroma: float,
) -> Float[np.ndarray, "3"]:
    """Color of the irises, both together."""
    material = replace(IRIS, mean=np.asarray(light, np.float64))
    color = scale_saturation(IRIS_COLOR, chroma)
    seen = [view.weights * eye.iris * (1 - eye.pupil) for eye, view in zip(drawn, views, strict=True)]
    authored = np.concatenate([eye.relief[:, None] * color * eye.shade[:, None] for eye in drawn])
    factor = estimate_factor(
        np.concatenate([view.colors for view in views]), authored, np.concatenate(seen), material, skin
    )
    return tint(color, factor)


def assemble_eye(
    eye: AuthoredEye, iris: Float[np.ndarray, "3"], light: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "e 3"]:
    """The authored eye in this person's colors."""
    disc = mix(eye.relief[:, None] * iris, PUPIL_COLOR, eye.pupil[:, None])
    ball = mix(tint(eye.sclera, light), disc, eye.iris[:, None])
    return (ball * eye.shade[:, None]).astype(np.float32)


def eye_probability(
    view: TexelColors,
    painted: Float[np.ndarray, "e 3"],
    iris: Float[np.ndarray, "3"],
    light: Float[np.ndarray, "3"],
    skin: SkinColors,
) -> Float[np.ndarray, "e"]:
    """Probability 0..1 that the photo shows the eye, and neither a lid nor anything else.

    It may show iris or white a little beside where they are painted. Close to a lid it is less probable to begin with.
    """
    logs, white = to_logs(view.colors), tint(WHITE, light)
    own = density(logs - to_logs(painted), OWN_NOISE)
    for color in (iris, white):
        own = own + ELSEWHERE * density(logs - to_logs(color), OWN_NOISE)
    other = density(logs - to_logs(skin.median), LID_NOISE) + ANYTHING_ELSE
    prior = EYE_PRIOR * view.weights.clip(0, 1)
    return (prior * own / (prior * own + (1 - prior) * other)).astype(np.float32)


def extend_light(
    photo: Float[np.ndarray, "e 3"],
    weights: Float[np.ndarray, "e"],
    painted: Float[np.ndarray, "e 3"],
    crop: TexelCrop,
) -> Float[np.ndarray, "e 1"]:
    """How bright the photo is against the paint, smoothed and continued under the lids. All that is visible tells, lids
    too: it keeps what they and their lashes do to the light on the eye, and nothing of their shapes."""
    ratios = (to_logs(luminance(photo)) - to_logs(luminance(painted))).clip(*np.log(LIGHT_RANGE))
    filled = crop.fill(ratios[:, None].astype(np.float32), weights, np.zeros(1, np.float32))
    return np.exp(crop.smooth(filled, LIGHT_RADIUS))


def paint_highlight(eyeball: Eyeball, gaze: Float[np.ndarray, "3"]) -> Float[np.ndarray, "e"]:
    """Share 0..1 of white in a small round reflection, above the pupil on the viewer's left."""
    side = unit(np.cross([0.0, 1.0, 0.0], gaze))
    up = np.cross(gaze, side)
    across, lift = (np.tan(eyeball.iris_radius) * share for share in HIGHLIGHT_OFFSET)
    center = unit(gaze + across * side + lift * up)
    outer, inner = (edge * HIGHLIGHT_RADIUS for edge in HIGHLIGHT_EDGE)
    return HIGHLIGHT_STRENGTH * smoothstep(eyeball.angles_to(center), outer, inner)
