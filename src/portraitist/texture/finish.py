"""The texture after its optimisation: the sitter's forms steadied, the artwork's contrast given."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from portraitist.texture.palettes import blur_mask
from portraitist.texture.patches import PatchPlaces
from portraitist.texture.pyramid import build_pyramid, fold_pyramid
from portraitist.texture.rendering import mark_texels
from portraitist.texture.semantics import EYELIDS, NOSE, SKIN
from portraitist.texture.targets import (
    FACE_REGIONS,
    StyleSource,
    Subject,
    face_size,
    look_around,
    measure_face,
    select_faces,
)
from portraitist.types import Image

_FORM_BANDS = 1, 7  # in a texture of 1,024 texels: from the width of a wrinkle to that of an eye
_STEADINESS = 0.85
_BANDS, _LEAST_GAIN, _MOST_GAIN = 6, 0.5, 1.5
_SOFT_SKIN = 48
_VIEW_PX = 256


def steady(texture: Image, start: Image) -> Image:
    """``texture`` with most of what the optimisation did to forms between a wrinkle and an eye taken back.

    Beyond the paper. Such forms are what a person is known by, and what the losses do to them, view by view, is hardly
    style: a fine crackle on smooth skin, above all. Broad colours and the finest strokes stay.
    """
    first, last = (_find_band(texture, band) for band in _FORM_BANDS)
    bands = build_pyramid(texture)
    held = [torch.lerp(band, before, _STEADINESS) for band, before in zip(bands, build_pyramid(start), strict=True)]
    return fold_pyramid([*bands[:first], *held[first:last], *bands[last:]]).clamp(0, 1)


def match_contrast(texture: Image, subject: Subject, exemplars: Sequence[StyleSource]) -> Image:
    """Each of the finer bands of the face's skin scaled to the contrast that it has in the artworks' skin.

    Beyond the paper. Smooth paint stays smooth and rough paint rough. Bands finer than an artwork's pixels are left as
    they are; gains stay between 0.5 and 1.5.
    """
    mesh, side = subject.mesh, texture.shape[-1]
    (front,), _ = look_around(mesh, _VIEW_PX, 1, all_round=False, generator=torch.Generator())
    face_px, uv_per_px = measure_face(mesh, front)
    face_ids = mark_texels(mesh, side)
    on_face = (face_ids >= 0) & select_faces(mesh, FACE_REGIONS)[face_ids.clamp(min=0)]
    skin = _is_skin(subject.labels)
    bands = build_pyramid(texture)
    count = min(_find_band(texture, _BANDS), len(bands) - 1)
    own = measure_contrast(bands[:count], skin & on_face)
    wanted = torch.stack([_measure_artwork(art, face_px * uv_per_px * side, own) * art.weight for art in exemplars])
    gains = (wanted.sum(0) / own.clamp(min=1e-6)).clamp(_LEAST_GAIN, _MOST_GAIN)
    soft = blur_mask((skin | (subject.labels == EYELIDS))[None].to(texture), _SOFT_SKIN)
    for level, gain in enumerate(gains.tolist()):
        share = F.adaptive_avg_pool2d(soft, bands[level].shape[-1])
        bands[level] = bands[level] * (1 + (gain - 1) * share)
    return fold_pyramid(bands).clamp(0, 1)


def measure_contrast(bands: Sequence[Image], mask: Tensor) -> Float[Tensor, "_b"]:
    """Mean size of the light and dark of each band where ``mask`` is."""
    contrasts = []
    for band in bands:
        share = F.adaptive_avg_pool2d(mask[None].to(band), band.shape[-1])[0]
        contrasts.append((band.mean(0).abs() * share).sum() / share.sum().clamp(min=1e-6))
    return torch.stack(contrasts)


def _measure_artwork(exemplar: StyleSource, face_texels: float, own: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    """Contrasts of the artwork's skin drawn as large as on the texture; ``own`` where it has no pixels fine enough."""
    skin = _is_skin(exemplar.labels)
    factor = face_texels / max(face_size(exemplar.labels), 1.0)
    if not skin.any():
        return own
    missing = max(math.ceil(math.log2(factor)) - 1, 0)  # enlarged twofold there is still something to see
    size = [max(round(side * factor), 32) for side in skin.shape]
    image = PatchPlaces.make(exemplar.labels).extend(exemplar.image)
    image = F.interpolate(image[None], size, mode="bilinear", antialias=True)
    mask = F.interpolate(skin[None, None].float(), size, mode="nearest-exact")
    side = 2 ** math.ceil(math.log2(max(size)))
    padding = (0, side - size[1], 0, side - size[0])
    bands = build_pyramid(F.pad(image, padding, mode="replicate")[0])[: len(own)]
    contrasts = measure_contrast(bands, F.pad(mask, padding)[0, 0])
    return torch.where(torch.arange(len(own), device=own.device) < missing, own, contrasts)


def _find_band(texture: Image, band: int) -> int:
    """The band of this texture that is as wide as the ``band`` of one of 1,024 texels."""
    return max(band + round(math.log2(texture.shape[-1] / 1024)), 0)


def _is_skin(labels: Tensor) -> Tensor:
    return torch.isin(labels, labels.new_tensor([SKIN, NOSE]))
