"""Even light: the difference between a face's lit and its shaded side, estimated from its symmetry and taken out.

A face is nearly the same left and right, so what its skin differs by in brightness, over a few centimeters, is light.
Skin tone, make-up and wrinkles stay, and so does what both sides of the front share (light from above). On cheeks,
temples and neck, from which the unseen rest of the head is continued, part of the fall-off is taken out, too.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_poisson import build_head_poisson
from portraitist.reconstruction.head_surface import vertex_share
from portraitist.reconstruction.head_texels import DARKEST, HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.observation import SkinColors

LIT_REGIONS = ("skin", "nose", "neck")  # bare skin as a rule: the rest follows it
BLUR = 0.025  # meters: shades over less than that are what a face is known by (1 cm, or the light's own
# harmonics, even out more and cost 0.02 to 0.04 of identity distance)
REACH = 0.15  # meters from compared skin at which a correction has died away
HAIR_REACH = 0.012  # the same in hair
SLIGHT, CLEAR = 0.04, 0.20  # log brightness: less difference than the first is left, more than the second taken out
LIFTED_SHARE = 0.6  # of the difference: the shaded side is lifted more than the lit one is lowered
FALL_OFF = 0.4  # share taken out of what the turned-away skin of both sides differs by from the face's median
NECK_FALL_OFF = 0.55  # the same on the neck: the chin's shadow would end where the picture of the neck ends
TURNED_AWAY = (0.75, 1.0)  # sideways part of the unit normal at which that begins and is full
LARGEST_GAIN = 0.9  # log brightness: more would only lift noise
HIGHEST = 0.97  # sRGB to which a gain may lift


def even_light(
    seen: TexelColors, skin: SkinColors, atlas: HeadTexels, model: HeadModel, strength: float
) -> TexelColors:
    """The colors with ``strength`` (0..1) of the light's difference between left and right taken out."""
    gains = strength * (atlas.interpolation @ estimate_gains(seen, skin, atlas, model))
    # Scaling all channels alike keeps the tone. What the photo shows near white has to stay below it.
    colors = seen.colors * np.exp(gains)[:, None]
    peak = np.maximum(colors.max(axis=1, keepdims=True), 1e-6)
    limit = np.maximum(seen.colors.max(axis=1, keepdims=True), HIGHEST)
    return TexelColors(colors * np.minimum(limit / peak, 1), seen.weights, seen.facing)


def estimate_gains(seen: TexelColors, skin: SkinColors, atlas: HeadTexels, model: HeadModel) -> Float[np.ndarray, "n"]:
    """Logarithm of the factor that evens the light, for each vertex."""
    poisson, mirror = build_head_poisson(model), model.mirror.numpy()
    bare = seen.weights * skin.likeness(seen.colors) * atlas.in_regions(*LIT_REGIONS)
    brightness, known = atlas.vertex_means(np.log(luminance(seen.colors) + DARKEST)[:, None], bare)
    brightness, compared = brightness[:, 0], np.minimum(known, known[mirror])
    area = np.zeros(len(known))
    area[poisson.ids] = poisson.areas
    data = area / BLUR**2 * compared**2
    still = area / mix(REACH, HAIR_REACH, vertex_share(model, "scalp") * (1 - compared)) ** 2
    own = data + still + 1e-12
    difference, common = brightness - brightness[mirror], (brightness + brightness[mirror]) / 2 - skin.center[2]
    solved = poisson.solve(np.column_stack([difference, common]) * (data / own)[:, None], own)
    side = (solved[:, 0] - solved[mirror, 0]) / 2
    side = side * smoothstep(np.abs(side), SLIGHT, CLEAR)
    gains = -side * np.where(side < 0, LIFTED_SHARE, 1 - LIFTED_SHARE)
    share = mix(FALL_OFF * find_turned_away(model), NECK_FALL_OFF, vertex_share(model, "neck"))
    gains = gains - share * solved[:, 1]
    return gains[find_carriers(model)].clip(-LARGEST_GAIN, LARGEST_GAIN).astype(np.float32)


@functools.lru_cache(maxsize=2)
def find_turned_away(model: HeadModel) -> Float[np.ndarray, "n"]:
    """1 on the sides of the face, 0 on its front."""
    sideways = np.abs(vertex_normals(model.mean.numpy(), model.faces.numpy())[:, 0])
    return smoothstep(sideways, *TURNED_AWAY) * (1 - vertex_share(model, "nose"))


@functools.lru_cache(maxsize=2)
def find_carriers(model: HeadModel) -> Int[np.ndarray, "n"]:
    """For every vertex the nearest one of the surface: eyes and teeth stand in the light of the skin around them."""
    ids = build_head_poisson(model).ids
    return ids[KDTree(model.mean.numpy()[ids]).query(model.mean.numpy())[1]]
