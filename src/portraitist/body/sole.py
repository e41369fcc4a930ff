"""A foot on the ground: its sole rolls over heel and toes without sliding."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull

from portraitist.body.posing import Rig


@dataclass(frozen=True)
class Sole:
    """Of one foot, at rest on the ground. ``outline``: convex outline of the foot from the side, (z, y) in meters from
    the ankle. ``ankle``: height above the ground. ``toes``: the joint of the toes, (z, y) from the ankle."""

    outline: Float[np.ndarray, "k 2"]
    ankle: float
    toes: Float[np.ndarray, "2"]

    def roll_heel(self, pitch_deg: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t 2"]:
        """How far the ankle is (z, y; meters) from where it is with a flat foot, when the foot points up by
        ``pitch_deg`` >= 0 and has rolled over its heel there: a polygon that turns about one corner after another."""
        steps = np.linspace(0, max(float(np.max(pitch_deg)), 1e-6), ROLL_STEPS)
        places = np.zeros((len(steps), 2))
        for number, (before, after) in enumerate(pairwise(steps), 1):
            corner = turn_up(self.outline, after)[:, 1].argmin()
            held = self.outline[corner]
            places[number] = places[number - 1] + turn_up(held, before) - turn_up(held, after)
        return np.stack([np.interp(pitch_deg, steps, places[:, axis]) for axis in (0, 1)], 1)

    def lift_heel(self, pitch_deg: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t 2"]:
        """The same for ``pitch_deg`` <= 0: the foot turns about the joint of its toes, which stay."""
        return self.toes - turn_up(self.toes, pitch_deg)


ROLL_STEPS = 200  # of the roll over a heel: a tenth of a degree each


def turn_up(points: Float[np.ndarray, "*k 2"], degrees: float | Float[np.ndarray, "*t"]) -> Float[np.ndarray, "*m 2"]:
    """Points (z, y) about the ankle, the front upwards."""
    angle = np.radians(degrees)
    z, y = points[..., 0], points[..., 1]
    return np.stack([np.cos(angle) * z - np.sin(angle) * y, np.sin(angle) * z + np.cos(angle) * y], -1)


def measure_sole(rig: Rig, side: str, vertices: Float[np.ndarray, "n 3"], ground: float) -> Sole:
    """``vertices``: of foot or shoe, at rest. ``ground``: its height, meters."""
    ankle = rig.place(f"{side}Foot")
    flat = (vertices - ankle)[:, [2, 1]]
    toes = (rig.place(f"{side}Toes") - ankle)[[2, 1]]
    return Sole(flat[ConvexHull(flat).vertices], float(ankle[1] - ground), toes)
