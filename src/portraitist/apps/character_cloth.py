"""What people wear in an artwork: its color, light and shade, and how it is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portraitist.apps.character_palette import PIECE_RADIUS, STROKE, TONES, Ramp, find_strokes
from portraitist.bust.material import compare_to, find_main_color
from portraitist.devices import to_numpy
from portraitist.reading import Reading
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.patch_noise import Example
from portraitist.types import Image

OWN_SHARE = 0.7  # of a pixel that is surely cloth
ALIKE = 0.4  # how alike colors of one cloth are, as `compare_to` has it
LEAST_WIDTH = 0.04  # meters of a square of cloth: less is no cloth to speak of
QUIET = 0.6  # share of its pieces that is used: the others are buttons and edges


@dataclass(frozen=True, eq=False)
class Cloth:
    """``tones``: of its main color. ``strokes``: in which it is painted."""

    tones: Ramp
    strokes: Example


def find_cloth(art: Image, seen: Reading) -> Cloth | None:
    """What the person in an artwork (sRGB [3, h, w] in 0..1) wears; None where too little of it is seen."""
    px_per_m = float(seen.fit.camera.scale_px)
    shares = to_numpy(seen.parts.share("clothes"))
    own = shares > OWN_SHARE
    if own.sum() < max((LEAST_WIDTH * px_per_m) ** 2, TONES):
        return None
    picture = to_numpy(art, np.float64).transpose(1, 2, 0)
    logs = np.log(picture + DARKEST)
    around = logs[to_numpy(seen.parts.share("background")) > OWN_SHARE]
    skin = np.median(logs[to_numpy(seen.parts.share("skin")) > OWN_SHARE], axis=0)
    main = find_main_color(logs[own], shares[own].astype(np.float64), around, skin)
    alike = own & (compare_to(logs, main) > ALIKE)
    if alike.sum() < TONES:
        return None
    detail = find_strokes(picture, own, STROKE * px_per_m)
    strokes = Example.cut(detail, own, PIECE_RADIUS * px_per_m, px_per_m, QUIET)
    return Cloth(Ramp.measure(picture[alike]), strokes)
