"""Named expressions as weights of the 52 ARKit actions, with a turn of the head where it helps to read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.errors import InputError
from portraitist.export.combinations import list_actions
from portraitist.types import EXPRESSION_NAMES


@dataclass(frozen=True)
class ExpressionPreset:
    """An expression to draw.

    ``weights``: 0..1 by the name of the action, as `set_actions` takes them. ``yaw_deg`` > 0 turns the face to the
    viewer's right, ``pitch_deg`` > 0 lifts it, ``roll_deg`` > 0 tilts the head to the viewer's right.
    """

    name: str
    weights: Mapping[str, float | int] = field(default_factory=dict)
    yaw_deg: float | int = 0.0
    pitch_deg: float | int = 0.0
    roll_deg: float | int = 0.0

    def as_tensor(self) -> Float[Tensor, "52"]:
        """All weights, in `EXPRESSION_NAMES` order. Raises InputError as `set_actions` does."""
        return set_actions(torch.zeros(len(EXPRESSION_NAMES)), self.weights)


def set_actions(weights: Float[Tensor, "52"], asked: Mapping[str, float | int]) -> Float[Tensor, "52"]:
    """``weights``, in `EXPRESSION_NAMES` order, with those in ``asked``, 0..1 by the name of the action.

    A name without Left or Right that has both means both: mouthSmile. Raises InputError for a name that no action has,
    and for weights outside of 0..1.
    """
    weights = weights.clone()
    for name, weight in asked.items():
        ids = [EXPRESSION_NAMES.index(action) for action in list_actions(name)]
        if not ids:
            raise InputError(
                f"{name!r} is none of the 52 ARKit actions. Use their names, such as jawOpen or mouthSmileLeft, or "
                "mouthSmile for both sides."
            )
        if not 0 <= weight <= 1:
            raise InputError(f"{name} is {weight:g}; weights of actions are from 0 to 1.")
        weights[ids] = float(weight)
    return weights


PRESETS: tuple[ExpressionPreset, ...] = (
    ExpressionPreset("neutral"),
    ExpressionPreset(
        "smile",
        {
            "mouthSmile": 1.0,
            "mouthUpperUp": 0.3,
            "jawOpen": 0.06,
            "cheekSquint": 0.6,
            "eyeSquint": 0.3,
            "browInnerUp": 0.2,
            "browOuterUp": 0.2,
        },
        roll_deg=3,
    ),
    ExpressionPreset(
        "laugh",
        {
            "mouthSmile": 1.0,
            "jawOpen": 0.5,
            "mouthUpperUp": 0.4,
            "cheekSquint": 0.9,
            "eyeBlink": 0.8,
            "eyeSquint": 0.5,
            "browInnerUp": 0.3,
            "browOuterUp": 0.3,
        },
        pitch_deg=8,
        roll_deg=-5,
    ),
    ExpressionPreset(
        "wink",
        {
            "eyeBlinkLeft": 1.0,
            "cheekSquintLeft": 1.0,
            "browDownLeft": 0.5,
            "browOuterUpRight": 0.6,
            "mouthSmileLeft": 0.9,
            "mouthSmileRight": 0.4,
            "mouthDimpleLeft": 0.4,
        },
        roll_deg=6,
    ),
    ExpressionPreset(
        "kiss",
        {
            "mouthPucker": 1.0,
            "mouthFunnel": 0.7,
            "mouthShrugLower": 0.7,
            "mouthShrugUpper": 0.5,
            "eyeBlink": 1.0,
            "browInnerUp": 0.5,
            "cheekSquint": 0.2,
        },
        yaw_deg=-24,
        roll_deg=5,
    ),
    ExpressionPreset(
        "surprised",
        {"browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 1.0, "jawOpen": 0.55, "mouthFunnel": 0.5},
        pitch_deg=3,
    ),
    ExpressionPreset(
        "sad",
        {
            "browInnerUp": 1.0,
            "mouthFrown": 1.0,
            "mouthShrugLower": 0.6,
            "eyeLookDown": 0.4,
            "eyeBlink": 0.25,
            "mouthRollLower": 0.2,
        },
        pitch_deg=-6,
        roll_deg=-6,
    ),
    ExpressionPreset(
        "angry",
        {
            "browDown": 1.0,
            "noseSneer": 0.8,
            "eyeSquint": 0.4,
            "eyeLookUp": 0.35,
            "mouthPress": 0.6,
            "mouthFrown": 0.9,
            "mouthShrugLower": 0.4,
            "jawForward": 0.4,
        },
        pitch_deg=-14,
    ),
    ExpressionPreset(
        "disgusted",
        {
            "noseSneer": 1.0,
            "mouthUpperUp": 0.7,
            "browDown": 0.7,
            "eyeSquint": 0.8,
            "mouthFrown": 0.6,
            "mouthShrugLower": 0.5,
            "cheekSquint": 0.5,
        },
        yaw_deg=12,
        pitch_deg=4,
    ),
    ExpressionPreset(
        "afraid",
        {
            "browInnerUp": 1.0,
            "eyeWide": 1.0,
            "mouthStretch": 1.0,
            "jawOpen": 0.2,
            "mouthLowerDown": 0.6,
            "mouthFrown": 0.3,
        },
        pitch_deg=4,
        yaw_deg=-6,
    ),
    ExpressionPreset(
        "sleepy",
        {"eyeBlink": 0.75, "browInnerUp": 0.3, "jawOpen": 0.15, "mouthFrown": 0.2, "eyeLookDown": 0.3},
        pitch_deg=-4,
        roll_deg=12,
    ),
    ExpressionPreset(
        "skeptical",
        {
            "browOuterUpLeft": 1.0,
            "browDownRight": 1.0,
            "eyeSquintRight": 1.0,
            "eyeBlinkRight": 0.3,
            "eyeWideLeft": 0.4,
            "eyeLookInLeft": 0.5,
            "eyeLookOutRight": 0.5,
            "mouthFrown": 0.5,
            "mouthPress": 0.6,
            "mouthRight": 0.5,
        },
        yaw_deg=14,
        roll_deg=-5,
    ),
    ExpressionPreset(
        "thinking",
        {
            "eyeLookUp": 0.8,
            "eyeLookOutLeft": 0.7,
            "eyeLookInRight": 0.7,
            "browOuterUpLeft": 0.6,
            "browDownRight": 0.4,
            "mouthPucker": 0.4,
            "mouthLeft": 0.7,
        },
        yaw_deg=8,
        pitch_deg=4,
        roll_deg=-6,
    ),
    ExpressionPreset(
        "cheeky",
        {
            "tongueOut": 1.0,
            "jawOpen": 0.45,
            "mouthSmile": 0.7,
            "eyeBlinkRight": 1.0,
            "cheekSquintRight": 0.8,
            "browOuterUpLeft": 0.8,
            "browInnerUp": 0.3,
        },
        yaw_deg=-14,
        pitch_deg=-8,
        roll_deg=-8,
    ),
    ExpressionPreset(
        "shout",
        {
            "jawOpen": 0.9,
            "mouthUpperUp": 0.6,
            "mouthLowerDown": 0.6,
            "mouthStretch": 0.4,
            "browDown": 1.0,
            "noseSneer": 0.7,
            "eyeSquint": 0.4,
        },
        pitch_deg=4,
    ),
    ExpressionPreset(
        "smirk",
        {
            "mouthSmileLeft": 0.9,
            "mouthLeft": 0.4,
            "mouthDimpleLeft": 0.6,
            "eyeSquint": 0.5,
            "eyeBlink": 0.15,
            "browOuterUpLeft": 0.4,
        },
        yaw_deg=-10,
        pitch_deg=-2,
    ),
)
