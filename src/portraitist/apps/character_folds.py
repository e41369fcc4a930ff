"""Folds of cloth, authored: how high it lies, as a function of the place on a body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates

from portraitist.body.skeleton import JOINTS
from portraitist.rendering.shader_math import smoothstep

LATTICE_SIDE = 32  # of the noise's lattice, which repeats
STEP = 0.003  # meters over which slopes are measured
LIGHT = np.array([0.25, 0.85, 0.45])  # where it comes from: above, and a little from the front and the person's left
# Meters between folds and along one, and over which they fade, around joints that bend.
ELBOW = (0.016, 0.07, 0.09)
KNEE = (0.022, 0.09, 0.11)
ANKLE = (0.014, 0.09, 0.05)
# Radians between folds that run out from a point, and their length in meters.
ARMPIT = (0.26, 0.12)
CROTCH = (0.24, 0.16)
DRAPE = (0.035, 0.2)  # meters (around, down) between folds that hang
WAIST = 0.13  # meters: radius of what hanging folds run around
HEIGHTS = {"joint": 0.0032, "star": 0.0024, "drape": 0.003}  # meters


@dataclass(frozen=True, eq=False)
class Folds:
    """Of a body with these ``joints`` [j, 3], ``scale`` times as large as a person."""

    joints: Float[np.ndarray, "j 3"]
    scale: float

    def shade(self, places: Float[np.ndarray, "k 3"], normals: Float[np.ndarray, "k 3"], piece: str) -> np.ndarray:
        """Slope of the folds towards the light, about -1 to 1, at places (meters) on the "top" or the "trousers"."""
        along = LIGHT - (normals @ LIGHT)[:, None] * normals
        step = STEP * self.scale
        height = self._top if piece == "top" else self._trousers
        return (height(places) - height(places + step * along)) / STEP

    def _place(self, name: str) -> Float[np.ndarray, "3"]:
        return self.joints[JOINTS[name]]

    def _top(self, places: np.ndarray) -> np.ndarray:
        total = np.zeros(len(places))
        for number, side in enumerate(("left", "right")):
            shoulder, elbow, hand = (self._place(side + name) for name in ("UpperArm", "LowerArm", "Hand"))
            total += self._ring(places, elbow, hand - shoulder, ELBOW, number)
            pit = shoulder - self.scale * np.array([0.0, 0.09, 0.0])
            total += self._star(places, pit, ARMPIT, 2 + number)
        chest, hips = self._place("upperChest"), self._place("hips")
        down = smoothstep(places[:, 1], float(chest[1]), float(hips[1]))
        torso = 1 - smoothstep(np.abs(places[:, 0]), 0.17 * self.scale, 0.24 * self.scale)
        return total + HEIGHTS["drape"] * down * torso * self._hang(places, hips, 4)

    def _trousers(self, places: np.ndarray) -> np.ndarray:
        total = np.zeros(len(places))
        for number, side in enumerate(("left", "right")):
            hip, knee, foot = (self._place(side + name) for name in ("UpperLeg", "LowerLeg", "Foot"))
            own = (places[:, 0] > 0) == (number == 0)
            total[own] += self._ring(places[own], knee, foot - hip, KNEE, 5 + number)
            hem = foot + 0.12 * (knee - foot)
            total[own] += 1.5 * self._ring(places[own], hem, foot - knee, ANKLE, 7 + number)
        middle = (self._place("leftUpperLeg") + self._place("rightUpperLeg")) / 2
        crotch = middle - self.scale * np.array([0.0, 0.09, 0.0])
        return total + self._star(places, crotch, CROTCH, 9)

    def _ring(self, places: np.ndarray, joint: np.ndarray, axis: np.ndarray, sizes: tuple, seed: int) -> np.ndarray:
        """Folds around a limb at a joint."""
        across, around, reach = (size * self.scale for size in sizes)
        axis = axis / np.linalg.norm(axis)
        off = places - joint
        along = off @ axis
        rest = off - along[:, None] * axis
        near = np.exp(-((along / reach) ** 2)) * np.exp(-((np.linalg.norm(rest, axis=1) / (0.16 * self.scale)) ** 4))
        waves = _noise(np.column_stack([along / across, rest[:, 0] / around, rest[:, 2] / around]), seed)
        return HEIGHTS["joint"] * near * waves

    def _star(self, places: np.ndarray, center: np.ndarray, sizes: tuple, seed: int) -> np.ndarray:
        """Folds that run out from a point, before and behind."""
        angle, length = sizes[0], sizes[1] * self.scale
        off = places - center
        far = np.linalg.norm(off[:, :2], axis=1)
        around = off[:, :2] / far[:, None].clip(1e-6) / angle
        waves = _noise(np.column_stack([around, (far + off[:, 2]) / length]), seed)
        return (
            HEIGHTS["star"]
            * waves
            * smoothstep(far, 0.02 * self.scale, 0.06 * self.scale)
            * np.exp(-((far / length) ** 2))
        )

    def _hang(self, places: np.ndarray, middle: np.ndarray, seed: int) -> np.ndarray:
        around, down = (size * self.scale for size in DRAPE)
        off = places - middle
        level = off[:, [0, 2]] / np.linalg.norm(off[:, [0, 2]], axis=1, keepdims=True).clip(1e-6)
        return _noise(np.column_stack([level * WAIST * self.scale / around, off[:, 1] / down]), seed)


def _noise(at: Float[np.ndarray, "k 3"], seed: int) -> Float[np.ndarray, "k"]:
    """Smooth noise of unit variance with cells of side 1."""
    lattice = np.random.default_rng(seed).standard_normal((LATTICE_SIDE,) * 3)
    return np.asarray(map_coordinates(lattice, at.T, order=3, mode="grid-wrap")) / 0.7
