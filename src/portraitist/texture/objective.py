"""What the texture is optimized for: Eq. 13 on one view, guided by labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
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


@dataclass(frozen=True)
class ContentPoints:
    """Random points of a picture before it is painted.

    Per point: its place (x, y) in pixels; ``labels``; ``shown``, whether artworks show such a place; ``units``, the
    hypercolumn there divided by its length. ``held_units``, those that the painted ones are held to, by ``held`` 0..1.
    """

    places_px: Float[Tensor, "p 2"]
    labels: Int[Tensor, "p"]
    shown: Bool[Tensor, "p"]
    units: Float[Tensor, "p c"]
    held_units: Float[Tensor, "p c"]
    held: Float[Tensor, "p"]


def measure_loss(
    image: Image,
    content: ContentPoints,
    style: Style,
    roles: LabelRoles,
    vgg: VGG,
    weights: LossWeights,
    samples: int,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """Objective of ``image``, what ``content`` looks like now, on ``samples`` random points."""
    # 1. Draw points of the picture and of the artworks.
    device = image.device
    chosen = random_order(len(content.places_px), generator, device)[:samples]
    compared = random_order(len(style.hypercolumns), generator, device)[:samples]
    points, labels, shown = content.places_px[chosen], content.labels[chosen], content.shown[chosen]
    theirs, their_labels = style.hypercolumns[compared], style.labels[compared]
    columns = sample_hypercolumns(vgg(image), points)
    units = unit_rows(columns)

    # 2. Eq. 11 with label penalties. Who is nearest to whom may be found as roughly as the network computes;
    # self-similarity may not: neighbors on smooth skin differ by less than bfloat16 can tell, and its rounding comes
    # out as dots.
    distances = cosine_distances(units.to(vgg.dtype), style.units[compared]).float()
    guided = bool(weights.label_penalty)
    penalties = weights.label_penalty * style.penalties[labels][:, their_labels]
    known = _can_be_painted(labels, their_labels, style.penalties) if guided else torch.ones_like(shown)
    answered = torch.isin(their_labels, labels) if guided else torch.ones_like(their_labels, dtype=torch.bool)
    loss = _relaxed_emd_of_known(distances + penalties, known, answered)

    # 3. Eq. 12, and colors.
    loss = loss + weights.content * self_similarity_loss(units, content.units[chosen])
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
        apart = 1 - (units * content.held_units[chosen]).sum(1)
        loss = loss + weights.perceptual_content * (apart * content.held[chosen]).mean()
    return loss


def _can_be_painted(labels: Tensor, their_labels: Tensor, penalties: Tensor) -> Bool[Tensor, "n"]:
    """Whether the artwork shows, at no cost, how to paint the label."""
    return (penalties[:, their_labels.unique()] == 0).any(1)[labels]


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
