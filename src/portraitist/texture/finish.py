"""The texture after its optimisation: the sitter's forms steadied, the artwork's contrast given."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
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
_STEADINESS, _LEAST_STEADINESS = 0.85, 0.5
_CONTRAST_BANDS, _LEAST_GAIN, _MOST_GAIN = 6, 0.5, 1.5
_SOFT_SKIN = 48
_VIEW_PX = 256


def steady_forms(texture: Image, subject: Subject, exemplars: Sequence[StyleSource]) -> Image:
    """``texture`` with the sitter's forms and the artworks' contrast in every band, from fine to coarse.

    Beyond the paper. Forms between a wrinkle and an eye are what a person is known by; what the losses do to them, view
    by view, is style only as far as the artwork's skin has more of that size than the sitter's: strokes. The rest, a
    fine crackle on smooth skin above all, is taken back to the start. Then the finer bands of the face's skin are
    scaled to the contrast that they have in the artworks' skin, so that smooth paint stays smooth and rough paint
    rough; bands finer than an artwork's pixels are left as they are.
    """
    skin, on_skin = _is_skin(subject.labels), _find_skin(subject)
    starts, bands = build_pyramid(subject.start), build_pyramid(texture)
    count = min(_find_band(texture, _CONTRAST_BANDS), len(bands) - 1)
    before = _measure_contrast(starts[:count], on_skin)
    face_texels = _measure_face_texels(subject)
    wanted = torch.stack([_measure_artwork(art, face_texels, before) * art.weight for art in exemplars]).sum(0)
    needed = (before / wanted.clamp(min=1e-6)).clamp(_LEAST_STEADINESS, 1).tolist()
    for level in range(*(_find_band(texture, band) for band in _FORM_BANDS)):
        if level < len(bands) - 1:
            share = _STEADINESS * (needed[level] if level < count else 1.0)
            bands[level] = torch.lerp(bands[level], starts[level], share)
    now = _measure_contrast(bands[:count], on_skin)
    gains = (wanted / now.clamp(min=1e-6)).clamp(_LEAST_GAIN, _MOST_GAIN)
    soft = blur_mask((skin | (subject.labels == EYELIDS))[None].to(texture), _SOFT_SKIN)
    for level, gain in enumerate(gains.tolist()):
        share = F.adaptive_avg_pool2d(soft, bands[level].shape[-1])
        bands[level] = bands[level] * (1 + (gain - 1) * share)
    return fold_pyramid(bands).clamp(0, 1)


def _find_skin(subject: Subject) -> Bool[Tensor, "t t"]:
    """Texels of the face's skin."""
    face_ids = mark_texels(subject.mesh, subject.labels.shape[-1])
    on_face = select_faces(subject.mesh, FACE_REGIONS)[face_ids.clamp(min=0)]
    return (face_ids >= 0) & on_face & _is_skin(subject.labels)


def _measure_face_texels(subject: Subject) -> float:
    """Root of the area of the face, seen from the front, in texels."""
    (front,), _ = look_around(subject.mesh, _VIEW_PX, 1, all_round=False, generator=torch.Generator())
    face_px, uv_per_px = measure_face(subject.mesh, front)
    return face_px * uv_per_px * subject.labels.shape[-1]


def _measure_contrast(bands: Sequence[Image], mask: Tensor) -> Float[Tensor, "_b"]:
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
    contrasts = _measure_contrast(bands, F.pad(mask, padding)[0, 0])
    return torch.where(torch.arange(len(own), device=own.device) < missing, own, contrasts)


def _find_band(texture: Image, band: int) -> int:
    """The band of this texture that is as wide as the ``band`` of one of 1,024 texels."""
    return max(band + round(math.log2(texture.shape[-1] / 1024)), 0)


def _is_skin(labels: Tensor) -> Tensor:
    return torch.isin(labels, labels.new_tensor([SKIN, NOSE]))
