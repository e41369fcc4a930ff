"""Somebody on a body in a moment of a motion, as a head again, for pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from portraitist.body.motion import Clip
from portraitist.body.posing import build_rig, place_joints, skin_vertices, to_world
from portraitist.body.skin import find_joints, find_weights
from portraitist.devices import from_numpy, to_numpy
from portraitist.types import Head


def pose_character(head: Head, clip: Clip, moment: int) -> Head:
    """``head``, which stands on a body as `stand` leaves it, with the turns that ``clip`` has at one of its times.
    Expressions stay as they are; of a pose only the shape is to be used."""
    rig = build_rig(to_numpy(find_joints(head), np.float64))
    turns = to_world(clip.turns[moment : moment + 1])
    places = place_joints(rig, turns, clip.hips[moment : moment + 1])[0]

    def move(vertices: Float[Tensor, "n 3"], weights: Float[Tensor, "n j"]) -> Float[Tensor, "n 3"]:
        arrays = to_numpy(vertices, np.float64), to_numpy(weights, np.float64)
        return from_numpy(skin_vertices(*arrays, rig, turns[0], places).astype(np.float32), vertices)

    own, *others = find_weights(head)
    layers = [
        replace(layer, mesh=layer.mesh.with_vertices(move(layer.mesh.vertices, weights)))
        for layer, weights in zip(head.layers, others, strict=True)
    ]
    return replace(head, mesh=head.mesh.with_vertices(move(head.mesh.vertices, own)), layers=tuple(layers))
