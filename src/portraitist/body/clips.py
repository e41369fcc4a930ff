"""The motions that every body can do, made for this one: its bones have lengths of their own, its soles a shape."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from portraitist.body.motion import Clip
from portraitist.body.posing import SIDES, Rig, build_rig, place_joints, skin_vertices, to_world
from portraitist.body.skeleton import JOINT_NAMES, JOINTS
from portraitist.body.sole import Sole, measure_sole
from portraitist.body.standing_clips import build_head_turn, build_idle, build_wave
from portraitist.body.walk import build_walk

CLIP_NAMES = ("idle", "walk", "wave", "head_turn")
NARROWEST_DEG = 8.0  # of arms that hang, away from the body
WIDEST_DEG = 40.0
ROOM = 0.006  # of the height: arms stay so far away from what they swing past
LOOKS = 3  # every third moment of a stride is looked at for that


def build_clips(
    joints: Float[np.ndarray, "j 3"], vertices: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, "n j"]
) -> tuple[Clip, ...]:
    """`CLIP_NAMES`, each for a person who stands at rest on y = 0. ``joints``: in the order of ``SKELETON``; meters.
    ``vertices``, ``weights``: of body and clothes, and how much each joint moves them."""
    rig = build_rig(joints)
    soles = {side: measure_sole(rig, side, vertices, weights) for side in SIDES}
    arm_deg = find_arm_angle(rig, soles, vertices, weights)
    return (
        build_idle(rig, soles, arm_deg),
        build_walk(rig, soles, arm_deg),
        build_wave(rig, soles, arm_deg),
        build_head_turn(rig, soles, arm_deg),
    )


def find_arm_angle(
    rig: Rig, soles: dict[str, Sole], vertices: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, "n j"]
) -> float:
    """By how many degrees arms have to hang away from this body, so that they do not go through it in a walk."""
    arm = _belong(weights, [name for name in JOINT_NAMES if name.startswith("left") and _is_forearm(name)])
    trunk = _belong(weights, ("hips", "spine", "chest", "leftUpperLeg"))
    room = ROOM * float(np.ptp(vertices[:, 1]))

    def is_clear(degrees: float) -> bool:
        clip = build_walk(rig, soles, degrees)
        turns = to_world(clip.turns[::LOOKS])
        for own_turns, places in zip(turns, place_joints(rig, turns, clip.hips[::LOOKS]), strict=True):
            parts = [skin_vertices(vertices[own], weights[own], rig, own_turns, places) for own in (arm, trunk)]
            if KDTree(parts[1]).query(parts[0], distance_upper_bound=room)[0].min() < room:
                return False
        return True

    low, high = NARROWEST_DEG, WIDEST_DEG
    if is_clear(low):
        return low
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if is_clear(middle) else (middle, high)
    return high


def _is_forearm(name: str) -> bool:
    return not any(part in name for part in ("Shoulder", "UpperArm", "Leg", "Foot", "Toes"))


def _belong(weights: np.ndarray, names: tuple[str, ...] | list[str]) -> np.ndarray:
    """Which vertices move mostly with the named joints."""
    return weights[:, [JOINTS[name] for name in names]].sum(1) > 0.5
