"""Photo to canonical texture of the bare head: what the camera saw, then mirror symmetry, then smooth completion.

The paper only says that the photo is unwrapped onto the mesh (Sec. 4.2); a whole head needs the unseen two thirds too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import InputError
from portraitist.io.images import round_to_bytes
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import locate_head_texels
from portraitist.types import Head, HeadFit, Image
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.completion import complete_surface
from portraitist.unwrapping.delighting import delight_photo
from portraitist.unwrapping.eyes_and_mouth import paint_eyes_and_mouth
from portraitist.unwrapping.gaze import unproject_irises
from portraitist.unwrapping.projection import UnwrapConfig, project_photo

SKIN_REGIONS = ("skin", "nose")


@dataclass(frozen=True)
class Unwrapped:
    """``texture``: canonical texture, defined at every texel. ``seen``: share 0..1 that each texel takes from the photo
    itself (0 outside the islands)."""

    texture: Float[Tensor, "3 t t"]
    seen: Float[Tensor, "t t"]


def unwrap_photo(
    photo: Image,
    fit: HeadFit,
    bare: Float[Tensor, "h w"],
    model: HeadModel,
    config: UnwrapConfig | None = None,
    *,
    irises: Float[Tensor, "10 2"] | None = None,
) -> Unwrapped:
    """Texture of the head in ``photo``. Colors are never outside 0..1 and every texel has one.

    ``bare``: how much of each pixel of the photo is the head itself, 0..1, not what covers it or lies behind; colors
    under 0 are never used.
    ``irises``: the detector's points 468 to 477 in the photo; without them the eyes' gaze is sought in the picture.
    Raises InputError when photo, ``bare`` and the fit's camera differ in size.
    """
    config = config or UnwrapConfig()
    sizes = tuple(photo.shape[1:]), tuple(bare.shape), tuple(fit.camera.size)
    if len(set(sizes)) > 1:
        raise InputError(
            f"Photo, mask and camera have different sizes (height, width): {sizes[0]}, {sizes[1]}, {sizes[2]}. "
            "Give the mask and the fit made from this photo."
        )
    texels = locate_head_texels(model, config.texture_size)
    seen = project_photo(photo, fit, bare, texels, config)
    skin = SkinColors.learn(seen.colors, seen.weights * texels.in_regions(*SKIN_REGIONS))
    if config.delighting > 0:
        seen = delight_photo(seen, skin, texels, model, config.delighting)
        skin = SkinColors.learn(seen.colors, seen.weights * texels.in_regions(*SKIN_REGIONS))
    # A neck shows collars, chains and the chin's shadow, none of which is the head's own.
    covered = texels.in_regions("neck") * (1 - skin.bareness(seen.colors))
    seen = seen.weighted(1 - covered)
    colors = complete_surface(seen, skin, texels, model)
    aimed = None if irises is None else unproject_irises(to_numpy(irises), fit, texels, model)
    colors, weights = paint_eyes_and_mouth(colors, seen, skin, texels, model, aimed)
    texture = colors.clip(0, 1)[texels.nearest_ids]
    return Unwrapped(
        texture=from_numpy(np.ascontiguousarray(texture.transpose(2, 0, 1)), photo),
        seen=from_numpy(texels.to_texture(weights), photo),
    )


def make_content(fit: HeadFit, texture: Image, model: HeadModel) -> Head:
    """The unstylized head of a fit and its unwrapped texture."""
    return Head(
        mesh=fit.mesh,
        texture=round_to_bytes(texture),
        neutral=fit.neutral,
        expression=fit.expression,
        expression_deltas=fit.expression_deltas,
        landmarks68=model.landmarks68,
        original=fit.mesh.vertices,
    )
