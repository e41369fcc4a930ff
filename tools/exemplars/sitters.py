"""The three people who sit for the exemplars: who they are, how they are exaggerated, how they hold their heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exemplars.warps import Warp, in_turn, on_both_sides, push, scale_widths, stretch_heights, swell
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import EXPRESSION_NAMES


@dataclass(frozen=True)
class Sitter:
    """``identity_seed`` draws the identity coefficients. ``size``: (height, width) of the picture in pixels;
    ``face_height``: face over picture height; ``face_center``: its middle as fractions of (width, height).

    ``hair_depth``: how far hair stands off the crown, ``hair_sides``: how much more at the temples, ``hair_drop``: how
    much lower it reaches there, ``parting``: where it divides, all in meters; ``hair_waves``: relative height of waves.
    """

    identity_seed: int
    expression: dict[str, float]
    warp: Warp
    yaw_deg: float
    pitch_deg: float
    size: tuple[int, int]
    face_height: float
    face_center: tuple[float, float]
    hair_depth: float
    hair_sides: float = 0.0
    hair_drop: float = 0.0
    hair_waves: float = 0.0
    parting: float = 0.0


def shape_points(sitter: Sitter, model: HeadModel, rest: np.ndarray | None = None) -> np.ndarray:
    """The sitter's exaggerated head ``[n, 3]``, meters; ``rest`` replaces the mean head (for hair standing off it)."""
    basis, mean = model.identity_basis.numpy(), model.mean.numpy()
    coefficients = np.random.default_rng(sitter.identity_seed).standard_normal(len(basis))
    deltas = np.tensordot(coefficients, basis, 1)
    for name, weight in sitter.expression.items():
        deltas = deltas + weight * model.expression_deltas[EXPRESSION_NAMES.index(name)].numpy()
    return sitter.warp((mean if rest is None else rest) + deltas)


BRUSH = Sitter(
    identity_seed=3,
    expression={"browInnerUp": 0.5, "eyeBlinkLeft": 0.12, "eyeBlinkRight": 0.12, "mouthPucker": 0.1},
    warp=in_turn(
        [
            stretch_heights(
                [-0.19, -0.113, -0.088, -0.062, -0.050, -0.004, 0.02, 0.065, 0.115],
                [-0.315, -0.170, -0.127, -0.100, -0.082, -0.002, 0.028, 0.082, 0.135],
            ),
            scale_widths([-0.30, -0.17, -0.11, -0.05, 0.0, 0.06, 0.13], [0.74, 0.62, 0.68, 0.80, 0.88, 0.86, 0.80]),
            on_both_sides(swell, (0.027, -0.002, 0.01), 0.018, (1.25, 1.1, 1.1)),
            swell((0.0, -0.118, 0.03), 0.022, (0.80, 1.05, 1.0)),
            swell((0.0, -0.075, 0.035), 0.024, (0.82, 1.0, 1.1)),
        ]
    ),
    yaw_deg=-9.0,
    pitch_deg=-2.0,
    size=(1024, 832),
    face_height=0.52,
    face_center=(0.515, 0.465),
    hair_depth=0.014,
    hair_sides=0.026,
    hair_drop=0.050,
)

INK = Sitter(
    identity_seed=60,
    expression={"mouthSmileLeft": 0.5, "mouthSmileRight": 0.3, "eyeWideLeft": 0.3, "browOuterUpRight": 0.5},
    warp=in_turn(
        [
            stretch_heights(
                [-0.19, -0.113, -0.075, -0.050, -0.004, 0.02, 0.065, 0.115],
                [-0.235, -0.152, -0.097, -0.060, -0.004, 0.012, 0.040, 0.072],
            ),
            scale_widths([-0.25, -0.16, -0.11, -0.06, 0.0, 0.04, 0.08], [1.25, 1.52, 1.62, 1.32, 0.82, 0.72, 0.70]),
            swell((0.0, -0.055, 0.04), 0.030, (2.10, 1.50, 2.0)),
            on_both_sides(swell, (0.029, -0.002, 0.012), 0.020, (1.35, 1.50, 1.1)),
            push((0.0, -0.155, 0.02), 0.05, (0.0, -0.012, 0.02)),
        ]
    ),
    yaw_deg=12.0,
    pitch_deg=0.0,
    size=(1024, 896),
    face_height=0.54,
    face_center=(0.49, 0.49),
    hair_depth=0.026,
    hair_sides=0.004,
    hair_drop=-0.015,
    hair_waves=0.30,
    parting=-0.035,
)

MOSAIC = Sitter(
    identity_seed=7,
    expression={"eyeWideLeft": 0.5, "eyeWideRight": 0.5, "mouthSmileLeft": 0.15, "mouthSmileRight": 0.15},
    warp=in_turn(
        [
            stretch_heights(
                [-0.19, -0.113, -0.075, -0.050, -0.004, 0.02, 0.065, 0.115],
                [-0.180, -0.127, -0.061, -0.039, -0.003, 0.044, 0.088, 0.124],
            ),
            scale_widths([-0.17, -0.09, -0.05, 0.0, 0.05, 0.11], [1.12, 1.52, 1.78, 1.70, 1.44, 1.20]),
            on_both_sides(swell, (0.042, 0.0, 0.012), 0.030, (1.60, 2.10, 1.30)),
            swell((0.0, -0.060, 0.03), 0.026, (0.42, 1.00, 1.0)),
            swell((0.0, -0.040, 0.045), 0.018, (0.90, 1.1, 0.95)),
        ]
    ),
    yaw_deg=4.0,
    pitch_deg=0.0,
    size=(960, 960),
    face_height=0.485,
    face_center=(0.50, 0.555),
    hair_depth=0.014,
    hair_sides=0.020,
    hair_drop=0.030,
)
