"""Morph targets that other programs ask for by name, as combinations of the 52 ARKit blendshapes."""

from __future__ import annotations

from portraitist.types import EXPRESSION_NAMES

VISEMES: dict[str, dict[str, float]] = {
    "viseme_sil": {},
    "viseme_PP": {"mouthPressLeft": 0.5, "mouthPressRight": 0.5, "mouthRollLower": 0.35, "mouthRollUpper": 0.35},
    "viseme_FF": {"jawOpen": 0.06, "mouthRollLower": 0.75, "mouthUpperUpLeft": 0.3, "mouthUpperUpRight": 0.3},
    "viseme_TH": {"jawOpen": 0.18, "tongueOut": 0.4, "mouthLowerDownLeft": 0.2, "mouthLowerDownRight": 0.2},
    "viseme_DD": {"jawOpen": 0.14, "mouthLowerDownLeft": 0.25, "mouthLowerDownRight": 0.25, "mouthUpperUpLeft": 0.15,
                  "mouthUpperUpRight": 0.15},
    "viseme_kk": {"jawOpen": 0.22, "mouthStretchLeft": 0.2, "mouthStretchRight": 0.2, "mouthLowerDownLeft": 0.15,
                  "mouthLowerDownRight": 0.15},
    "viseme_CH": {"jawOpen": 0.1, "mouthFunnel": 0.55, "mouthShrugUpper": 0.2},
    "viseme_SS": {"jawOpen": 0.05, "mouthStretchLeft": 0.35, "mouthStretchRight": 0.35, "mouthLowerDownLeft": 0.25,
                  "mouthLowerDownRight": 0.25, "mouthUpperUpLeft": 0.1, "mouthUpperUpRight": 0.1},
    "viseme_nn": {"jawOpen": 0.1, "mouthLowerDownLeft": 0.2, "mouthLowerDownRight": 0.2},
    "viseme_RR": {"jawOpen": 0.12, "mouthFunnel": 0.3, "mouthPucker": 0.2},
    "viseme_aa": {"jawOpen": 0.6, "mouthLowerDownLeft": 0.15, "mouthLowerDownRight": 0.15},
    "viseme_E": {"jawOpen": 0.28, "mouthSmileLeft": 0.3, "mouthSmileRight": 0.3, "mouthLowerDownLeft": 0.2,
                 "mouthLowerDownRight": 0.2},
    "viseme_I": {"jawOpen": 0.14, "mouthSmileLeft": 0.45, "mouthSmileRight": 0.45, "mouthLowerDownLeft": 0.2,
                 "mouthLowerDownRight": 0.2},
    "viseme_O": {"jawOpen": 0.35, "mouthFunnel": 0.6, "mouthPucker": 0.2},
    "viseme_U": {"jawOpen": 0.12, "mouthFunnel": 0.25, "mouthPucker": 0.75},
}  # fmt: skip
"""The 15 mouth shapes of speech by the names of Oculus LipSync, in its order. Its reference pictures say which sound
opens, rounds or stretches the mouth; the weights were set by eye after them."""

COMBINATIONS = VISEMES | {
    "mouthOpen": {"jawOpen": 1.0},
    "eyesClosed": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
}
"""With the two that players of Ready Player Me's heads look for."""


def list_actions(name: str) -> list[str]:
    """The blendshapes that a name means: its own or, without Left or Right, both sides' (mouthSmile); else none."""
    return [action for action in EXPRESSION_NAMES if action in (name, f"{name}Left", f"{name}Right")]
