"""A person in the real world: on the ground, as tall as they are."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.types import Head, Layer

BODY_LAYERS = ("body", "clothes")
SOLE = 0.01  # of the height: what lies lower is what somebody stands on


def has_body(head: Head) -> bool:
    """Whether it is on a body that can move."""
    return any(layer.name == "body" for layer in head.layers)


def stand(head: Head) -> Head:
    """``head`` with all of its layers, on a body, where the file of another program has it: its soles on y = 0, their
    middle above the origin, ``head.height`` meters from there to the crown. Everything is scaled and moved, nothing is
    turned. A head without a body stays as it is."""
    return _place_head(head, *find_stand(head)) if has_body(head) else head


def find_stand(head: Head) -> tuple[float, Float[Tensor, "3"]]:
    """By what head space is scaled, and then moved (meters), where `stand` puts a head on a body."""
    below = torch.cat([layer.mesh.vertices for layer in head.layers if layer.name in BODY_LAYERS])
    lowest = below[:, 1].min()
    tall = head.mesh.vertices[:, 1].max() - lowest
    soles = below[below[:, 1] < lowest + SOLE * tall]
    ground = torch.stack([soles[:, 0].mean(), lowest, soles[:, 2].mean()])
    scale = (head.height or float(tall)) / float(tall)
    return scale, -ground * scale


def shift_head(head: Head, shift: Float[Tensor, "3"]) -> Head:
    """``head`` with all of its layers somewhere else; ``shift``: meters."""
    return _place_head(head, 1.0, shift)


def _place_head(head: Head, scale: float, shift: Float[Tensor, "3"]) -> Head:
    """All of it scaled about the origin, then moved."""

    def place_layer(layer: Layer) -> Layer:
        mesh = layer.mesh.with_vertices(layer.mesh.vertices * scale + shift)
        return replace(layer, mesh=mesh, original=layer.original * scale + shift)

    return replace(
        head,
        mesh=head.mesh.with_vertices(head.mesh.vertices * scale + shift),
        neutral=head.neutral * scale + shift,
        expression_deltas=head.expression_deltas * scale,
        original=head.original * scale + shift,
        layers=tuple(place_layer(layer) for layer in head.layers),
    )
