"""A whole picture painted as an artwork is, coarse to fine: the losses of Sec. 5.2 on a picture instead of views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.apps.image_guide import FaceView
from portraitist.apps.image_labels import ANYTHING, AROUND, BROAD, PICTURE_LABELS, borrow_patches, picture_roles
from portraitist.segmentation.parts import UNLABELED, is_one_of
from portraitist.texture.exemplar import Style, StyleSource, measure_size, mix_styles, resize_source, study_source
from portraitist.texture.label_colors import PALETTES, PaletteShares, blur_mask, match_colors
from portraitist.texture.labels import LabelRoles
from portraitist.texture.losses import unit_rows
from portraitist.texture.objective import ContentPoints, LossWeights, measure_loss
from portraitist.texture.optimizer import PyramidRMSprop
from portraitist.texture.patches import PatchPlaces, PatchSource, make_patch_source
from portraitist.texture.pyramid import build_pyramid, fold_pyramid
from portraitist.texture.strokes import find_means, measure_strokes
from portraitist.texture.views import spread_points
from portraitist.types import Image, Progress, ProgressCallback
from portraitist.vgg import VGG, sample_hypercolumns

CHANGED_LEVELS = 3  # of the pyramid, the finest, at each scale after the first
STROKE_LEVELS = 3  # the same of the last strokes
STROKE_RATE = 0.005
SOFT_COLORS = 128  # of the picture's side: width over which recoloring fades

Report = Callable[[float, Image], None]
"""Is told the loss and the picture after each step."""


def count_steps(stage: str, steps: int, progress: ProgressCallback | None) -> Report:
    """Tells ``progress`` which of the ``steps`` of a stage was done."""
    done = 0

    def report(loss: float, preview: Image) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(Progress(stage, done, steps, loss, preview))

    return report


@dataclass(frozen=True)
class PictureStyle:
    """``source``: the artwork with labels. ``enlargement``: of the picture that is painted against it, face to face.
    ``roles``: of the labels, which are those of a whole picture if no others are given."""

    source: StyleSource
    enlargement: float
    roles: LabelRoles = field(default_factory=picture_roles)

    def study(self, side: int, content: PictureContent, vgg: VGG, generator: torch.Generator) -> Style:
        """Its features, drawn so that its face is as large as that of ``content`` with ``side`` pixels along the longer
        side."""
        roles, size_px = self.roles, self._measure(side, content)
        exemplar = study_source(self.source, vgg, generator, view_px=size_px, stroke_px=size_px, roles=roles)
        return mix_styles([exemplar], roles, vgg)

    def cut_patches(self, content: PictureContent, generator: torch.Generator) -> PatchSource:
        """Its patches, drawn as large as ``content`` is."""
        roles, size_px = self.roles, self._measure(max(content.labels.shape), content)
        image, labels = resize_source(self.source, size_px, roles)
        return borrow_patches(make_patch_source(image, PatchPlaces.make(labels, roles.count), 1.0, generator), roles)

    def _measure(self, side: int, content: PictureContent) -> float:
        """Root of the area of the artwork's face when it is drawn for that side."""
        factor = self.enlargement * side / max(content.labels.shape)
        return factor * measure_size(self.source.labels, self.roles)


@dataclass(frozen=True)
class PictureContent:
    """What is painted: the warped photo; ``labels`` of its pixels, indices into `PICTURE_LABELS`; ``mask`` [h, w],
    where its face is to look like that of ``guide``, 0..1."""

    image: Image
    labels: Int[Tensor, "h w"]
    mask: Float[Tensor, "h w"]
    guide: Image

    def resized(self, side: int) -> PictureContent:
        """With ``side`` pixels along the longer side."""
        height, width = self.labels.shape
        factor = side / max(height, width)
        size = (max(round(height * factor), 1), max(round(width * factor), 1))
        return PictureContent(
            resize_picture(self.image, size),
            resize_labels(self.labels, size),
            resize_picture(self.mask[None], size)[0],
            resize_picture(self.guide, size),
        )


def resize_picture(image: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c m n"]:
    """Bilinear and antialiased; the same picture at its own size."""
    if (image.shape[1], image.shape[2]) == size:
        return image
    return F.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)[0]


def resize_labels(labels: Int[Tensor, "h w"], size: tuple[int, int]) -> Int[Tensor, "m n"]:
    """Nearest."""
    return F.interpolate(labels[None, None].float(), size, mode="nearest-exact")[0, 0].long()


def start_picture(content: PictureContent, face: FaceView, source: StyleSource, generator: torch.Generator) -> Image:
    """The content in the artwork's colors, part by part, with the rendered face; no border is seen between them, since
    every band of frequencies is blended over its own width (Burt and Adelson, "A multiresolution spline", 1983)."""
    labels, own = content.labels, StyleSource(content.image, content.labels, source.background)
    recolored = match_colors(content.image, labels, share_colors(content), own, [source], generator)
    bands = []
    guided = face.lay_over(recolored)
    for plain, painted in zip(build_pyramid(recolored), build_pyramid(guided), strict=True):
        mask = F.adaptive_avg_pool2d(content.mask[None], (plain.shape[1], plain.shape[2]))
        bands.append(torch.lerp(plain, painted, mask))
    return fold_pyramid(bands).clamp(0, 1)


def share_colors(content: PictureContent) -> PaletteShares:
    """Which palette recolors each pixel, with soft borders: that of its part, or that of all of both pictures."""
    palettes: dict[tuple[int, ...], tuple[int, ...]] = {members: members for members in PALETTES}
    palettes |= {(PICTURE_LABELS.index(name),): (PICTURE_LABELS.index(name),) for name in AROUND}
    palettes[(*BROAD, ANYTHING)] = (ANYTHING,)
    return {
        measured: blur_mask(is_one_of(content.labels, members)[None].to(content.image), SOFT_COLORS)
        for measured, members in palettes.items()
        if is_one_of(content.labels, members).any()
    }


def paint_scale(
    picture: Image,
    content: PictureContent,
    artwork: PictureStyle,
    side: int,
    steps: int,
    *,
    is_first: bool,
    vgg: VGG,
    weights: LossWeights,
    samples: int,
    learning_rate: float,
    generator: torch.Generator,
    report: Report,
) -> Image:
    """``picture`` with what can be painted at ``side`` pixels along its longer side; what is finer stays.

    The first scale changes all bands of the picture's pyramid, later ones the finest that they show.
    """
    roles, small = artwork.roles, content.resized(side)
    size = (small.labels.shape[0], small.labels.shape[1])
    with torch.no_grad():
        style = artwork.study(side, content, vgg, generator)
        before = resize_picture(picture, size)
        points = _compare_content(small, roles, vgg, generator)
    bands = [band.clone() for band in build_pyramid(before)]
    levels = [band.requires_grad_() for band in (bands if is_first else bands[:CHANGED_LEVELS])]
    optimizer = PyramidRMSprop(levels, learning_rate, steps)
    for _ in range(steps):
        current = fold_pyramid(bands)
        loss = measure_loss(current, points, style, roles, vgg, weights, samples, generator)
        optimizer.step(torch.autograd.grad(loss, levels))
        report(loss.item(), current.detach())
    after = fold_pyramid([band.detach() for band in bands])
    return (picture + resize_picture(after - before, (picture.shape[1], picture.shape[2]))).clamp(0, 1)


def paint_last_strokes(
    picture: Image,
    content: PictureContent,
    artwork: PictureStyle,
    steps: int,
    generator: torch.Generator,
    report: Report,
) -> Image:
    """The finest bands painted with the artwork's patches, as `strokes.paint_strokes` does on a head."""
    if not steps:
        return picture
    roles = artwork.roles
    patches = artwork.cut_patches(content, generator)
    labels = torch.where(is_one_of(content.labels, roles.patches), content.labels, UNLABELED)
    places = PatchPlaces.make(labels, roles.count, torch.ones_like(labels, dtype=torch.bool))
    means, bands = find_means(picture), [band.clone() for band in build_pyramid(picture)]
    levels = [band.requires_grad_() for band in bands[:STROKE_LEVELS]]
    optimizer = PyramidRMSprop(levels, STROKE_RATE, steps)
    for _ in range(steps):
        current = fold_pyramid(bands)
        loss = measure_strokes(current, places, means, [patches], generator)
        optimizer.step(torch.autograd.grad(loss, levels))
        report(loss.item(), current.detach())
    return fold_pyramid([band.detach() for band in bands]).clamp(0, 1)


def _compare_content(content: PictureContent, roles: LabelRoles, vgg: VGG, generator: torch.Generator) -> ContentPoints:
    """Random points of the picture, and what the network sees there in the photo and in the guide."""
    labels = content.labels
    places = spread_points(labels, roles.detailed, generator)
    columns, rows = places.long().unbind(1)
    units, held = (unit_rows(sample_hypercolumns(vgg(image), places)) for image in (content.image, content.guide))
    shown = torch.ones_like(columns, dtype=torch.bool)
    return ContentPoints(places, labels[rows, columns], shown, units, held, content.mask[rows, columns])
