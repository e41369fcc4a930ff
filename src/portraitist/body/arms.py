"""Arms and hands of clips, from the T-pose; told of the left side, mirrored for the right."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from portraitist.body.motion import mirror, rotate
from portraitist.body.posing import FINGERS, PHALANGES

Degrees = float | Float[np.ndarray, "t"]
RELAXED = {"Index": (14, 20, 12), "Middle": (20, 26, 16), "Ring": (25, 30, 18), "Little": (28, 32, 20)}
"""By how many degrees the joints of fingers bend in a hand that rests."""

THUMB = {"Metacarpal": (18, 16), "Proximal": (6, 10), "Distal": (0, 12)}
"""The same of a thumb, which lies beside the palm then: towards the back of the hand, and towards the fingers."""


def hang_arm(
    side: str, away_deg: Degrees, *, swing_deg: Degrees = 0.0, bend_deg: Degrees = 12.0, inward_deg: Degrees = 10.0
) -> dict[str, Float[np.ndarray, "*t 3 3"]]:
    """An arm that hangs. ``away_deg``: from the body. ``swing_deg``: forwards. ``bend_deg``: of the elbow.
    ``inward_deg``: by how much the elbow points outwards, so that it bends inwards."""
    upper = rotate("x", -np.asarray(swing_deg)) @ rotate("z", np.asarray(away_deg) - 90.0) @ rotate("x", inward_deg)
    turns = {"UpperArm": upper, "LowerArm": rotate("y", -np.asarray(bend_deg)), "Hand": rotate("z", -4.0)}
    return {f"{side}{name}": mirror(turn, side) for name, turn in turns.items()}


def relax_hand(side: str, strength: Degrees = 1.0) -> dict[str, Float[np.ndarray, "*t 3 3"]]:
    """Fingers bent as they are at rest. ``strength``: 0 straight, 1 relaxed."""
    turns = {}
    for number, finger in enumerate(FINGERS):
        for part, bend in zip(PHALANGES, RELAXED[finger], strict=True):
            turns[f"{side}{finger}{part}"] = rotate("z", -bend * np.asarray(strength))
        spread = rotate("y", 3.0 - 2.0 * number)
        turns[f"{side}{finger}Proximal"] = spread @ turns[f"{side}{finger}Proximal"]
    for part, (up, along) in THUMB.items():
        turns[f"{side}Thumb{part}"] = rotate("z", up * np.asarray(strength)) @ rotate("y", along * np.asarray(strength))
    return {name: mirror(turn, side) for name, turn in turns.items()}
