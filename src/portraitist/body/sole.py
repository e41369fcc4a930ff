"""A foot on the ground: it rolls over heel, ball and toes, and no part that carries slides."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from portraitist.body.posing import Rig
from portraitist.body.skeleton import JOINTS

TURNS_DEG = np.arange(-70.0, 31.0, 5.0)  # in which feet and toes are tried for what touches the ground


@dataclass(frozen=True)
class Sole:
    """Of one foot, seen from the side. ``points``: of foot or shoe at rest, (z, y) from the ankle, meters.
    ``toe_shares``: how much of each goes with the toes, 0..1. ``toes``: their joint, (z, y) from the ankle."""

    points: Float[np.ndarray, "k 2"]
    toe_shares: Float[np.ndarray, "k"]
    toes: Float[np.ndarray, "2"]

    @property
    def height(self) -> float:
        """Of the ankle of a flat foot above the ground; meters."""
        return float(-self.points[:, 1].min())

    def bend(self, pitch_deg: Float[np.ndarray, "t"], toes_deg: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t k 2"]:
        """The points, from the ankle, when foot and toes point up by so many degrees."""
        joint = turn_up(self.toes[None], pitch_deg)
        rigid, toes = turn_up(self.points, pitch_deg), joint + turn_up(self.points - self.toes, toes_deg)
        share = self.toe_shares[:, None]
        return (1 - share) * rigid + share * toes

    def roll(self, pitch_deg: Float[np.ndarray, "t"], toes_deg: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t 2"]:
        """Where the ankle is (z, y; meters) while the foot goes through these angles on the ground, from z = 0 on: the
        lowest point is on the ground and stays where it is until another one is lower."""
        shapes = self.bend(pitch_deg, toes_deg)
        lowest = shapes[..., 1].argmin(1)
        steps, before = np.arange(len(shapes) - 1), lowest[:-1]
        moves = shapes[steps, before, 0] - shapes[steps + 1, before, 0]
        return np.stack([np.append(0, np.cumsum(moves)), -shapes[..., 1].min(1)], 1)


def turn_up(points: Float[np.ndarray, "k 2"], degrees: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t k 2"]:
    """Points (z, y) about the ankle, the front upwards."""
    angle = np.radians(degrees)[:, None]
    z, y = points.T
    return np.stack([np.cos(angle) * z - np.sin(angle) * y, np.sin(angle) * z + np.cos(angle) * y], -1)


def measure_sole(rig: Rig, side: str, vertices: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, "n j"]) -> Sole:
    """Of those of all ``vertices`` that move with a foot and can touch the ground. ``weights``: how much each joint
    moves them."""
    ankle = rig.place(f"{side}Foot")
    foot, toes = (weights[:, JOINTS[f"{side}{name}"]] for name in ("Foot", "Toes"))
    own = foot + toes > 0.5
    flat = (vertices[own] - ankle)[:, [2, 1]]
    whole = Sole(flat, (toes / np.maximum(foot + toes, 0.5))[own], (rig.place(f"{side}Toes") - ankle)[[2, 1]])
    pitch, bent = (angles.ravel() for angles in np.meshgrid(TURNS_DEG, TURNS_DEG))
    lowest = np.unique(whole.bend(pitch, bent)[..., 1].argmin(1))
    return replace(whole, points=flat[lowest], toe_shares=whole.toe_shares[lowest])
