"""Occlusion masks: clothes on the neck, hair over cheeks and ears, and what shows behind the head's silhouette. None of
it may be painted on a head as if it were skin.

Radii are texels of a 1024 texture; brightness is log luminance; heights are on the mean head, eyes at 0.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

from portraitist.devices import to_numpy
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import DARKEST, HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.appearance_models import HAIR_SEEN, HairColors, SkinColors, log_features

DEEP_SHADE = (-1.2, -0.7)  # brightness against the skin's: not to be relied on, relied on

# Local contrast and hair
CONTRAST_RADII = (1.0, 6.0)  # between which contrast is measured
SURROUNDED = 0.8  # share of the surroundings that must be seen for a contrast to count
FEWEST_TEXELS = 100  # for a median contrast
LEAST_SCALP = 0.005  # share of all texels: with less of it in view, the brows tell the hair's color
STRAND_CONTRAST = 2.5  # times the face's: hair has 2 to 18, a shaven head 1
LEAST_CONTRAST = 0.02  # brightness
SAME_LIGHT = 0.4  # brightness: hair beside the ear that differs by more from the scalp's lies in another light

# Neck
NECK_RADIUS = 4.0
LEAST_NECK_SEEN = 0.2  # mean weight around a texel
CLOTHED = 0.5  # likelihood of skin around a texel below which clothes begin
NECK_SKIN = (0.5, 0.85)  # likelihood of skin: none, surely
BUSY_CONTRAST = 4.0  # times the face's: busier is no neck
LEAST_BUSY_CONTRAST = 0.04  # brightness
BUSY_FALL_OFF = 1.5  # times that contrast at which nothing is left
BUSY_RADIUS = 2.0
TOO_BRIGHT = (0.5, 0.3)  # brightness against the skin's: a collar, skin
NECK_BORDER_RADIUS = 7.0  # over which a border found is moved inwards
NECK_KEPT = (0.75, 0.95)  # mean mask around a texel: masked out, kept
CONNECTED = 0.1  # mask from which neighboring texels hang together
THROAT = 0.025  # meters from the middle plane
FRONT = -0.1  # meters: depth from which the neck is its front
SPOT = 0.002  # share of all texels: a smaller component is no neck

# Silhouettes of cheeks and jaw
SIDE_HEIGHTS = (0.01, -0.02)  # meters: above, hair grows at the sides of the face
DARK = (-0.6, -1.3)  # brightness against the skin's: shade begins to be hair, is hair
SURELY_HAIR = (0.5, 0.9)  # likelihood; light of another color leads away from hair and skin alike
SILHOUETTE_COSINES = (0.4, 0.75)  # view cosine: what is not skin lies behind, is on the face
SILHOUETTE_RADIUS = 2.0

# Ears
AROUND_EAR = 12.0  # radius within which what hides an ear is looked for
NEAR_EAR = 0.03  # share of ear within that radius
EAR_RADIUS = 6.0
EAR_SKIN = (0.6, 0.9)  # likelihood of skin around a texel: masked out, kept
EAR_FINE_RADIUS = 1.5
EAR_FINE_SKIN = (0.3, 0.7)  # the same close by
EAR_COSINES = (0.15, 0.4)  # view cosine: an ear's outline is thin, and all else begins right behind it
LEAST_EAR = 0.35  # share of an ear's visible texels that must look like skin


def measure_local_contrast(
    seen: TexelColors, texels: HeadTexels
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Fine contrast of the log brightness around each texel, and the share 0..1 of those surroundings that is seen."""
    brightness = np.log(luminance(seen.colors) + DARKEST)
    known = [texels.smooth(seen.weights, radius) for radius in CONTRAST_RADII]
    fine, coarse = (
        texels.smooth(brightness * seen.weights, radius) / np.maximum(weight, 1e-3)
        for radius, weight in zip(CONTRAST_RADII, known, strict=True)
    )
    return np.abs(fine - coarse), known[1]


def learn_hair(
    seen: TexelColors,
    skin: SkinColors,
    contrast: tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]],
    texels: HeadTexels,
) -> HairColors | None:
    """From the visible scalp and what hangs over the ears; from the brows when the picture ends below the hairline.
    None for a bald head."""
    scalp = seen.weights * texels.in_regions("scalp")
    if (scalp > HAIR_SEEN).mean() <= LEAST_SCALP:
        return HairColors.learn(seen.colors, seen.weights * texels.in_regions("brows"), skin)
    # Blond hair may have the skin's colors, but never its smoothness.
    strands, face = (median_contrast(contrast, texels.in_regions(region)) for region in ("scalp", "skin"))
    # Deep shade beside the face would darken the whole head of hair.
    brightness = log_features(seen.colors)[:, 2]
    lit_alike = np.abs(brightness - np.median(brightness[scalp > HAIR_SEEN])) < SAME_LIGHT
    hanging = seen.weights * texels.in_regions("ears") * (1 - skin.likelihood(seen.colors)) * lit_alike
    stranded = strands > max(STRAND_CONTRAST * face, LEAST_CONTRAST)
    return HairColors.learn(seen.colors, np.maximum(scalp, hanging), skin, stranded)


def median_contrast(
    contrast: tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]], inside: Bool[np.ndarray, "k"]
) -> float:
    """Median over the texels whose surroundings are seen; 0 where too few are."""
    values = contrast[0][inside & (contrast[1] > SURROUNDED)]
    return float(np.median(values)) if len(values) >= FEWEST_TEXELS else 0.0


def mask_occlusions(
    seen: TexelColors,
    skin: SkinColors,
    hair: HairColors | None,
    contrast: tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]],
    texels: HeadTexels,
    model: HeadModel,
) -> TexelColors:
    """The same colors, with lower weights on what is not skin on neck and ears and where cheeks and jaw turn away."""
    mask = mask_neck(seen, skin, contrast, texels, model)
    mask = mask * mask_silhouettes(seen, skin, hair, texels, model) * mask_ears(seen, skin, hair, texels)
    return seen.weighted(mask.astype(np.float32))


def mask_neck(
    seen: TexelColors,
    skin: SkinColors,
    contrast: tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]],
    texels: HeadTexels,
    model: HeadModel,
) -> Float[np.ndarray, "k"]:
    """Factor 0..1 on the weights: on the neck only one piece of smooth, evenly lit skin, and nothing below where
    clothes begin. What is doubtful (collar, hand, cable, deep shade) does less harm when it is invented."""
    neck = texels.in_regions("neck")
    observed = texels.smooth(seen.weights, NECK_RADIUS)
    likelihood = texels.smooth(skin.likelihood(seen.colors) * seen.weights, NECK_RADIUS) / np.maximum(observed, 1e-3)
    clothes = neck & (observed > LEAST_NECK_SEEN) & (likelihood < CLOTHED)
    # Down the neck is down the texture: a collar, once met, goes on to the lower edge.
    covered = np.maximum.accumulate(texels.to_texture(clothes.astype(np.float32)), axis=0).ravel()[texels.texel_ids]
    level = max(BUSY_CONTRAST * median_contrast(contrast, texels.in_regions("skin")), LEAST_BUSY_CONTRAST)
    smooth = smoothstep(texels.smooth(contrast[0], BUSY_RADIUS), BUSY_FALL_OFF * level, level)
    brightness = skin.relative_log_brightness(seen.colors)
    evenly_lit = smoothstep(brightness, *DEEP_SHADE) * smoothstep(brightness, *TOO_BRIGHT)
    mask = texels.smooth((1 - covered) * smoothstep(likelihood, *NECK_SKIN) * smooth * evenly_lit, NECK_BORDER_RADIUS)
    mask = np.where(neck, smoothstep(mask, *NECK_KEPT), 1.0).astype(np.float32)
    return mask * np.where(neck, select_throat_components(mask * neck * (seen.weights > 0), texels, model), 1.0)


def select_throat_components(
    mask: Float[np.ndarray, "k"], texels: HeadTexels, model: HeadModel
) -> Bool[np.ndarray, "k"]:
    """Texels of the connected components that reach the middle of the neck's front and are no mere spot."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((texels.to_texture(mask) > CONNECTED).astype(np.uint8))
    labels = np.asarray(labels, np.int64).ravel()[texels.texel_ids]
    sideways, _, ahead = (texels.interpolation @ to_numpy(model.mean)).T
    areas = np.asarray(stats, np.int64)[:, cv2.CC_STAT_AREA]
    throat = np.unique(labels[(np.abs(sideways) < THROAT) & (ahead > FRONT)])
    large = throat[areas[throat] > SPOT * texels.size**2]
    return np.isin(labels, large[large > 0])


def lit_skin_likelihood(
    colors: Float[np.ndarray, "k 3"], skin: SkinColors, hair: HairColors | None
) -> Float[np.ndarray, "k"]:
    """1 for skin, also in colored or glaring light: what is neither dark nor hair, but unlike skin, is skin in another
    light. 0 for hair and for deep shade of another color."""
    foreign = smoothstep(skin.relative_log_brightness(colors), *DARK)
    if hair is not None:
        foreign = np.maximum(foreign, smoothstep(hair.likelihood(colors) * hair.separability, *SURELY_HAIR))
    return np.maximum(skin.likelihood(colors), 1 - foreign)


def mask_silhouettes(
    seen: TexelColors, skin: SkinColors, hair: HairColors | None, texels: HeadTexels, model: HeadModel
) -> Float[np.ndarray, "k"]:
    """Factor 0..1: where cheeks and jaw turn away, what is not skin lies behind them (hair, collar)."""
    height = texels.interpolation @ to_numpy(model.mean)[:, 1]
    sides = texels.in_regions("skin") * smoothstep(height, *SIDE_HEIGHTS)
    likelihood = texels.smooth(lit_skin_likelihood(seen.colors, skin, hair), SILHOUETTE_RADIUS)
    inside = smoothstep(seen.view_cosines, *SILHOUETTE_COSINES)
    return mix(1.0, mix(inside, 1.0, likelihood), sides).astype(np.float32)


def mask_ears(
    seen: TexelColors, skin: SkinColors, hair: HairColors | None, texels: HeadTexels
) -> Float[np.ndarray, "k"]:
    """Factor 0..1: an ear in the photo is skin; what hides it, or shows beside one that the fit puts a little too far
    out, is left to the other ear, or to invention."""
    ears = texels.smooth(texels.in_regions("ears").astype(np.float32), AROUND_EAR) > NEAR_EAR
    ears &= texels.in_regions("ears", "skin", "neck")
    # Darkness, which on a face is shade, is on an ear mostly hair.
    likelihood = skin.likelihood(seen.colors) * smoothstep(skin.relative_log_brightness(seen.colors), *DEEP_SHADE)
    if hair is not None:
        likelihood = likelihood * (1 - hair.likelihood(seen.colors) * hair.separability)
    weights = seen.weights * ears
    around = texels.smooth(likelihood * weights, EAR_RADIUS) / np.maximum(texels.smooth(weights, EAR_RADIUS), 1e-3)
    mask = smoothstep(around, *EAR_SKIN)
    mask = mask * smoothstep(texels.smooth(likelihood, EAR_FINE_RADIUS), *EAR_FINE_SKIN)
    mask = mask * smoothstep(seen.view_cosines, *EAR_COSINES)
    columns = texels.texel_ids % texels.size
    for side in (columns < texels.size / 2, columns >= texels.size / 2):
        whole = (weights * mask)[side].sum() / max(weights[side].sum(), 1e-6)
        mask[side] *= smoothstep(whole, LEAST_EAR / 2, LEAST_EAR)
    return np.where(ears, mask, 1.0).astype(np.float32)
