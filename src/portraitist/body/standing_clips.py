"""Clips of somebody who stands: idle, a wave of the hand, a turn of the head. All begin and end in the same pose."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from portraitist.body.arms import hang_arm, relax_hand
from portraitist.body.motion import RATE, Clip, FootPath, carry_hips, make_clip, rise, rotate
from portraitist.body.posing import SIDES, Rig
from portraitist.body.sole import Sole

Turns = dict[str, Float[np.ndarray, "*t 3 3"]]

BREATH_SECONDS = 3.0  # of a breath of somebody at rest
BLINK_SECONDS = 0.24  # of a blink, down and up
APART = 1.0  # of the distance between hips: that between feet
BENT = 0.996  # of its length: a leg that stands, its knee not locked; the other one bends more
SOFT = 0.002  # of a leg: hips go so gently from being carried by one to being carried by the other
TOES_OUT_DEG = 7.0  # of feet that stand


def build_idle(rig: Rig, soles: dict[str, Sole], arm_deg: float) -> Clip:
    """Standing, for two breaths: the chest rises, weight goes from one foot to the other, eyes blink twice."""
    times = _count_moments(2 * BREATH_SECONDS)
    slow, breath = 2 * np.pi * times / times[-1], 2 * np.pi * times / BREATH_SECONDS
    turns = _stand_turns(arm_deg, breath)
    shift = np.sin(slow)
    late = np.sin(slow - 1.2) + np.sin(1.2)  # 0 at the beginning, too
    turns["hips"] = rotate("z", 0.8 * shift) @ rotate("y", 0.8 * late)
    turns["spine"] = rotate("z", -0.6 * shift) @ turns["spine"]
    turns["head"] = rotate("y", 2.0 * late) @ rotate("z", 1.0 * shift) @ turns["head"]
    weights = blink(times, 1.1, 4.3)
    for name in ("mouthSmileLeft", "mouthSmileRight"):
        weights[name] = 0.06 * (1 - np.cos(slow)) / 2
    return _stand("idle", rig, soles, times, turns, weights, 0.1 * shift)


def build_wave(rig: Rig, soles: dict[str, Sole], arm_deg: float) -> Clip:
    """The right arm goes up, waves three times, with a smile, and goes down."""
    times = _count_moments(3.6)
    breath = 2 * np.pi * times / times[-1]
    turns, lag = _stand_turns(arm_deg, breath), _lag(breath)
    up, waving = rise(times, 0.15, 0.85) - rise(times, 2.55, 3.4), rise(times, 0.7, 1.1) - rise(times, 2.3, 2.7)
    beat = 2 * np.pi * (times - 0.75) / 0.6
    turns["upperChest"] = rotate("y", 3.0 * up) @ rotate("z", 2.0 * up) @ turns["upperChest"]
    turns["neck"] = rotate("z", 2.0 * up) @ turns["neck"]
    turns["head"] = rotate("z", 4.0 * up) @ rotate("y", -4.0 * up) @ turns["head"]
    turns["hips"] = rotate("z", -1.0 * up)
    early = rise(times, 0.1, 0.6) - rise(times, 2.75, 3.45)  # the elbow bends before the arm is up
    bend = 16 + 2 * lag + 96 * early + waving * 17 * np.sin(beat)
    away, swing = arm_deg + 0.8 * lag + up * (50 - arm_deg), 2 + lag + 20 * up
    turns |= hang_arm("right", away, swing_deg=swing, bend_deg=bend, inward_deg=10 - 80 * up)
    turns["rightHand"] = rotate("y", waving * 9 * np.sin(beat - 0.7)) @ turns["rightHand"]
    turns |= relax_hand("right", 1 + 0.08 * np.sin(breath - 1.0) - 0.75 * up)
    smile = rise(times, 0.3, 0.9) - rise(times, 2.6, 3.4)
    weights = {f"mouthSmile{side}": 0.65 * smile for side in ("Left", "Right")}
    weights |= {f"cheekSquint{side}": 0.35 * smile for side in ("Left", "Right")}
    weights |= {
        f"browOuterUp{side}": 0.25 * (rise(times, 0.2, 0.6) - rise(times, 1.0, 2.0)) for side in ("Left", "Right")
    }
    weights |= blink(times, 2.9)
    return _stand("wave", rig, soles, times, turns, weights, 0.12 * up)


def build_head_turn(rig: Rig, soles: dict[str, Sole], arm_deg: float) -> Clip:
    """A look to the person's left, then to the right, eyes first."""
    times = _count_moments(5.0)
    turns = _stand_turns(arm_deg, 2 * np.pi * times / times[-1])

    def look(delay: float) -> np.ndarray:
        to_left, to_right, back = (rise(times, start + delay, start + delay + 0.75) for start in (0.25, 1.75, 3.4))
        return to_left - 2 * to_right + back

    head, eyes = look(0.08), look(0.0)
    turns["upperChest"] = rotate("y", 5.0 * look(0.16)) @ turns["upperChest"]
    turns["neck"] = rotate("y", 17.0 * head) @ turns["neck"]
    turns["head"] = rotate("y", 24.0 * head) @ rotate("x", -3.0 * np.abs(head)) @ turns["head"]
    ahead = np.clip(4 * (eyes - head) + 0.25 * eyes, -1, 1)
    left, right = np.maximum(ahead, 0), np.maximum(-ahead, 0)
    weights = {"eyeLookOutLeft": left, "eyeLookInRight": left, "eyeLookInLeft": right, "eyeLookOutRight": right}
    weights = {name: 0.7 * row for name, row in weights.items()}
    weights |= blink(times, 0.45, 1.95, 3.65)
    return _stand("head_turn", rig, soles, times, turns, weights, 0.05 * head)


def blink(times: Float[np.ndarray, "t"], *moments: float) -> dict[str, Float[np.ndarray, "t"]]:
    """Weights of both lids that close at some moments, and open more slowly."""
    closed = np.zeros(len(times))
    for moment in moments:
        closed += rise(times, moment, moment + 0.35 * BLINK_SECONDS)
        closed -= rise(times, moment + 0.45 * BLINK_SECONDS, moment + BLINK_SECONDS)
    return {"eyeBlinkLeft": closed, "eyeBlinkRight": closed}


def _count_moments(seconds: float) -> Float[np.ndarray, "t"]:
    return np.linspace(0, seconds, 1 + round(seconds * RATE))


def _stand_turns(arm_deg: float, breath: Float[np.ndarray, "t"]) -> Turns:
    """Of a person who stands and breathes; all else is added to it."""
    air = (1 - np.cos(breath)) / 2
    turns = {"spine": rotate("x", 1.0 - 0.5 * air), "chest": rotate("x", 1.2 - 1.0 * air)}
    turns |= {"upperChest": rotate("x", 1.0 - 1.2 * air), "neck": rotate("x", -1.2 + 1.0 * air)}
    turns["head"] = rotate("x", -1.5 + 1.0 * air)
    lag = _lag(breath)
    for side, sign in SIDES.items():
        turns |= hang_arm(side, arm_deg + 0.8 * lag, swing_deg=2.0 + 1.0 * lag, bend_deg=16 + 2.0 * lag)
        turns |= relax_hand(side, 1 + 0.08 * np.sin(breath - 1.0))
        turns[f"{side}Shoulder"] = rotate("z", sign * 1.6 * air)
    return turns


def _lag(breath: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """How far breath has lifted the arms, 0..1: a little later than the chest."""
    return (1 - np.cos(breath - 0.5)) / 2


def _stand(
    name: str,
    rig: Rig,
    soles: dict[str, Sole],
    times: np.ndarray,
    turns: Turns,
    weights: dict[str, np.ndarray],
    shift: np.ndarray,
) -> Clip:
    """``shift``: of the hips towards the left foot, of the distance between hips."""
    width = rig.place("leftUpperLeg")[0] - rig.place("rightUpperLeg")[0]
    middle = (rig.place("leftUpperLeg") + rig.place("rightUpperLeg")) / 2
    hips = np.zeros((len(times), 3)) + rig.place("hips")
    hips[:, 0] += shift * width
    feet, still, heights = {}, np.zeros(len(times)), []
    leg = rig.length("leftUpperLeg", "leftLowerLeg") + rig.length("leftLowerLeg", "leftFoot")
    for side, sign in SIDES.items():
        ankle = np.array([middle[0] + sign * APART * width / 2, soles[side].height, middle[2] - 0.01 * leg])
        feet[side] = FootPath(np.tile(ankle, (len(times), 1)), still, still, TOES_OUT_DEG)
        heights.append(carry_hips(rig, side, feet[side], hips, turns.get("hips", np.eye(3)), BENT * leg))
    hips[:, 1] = -SOFT * leg * logsumexp(-np.array(heights) / (SOFT * leg), axis=0)
    return make_clip(name, rig, times, turns, hips, feet, weights)
