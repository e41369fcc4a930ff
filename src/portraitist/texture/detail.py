"""The texture after its optimization: as rough or as smooth as the artwork."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.segmentation.parts import (
    EYELIDS,
    EYES,
    FEATURES,
    HAIR,
    LIPS,
    MOUTH,
    NOSE,
    SKIN,
    UNLABELED,
    is_one_of,
)
from portraitist.texture.color_transfer import decorrelate, recorrelate
from portraitist.texture.exemplar import StyleSource, face_size
from portraitist.texture.part_colors import blur_mask
from portraitist.texture.patches import PatchPlaces
from portraitist.texture.pyramid import build_pyramid, fold_pyramid
from portraitist.texture.views import Subject, mark_face, measure_face, take_portrait
from portraitist.types import Image

_CONTRAST_BANDS = 6  # the finest, in a texture of 1,024 texels: up to the width of an eye
_GRAINY_BANDS, _MOST_PAINTED = 2, 0.7  # the finest, and a painted one's contrast in parts of the next coarser one's
_ROOM, _LEAST_SHARE = 0.87, 0.15  # of the artwork's contrast, the rest is left to the sitter's forms; of a change
_LEAST_GAIN, _MOST_GAINS = 0.5, (2.0, 1.0)  # the last: of luminance and of hue
_SKIN, _HAIR = (SKIN, NOSE), (HAIR,)
_SOFT_BORDER = 48
_VIEW_PX = 256
_FEWEST_TEXELS = 30
_USUAL_EYES_TO_LIPS = 0.46  # of the root of the face's area, in the mean head


@dataclass(frozen=True)
class _DrawnArtwork:
    """An artwork or the head's portrait at the scale of the texture: fine bands, decorrelated, and parts at the size of
    the first. ``missing``: how many bands are finer than its pixels, and come before that one. ``weight``: share in a
    mix of artworks."""

    bands: list[Image]
    labels: Int[Tensor, "t t"]
    missing: int
    weight: float


def temper_lines(texture: Image, subject: Subject, exemplars: Sequence[StyleSource]) -> Image:
    """``texture`` without those lines on skin and hair for which a band has no room beside the artworks' contrast.

    Beyond the paper. A network is pleased by lines also where the artwork is smooth: there they are a crackle of worms
    and colored specks. As much of the change from the subject's start is kept as takes the band's contrast nearly to
    the artworks', in luminance and in hue. So smooth paint stays smooth, rough paint rough, and the sitter's forms are
    there beneath. Bands finer than an artwork's pixels are left as they are.
    """
    starts, bands = (_decorrelate(build_pyramid(image)) for image in (subject.start, texture))
    portrait, drawn = _draw_all(texture, subject, exemplars)
    count = _count_bands(texture)
    starts, tempered = starts[:count], [band.clone() for band in bands[:count]]
    on_face = mark_face(subject.mesh, texture.shape[-1])
    for members, softened, place in ((_SKIN, (*_SKIN, EYELIDS), on_face), (_HAIR, _HAIR, torch.ones_like(on_face))):
        measured = is_one_of(subject.labels, members) & place
        if not measured.any():
            continue
        before, after = _measure_contrast(starts, measured), _measure_contrast(bands[:count], measured)
        # In the layout, forms are stretched and have less contrast; fine ones lose some in the rendering instead.
        seen = torch.maximum(_measure_artwork(portrait, members, after), after).clamp(min=1e-6)
        wanted = _ROOM * _measure_artworks(drawn, members, seen / _ROOM) * after / seen
        added = (after.square() - before.square()).clamp(min=1e-10)
        shares = ((wanted.square() - before.square()).clamp(min=0) / added).sqrt().clamp(_LEAST_SHARE, 1)
        shares = torch.where(after > before, shares, 1.0)
        soft = _mark_softly(subject, softened)
        for level, (start, share) in enumerate(zip(starts, shares, strict=True)):
            lost = (1 - _per_channel(share)) * (start - bands[level])
            tempered[level] += lost * F.adaptive_avg_pool2d(soft, start.shape[-1])
    return fold_pyramid(_recorrelate([*tempered, *bands[count:]])).clamp(0, 1)


def match_contrast(texture: Image, subject: Subject, exemplars: Sequence[StyleSource]) -> Image:
    """``texture`` as crisp or as soft as the artworks: their contrast, within limits, in every fine band of skin, of
    features and of hair, as one sees it.

    Beyond the paper. Artists draw eyes and mouths crisper than a photo shows them, and the network's losses do not ask
    for it. Features are not made softer, and no hue stronger. Parts and bands that an artwork does not show are left as
    they are.
    """
    bands = _decorrelate(build_pyramid(texture))
    portrait, drawn = _draw_all(texture, subject, exemplars)
    matched = [band.clone() for band in bands]
    for members, least in ((_SKIN, _LEAST_GAIN), (FEATURES, 1.0), (_HAIR, _LEAST_GAIN)):
        own = _measure_contrast(bands[: _count_bands(texture)], is_one_of(subject.labels, members))
        seen = _measure_artwork(portrait, members, own).clamp(min=1e-6)
        gains = (_measure_artworks(drawn, members, seen) / seen).clamp(min=least)
        gains = torch.minimum(gains, gains.new_tensor(_MOST_GAINS))
        soft = _mark_softly(subject, members)
        for level, gain in enumerate(gains):
            change = (_per_channel(gain) - 1) * bands[level]
            matched[level] += change * F.adaptive_avg_pool2d(soft, change.shape[-1])
    return fold_pyramid(_recorrelate(matched)).clamp(0, 1)


def _count_bands(texture: Image) -> int:
    """How many bands have contrast in the sense of this module."""
    return max(_CONTRAST_BANDS + round(math.log2(texture.shape[-1] / 1024)), 1)


def _mark_softly(subject: Subject, members: tuple[int, ...]) -> Float[Tensor, "1 t t"]:
    return blur_mask(is_one_of(subject.labels, members)[None].to(subject.start), _SOFT_BORDER)


def _per_channel(values: Float[Tensor, "2"]) -> Float[Tensor, "3 1 1"]:
    """Of luminance and of hue, for a decorrelated picture."""
    return values[[0, 1, 1]][:, None, None]


def _decorrelate(bands: Sequence[Image]) -> list[Image]:
    return [decorrelate(band.movedim(0, -1)).movedim(-1, 0) for band in bands]


def _recorrelate(bands: Sequence[Image]) -> list[Image]:
    return [recorrelate(band.movedim(0, -1)).movedim(-1, 0) for band in bands]


def _draw_all(
    texture: Image, subject: Subject, exemplars: Sequence[StyleSource]
) -> tuple[_DrawnArtwork, list[_DrawnArtwork]]:
    """The head's portrait and the artworks, all at the scale of the texture."""
    count, portrait = _count_bands(texture), take_portrait(subject.mesh, texture, subject.labels)
    # Framed as in the portrait. Footprints are in parts of the texture's side, which is the portrait's, too.
    front = rasterize(subject.mesh, view_camera(subject.mesh.vertices, 0.0, 0.0, _VIEW_PX))
    factor = measure_face(subject.mesh, front)[1] * _VIEW_PX
    distance = _measure_eyes_to_lips(portrait.labels)
    drawn = [_draw_artwork(e, factor * distance / _measure_eyes_to_lips(e.labels), count) for e in exemplars]
    return _draw_artwork(portrait, factor, count), drawn


def _measure_eyes_to_lips(labels: Int[Tensor, "h w"]) -> float:
    """Distance of their middles in pixels. Of the face's area, hair and hats cover a share that differs; it decides
    only where there are no eyes or no lips."""
    eyes, lips = _find_eyes_and_lips(labels)
    distance = (eyes - lips).norm().item()
    return distance if distance > 0 else max(_USUAL_EYES_TO_LIPS * face_size(labels), 1.0)


def _find_eyes_and_lips(labels: Int[Tensor, "h w"]) -> Float[Tensor, "2 2"]:
    """Their middles (row, column); NaN without any."""
    return torch.stack([torch.nonzero(is_one_of(labels, x)).float().mean(0) for x in ((EYES,), (LIPS, MOUTH))])


def _keep_middle(labels: Int[Tensor, "h w"]) -> Int[Tensor, "h w"]:
    """Labels without the skin far from the features: foreheads, which hair and hats shade, and throats are painted
    otherwise than the rest of the face, and one picture shows more of them than another."""
    eyes, lips = _find_eyes_and_lips(labels)
    distance = (eyes - lips).norm()
    if not distance > 0:
        return labels
    rows, columns = (torch.arange(side, device=labels.device) for side in labels.shape)
    middle = (eyes + lips) / 2
    far = torch.hypot(rows[:, None] - middle[0], columns - middle[1]) > distance
    return torch.where(far & is_one_of(labels, _SKIN), UNLABELED, labels)


def _measure_contrast(bands: Sequence[Image], mask: Tensor) -> Float[Tensor, "_b 2"]:
    """Mean size of luminance and of hue in each band, decorrelated, where ``mask`` is."""
    contrasts = []
    for band in bands:
        share = F.adaptive_avg_pool2d(mask[None].to(band), band.shape[-1])[0]
        sizes = torch.stack([band[0].abs(), band[1:].norm(dim=0)])
        contrasts.append((sizes * share).sum((1, 2)) / share.sum().clamp(min=1e-6))
    return torch.stack(contrasts)


def _draw_artwork(exemplar: StyleSource, factor: float, count: int) -> _DrawnArtwork:
    """``factor``: texels per pixel. ``count``: how many bands are of interest; those finer than its pixels are not
    drawn."""
    missing = max(math.ceil(math.log2(factor)) - 1, 0)  # enlarged twofold there is still something to see
    size = [max(round(side * factor / 2**missing), 32) for side in exemplar.labels.shape]
    image = PatchPlaces.make(exemplar.labels).extend(exemplar.image)
    image = F.interpolate(image[None], size, mode="bicubic", antialias=True)
    labels = F.interpolate(exemplar.labels[None, None].float(), size, mode="nearest-exact")
    side = 2 ** math.ceil(math.log2(max(size)))
    padding = (0, side - size[1], 0, side - size[0])
    *bands, _ = build_pyramid(F.pad(image, padding, mode="replicate")[0])
    labels = _keep_middle(F.pad(labels, padding, value=UNLABELED)[0, 0].long())
    return _DrawnArtwork(_decorrelate(bands[: max(count - missing, 0)]), labels, missing, exemplar.weight)


def _measure_artworks(
    drawn: Sequence[_DrawnArtwork], members: tuple[int, ...], own: Float[Tensor, "b 2"]
) -> Float[Tensor, "b 2"]:
    """Mean of `_measure_artwork` by the artworks' weights.

    What is drawn or painted has less contrast from band to finer band. Where an artwork has not, it is the grain of
    canvas, paper or film: raising the texture's fine lines to that contrast would give specks, not grain.
    """
    wanted = torch.stack([_measure_artwork(art, members, own) * art.weight for art in drawn]).sum(0)
    for band in reversed(range(min(_GRAINY_BANDS, len(wanted) - 1))):
        wanted[band] = torch.minimum(wanted[band], torch.maximum(own[band], _MOST_PAINTED * wanted[band + 1]))
    return wanted


def _measure_artwork(drawn: _DrawnArtwork, members: tuple[int, ...], own: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Contrasts of parts of the artwork; ``own`` in bands that it has not, or where it does not show them."""
    shown = is_one_of(drawn.labels, members)
    if not drawn.bands or shown.sum() < _FEWEST_TEXELS:
        return own
    contrasts = _measure_contrast(drawn.bands, shown)
    return torch.cat([own[: drawn.missing], contrasts, own[drawn.missing + len(contrasts) :]])
