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
from portraitist.rendering.layers import rasterize_parts
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
from portraitist.segmentation.texels import mark_face_texels
from portraitist.texture.color_transfer import decorrelate, recorrelate
from portraitist.texture.exemplar import StyleSource, measure_size
from portraitist.texture.label_colors import blur_mask
from portraitist.texture.labels import face_roles
from portraitist.texture.patches import PatchPlaces
from portraitist.texture.pyramid import build_pyramid, fold_pyramid
from portraitist.texture.views import Subject, measure_footprint, render_front_view
from portraitist.types import Image

CONTRAST_BANDS = 6  # the finest, in a texture of 1,024 texels: up to the width of an eye
GRAINY_BANDS = 2  # the finest, which canvas, paper or film may fill
MOST_PAINTED = 0.7  # contrast of a painted band, in parts of the next coarser one's
ROOM = 0.87  # share of the artwork's contrast that lines may have; the rest is left to the sitter's forms
LEAST_SHARE = 0.15  # of a change, that is kept
LEAST_GAIN = 0.5  # of contrast
LARGEST_LUMINANCE_GAIN = 2.0  # of contrast
LARGEST_CHROMA_GAIN = 1.0  # hues are not made stronger
SKIN_LABELS = (SKIN, NOSE)
HAIR_LABELS = (HAIR,)
SOFT_BORDER = 48  # of the texture's side: width over which gains fade
FOOTPRINT_VIEW_PX = 256  # side of the view that tells how large a texel is seen
FEWEST_TEXELS = 30  # of a label, to measure its contrast
USUAL_EYES_TO_LIPS = 0.46  # of the root of the face's area, in the mean head
LEAST_CONTRAST = 1e-6  # below it a band is flat


@dataclass(frozen=True)
class _DrawnArtwork:
    """An artwork or the head's front at the scale of the texture: fine bands, decorrelated, and parts at the size of
    the first. ``missing``: how many bands are finer than its pixels, and come before that one. ``weight``: share in a
    mix of artworks."""

    bands: list[Image]
    labels: Int[Tensor, "t t"]
    missing: int
    weight: float


def suppress_noise(texture: Image, subject: Subject, sources: Sequence[StyleSource]) -> Image:
    """``texture`` without those lines on skin and hair for which a band has no room beside the artworks' contrast.

    Beyond the paper. A network is pleased by lines also where the artwork is smooth: there they are a crackle of worms
    and colored specks. As much of the change from the subject's start is kept as takes the band's contrast nearly to
    the artworks', in luminance and in hue. So smooth paint stays smooth, rough paint rough, and the sitter's forms are
    there beneath. Bands finer than an artwork's pixels are left as they are.
    """
    starts, bands = (_decorrelate(build_pyramid(image)) for image in (subject.start, texture))
    front, drawn = _draw_all(texture, subject, sources)
    count = _count_bands(texture)
    starts, suppressed = starts[:count], [band.clone() for band in bands[:count]]
    on_face = mark_face_texels(subject.mesh, texture.shape[-1])
    for members, softened, place in (
        (SKIN_LABELS, (*SKIN_LABELS, EYELIDS), on_face),
        (HAIR_LABELS, HAIR_LABELS, torch.ones_like(on_face)),
    ):
        measured = subject.labels.is_one_of(members) & place
        if not measured.any():
            continue
        before, after = _measure_contrast(starts, measured), _measure_contrast(bands[:count], measured)
        # In the layout, forms are stretched and have less contrast; fine ones lose some in the rendering instead.
        seen = torch.maximum(_measure_artwork(front, members, after), after).clamp(min=LEAST_CONTRAST)
        wanted = ROOM * _measure_artworks(drawn, members, seen / ROOM) * after / seen
        added = (after.square() - before.square()).clamp(min=1e-10)
        shares = ((wanted.square() - before.square()).clamp(min=0) / added).sqrt().clamp(LEAST_SHARE, 1)
        shares = torch.where(after > before, shares, 1.0)
        soft = _mark_softly(subject, softened)
        for level, (start, share) in enumerate(zip(starts, shares, strict=True)):
            lost = (1 - _per_channel(share)) * (start - bands[level])
            suppressed[level] += lost * F.adaptive_avg_pool2d(soft, start.shape[-1])
    return fold_pyramid(_recorrelate([*suppressed, *bands[count:]])).clamp(0, 1)


def match_contrast(texture: Image, subject: Subject, sources: Sequence[StyleSource]) -> Image:
    """``texture`` as crisp or as soft as the artworks: their contrast, within limits, in every fine band of skin, of
    features and of hair, as one sees it.

    Beyond the paper. Artists draw eyes and mouths crisper than a photo shows them, and the network's losses do not ask
    for it. Features are not made softer, and no hue stronger. Parts and bands that an artwork does not show are left as
    they are.
    """
    bands = _decorrelate(build_pyramid(texture))
    front, drawn = _draw_all(texture, subject, sources)
    matched = [band.clone() for band in bands]
    for members, least in ((SKIN_LABELS, LEAST_GAIN), (FEATURES, 1.0), (HAIR_LABELS, LEAST_GAIN)):
        own = _measure_contrast(bands[: _count_bands(texture)], subject.labels.is_one_of(members))
        seen = _measure_artwork(front, members, own).clamp(min=LEAST_CONTRAST)
        gains = (_measure_artworks(drawn, members, seen) / seen).clamp(min=least)
        gains = torch.minimum(gains, gains.new_tensor([LARGEST_LUMINANCE_GAIN, LARGEST_CHROMA_GAIN]))
        soft = _mark_softly(subject, members)
        for level, gain in enumerate(gains):
            change = (_per_channel(gain) - 1) * bands[level]
            matched[level] += change * F.adaptive_avg_pool2d(soft, change.shape[-1])
    return fold_pyramid(_recorrelate(matched)).clamp(0, 1)


def _count_bands(texture: Image) -> int:
    """How many bands have contrast in the sense of this module."""
    return max(CONTRAST_BANDS + round(math.log2(texture.shape[-1] / 1024)), 1)


def _mark_softly(subject: Subject, members: tuple[int, ...]) -> Float[Tensor, "1 t t"]:
    return blur_mask(subject.labels.is_one_of(members)[None].to(subject.start), SOFT_BORDER)


def _per_channel(values: Float[Tensor, "2"]) -> Float[Tensor, "3 1 1"]:
    """Of luminance and of hue, for a decorrelated picture."""
    return values[[0, 1, 1]][:, None, None]


def _decorrelate(bands: Sequence[Image]) -> list[Image]:
    return [decorrelate(band.movedim(0, -1)).movedim(-1, 0) for band in bands]


def _recorrelate(bands: Sequence[Image]) -> list[Image]:
    return [recorrelate(band.movedim(0, -1)).movedim(-1, 0) for band in bands]


def _draw_all(
    texture: Image, subject: Subject, sources: Sequence[StyleSource]
) -> tuple[_DrawnArtwork, list[_DrawnArtwork]]:
    """The head from the front and the artworks, all at the scale of the texture."""
    count, front = _count_bands(texture), render_front_view(subject.mesh, texture, subject.labels, subject.around)
    # Framed as the front view is. Footprints are in parts of the texture's side, which is the front view's, too.
    meshes = [subject.mesh, *(part.mesh for part in subject.around)]
    camera = view_camera(torch.cat([mesh.vertices for mesh in meshes]), 0.0, 0.0, FOOTPRINT_VIEW_PX)
    fragments = rasterize_parts(meshes, camera)[0]
    factor = measure_footprint(subject.labels, fragments) * FOOTPRINT_VIEW_PX
    distance = _measure_eyes_to_lips(front.labels)
    drawn = [_draw_artwork(s, factor * distance / _measure_eyes_to_lips(s.labels), count) for s in sources]
    return _draw_artwork(front, factor, count), drawn


def _measure_eyes_to_lips(labels: Int[Tensor, "h w"]) -> float:
    """Distance of their middles in pixels. Of the face's area, hair and hats cover a share that differs; it decides
    only where there are no eyes or no lips."""
    eyes, lips = _find_eyes_and_lips(labels)
    distance = (eyes - lips).norm().item()
    return distance if distance > 0 else max(USUAL_EYES_TO_LIPS * measure_size(labels, face_roles()), 1.0)


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
    return torch.where(far & is_one_of(labels, SKIN_LABELS), UNLABELED, labels)


def _measure_contrast(bands: Sequence[Image], mask: Tensor) -> Float[Tensor, "_b 2"]:
    """Mean size of luminance and of hue in each band, decorrelated, where ``mask`` is."""
    contrasts = []
    for band in bands:
        share = F.adaptive_avg_pool2d(mask[None].to(band), band.shape[-1])[0]
        sizes = torch.stack([band[0].abs(), band[1:].norm(dim=0)])
        contrasts.append((sizes * share).sum((1, 2)) / share.sum().clamp(min=LEAST_CONTRAST))
    return torch.stack(contrasts)


def _draw_artwork(source: StyleSource, factor: float, count: int) -> _DrawnArtwork:
    """``factor``: texels per pixel. ``count``: how many bands are of interest; those finer than its pixels are not
    drawn."""
    missing = max(math.ceil(math.log2(factor)) - 1, 0)  # enlarged twofold there is still something to see
    size = [max(round(side * factor / 2**missing), 32) for side in source.labels.shape]
    image = PatchPlaces.make(source.labels, face_roles().count).extend(source.image)
    image = F.interpolate(image[None], size, mode="bicubic", antialias=True)
    labels = F.interpolate(source.labels[None, None].float(), size, mode="nearest-exact")
    side = 2 ** math.ceil(math.log2(max(size)))
    padding = (0, side - size[1], 0, side - size[0])
    *bands, _ = build_pyramid(F.pad(image, padding, mode="replicate")[0])
    labels = _keep_middle(F.pad(labels, padding, value=UNLABELED)[0, 0].long())
    return _DrawnArtwork(_decorrelate(bands[: max(count - missing, 0)]), labels, missing, source.weight)


def _measure_artworks(
    drawn: Sequence[_DrawnArtwork], members: tuple[int, ...], own: Float[Tensor, "b 2"]
) -> Float[Tensor, "b 2"]:
    """Mean of `_measure_artwork` by the artworks' weights.

    What is drawn or painted has less contrast from band to finer band. Where an artwork has not, it is the grain of
    canvas, paper or film: raising the texture's fine lines to that contrast would give specks, not grain.
    """
    wanted = torch.stack([_measure_artwork(art, members, own) * art.weight for art in drawn]).sum(0)
    for band in reversed(range(min(GRAINY_BANDS, len(wanted) - 1))):
        wanted[band] = torch.minimum(wanted[band], torch.maximum(own[band], MOST_PAINTED * wanted[band + 1]))
    return wanted


def _measure_artwork(drawn: _DrawnArtwork, members: tuple[int, ...], own: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Contrasts of labels of the artwork; ``own`` in bands that it has not, or where it does not show them."""
    shown = is_one_of(drawn.labels, members)
    if not drawn.bands or shown.sum() < FEWEST_TEXELS:
        return own
    contrasts = _measure_contrast(drawn.bands, shown)
    return torch.cat([own[: drawn.missing], contrasts, own[drawn.missing + len(contrasts) :]])
