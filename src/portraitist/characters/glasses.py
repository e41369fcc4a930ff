"""A photo's glasses, which no character wears on its skin: what they cover is not taken from the photo."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.rendering.rasterizer import rasterize
from portraitist.segmentation.parts import select_faces
from portraitist.segmentation.picture import BARE_PARTS, PictureParts
from portraitist.types import HeadFit, Image
from portraitist.unwrapping.appearance_models import SkinColors

OWN_COLORS = ("brows", "eyelids", "eyeballs")  # of which no color tells whether a frame lies before them


def find_bare(photo: Image, parts: PictureParts, fit: HeadFit) -> Float[Tensor, "h w"]:
    """How much of each pixel is bare head, 0..1: what shows through glasses, but not their frames.

    A frame is what of the glasses does not have the color of the face's skin, outside of brows and eyes. Unwrapping
    continues the skin across it.
    """
    glasses, bare = parts.share("glasses"), parts.share(*BARE_PARTS)
    seen = rasterize(fit.mesh, fit.camera)
    cheeks, spared = (seen.show(select_faces(fit.mesh, regions)) for regions in (("skin", "nose"), OWN_COLORS))
    colors = to_numpy(photo.reshape(3, -1).T)
    skin = SkinColors.learn(colors, to_numpy(parts.share("skin") * cheeks).ravel())
    like_skin = from_numpy(skin.bareness(colors), photo).reshape(glasses.shape)
    return bare - torch.where(spared, 0.0, glasses * (1 - like_skin))
