"""What covers the skin or shows behind it: clothes on the neck, hair over cheeks and ears. None of it may be painted on
a head as if it were skin."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import DARKEST, HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.observation import HairColors, SkinColors, log_features

EDGE_HEIGHTS = (0.01, -0.02)  # meters on the mean head, eyes at 0: above, hair grows at the sides of the face
DARK = (-0.6, -1.3)  # log brightness against the skin's: shade begins to be hair, is hair
SURELY_HAIR = (0.5, 0.9)  # likeness; light of another color leads away from hair and skin alike
EAR_RIM = (0.15, 0.4)  # cosine to the line of sight: an ear's outline is thin, and all else begins right behind it
ENOUGH = 0.005  # share of all texels
CONTRAST_RADII = (1.0, 6.0)  # texels of 1024 between which contrast is measured
STRAND_CONTRAST, LEAST_CONTRAST = 2.5, 0.02  # times the face's: hair 2 to 18, a shaven head 1; log brightness
SAME_LIGHT = 0.4  # log brightness
BUSY, LEAST_BUSY = 4.0, 0.04  # the same for what is too busy for a neck
DEEP_SHADE, TOO_BRIGHT = (-1.2, -0.7), (0.5, 0.3)  # log brightness against the skin's: not to be relied on, relied on
THROAT, SPOT = 0.025, 0.002  # meters from the middle plane; share of all texels
AROUND_EAR = 12.0  # texels of 1024
MIN_EAR = 0.35  # share of an ear's visible texels that must look like skin


def measure_contrast(seen: TexelColors, atlas: HeadTexels) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Fine contrast of the log brightness around each texel, and the share 0..1 of those surroundings that is seen."""
    brightness = np.log(luminance(seen.colors) + DARKEST)
    known = [atlas.smooth(seen.weights, radius) for radius in CONTRAST_RADII]
    fine, coarse = (
        atlas.smooth(brightness * seen.weights, radius) / np.maximum(weight, 1e-3)
        for radius, weight in zip(CONTRAST_RADII, known, strict=True)
    )
    return np.abs(fine - coarse), known[1]


def learn_hair(
    seen: TexelColors,
    skin: SkinColors,
    contrast: tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]],
    atlas: HeadTexels,
) -> HairColors | None:
    """From the visible scalp and what hangs over the ears; from the brows when the picture ends below the hairline.
    None for a bald head."""
    scalp = seen.weights * atlas.in_regions("scalp")
    if (scalp > 0.3).mean() <= ENOUGH:
        return HairColors.learn(seen.colors, seen.weights * atlas.in_regions("brows"), skin)
    # Blond hair may have the skin's colors, but never its smoothness.
    strands, face = (typical_contrast(contrast, atlas.in_regions(region)) for region in ("scalp", "skin"))
    # Deep shade beside the face would darken the whole head of hair.
    brightness = log_features(seen.colors)[:, 2]
    lit_alike = np.abs(brightness - np.median(brightness[scalp > 0.3])) < SAME_LIGHT
    hanging = seen.weights * atlas.in_regions("ears") * (1 - skin.likeness(seen.colors)) * lit_alike
    stranded = strands > max(STRAND_CONTRAST * face, LEAST_CONTRAST)
    return HairColors.learn(seen.colors, np.maximum(scalp, hanging), skin, stranded)


def typical_contrast(
    contrast: tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]], inside: Bool[np.ndarray, "k"]
) -> float:
    """Median over the texels whose surroundings are seen; 0 where too few are."""
    values = contrast[0][inside & (contrast[1] > 0.8)]
    return float(np.median(values)) if len(values) >= 100 else 0.0


def keep_skin(
    seen: TexelColors,
    skin: SkinColors,
    hair: HairColors | None,
    contrast: tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]],
    atlas: HeadTexels,
    model: HeadModel,
) -> TexelColors:
    """The same colors with less trust in what is not skin on neck, ears, and where cheeks and jaw turn away."""
    kept = keep_skin_on_neck(seen, skin, contrast, atlas, model)
    kept = kept * keep_skin_at_edges(seen, skin, hair, atlas, model) * keep_skin_on_ears(seen, skin, hair, atlas)
    return seen.weighted(kept.astype(np.float32))


def keep_skin_on_neck(
    seen: TexelColors,
    skin: SkinColors,
    contrast: tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]],
    atlas: HeadTexels,
    model: HeadModel,
) -> Float[np.ndarray, "k"]:
    """Factor 0..1 on the weights: on the neck only one piece of smooth, evenly lit skin, and nothing below where
    clothes begin. What is doubtful (collar, hand, cable, deep shade) does less harm when it is invented."""
    neck = atlas.in_regions("neck")
    observed = atlas.smooth(seen.weights, 4.0)
    likeness = atlas.smooth(skin.likeness(seen.colors) * seen.weights, 4.0) / np.maximum(observed, 1e-3)
    clothes = neck & (observed > 0.2) & (likeness < 0.5)
    # Down the neck is down the texture: a collar, once met, goes on to the lower edge.
    covered = np.maximum.accumulate(atlas.to_map(clothes.astype(np.float32)), axis=0).ravel()[atlas.texel_ids]
    level = max(BUSY * typical_contrast(contrast, atlas.in_regions("skin")), LEAST_BUSY)
    smooth = smoothstep(atlas.smooth(contrast[0], 2.0), 1.5 * level, level)
    brightness = log_features(seen.colors)[:, 2] - skin.center[2]
    even = smoothstep(brightness, *DEEP_SHADE) * smoothstep(brightness, *TOO_BRIGHT)
    kept = atlas.smooth((1 - covered) * smoothstep(likeness, 0.5, 0.85) * smooth * even, 7.0)
    kept = np.where(neck, smoothstep(kept, 0.75, 0.95), 1.0).astype(np.float32)
    return kept * np.where(neck, connect_to_throat(kept * neck * (seen.weights > 0), atlas, model), 1.0)


def connect_to_throat(kept: Float[np.ndarray, "k"], atlas: HeadTexels, model: HeadModel) -> Bool[np.ndarray, "k"]:
    """Texels of the pieces that reach the middle of the neck's front and are no mere spot."""
    _, labels, sizes, _ = cv2.connectedComponentsWithStats((atlas.to_map(kept) > 0.1).astype(np.uint8))
    labels = np.asarray(labels, np.int64).ravel()[atlas.texel_ids]
    sideways, _, ahead = (atlas.interpolation @ model.mean.numpy()).T
    areas = np.asarray(sizes, np.int64)[:, cv2.CC_STAT_AREA]
    throat = np.unique(labels[(np.abs(sideways) < THROAT) & (ahead > -0.1)])
    large = throat[areas[throat] > SPOT * atlas.size**2]
    return np.isin(labels, large[large > 0])


def resemble_lit_skin(
    colors: Float[np.ndarray, "k 3"], skin: SkinColors, hair: HairColors | None
) -> Float[np.ndarray, "k"]:
    """1 for skin, also in colored or glaring light: what is neither dark nor hair, but unlike skin, is skin in another
    light. 0 for hair and for deep shade of another color."""
    brightness = log_features(colors)[:, 2] - skin.center[2]
    foreign = smoothstep(brightness, *DARK)
    if hair is not None:
        foreign = np.maximum(foreign, smoothstep(hair.likeness(colors) * hair.distinctness, *SURELY_HAIR))
    return np.maximum(skin.likeness(colors), 1 - foreign)


def keep_skin_at_edges(
    seen: TexelColors, skin: SkinColors, hair: HairColors | None, atlas: HeadTexels, model: HeadModel
) -> Float[np.ndarray, "k"]:
    """Factor 0..1: where cheeks and jaw turn away, what is not skin lies behind them (hair, collar)."""
    height = atlas.interpolation @ model.mean.numpy()[:, 1]
    edges = atlas.in_regions("skin") * smoothstep(height, *EDGE_HEIGHTS)
    likeness = atlas.smooth(resemble_lit_skin(seen.colors, skin, hair), 2.0)
    return mix(1.0, mix(smoothstep(seen.facing, 0.4, 0.75), 1.0, likeness), edges).astype(np.float32)


def keep_skin_on_ears(
    seen: TexelColors, skin: SkinColors, hair: HairColors | None, atlas: HeadTexels
) -> Float[np.ndarray, "k"]:
    """Factor 0..1: an ear in the photo is skin; what hides it, or shows beside one that the fit puts a little too far
    out, is left to the other ear, or to invention."""
    ears = atlas.smooth(atlas.in_regions("ears").astype(np.float32), AROUND_EAR) > 0.03
    ears &= atlas.in_regions("ears", "skin", "neck")
    # Darkness, which on a face is shade, is on an ear mostly hair.
    likeness = skin.likeness(seen.colors) * smoothstep(log_features(seen.colors)[:, 2] - skin.center[2], *DEEP_SHADE)
    if hair is not None:
        likeness = likeness * (1 - hair.likeness(seen.colors) * hair.distinctness)
    weights = seen.weights * ears
    kept = smoothstep(atlas.smooth(likeness * weights, 6.0) / np.maximum(atlas.smooth(weights, 6.0), 1e-3), 0.6, 0.9)
    kept = kept * smoothstep(atlas.smooth(likeness, 1.5), 0.3, 0.7) * smoothstep(seen.facing, *EAR_RIM)
    columns = atlas.texel_ids % atlas.size
    for side in (columns < atlas.size / 2, columns >= atlas.size / 2):
        whole = (weights * kept)[side].sum() / max(weights[side].sum(), 1e-6)
        kept[side] *= smoothstep(whole, MIN_EAR / 2, MIN_EAR)
    return np.where(ears, kept, 1.0).astype(np.float32)
