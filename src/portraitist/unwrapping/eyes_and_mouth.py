"""Eyes and mouth: parts of which a photo shows a sliver, or nothing, and the margins of lids and lips around them.

Each gets a clean paint whose colors come from what is visible, and the photo on top where it surely shows the part.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.shader_math import smoothstep
from portraitist.unwrapping.appearance_models import DARKEST_DIVISOR, SkinColors
from portraitist.unwrapping.eyes import paint_eyeballs
from portraitist.unwrapping.gaze import Iris
from portraitist.unwrapping.mouth import paint_mouth
from portraitist.unwrapping.openings import clear_lids, clear_lips

DEFAULT_LIPS = np.array([0.83, 0.65, 0.73], np.float32)  # of the skin's median
LIPS_SEEN = 0.3  # weight from which a texel of the lips counts
FEWEST_LIP_TEXELS = 100
GRAY_SKIN = (0.02, 0.10)  # range of the channels over the largest: a black-and-white photo, a colored one


def paint_eyes_and_mouth(
    colors: Float[np.ndarray, "k 3"],
    seen: TexelColors,
    skin: SkinColors,
    texels: HeadTexels,
    model: HeadModel,
    irises: tuple[Iris, ...] | None = None,
) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k"]]:
    """The surface's ``colors`` with eyeballs, teeth, tongue, mouth, lid and lip margins painted; and the photo's final
    weights."""
    colors, weights = colors.copy(), seen.weights.copy()
    chroma = measure_chroma(skin)
    light = paint_eyeballs(colors, weights, seen, skin, chroma, texels, model, irises)
    shown = texels.in_regions("lips") & (weights > LIPS_SEEN)
    lips = np.median(colors[shown], axis=0) if shown.sum() > FEWEST_LIP_TEXELS else skin.median * DEFAULT_LIPS
    opened, teeth = paint_mouth(colors, weights, seen, light, lips, chroma, skin, texels, model)
    clear_lips(colors, weights, lips, teeth, opened, skin, texels, model)
    clear_lids(colors, weights, skin, texels, model)
    return colors, weights


def measure_chroma(skin: SkinColors) -> float:
    """0 for a black-and-white photo, 1 for a colored one, told by its skin."""
    return float(smoothstep(np.ptp(skin.median) / max(float(skin.median.max()), DARKEST_DIVISOR), *GRAY_SKIN))
