"""Eyes and mouth: parts of which a photo shows a sliver, or nothing, and the rims of lids and lips around them.

Each gets a clean paint whose colours come from what is visible, and the photo on top where it surely shows the part.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from portraitist.unwrapping.eyes import paint_eyeballs
from portraitist.unwrapping.gaze import Iris
from portraitist.reconstruction.head_model import HeadModel
from portraitist.unwrapping.mouth import paint_mouth
from portraitist.unwrapping.observation import SkinColours, TexelColours, smoothstep
from portraitist.unwrapping.margins import repair_lids, repair_lips
from portraitist.reconstruction.head_texels import TexelAtlas

DEFAULT_LIPS = np.array([0.83, 0.65, 0.73], np.float32)  # of the skin's median


def paint_inner_parts(
    colours: Float[np.ndarray, "k 3"],
    seen: TexelColours,
    skin: SkinColours,
    atlas: TexelAtlas,
    model: HeadModel,
    irises: tuple[Iris, ...] | None = None,
) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k"]]:
    """The surface's ``colours`` with eyeballs, teeth, tongue, mouth and their rims painted; and the final trust in the
    photo."""
    colours, weights = colours.copy(), seen.weights.copy()
    chroma = measure_chroma(skin)
    white = paint_eyeballs(colours, weights, seen, skin, chroma, atlas, model, irises)
    shown = atlas.in_regions("lips") & (weights > 0.3)
    lips = np.median(colours[shown], axis=0) if shown.sum() > 100 else skin.median * DEFAULT_LIPS
    paint_mouth(colours, weights, seen, white, lips, chroma, atlas, model)
    repair_lips(colours, weights, white, lips, chroma, atlas, model)
    repair_lids(colours, weights, skin, chroma, atlas, model)
    return colours, weights


def measure_chroma(skin: SkinColours) -> float:
    """0 for a black-and-white photo, 1 for a coloured one, told by its skin."""
    return float(smoothstep(np.ptp(skin.median) / max(float(skin.median.max()), 0.02), 0.02, 0.10))
