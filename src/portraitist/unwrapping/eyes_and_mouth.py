"""Eyes and mouth: parts of which a photo shows a sliver, or nothing, and the margins of lids and lips around them.

Each gets a clean paint whose colors come from what is visible, and the photo on top where it surely shows the part.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.eyes import paint_eyeballs
from portraitist.unwrapping.gaze import Iris
from portraitist.unwrapping.mouth import paint_mouth
from portraitist.unwrapping.openings import clear_lids, clear_lips

DEFAULT_LIPS = np.array([0.83, 0.65, 0.73], np.float32)  # of the skin's median
LIPS_SEEN = 0.3  # weight from which a texel of the lips counts
FEWEST_LIP_TEXELS = 100


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
    light = paint_eyeballs(colors, weights, seen, skin, texels, model, irises)
    shown = texels.in_regions("lips") & (weights > LIPS_SEEN)
    lips = np.median(colors[shown], axis=0) if shown.sum() > FEWEST_LIP_TEXELS else skin.median * DEFAULT_LIPS
    paint_mouth(colors, weights, seen, light, lips, skin, texels, model)
    clear_lips(colors, weights, lips, skin, texels, model)
    clear_lids(colors, weights, skin, texels, model)
    return colors, weights

