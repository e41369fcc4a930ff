"""Colors for the part of the head's surface that the photo does not show.

Low frequencies live on the mesh's vertices, where the cut down the back of the UV layout does not exist: a guided
Poisson problem carries the mirrored side over, in logarithms so that side light only scales it, and a screened Poisson
problem spreads skin over the rest. High frequencies are added per texel: mirrored detail, else
noise as strong.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float

from portraitist.devices import to_numpy
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_poisson import HeadPoisson, build_head_poisson
from portraitist.reconstruction.head_surface import SURFACE_COMPONENTS, vertex_share
from portraitist.reconstruction.head_texels import DARKEST, HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.appearance_models import MAD_TO_DEVIATION, SkinColors

DATA_STRENGTH = 100.0  # of vertex colors seen, against differences of order one
PRIOR_REACH = 0.03  # meters from anything seen, over which colors return to the median
RETURN_STRENGTH = 0.3  # of the return to the median color, against that prior
OWN_SEEN = (0.05, 0.4)  # mean weight at a vertex: the mirrored side's low frequencies, the photo's own
MIRROR_SEEN = (0.02, 0.5)  # mean weight at the mirrored vertex: its differences count nothing, count fully
INVENTED = (0.3, 0.02)  # mean weight on either side: the low frequencies are continued, are skin spread
FEWEST_TEXELS = 100  # for a median contrast
OCCLUSION_STRENGTH = 0.5  # share of the light that is gone where no sky is seen
OCCLUDED = (0.7, 0.0)  # ambient visibility at which skin begins to darken and is darkest
EAR_OCCLUSION_STRENGTH = 0.45  # the same on ears
EAR_OCCLUDED = (0.9, 0.1)
EAR_BLUR = 0.003  # meters over which light is scattered in an ear
SKIN_NOISE_LIMIT = 0.007  # standard deviation in sRGB
LEAST_NOISE_LUMINANCE = 0.4  # noise is relative to the luminance, down to here


def complete_surface(
    seen: TexelColors, skin: SkinColors, texels: HeadTexels, model: HeadModel
) -> Float[np.ndarray, "k 3"]:
    """Colors of all texels: the photo's where it is seen, mirrored or invented ones elsewhere."""
    poisson = build_head_poisson(model)
    mirror = to_numpy(model.mirror)
    own_weights = seen.weights * texels.in_components(*SURFACE_COMPONENTS)
    # 1. Low frequencies: the photo's, else the mirrored side's.
    means, weights = texels.vertex_means(seen.colors, own_weights**2)
    base = mirror_low_frequencies(*mirror_hidden_ears(means, weights, model), mirror, poisson)
    photo_base = mix(base, means, smoothstep(weights, *OWN_SEEN)[:, None])
    detail = (seen.colors - texels.interpolation @ photo_base) * (own_weights > 0)[:, None]
    # 2. Where neither side is seen: skin, spread from what is.
    known = np.maximum(weights, weights[mirror])
    invented = texels.interpolation @ spread_skin(base, known, skin, poisson)
    # Lips, lids and nostrils, sockets and mouth continue what is next to them; all else is skin.
    outer = texels.in_regions("scalp", "neck", "ears", "brows", "skin")
    replaced = smoothstep(texels.interpolation @ known, *INVENTED) * outer
    low = mix(texels.interpolation @ base, invented, replaced[:, None])
    # 3. Ambient occlusion on what is invented. Light that has gone through skin has its color twice.
    shade = shade_by_ambient_occlusion(texels, model)
    shaded = np.maximum(replaced, ~texels.in_components("outer_skin"))
    tint = 2 - skin.median / max(float(skin.median.max()), DARKEST)
    low *= mix(1.0, texels.interpolation @ mix(shade, 1.0, known), shaded)[:, None] ** tint
    # 4. High frequencies: mirrored detail, else noise.
    noise = measure_noise(detail, own_weights, texels) * texels.pore_noise
    noise = noise / np.maximum(luminance(low), LEAST_NOISE_LUMINANCE)
    high = mix(noise[:, None] * low, detail[texels.mirror_ids], own_weights[texels.mirror_ids][:, None])
    return mix((low + high).clip(0, 1), seen.colors, own_weights[:, None]).astype(np.float32)


def mirror_hidden_ears(
    means: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, "n"], model: HeadModel
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """Vertex colors and weights with a hidden ear taken from the other side as it is: differences alone would put it
    on the level of the hair around it."""
    mirror = to_numpy(model.mirror)
    mirrored = vertex_share(model, "ears") * (weights[mirror] - weights).clip(0, 1)
    shared = weighted_mean(means, weights + 1e-6, means[mirror], mirrored)
    return shared.astype(np.float32), (weights + mirrored).astype(np.float32)


def mirror_low_frequencies(
    means: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, "n"], mirror: np.ndarray, poisson: HeadPoisson
) -> Float[np.ndarray, "n 3"]:
    """Vertex colors: the photo's where seen; differences of the mirrored side's elsewhere, hence no visible patch."""
    logs = np.log(means + DARKEST)
    guide_weights = smoothstep(weights[mirror], *MIRROR_SEEN) * (1 - weights).clip(0, 1)
    solved = poisson.solve_guided(logs, DATA_STRENGTH * weights**2, logs[mirror], guide_weights)
    return (np.exp(solved) - DARKEST).clip(0, 1)


def spread_skin(
    base: Float[np.ndarray, "n 3"], known: Float[np.ndarray, "n"], skin: SkinColors, poisson: HeadPoisson
) -> Float[np.ndarray, "n 3"]:
    """Vertex colors of skin, continued from where it is seen."""
    prior = np.full_like(known, 1e-6)
    prior[poisson.ids] = poisson.areas / PRIOR_REACH**2
    # The last that is seen of skin is often a darkened or blurred edge: far from it, return to the median.
    back = RETURN_STRENGTH * prior
    # Dark shade is not continued.
    own = DATA_STRENGTH * known**2 * skin.bareness(base)
    return poisson.solve(weighted_mean(base, own, skin.median, back), own + back)


def weighted_mean(
    a: Float[np.ndarray, "n c"], weight_a: Float[np.ndarray, "n"], b: np.ndarray, weight_b: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n c"]:
    """Weighted mean of two fields."""
    return (a * weight_a[:, None] + b * weight_b[:, None]) / (weight_a + weight_b)[:, None]


@functools.lru_cache(maxsize=2)
def shade_by_ambient_occlusion(texels: HeadTexels, model: HeadModel) -> Float[np.ndarray, "n"]:
    """Factor on the brightness of hidden skin: folds, sockets and under the chin get less light than the open face.

    On ears, which have no other drawing, already the shallow folds; but skin lets light through, and the bowl of an ear
    is no hole.
    """
    ears, poisson = vertex_share(model, "ears"), build_head_poisson(model)
    weights = np.zeros(len(ears))
    weights[poisson.ids] = poisson.areas / EAR_BLUR**2
    scattered = poisson.solve(texels.ambient_visibility[:, None], weights)[:, 0]
    skin_shade = OCCLUSION_STRENGTH * smoothstep(texels.ambient_visibility, *OCCLUDED)
    ear_shade = EAR_OCCLUSION_STRENGTH * smoothstep(scattered, *EAR_OCCLUDED)
    return (1 - mix(skin_shade, ear_shade, ears)).astype(np.float32)


def measure_noise(detail: Float[np.ndarray, "k 3"], weights: Float[np.ndarray, "k"], texels: HeadTexels) -> float:
    """Standard deviation of the photo's own detail on skin, bounded."""
    chosen = texels.in_regions("skin") & (weights > 0.5)
    if chosen.sum() < FEWEST_TEXELS:
        return SKIN_NOISE_LIMIT / 2
    return min(MAD_TO_DEVIATION * float(np.median(np.abs(luminance(detail))[chosen])), SKIN_NOISE_LIMIT)
