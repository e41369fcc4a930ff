"""Eyes and mouth in the artwork's light: what it does to the whites of eyes, it does to irises, teeth and tongue, too.

An artwork's eyes are a few pixels, half of them lashes and shade, and its mouth is mostly closed: their distribution of
colors would drown irises and blacken teeth. The white of its eyes can be told, like a photo's, from few pixels and from
how light its skin is.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.segmentation.parts import EYES, NOSE, SKIN, is_one_of
from portraitist.types import Image
from portraitist.unwrapping.adaptation import estimate_factor, tint
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.eyes import WHITE, expect_sclera


def measure_white(image: Image, labels: Int[Tensor, "h w"]) -> Float[Tensor, "3"]:
    """Most probable color of the white of eyes in a picture, given its pixels of eyes and of skin."""
    skin_pixels, eyes = (to_numpy(image[:, is_one_of(labels, members)].T) for members in ((SKIN, NOSE), (EYES,)))
    skin = SkinColors.learn(skin_pixels, np.ones(len(skin_pixels), np.float32))
    authored = np.broadcast_to(WHITE, eyes.shape)
    factor = estimate_factor(eyes, authored, np.ones(len(eyes), np.float32), expect_sclera(skin), skin)
    return from_numpy(tint(WHITE, factor), image)


def relight(
    colors: Float[Tensor, "n 3"], white: Float[Tensor, "3"], target: Float[Tensor, "3"]
) -> Float[Tensor, "n 3"]:
    """Colors in a light in which the white of the eyes, now ``white``, is ``target``."""
    return ((colors + DARKEST) * (target + DARKEST) / (white + DARKEST) - DARKEST).clamp(0, 1)
