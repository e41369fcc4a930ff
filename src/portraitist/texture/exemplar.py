"""The artwork as the texture is painted after it: cropped to its head, and its style features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.segmentation.parts import (
    FEATURES,
    HAIR,
    LABELS,
    label_penalties,
)
from portraitist.texture.losses import sample_points, unit_rows
from portraitist.texture.vgg import VGG, sample_hypercolumns
from portraitist.types import Image

_MOST_ENLARGEMENT = 2.0
_STYLE_POINTS, _FEATURE_BONUS, _HAIR_SHARE, _VIEW_POINTS = 3072, 192, 0.4, 1536


@dataclass(frozen=True)
class StyleSource:
    """The artwork cut to its head. ``labels``: part of each pixel, see `semantics`. ``ground``: the face's mean color;
    it stands in for all that is `NOWHERE`, here and around the rendered heads, so that no background gets into a
    hypercolumn. ``weight``: share in a mix of artworks. ``light``: see `lighting.read_light`."""

    image: Image
    labels: Int[Tensor, "h w"]
    ground: Float[Tensor, "3"]
    weight: float
    light: Float[Tensor, "4 g g"] | None = None


@dataclass(frozen=True)
class Style:
    """Hypercolumns sampled in the artworks' faces and hair, as they are and divided by their lengths, and the ``parts``
    they lie in; ``mismatch``, what painting one part as another costs."""

    hypercolumns: Float[Tensor, "n c"]
    units: Float[Tensor, "n c"]
    parts: Int[Tensor, "n"]
    mismatch: Float[Tensor, "p p"]


def crop_exemplar(
    art: Image, labels: Int[Tensor, "h w"], weight: float = 1.0, light: Float[Tensor, "4 g g"] | None = None
) -> StyleSource:
    """Crop the artwork to its head with an eighth of margin. Raises ValueError when no pixel has a part."""
    rows, columns = torch.nonzero(labels >= 0, as_tuple=True)
    if not len(rows):
        raise ValueError("the artwork's face region is empty")
    margin = (int(rows.max() - rows.min()) + 1) // 8 + 1
    box = (
        slice(max(int(rows.min()) - margin, 0), int(rows.max()) + margin),
        slice(max(int(columns.min()) - margin, 0), int(columns.max()) + margin),
    )
    image, labels = art[(slice(None), *box)], labels[box]
    face = (labels >= 0) & (labels != HAIR)
    ground = image[:, face if face.any() else labels >= 0].mean(1)
    return StyleSource(torch.where(labels >= 0, image, ground[:, None, None]), labels, ground, weight, light)


def mix_backgrounds(exemplars: Sequence[StyleSource]) -> Float[Tensor, "3"]:
    """Mean of the artworks' grounds by their weights."""
    return torch.stack([exemplar.weight * exemplar.ground for exemplar in exemplars]).sum(0)


def sample_style(exemplars: Sequence[StyleSource], face_px: float, vgg: VGG, generator: torch.Generator) -> Style:
    """Hypercolumns of the artworks, each face drawn as large as the face in the views (``face_px``).

    At equal size a brush stroke is as wide on the head as it is in the artwork. A small artwork is enlarged at most
    twice: beyond that there is nothing but blur to learn from.
    """
    columns, parts = [], []
    for exemplar in exemplars:
        image, labels = resize_source(exemplar, face_px)
        counts = _count_points(labels, exemplar.weight)
        points = torch.cat([sample_points(labels == part, count, generator) for part, count in counts])
        columns.append(sample_hypercolumns(vgg(image), points))
        ids = points.long()
        parts.append(labels[ids[:, 1], ids[:, 0]])
    hypercolumns = torch.cat(columns)
    mismatch = label_penalties().to(hypercolumns)
    return Style(hypercolumns, unit_rows(hypercolumns).to(vgg.dtype), torch.cat(parts), mismatch)


def resize_source(exemplar: StyleSource, face_px: float) -> tuple[Image, Int[Tensor, "h w"]]:
    """Picture and labels of an artwork whose face's area has the root ``face_px``; at most twice as large as it is."""
    factor = min(face_px / max(face_size(exemplar.labels), 1.0), _MOST_ENLARGEMENT)
    size = [max(round(side * factor), 32) for side in exemplar.labels.shape]
    image = F.interpolate(exemplar.image[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    labels = F.interpolate(exemplar.labels[None, None].float(), size, mode="nearest-exact")[0, 0].long()
    return image, labels


def face_size(labels: Int[Tensor, "h w"]) -> float:
    """Root of the area in pixels of all that is face."""
    return ((labels >= 0) & (labels != HAIR)).sum().sqrt().item()


def _count_points(labels: Int[Tensor, "h w"], weight: float) -> list[tuple[int, int]]:
    """How many style points in each part that is there: by area in the face, a fixed share of hair, and some more in
    the features."""
    areas = torch.bincount(labels[labels >= 0], minlength=len(LABELS))
    face = max(int(areas.sum() - areas[HAIR]), 1)
    counts = []
    for part, area in enumerate(areas.tolist()):
        share = _HAIR_SHARE if part == HAIR else area / face
        bonus = _FEATURE_BONUS if part in FEATURES else 0
        if area:
            counts.append((part, max(round(weight * (_STYLE_POINTS * share + bonus)), 1)))
    return counts
