"""What the texture is optimized for: Eq. 13 on one view, guided by labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from portraitist.devices import random_order
from portraitist.segmentation.parts import is_one_of
from portraitist.texture.exemplar import Style
from portraitist.texture.labels import LabelRoles
from portraitist.texture.losses import (
    color_distances,
    cosine_distances,
    moment_distance,
    self_similarity_loss,
    unit_rows,
)
from portraitist.texture.views import View
from portraitist.types import Image
from portraitist.vgg import VGG, sample_hypercolumns

MOMENT_CHANNELS = 256  # random channels whose covariances are compared in a step


@dataclass(frozen=True)
class LossWeights:
    """Of the terms of the objective beside the relaxed earth mover's distance of hypercolumns (Eq. 11), whose is 1.

    ``content``: beta of Eq. 13, on self-similarity (Eq. 12). ``moments``: means and covariances, as STROTSS has them.
    ``color_emd``: earth mover's distance of colors.

    Beyond the paper: ``label_penalty``, cost of painting one label as another. ``perceptual_content``: cosine distance
    of hypercolumns to the content's, point by point, on eyes, brows, nose and mouth: a person is known by them, and
    self-similarity alone lets them drift. With label penalties, ``moments`` are those of the skin: a view that shows
    fewer eyes than the artwork would else get them painted on a cheek.
    """

    content: float = 1.0
    moments: float = 1.0
    color_emd: float = 1.0
    label_penalty: float = 0.0
    perceptual_content: float = 0.0


def measure_loss(
    image: Image,
    view: View,
    style: Style,
    roles: LabelRoles,
    vgg: VGG,
    weights: LossWeights,
    samples: int,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """Objective of ``image``, the view as it looks now, on ``samples`` random points."""
    # 1. Draw points of the view and of the artworks.
    device = image.device
    chosen = random_order(len(view.points_px), generator, device)[:samples]
    compared = random_order(len(style.hypercolumns), generator, device)[:samples]
    points, labels, shown = view.points_px[chosen], view.labels[chosen], view.shown[chosen]
    theirs, their_labels = style.hypercolumns[compared], style.labels[compared]
    columns = sample_hypercolumns(vgg(image), points)
    units, content_units = unit_rows(columns), view.content_units[chosen]

    # 2. Eq. 11 with label penalties. Who is nearest to whom may be found as roughly as the network computes;
    # self-similarity may not: neighbors on smooth skin differ by less than bfloat16 can tell, and its rounding comes
    # out as dots.
    distances = cosine_distances(units.to(vgg.dtype), style.units[compared]).float()
    guided = bool(weights.label_penalty)
    penalties = weights.label_penalty * style.penalties[labels][:, their_labels]
    known = torch.isin(labels, their_labels) if guided else torch.ones_like(shown)
    answered = torch.isin(their_labels, labels) if guided else torch.ones_like(their_labels, dtype=torch.bool)
    loss = _relaxed_emd_of_known(distances + penalties, known, answered)

    # 3. Eq. 12, and colors.
    loss = loss + weights.content * self_similarity_loss(units, content_units)
    if weights.color_emd:
        colors = color_distances(columns[:, :3], theirs[:, :3]) + penalties
        loss = loss + weights.color_emd * _relaxed_emd_of_known(colors, known, answered)

    # 4. Moments and perceptual content.
    ours = columns[shown & _have_moments(labels, roles, guided)]
    of_art = theirs[_have_moments(their_labels, roles, guided)]
    if weights.moments and len(ours) and len(of_art):
        channels = random_order(columns.shape[1], generator, device)[:MOMENT_CHANNELS]
        loss = loss + weights.moments * moment_distance(ours, of_art, channels)
    if weights.perceptual_content:
        held = shown & is_one_of(labels, roles.content)
        loss = loss + weights.perceptual_content * ((1 - (units * content_units).sum(1)) * held).mean()
    return loss


def _have_moments(labels: Tensor, roles: LabelRoles, guided: bool) -> Bool[Tensor, "n"]:
    return is_one_of(labels, roles.moments) if guided else ~is_one_of(labels, roles.secondary)


def _relaxed_emd_of_known(
    distances: Float[Tensor, "n m"], known: Bool[Tensor, "n"], answered: Bool[Tensor, "m"]
) -> Float[Tensor, ""]:
    """`relaxed_emd` in which labels that the artwork or the view does not show need not be anything's nearest."""
    forward = (distances.amin(1) * known).mean()
    if not (answered.any() and known.any()):
        return forward
    return torch.maximum(forward, distances[known][:, answered].amin(0).mean())
