"""What the texture is optimized for: Eq. 13 on one view, guided by the parts of the face."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from portraitist.segmentation.parts import HAIR, SKIN
from portraitist.texture.exemplar import Style
from portraitist.texture.losses import (
    color_distances,
    cosine_distances,
    moment_distance,
    self_similarity_loss,
    unit_rows,
)
from portraitist.texture.vgg import VGG, sample_hypercolumns
from portraitist.texture.views import View
from portraitist.types import Image

_MOMENT_CHANNELS = 256


@dataclass(frozen=True)
class Weights:
    """Of the terms of the objective beside the relaxed earth mover's distance of hypercolumns (Eq. 11), whose is 1.

    ``content``: beta of Eq. 13, on self-similarity (Eq. 12). ``moments``: means and covariances, as STROTSS has them.
    ``palette``: earth mover's distance of colors.

    Beyond the paper: ``guidance``, cost of painting one part of the face as another. ``likeness``: cosine distance of
    hypercolumns to the content's, point by point, on eyes, brows, nose and mouth: a person is known by them, and
    self-similarity alone lets them drift. With guidance, ``moments`` are those of the skin: a view that shows fewer
    eyes than the artwork would else get them painted on a cheek.
    """

    content: float = 1.0
    moments: float = 1.0
    palette: float = 1.0
    guidance: float = 0.0
    likeness: float = 0.0


def measure_loss(
    image: Image, view: View, style: Style, vgg: VGG, weights: Weights, samples: int, generator: torch.Generator
) -> Float[Tensor, ""]:
    """Objective of ``image``, the view as it looks now, on ``samples`` random points."""
    chosen = torch.randperm(len(view.points_px), generator=generator)[:samples]
    compared = torch.randperm(len(style.hypercolumns), generator=generator)[:samples]
    points, parts, in_face = view.points_px[chosen], view.parts[chosen], view.in_face[chosen]
    theirs, their_parts = style.hypercolumns[compared], style.parts[compared]
    columns = sample_hypercolumns(vgg(image), points)
    units, content_units = unit_rows(columns), view.content_units[chosen]
    # Who is nearest to whom may be found as roughly as the network computes; self-similarity may not: neighbors on
    # smooth skin differ by less than bfloat16 can tell, and its rounding comes out as dots.
    matches = cosine_distances(units.to(vgg.dtype), style.units[compared]).float()

    shown = torch.isin(parts, their_parts) if weights.guidance else torch.ones_like(in_face)
    costs = weights.guidance * style.mismatch[parts][:, their_parts]
    answered = torch.isin(their_parts, parts) if weights.guidance else torch.ones_like(their_parts, dtype=torch.bool)
    loss = _match(matches + costs, shown, answered)
    loss = loss + weights.content * self_similarity_loss(units, content_units)
    if weights.palette:
        colors = color_distances(columns[:, :3], theirs[:, :3]) + costs
        loss = loss + weights.palette * _match(colors, shown, answered)

    if weights.guidance:
        ours, of_face = columns[in_face & (parts == SKIN)], theirs[their_parts == SKIN]
    else:
        ours, of_face = columns[in_face], theirs[their_parts != HAIR]
    if weights.moments and len(ours) and len(of_face):
        channels = torch.randperm(columns.shape[1], generator=generator)[:_MOMENT_CHANNELS]
        loss = loss + weights.moments * moment_distance(ours, of_face, channels)
    if weights.likeness:
        known_by = in_face & (parts != SKIN) & (parts != HAIR)
        loss = loss + weights.likeness * ((1 - (units * content_units).sum(1)) * known_by).mean()
    return loss


def _match(distances: Float[Tensor, "n m"], shown: Bool[Tensor, "n"], answered: Bool[Tensor, "m"]) -> Float[Tensor, ""]:
    """`relaxed_emd` in which parts that the artwork or the view does not show need not be anything's nearest."""
    forward = (distances.amin(1) * shown).mean()
    if not (answered.any() and shown.any()):
        return forward
    return torch.maximum(forward, distances[shown][:, answered].amin(0).mean())
