"""What covers the skin or shows behind it: clothes on the neck, hair over cheeks and ears. None of it may be painted on
a head as if it were skin."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.observation import (
    HairColours,
    SkinColours,
    TexelColours,
    log_features,
    mix,
    smoothstep,
)
from portraitist.reconstruction.texel_atlas import TexelAtlas

EDGE_HEIGHTS = (0.01, -0.02)  # metres on the mean head, eyes at 0: above, hair grows at the sides of the face
DARK = (-0.6, -1.3)  # log brightness against the skin's: shade begins to be hair, is hair
SURELY_HAIR = (0.5, 0.9)  # likeness; light of another colour leads away from hair and skin alike
EAR_RIM = (0.15, 0.4)  # cosine to the line of sight: an ear's outline is thin, and all else begins right behind it
ENOUGH = 0.005  # share of all texels
GLEAM = (0.45, 0.65)  # cosine to the line of sight
AROUND_EAR = 12.0  # texels of 1024
MIN_EAR = 0.35  # share of an ear's visible texels that must look like skin


def learn_hair(seen: TexelColours, skin: SkinColours, atlas: TexelAtlas) -> HairColours | None:
    """From the visible scalp and what hangs over the ears; from the brows when the picture ends below the hairline.
    None for a bald head."""
    scalp = seen.weights * atlas.in_regions("scalp")
    if (scalp > 0.3).mean() <= ENOUGH:
        return HairColours.learn(seen.colours, seen.weights * atlas.in_regions("brows"), skin)
    hair = HairColours.learn(seen.colours, scalp, skin)
    if hair is None:
        return None
    # Where hair turns away, on the crown, it gleams; sides and back, on which it is to be continued, do not.
    facing = scalp * smoothstep(seen.facing, *GLEAM)
    scalp = facing if (facing > 0.3).mean() > ENOUGH else scalp
    hanging = seen.weights * atlas.in_regions("ears") * (1 - skin.likeness(seen.colours))
    return HairColours.learn(seen.colours, np.maximum(scalp, hanging), skin) or hair


def keep_skin(
    seen: TexelColours, skin: SkinColours, hair: HairColours | None, atlas: TexelAtlas, model: HeadModel
) -> TexelColours:
    """The same colours with less trust in what is not skin on neck, ears, and where cheeks and jaw turn away."""
    kept = keep_skin_on_neck(seen, skin, atlas)
    kept = kept * keep_skin_at_edges(seen, skin, hair, atlas, model) * keep_skin_on_ears(seen, skin, hair, atlas)
    return seen.weighted(kept.astype(np.float32))


def keep_skin_on_neck(seen: TexelColours, skin: SkinColours, atlas: TexelAtlas) -> Float[np.ndarray, "k"]:
    """Factor 0..1 on the weights: on the neck only what looks like skin, and nothing below where clothes begin."""
    neck = atlas.in_regions("neck")
    observed = atlas.smooth(seen.weights, 4.0)
    likeness = atlas.smooth(skin.likeness(seen.colours) * seen.weights, 4.0) / np.maximum(observed, 1e-3)
    clothes = neck & (observed > 0.2) & (likeness < 0.5)
    # Down the neck is down the texture: a collar, once met, goes on to the lower edge.
    covered = np.maximum.accumulate(atlas.to_map(clothes.astype(np.float32)), axis=0).ravel()[atlas.texel_ids]
    kept = atlas.smooth((1 - covered) * smoothstep(likeness, 0.5, 0.85), 10.0)
    return np.where(neck, smoothstep(kept, 0.75, 0.95), 1.0).astype(np.float32)


def resemble_lit_skin(
    colours: Float[np.ndarray, "k 3"], skin: SkinColours, hair: HairColours | None
) -> Float[np.ndarray, "k"]:
    """1 for skin, also in coloured or glaring light: what is neither dark nor hair, but unlike skin, is skin in another
    light. 0 for hair and for deep shade of another colour."""
    brightness = log_features(colours)[:, 2] - skin.centre[2]
    foreign = smoothstep(brightness, *DARK)
    if hair is not None:
        foreign = np.maximum(foreign, smoothstep(hair.likeness(colours), *SURELY_HAIR))
    return np.maximum(skin.likeness(colours), 1 - foreign)


def keep_skin_at_edges(
    seen: TexelColours, skin: SkinColours, hair: HairColours | None, atlas: TexelAtlas, model: HeadModel
) -> Float[np.ndarray, "k"]:
    """Factor 0..1: where cheeks and jaw turn away, what is not skin lies behind them (hair, collar)."""
    height = atlas.interpolation @ model.mean.numpy()[:, 1]
    edges = atlas.in_regions("skin") * smoothstep(height, *EDGE_HEIGHTS)
    likeness = atlas.smooth(resemble_lit_skin(seen.colours, skin, hair), 2.0)
    return mix(1.0, mix(smoothstep(seen.facing, 0.4, 0.75), 1.0, likeness), edges).astype(np.float32)


def keep_skin_on_ears(
    seen: TexelColours, skin: SkinColours, hair: HairColours | None, atlas: TexelAtlas
) -> Float[np.ndarray, "k"]:
    """Factor 0..1: an ear in the photo is skin; what hides it, or shows beside one that the fit puts a little too far
    out, is left to the other ear, or to invention."""
    ears = atlas.smooth(atlas.in_regions("ears").astype(np.float32), AROUND_EAR) > 0.03
    ears &= atlas.in_regions("ears", "skin", "neck")
    likeness = skin.likeness(seen.colours)
    if hair is not None:
        likeness = likeness * (1 - hair.likeness(seen.colours))
    weights = seen.weights * ears
    kept = smoothstep(atlas.smooth(likeness * weights, 6.0) / np.maximum(atlas.smooth(weights, 6.0), 1e-3), 0.6, 0.9)
    kept = kept * smoothstep(atlas.smooth(likeness, 1.5), 0.3, 0.7) * smoothstep(seen.facing, *EAR_RIM)
    columns = atlas.texel_ids % atlas.size
    for side in (columns < atlas.size / 2, columns >= atlas.size / 2):
        whole = (weights * kept)[side].sum() / max(weights[side].sum(), 1e-6)
        kept[side] *= smoothstep(whole, MIN_EAR / 2, MIN_EAR)
    return np.where(ears, kept, 1.0).astype(np.float32)
