"""Eyes and mouth: parts of which a photo shows a sliver, or nothing, and the rims of lids and lips around them.

Each gets a clean paint whose colors come from what is visible, and the photo on top where it surely shows the part.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.shader_math import smoothstep
from portraitist.unwrapping.eyes import paint_eyeballs
from portraitist.unwrapping.gaze import Iris
from portraitist.unwrapping.margins import repair_lids, repair_lips
from portraitist.unwrapping.mouth import paint_mouth
from portraitist.unwrapping.observation import SkinColors

DEFAULT_LIPS = np.array([0.83, 0.65, 0.73], np.float32)  # of the skin's median


def paint_inner_parts(
    colors: Float[np.ndarray, "k 3"],
    seen: TexelColors,
    skin: SkinColors,
    atlas: HeadTexels,
    model: HeadModel,
    irises: tuple[Iris, ...] | None = None,
) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k"]]:
    """The surface's ``colors`` with eyeballs, teeth, tongue, mouth and their rims painted; and the final trust in the
    photo."""
    colors, weights = colors.copy(), seen.weights.copy()
    chroma = measure_chroma(skin)
    white = paint_eyeballs(colors, weights, seen, skin, chroma, atlas, model, irises)
    shown = atlas.in_regions("lips") & (weights > 0.3)
    lips = np.median(colors[shown], axis=0) if shown.sum() > 100 else skin.median * DEFAULT_LIPS
    paint_mouth(colors, weights, seen, white, lips, chroma, atlas, model)
    repair_lips(colors, weights, white, lips, chroma, atlas, model)
    repair_lids(colors, weights, skin, chroma, atlas, model)
    return colors, weights


def measure_chroma(skin: SkinColors) -> float:
    """0 for a black-and-white photo, 1 for a colored one, told by its skin."""
    return float(smoothstep(np.ptp(skin.median) / max(float(skin.median.max()), 0.02), 0.02, 0.10))
