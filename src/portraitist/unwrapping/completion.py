"""Colors for the part of the head's surface that the photo does not show.

Low frequencies live on the mesh's vertices, where the cut down the back of the UV layout does not exist: a Poisson
problem carries the mirrored side over, in logarithms so that side light only scales it, and membranes spread hair over
the scalp and skin over the rest. High frequencies are added per texel: mirrored detail, else noise as strong.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Bool, Float

from portraitist.hair.strands import draw_strands
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_poisson import HeadPoisson, build_head_poisson
from portraitist.reconstruction.head_surface import SURFACE_PARTS, vertex_share
from portraitist.reconstruction.head_texels import DARKEST, HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.observation import HairColors, SkinColors, log_features

PRIOR_REACH = 0.03  # meters from anything seen at which scalp counts as hair (or not) by default
RETURN_STRENGTH = 0.3  # of the return to the median color, against that prior
DATA_STRENGTH = 100.0  # against poisson weights of order one
HAIR_NOISE_LIMIT, SKIN_NOISE_LIMIT = 0.035, 0.007  # standard deviations in sRGB
DEEP_SHADE = (-1.2, -0.7)  # log brightness against the skin's
HAIR_ZONE = (-0.04, 0.015)  # meters on the mean head, eyes at 0: no hair is invented below, it may be above
SHADE_STRENGTH, EAR_SHADE = 0.5, 0.28
EAR_BLUR, EAR_FOLDS = 0.003, (0.9, 0.1)  # meters; openness at which ears begin to darken and are darkest
FRINGE = 0.06  # by how much strands move the edge of the hair
EAR_CAUTION = 2.5  # times as much of an ear has to be seen as of other skin


def complete_surface(
    seen: TexelColors, skin: SkinColors, hair_colors: HairColors | None, atlas: HeadTexels, model: HeadModel
) -> Float[np.ndarray, "k 3"]:
    """Colors of all texels: the photo where it is trusted, mirrored or invented ones elsewhere."""
    poisson = build_head_poisson(model)
    mirror = model.mirror.numpy()
    own_weights = seen.weights * atlas.in_parts(*SURFACE_PARTS)
    means, weights = atlas.vertex_means(seen.colors, own_weights**2)
    base = mirror_low_frequencies(*borrow_ears(means, weights, model), mirror, poisson)
    photo_base = mix(base, means, smoothstep(weights, 0.05, 0.4)[:, None])
    detail = (seen.colors - atlas.interpolation @ photo_base) * (own_weights > 0)[:, None]
    known = np.maximum(weights, weights[mirror])
    hair, skin_fill, hairness = spread_layers(base, known, hair_colors, skin, model, poisson)
    hair_share, strands = np.zeros_like(own_weights), np.zeros_like(own_weights)
    ears = smoothstep(atlas.interpolation @ vertex_share(model, "ears"), 0.2, 0.5)  # they stand out of the hair
    if hair_colors is not None:
        hair_weights = own_weights * hair_colors.likeness(seen.colors) * atlas.in_regions("scalp")
        strands = draw_strands(seen, hair_weights, atlas, model, poisson)
        hair_share = smoothstep(atlas.interpolation @ hairness + FRINGE * strands, 0.3, 0.7) * (1 - ears)
    invented = mix(atlas.interpolation @ skin_fill, atlas.interpolation @ hair, hair_share[:, None])
    # Lips, lids and nostrils, sockets and mouth continue what is next to them; all else is either hair or skin.
    outer = atlas.in_regions("scalp", "neck", "ears", "brows", "skin")
    # An ear hardly seen would be continued from the hair around it.
    level = mix(1.0, EAR_CAUTION, ears)
    replaced = smoothstep(atlas.interpolation @ known / level, 0.3, 0.02) * outer
    low = mix(atlas.interpolation @ base, invented, replaced[:, None])
    shade = shade_folds(atlas, model)
    shaded = np.maximum(replaced, ~atlas.in_parts("outer_skin"))
    # Light that has gone through skin has its color twice.
    tint = 2 - skin.median / max(float(skin.median.max()), DARKEST)
    low *= mix(1.0, atlas.interpolation @ mix(shade, 1.0, known), shaded)[:, None] ** tint
    hair_noise, skin_noise = measure_noise(detail, own_weights, hair_share, atlas)
    noise = mix(skin_noise * atlas.pores, hair_noise * strands, hair_share) / np.maximum(luminance(low), 0.4)
    high = mix(noise[:, None] * low, detail[atlas.mirror_ids], own_weights[atlas.mirror_ids][:, None])
    return mix((low + high).clip(0, 1), seen.colors, own_weights[:, None]).astype(np.float32)


def borrow_ears(
    means: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, "n"], model: HeadModel
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """The same with a hidden ear taken from the other side as it is: differences alone would put it on the level of the
    hair around it."""
    mirror = model.mirror.numpy()
    borrowed = vertex_share(model, "ears") * (weights[mirror] - weights).clip(0, 1)
    shared = weigh(means, weights + 1e-6, means[mirror], borrowed)
    return shared.astype(np.float32), (weights + borrowed).astype(np.float32)


def mirror_low_frequencies(
    means: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, "n"], mirror: np.ndarray, poisson: HeadPoisson
) -> Float[np.ndarray, "n 3"]:
    """Vertex colors: the photo's where seen; differences of the mirrored side's elsewhere, hence no visible patch."""
    logs = np.log(means + DARKEST)
    trust = smoothstep(weights[mirror], 0.02, 0.5) * (1 - weights).clip(0, 1)
    solved = poisson.solve_guided(logs, DATA_STRENGTH * weights**2, logs[mirror], trust)
    return (np.exp(solved) - DARKEST).clip(0, 1)


def spread_layers(
    base: Float[np.ndarray, "n 3"],
    known: Float[np.ndarray, "n"],
    hair: HairColors | None,
    skin: SkinColors,
    model: HeadModel,
    poisson: HeadPoisson,
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """Continue hair and skin separately, and decide which of them a vertex shows: 1 is hair."""
    data = DATA_STRENGTH * known**2
    prior = np.full_like(known, 1e-6)
    prior[poisson.ids] = poisson.areas / PRIOR_REACH**2
    # The last that is seen of hair and skin is often a darkened or blurred edge: far from it, return to the median.
    back = RETURN_STRENGTH * prior
    # Dark shade is not continued, least of all in black and white, where it might be hair.
    shade = smoothstep(log_features(base)[:, 2] - skin.center[2], *DEEP_SHADE)
    own = data * skin.likeness(base) * shade
    if hair is None:
        return base, poisson.solve(weigh(base, own, skin.median, back), own + back), np.zeros_like(known)
    scalp = vertex_share(model, "scalp")
    hairness = hair.likeness(base) * find_hair_zone(model)
    own *= (1 - hairness) * (1 - scalp)
    skin_fill = poisson.solve(weigh(base, own, skin.median, back), own + back)
    own = data * hairness * scalp
    hair_fill = poisson.solve(weigh(base, own, hair.median, back), own + back)
    spread = poisson.solve(weigh(hairness[:, None], data, scalp[:, None], prior), data + prior)
    return hair_fill, skin_fill, spread[:, 0]


@functools.lru_cache(maxsize=2)
def find_hair_zone(model: HeadModel) -> Float[np.ndarray, "n"]:
    """1 on scalp, forehead and temples. Below, what has the hair's color is beard or shade and not to be continued."""
    height = model.mean.numpy()[:, 1]
    return np.maximum(vertex_share(model, "scalp"), smoothstep(height, *HAIR_ZONE) * (1 - vertex_share(model, "neck")))


def weigh(
    a: Float[np.ndarray, "n c"], weight_a: Float[np.ndarray, "n"], b: np.ndarray, weight_b: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n c"]:
    """Weighted mean of two fields."""
    return (a * weight_a[:, None] + b * weight_b[:, None]) / (weight_a + weight_b)[:, None]


@functools.lru_cache(maxsize=2)
def shade_folds(atlas: HeadTexels, model: HeadModel) -> Float[np.ndarray, "n"]:
    """Darkening of hidden skin: folds, sockets and under the chin get less light than the open face. On ears, which
    have no other drawing, already the shallow folds; but skin lets light through, and the bowl of an ear is no hole."""
    ears, poisson = vertex_share(model, "ears"), build_head_poisson(model)
    weights = np.zeros(len(ears))
    weights[poisson.ids] = poisson.areas / EAR_BLUR**2
    soft = poisson.solve(atlas.openness[:, None], weights)[:, 0]
    folded = SHADE_STRENGTH * smoothstep(atlas.openness, 0.7, 0.0)
    return (1 - mix(folded, EAR_SHADE * smoothstep(soft, *EAR_FOLDS), ears)).astype(np.float32)


def measure_noise(
    detail: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    hair_share: Float[np.ndarray, "k"],
    atlas: HeadTexels,
) -> tuple[float, float]:
    """Strength of the photo's own detail on hair and on skin, bounded."""
    strength = np.abs(luminance(detail))

    def deviation(inside: Bool[np.ndarray, "k"], limit: float) -> float:
        chosen = inside & (weights > 0.5)
        if chosen.sum() < 100:
            return limit / 2
        return min(1.4826 * float(np.median(strength[chosen])), limit)

    hair, skin = atlas.in_regions("scalp") & (hair_share > 0.5), atlas.in_regions("skin") & (hair_share < 0.5)
    return deviation(hair, HAIR_NOISE_LIMIT), deviation(skin, SKIN_NOISE_LIMIT)
