"""The artwork as textures are painted after it: cropped to its labels, and its features and patches.

Nothing here depends on who or what is painted, so an artwork is studied once and used for many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.devices import move
from portraitist.segmentation.parts import is_one_of
from portraitist.texture.labels import LabelRoles, face_roles
from portraitist.texture.losses import sample_points, unit_rows
from portraitist.texture.patches import PatchPlaces, PatchSource, make_patch_source
from portraitist.types import Image
from portraitist.vgg import VGG, sample_hypercolumns

LARGEST_ENLARGEMENT = 2.0  # of a small artwork: beyond that there is nothing but blur to learn from
STYLE_POINTS = 3072  # hypercolumns of all labels but the secondary ones, shared out by area
DETAIL_BONUS = 192  # hypercolumns of each detailed label beyond its share
SECONDARY_SHARE = 0.4  # hypercolumns of a secondary label, in parts of STYLE_POINTS
SMALLEST_PX = 32  # side that the network can see


@dataclass(frozen=True)
class StyleSource:
    """An artwork cropped to what is labeled in it. ``labels``: of each pixel, `UNLABELED` where it shows nothing of the
    object. ``background``: mean color of the object; it stands in for all that is unlabeled, here and around the
    rendered views, so that no background gets into a hypercolumn. ``weight``: share in a mix. ``shading``: see
    `shading_transfer.unwrap_shading`; None where the artwork's light is not taken over."""

    image: Image
    labels: Int[Tensor, "h w"]
    background: Float[Tensor, "3"]
    weight: float = 1.0
    shading: Float[Tensor, "4 g g"] | None = None


@dataclass(frozen=True)
class StyleExemplar:
    """A source and what the losses need of it: hypercolumns ``[n, c]`` with their labels ``[n]``, grouped by label and
    in random order within each, and its patches."""

    source: StyleSource
    hypercolumns: Float[Tensor, "n c"]
    labels: Int[Tensor, "n"]
    patches: PatchSource

    def weighted(self, weight: float) -> StyleExemplar:
        """The same with another share in a mix of artworks."""
        return replace(self, source=replace(self.source, weight=weight), patches=replace(self.patches, weight=weight))


@dataclass(frozen=True)
class Style:
    """Hypercolumns of one or several artworks, as they are and divided by their lengths, their labels, and the label
    penalties."""

    hypercolumns: Float[Tensor, "n c"]
    units: Float[Tensor, "n c"]
    labels: Int[Tensor, "n"]
    penalties: Float[Tensor, "p p"]


def crop_exemplar(
    art: Image,
    labels: Int[Tensor, "h w"],
    roles: LabelRoles | None = None,
    *,
    weight: float = 1.0,
    shading: Float[Tensor, "4 g g"] | None = None,
) -> StyleSource:
    """Crop the artwork to its labels with an eighth of margin. Raises ValueError when no pixel has a label."""
    roles = roles or face_roles()
    rows, columns = torch.nonzero(labels >= 0, as_tuple=True)
    if not len(rows):
        raise ValueError("the artwork's labels are empty: no pixel has one")
    margin = (int(rows.max() - rows.min()) + 1) // 8 + 1
    box = (
        slice(max(int(rows.min()) - margin, 0), int(rows.max()) + margin),
        slice(max(int(columns.min()) - margin, 0), int(columns.max()) + margin),
    )
    image, labels = art[(slice(None), *box)], labels[box]
    main = (labels >= 0) & ~is_one_of(labels, roles.secondary)
    background = image[:, main if main.any() else labels >= 0].mean(1)
    return StyleSource(
        torch.where(labels >= 0, image, background[:, None, None]), labels, background, weight, shading
    )  # fmt: skip


def study_source(
    source: StyleSource,
    vgg: VGG,
    generator: torch.Generator,
    *,
    view_px: float,
    stroke_px: float,
    roles: LabelRoles | None = None,
) -> StyleExemplar:
    """Features and patches of an artwork, drawn as large as what is painted will be seen.

    ``view_px``, ``stroke_px``: root of the object's area, without secondary labels, in the network's views and in those
    of the strokes. At equal size a brush stroke is as wide on the object as it is in the artwork.
    """
    roles = roles or face_roles()
    image, labels = resize_source(source, view_px, roles)
    counts = _count_points(labels, roles)
    points = torch.cat([sample_points(labels == label, count, generator) for label, count in counts])
    columns, rows = points.long().unbind(1)
    close_up, close_labels = resize_source(source, stroke_px, roles)
    places = PatchPlaces.make(close_labels, roles.count)
    return StyleExemplar(
        source=source,
        hypercolumns=sample_hypercolumns(vgg(image), points),
        labels=labels[rows, columns],
        patches=make_patch_source(close_up, places, source.weight, generator),
    )


def mix_styles(exemplars: Sequence[StyleExemplar], roles: LabelRoles, vgg: VGG) -> Style:
    """One style of several artworks: of each as many hypercolumns as its weight says, label by label."""
    columns, labels = [], []
    for exemplar in exemplars:
        if exemplar.source.weight == 1:
            columns.append(exemplar.hypercolumns)
            labels.append(exemplar.labels)
            continue
        rank = torch.zeros_like(exemplar.labels)
        for label in exemplar.labels.unique():
            inside = exemplar.labels == label
            rank[inside] = torch.arange(int(inside.sum()), device=rank.device)
        counts = torch.bincount(exemplar.labels, minlength=roles.count)[exemplar.labels]
        taken = rank < (exemplar.source.weight * counts).round().clamp(min=1)
        columns.append(exemplar.hypercolumns[taken])
        labels.append(exemplar.labels[taken])
    hypercolumns = torch.cat(columns) if len(columns) > 1 else columns[0]
    penalties = move(roles.penalties, hypercolumns.device)
    return Style(hypercolumns, unit_rows(hypercolumns).to(vgg.dtype), torch.cat(labels), penalties)


def mix_backgrounds(sources: Sequence[StyleSource]) -> Float[Tensor, "3"]:
    """Mean of the artworks' backgrounds by their weights."""
    return torch.stack([source.weight * source.background for source in sources]).sum(0)


def resize_source(source: StyleSource, size_px: float, roles: LabelRoles) -> tuple[Image, Int[Tensor, "h w"]]:
    """Picture and labels of an artwork in which the object's area has the root ``size_px``; at most twice as large as
    it is."""
    factor = min(size_px / max(measure_size(source.labels, roles), 1.0), LARGEST_ENLARGEMENT)
    size = [max(round(side * factor), SMALLEST_PX) for side in source.labels.shape]
    image = F.interpolate(source.image[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    labels = F.interpolate(source.labels[None, None].float(), size, mode="nearest-exact")[0, 0].long()
    return image, labels


def measure_size(labels: Int[Tensor, "h w"], roles: LabelRoles) -> float:
    """Root of the area in pixels of all labels but the secondary ones; of all where there are no others."""
    area = ((labels >= 0) & ~is_one_of(labels, roles.secondary)).sum()
    return (area if area else (labels >= 0).sum()).sqrt().item()


def _count_points(labels: Int[Tensor, "h w"], roles: LabelRoles) -> list[tuple[int, int]]:
    """How many style points of each label that is there: by area, a fixed share of secondary labels, and some more of
    detailed ones."""
    areas = torch.bincount(labels[labels >= 0], minlength=roles.count)
    main = max(int(areas.sum() - areas[list(roles.secondary)].sum()), 1)
    counts = []
    for label, area in enumerate(areas.tolist()):
        share = SECONDARY_SHARE if label in roles.secondary else area / main
        bonus = DETAIL_BONUS if label in roles.detailed else 0
        if area:
            counts.append((label, max(round(STYLE_POINTS * share + bonus), 1)))
    return counts
