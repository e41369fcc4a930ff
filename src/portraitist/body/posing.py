"""A skeleton, posed: from turns of its joints to places, and to vertices of what hangs on it.

Poses are told as if everybody rested in the same T-pose, legs straight down and arms straight out to the sides, palms
down, so that they mean the same for every body. How a body really rests (Anny's arms hang halfway, elbows bent) is
taken out by `align_rest`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from portraitist.body.skeleton import JOINT_NAMES, JOINTS, PARENTS

FINGERS = ("Index", "Middle", "Ring", "Little")
PHALANGES = ("Proximal", "Intermediate", "Distal")
SIDES = {"left": 1.0, "right": -1.0}
"""The person's own sides, and where they lie on x."""


@dataclass(frozen=True)
class Rig:
    """A body's skeleton at rest. ``joints``: meters. ``alignment``: for each joint the rotation that takes it, with all
    that hangs on it, from its rest to the T-pose."""

    joints: Float[np.ndarray, "j 3"]
    alignment: Float[np.ndarray, "j 3 3"]

    def place(self, name: str) -> Float[np.ndarray, "3"]:
        return self.joints[JOINTS[name]]

    def length(self, name: str, end: str) -> float:
        """Meters between two joints."""
        return float(np.linalg.norm(self.place(end) - self.place(name)))


def build_rig(joints: Float[np.ndarray, "j 3"]) -> Rig:
    """``joints``: at rest, meters, y up, in the order of ``SKELETON``."""
    return Rig(joints, align_rest(joints))


def align_rest(joints: Float[np.ndarray, "j 3"]) -> Float[np.ndarray, "j 3 3"]:
    """Rotations from rest to T-pose. Trunk and shoulders, thumbs as their hands, stay as they are. Arms go by the axis
    of the elbow, hands and fingers by the line of the knuckles, legs straight down without a twist; feet, which stand
    flat, only turn to the front."""
    turns = np.tile(np.eye(3), (len(joints), 1, 1))
    place = dict(zip(JOINT_NAMES, joints, strict=True))
    for side, sign in SIDES.items():
        out, down, front = np.array([sign, 0, 0]), np.array([0.0, -1, 0]), np.array([0.0, 0, 1])
        chain = [place[f"{side}{name}"] for name in ("UpperArm", "LowerArm", "Hand", "MiddleProximal")]
        upper, lower, palm = np.diff(chain, axis=0)
        elbow = sign * np.cross(upper, lower)  # bends forwards: about -y on both sides, for what lies along +-x
        knuckles = place[f"{side}IndexProximal"] - place[f"{side}LittleProximal"]
        turns[JOINTS[f"{side}UpperArm"]] = match_axes(upper, elbow, out, down)
        turns[JOINTS[f"{side}LowerArm"]] = match_axes(lower, elbow, out, down)
        hand = turns[JOINTS[f"{side}Hand"]] = match_axes(palm, knuckles, out, front)
        for bone in ("ThumbMetacarpal", "ThumbProximal", "ThumbDistal"):
            turns[JOINTS[f"{side}{bone}"]] = hand
        for finger in FINGERS:
            first, second, third = (place[f"{side}{finger}{part}"] for part in PHALANGES)
            for part, along in zip(PHALANGES, (second - first, third - second, third - second), strict=True):
                turns[JOINTS[f"{side}{finger}{part}"]] = match_axes(along, knuckles, out, front)
        hip, knee, ankle, toes = (place[f"{side}{name}"] for name in ("UpperLeg", "LowerLeg", "Foot", "Toes"))
        across = np.array([1.0, 0, 0])
        turns[JOINTS[f"{side}UpperLeg"]] = match_axes(knee - hip, across, down, across)
        turns[JOINTS[f"{side}LowerLeg"]] = match_axes(ankle - knee, across, down, across)
        forward = (toes - ankle) * [1, 0, 1]
        for bone in ("Foot", "Toes"):
            turns[JOINTS[f"{side}{bone}"]] = match_axes(forward, -down, front, -down)
    return turns


def match_axes(
    first: Float[np.ndarray, "*_s 3"],
    second: Float[np.ndarray, "*_s 3"],
    to_first: Float[np.ndarray, "*_t 3"],
    to_second: Float[np.ndarray, "*_t 3"],
) -> Float[np.ndarray, "*_t 3 3"]:
    """The rotation that takes ``first`` to the direction of ``to_first`` and, as far as that leaves it free, ``second``
    to that of ``to_second``."""
    return _frame(to_first, to_second) @ np.swapaxes(_frame(first, second), -1, -2)


def _frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    x = first / np.linalg.norm(first, axis=-1, keepdims=True)
    z = np.cross(x, second)
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], -1)


def place_joints(
    rig: Rig, turns: Float[np.ndarray, "t j 3 3"], hips: Float[np.ndarray, "t 3"]
) -> Float[np.ndarray, "t j 3"]:
    """Where all joints are. ``turns``: of each joint in the world, from its rest. ``hips``: where the hips are."""
    places = np.zeros((len(turns), len(PARENTS), 3))
    places[:, 0] = hips
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            offset = rig.joints[joint] - rig.joints[parent]
            places[:, joint] = places[:, parent] + turns[:, parent] @ offset
    return places


def to_local(turns: Float[np.ndarray, "t j 3 3"]) -> Float[np.ndarray, "t j 3 3"]:
    """Of each joint relatively to its parent, as files have it."""
    local = turns.copy()
    above = [parent for parent in PARENTS if parent >= 0]
    local[:, 1:] = np.swapaxes(turns[:, above], -1, -2) @ turns[:, 1:]
    return local


def to_world(local: Float[np.ndarray, "t j 3 3"]) -> Float[np.ndarray, "t j 3 3"]:
    """The other way around."""
    turns = local.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            turns[:, joint] = turns[:, parent] @ local[:, joint]
    return turns


def skin_vertices(
    vertices: Float[np.ndarray, "n 3"],
    weights: Float[np.ndarray, "n j"],
    rig: Rig,
    turns: Float[np.ndarray, "j 3 3"],
    places: Float[np.ndarray, "j 3"],
) -> Float[np.ndarray, "n 3"]:
    """Where vertices go in one pose: linear blend skinning, as glTF has it. ``weights``: rows sum to 1."""
    moved = places - np.einsum("jab,jb->ja", turns, rig.joints)
    blended = np.tensordot(weights, turns, 1)
    return np.einsum("nab,nb->na", blended, vertices) + weights @ moved
