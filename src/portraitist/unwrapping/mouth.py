"""Teeth, gums, tongue and cavity: authored, in the light of the eyes' whites and next to this person's lips; teeth
tinted by the photo, and the photo on top of them where it surely shows them."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.shader_math import mix
from portraitist.unwrapping.adaptation import Material, estimate_factor, likelihood_of, tint
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.authored import MOUTH_PARTS, draw_mouth
from portraitist.unwrapping.texel_crop import TexelCrop

ENAMEL = Material(np.zeros(3), brightness=0.30, hue=0.05, noise=0.15)
SOFT_RADIUS = 2.0  # texels of 1024, over which the photo's share of the teeth is softened


def paint_mouth(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    seen: TexelColors,
    light: Float[np.ndarray, "3"],
    lips: Float[np.ndarray, "3"],
    chroma: float,
    skin: SkinColors,
    texels: HeadTexels,
    model: HeadModel,
) -> tuple[float, Float[np.ndarray, "3"]]:
    """Paint the inside of the mouth into ``colors``, and set its ``weights``, in place. Returns how surely, 0..1, the
    photo shows it, and the color of its teeth in full light.

    ``light``: log factor of the light on the whites of the eyes. ``lips``: their color. ``chroma``: 0 for a
    black-and-white photo, else 1.
    """
    crop, authored = crop_mouth(texels), draw_mouth(model, texels, chroma)
    photo, shown = seen.colors[crop.ids], seen.weights[crop.ids]
    enamel = replace(ENAMEL, mean=np.asarray(light, np.float64))
    factor = estimate_factor(photo, authored.colors, shown * authored.enamel, enamel, skin)
    soft = mix(tint(authored.colors, light), lips, authored.lip[:, None])
    painted = mix(soft, tint(authored.colors, factor), authored.enamel[:, None])
    own = shown * authored.enamel * likelihood_of(photo, painted, enamel, skin)
    own = np.minimum(own, crop.smooth(own, SOFT_RADIUS))
    colors[crop.ids] = mix(painted, photo, own[:, None]).clip(0, 1)
    weights[crop.ids] = own
    return float(shown.max()), tint(np.ones(3, np.float32), factor)


@functools.lru_cache(maxsize=2)
def crop_mouth(texels: HeadTexels) -> TexelCrop:
    return TexelCrop.around(texels, texels.in_components(*MOUTH_PARTS))
