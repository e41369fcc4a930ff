"""The texture after its optimisation: as rough or as smooth as the artwork."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.texture.colours import decorrelate, recorrelate
from portraitist.texture.palettes import blur_mask, is_one_of
from portraitist.texture.patches import PatchPlaces
from portraitist.texture.pyramid import build_pyramid, fold_pyramid
from portraitist.texture.rendering import rasterize
from portraitist.texture.semantics import EYELIDS, HAIR, NOSE, NOWHERE, SKIN
from portraitist.texture.targets import (
    StyleSource,
    Subject,
    face_size,
    mark_face,
    measure_face,
    place_cameras,
    take_portrait,
)
from portraitist.types import Image

_CONTRAST_BANDS = 6  # the finest, in a texture of 1,024 texels: up to the width of an eye
_LEAST_SHARE, _LEAST_GAIN, _MOST_GAIN = 0.15, 0.5, 1.2
_SOFT_BORDER = 48
_VIEW_PX = 256
_FEWEST_TEXELS = 30


@dataclass(frozen=True)
class _DrawnArtwork:
    """An artwork or the head's portrait, its face as large as on the texture: fine bands, decorrelated, and parts.
    ``missing``: how many of the bands are finer than its pixels. ``weight``: share in a mix of artworks."""

    bands: list[Image]
    labels: Int[Tensor, "t t"]
    missing: int
    weight: float


def temper_lines(texture: Image, subject: Subject, exemplars: Sequence[StyleSource]) -> Image:
    """``texture`` with as much contrast in every fine band of skin and of hair as the artworks have there.

    Beyond the paper. A network is pleased by lines also where the artwork is smooth: there they are a crackle of worms
    and coloured specks. As much of the change from the subject's start is kept as takes the band's contrast to the
    artworks', in luminance and in hue; what is then still missing or too much is scaled. So smooth paint stays
    smooth, rough paint rough, and the sitter's forms are there beneath. Bands finer than an artwork's pixels are left
    as they are.
    """
    starts, bands = (_decorrelate(build_pyramid(image)) for image in (subject.start, texture))
    count = min(max(_CONTRAST_BANDS + round(math.log2(texture.shape[-1] / 1024)), 1), len(bands) - 1)
    starts, tempered = starts[:count], [band.clone() for band in bands[:count]]
    face_texels = _measure_face_texels(subject)
    on_face = mark_face(subject.mesh, texture.shape[-1])
    drawn = [_draw_artwork(exemplar, face_texels, count) for exemplar in exemplars]
    portrait = _draw_artwork(take_portrait(subject.mesh, texture, subject.labels), face_texels, count)
    for members, softened, place in (
        ((SKIN, NOSE), (SKIN, NOSE, EYELIDS), on_face),
        ((HAIR,), (HAIR,), torch.ones_like(on_face)),
    ):
        measured = is_one_of(subject.labels, members) & place
        if not measured.any():
            continue
        before, after = _measure_contrast(starts, measured), _measure_contrast(bands[:count], measured)
        # In the layout, forms are stretched and have less contrast; fine ones lose some in the rendering instead.
        seen = torch.maximum(_measure_artwork(portrait, members, after), after).clamp(min=1e-6)
        found = [_measure_artwork(art, members, seen) * art.weight for art in drawn]
        wanted = torch.stack(found).sum(0) * after / seen
        added = (after.square() - before.square()).clamp(min=1e-10)
        shares = ((wanted.square() - before.square()).clamp(min=0) / added).sqrt().clamp(_LEAST_SHARE, 1)
        shares = torch.where(after > before, shares, 1.0)
        kept = [_lerp(old, new, share) for old, new, share in zip(starts, bands, shares, strict=False)]
        gains = (wanted / _measure_contrast(kept, measured).clamp(min=1e-6)).clamp(_LEAST_GAIN, _MOST_GAIN)
        soft = blur_mask(is_one_of(subject.labels, softened)[None].to(texture), _SOFT_BORDER)
        for level, (band, gain) in enumerate(zip(kept, gains, strict=True)):
            change = _per_channel(gain) * band - bands[level]
            tempered[level] += change * F.adaptive_avg_pool2d(soft, band.shape[-1])
    return fold_pyramid(_recorrelate([*tempered, *bands[count:]])).clamp(0, 1)


def _lerp(start: Image, end: Image, share: Float[Tensor, "2"]) -> Image:
    return start + (end - start) * _per_channel(share)


def _per_channel(values: Float[Tensor, "2"]) -> Float[Tensor, "3 1 1"]:
    """Of luminance and of hue, for a decorrelated picture."""
    return values[[0, 1, 1]][:, None, None]


def _decorrelate(bands: Sequence[Image]) -> list[Image]:
    return [decorrelate(band.movedim(0, -1)).movedim(-1, 0) for band in bands]


def _recorrelate(bands: Sequence[Image]) -> list[Image]:
    return [recorrelate(band.movedim(0, -1)).movedim(-1, 0) for band in bands]


def _measure_face_texels(subject: Subject) -> float:
    """Root of the area of the face, seen from the front, in texels."""
    (front,), _ = place_cameras(subject.mesh, _VIEW_PX, 1, all_round=False, generator=torch.Generator())
    face_px, uv_per_px = measure_face(subject.mesh, rasterize(subject.mesh, front))
    return face_px * uv_per_px * subject.labels.shape[-1]


def _measure_contrast(bands: Sequence[Image], mask: Tensor) -> Float[Tensor, "_b 2"]:
    """Mean size of luminance and of hue in each band, decorrelated, where ``mask`` is."""
    contrasts = []
    for band in bands:
        share = F.adaptive_avg_pool2d(mask[None].to(band), band.shape[-1])[0]
        sizes = torch.stack([band[0].abs(), band[1:].norm(dim=0)])
        contrasts.append((sizes * share).sum((1, 2)) / share.sum().clamp(min=1e-6))
    return torch.stack(contrasts)


def _draw_artwork(exemplar: StyleSource, face_texels: float, count: int) -> _DrawnArtwork:
    factor = face_texels / max(face_size(exemplar.labels), 1.0)
    missing = max(math.ceil(math.log2(factor)) - 1, 0)  # enlarged twofold there is still something to see
    size = [max(round(side * factor), 32) for side in exemplar.labels.shape]
    image = PatchPlaces.make(exemplar.labels).extend(exemplar.image)
    image = F.interpolate(image[None], size, mode="bilinear", antialias=True)
    labels = F.interpolate(exemplar.labels[None, None].float(), size, mode="nearest-exact")
    side = 2 ** math.ceil(math.log2(max(size)))
    padding = (0, side - size[1], 0, side - size[0])
    bands = _decorrelate(build_pyramid(F.pad(image, padding, mode="replicate")[0])[:count])
    labels = F.pad(labels, padding, value=NOWHERE)[0, 0].long()
    return _DrawnArtwork(bands, labels, missing, exemplar.weight)


def _measure_artwork(drawn: _DrawnArtwork, members: tuple[int, ...], own: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Contrasts of parts of the artwork; ``own`` where it has no pixels fine enough or does not show them."""
    shown = is_one_of(drawn.labels, members)
    if shown.sum() < _FEWEST_TEXELS:
        return own
    contrasts = _measure_contrast(drawn.bands, shown)
    known = torch.arange(len(own), device=own.device)[:, None] >= drawn.missing
    return torch.where(known, contrasts, own)
