"""The joints of a body, and what other programs call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portraitist.errors import InputError


@dataclass(frozen=True)
class Bone:
    """A joint. ``name``: as VRM 1.0 and we have it. ``parent``: name of a joint that stands before it, or None.
    ``mixamo``: as Mixamo has it, and Anny's rig of that name. ``game_engine``: as Unreal and MakeHuman's rig for games
    have it. ``standard``: as MakeHuman's and Anny's own rig have it, whose further joints are left out."""

    name: str
    parent: str | None
    mixamo: str
    game_engine: str
    standard: str


TRUNK = (
    Bone("hips", None, "Hips", "pelvis", "root"),
    Bone("spine", "hips", "Spine", "spine_01", "spine05"),
    Bone("chest", "spine", "Spine1", "spine_02", "spine03"),
    Bone("upperChest", "chest", "Spine2", "spine_03", "spine01"),
    Bone("neck", "upperChest", "Neck", "neck_01", "neck01"),
    Bone("head", "neck", "Head", "head", "head"),
)
LIMBS = (
    Bone("Shoulder", "upperChest", "Shoulder", "clavicle", "clavicle"),
    Bone("UpperArm", "Shoulder", "Arm", "upperarm", "upperarm01"),
    Bone("LowerArm", "UpperArm", "ForeArm", "lowerarm", "lowerarm01"),
    Bone("Hand", "LowerArm", "Hand", "hand", "wrist"),
    Bone("ThumbMetacarpal", "Hand", "HandThumb1", "thumb_01", "finger1-1"),
    Bone("ThumbProximal", "ThumbMetacarpal", "HandThumb2", "thumb_02", "finger1-2"),
    Bone("ThumbDistal", "ThumbProximal", "HandThumb3", "thumb_03", "finger1-3"),
    Bone("IndexProximal", "Hand", "HandIndex1", "index_01", "finger2-1"),
    Bone("IndexIntermediate", "IndexProximal", "HandIndex2", "index_02", "finger2-2"),
    Bone("IndexDistal", "IndexIntermediate", "HandIndex3", "index_03", "finger2-3"),
    Bone("MiddleProximal", "Hand", "HandMiddle1", "middle_01", "finger3-1"),
    Bone("MiddleIntermediate", "MiddleProximal", "HandMiddle2", "middle_02", "finger3-2"),
    Bone("MiddleDistal", "MiddleIntermediate", "HandMiddle3", "middle_03", "finger3-3"),
    Bone("RingProximal", "Hand", "HandRing1", "ring_01", "finger4-1"),
    Bone("RingIntermediate", "RingProximal", "HandRing2", "ring_02", "finger4-2"),
    Bone("RingDistal", "RingIntermediate", "HandRing3", "ring_03", "finger4-3"),
    Bone("LittleProximal", "Hand", "HandPinky1", "pinky_01", "finger5-1"),
    Bone("LittleIntermediate", "LittleProximal", "HandPinky2", "pinky_02", "finger5-2"),
    Bone("LittleDistal", "LittleIntermediate", "HandPinky3", "pinky_03", "finger5-3"),
    Bone("UpperLeg", "hips", "UpLeg", "thigh", "upperleg01"),
    Bone("LowerLeg", "UpperLeg", "Leg", "calf", "lowerleg01"),
    Bone("Foot", "LowerLeg", "Foot", "foot", "foot"),
    Bone("Toes", "Foot", "ToeBase", "ball", "toe1-1"),
)


def _on_side(bone: Bone, side: str) -> Bone:
    """``side``: "left" or "right", the person's own."""
    parent = bone.parent if bone.parent in {each.name for each in TRUNK} else f"{side}{bone.parent}"
    return Bone(
        f"{side}{bone.name}",
        parent,
        f"{side.capitalize()}{bone.mixamo}",
        f"{bone.game_engine}_{side[0]}",
        f"{bone.standard}.{side[0].upper()}",
    )


SKELETON: tuple[Bone, ...] = (*TRUNK, *(_on_side(bone, side) for side in ("left", "right") for bone in LIMBS))
"""All joints, each behind its parent. The order in which joints and weights stand everywhere."""

JOINT_NAMES: tuple[str, ...] = tuple(bone.name for bone in SKELETON)
JOINTS: dict[str, int] = {name: number for number, name in enumerate(JOINT_NAMES)}
"""Number of each joint."""

PARENTS: tuple[int, ...] = tuple(-1 if bone.parent is None else JOINTS[bone.parent] for bone in SKELETON)
"""Number of the parent of each joint; -1 for the hips."""

CONVENTIONS: dict[str, tuple[str, ...]] = {
    "standard": tuple(bone.standard for bone in SKELETON),
    "mixamo": tuple(f"mixamorig:{bone.mixamo}" for bone in SKELETON),
    "game-engine": tuple(bone.game_engine for bone in SKELETON),
    "vrm": JOINT_NAMES,
}
"""What each convention calls the joints, in the order of `SKELETON`."""


def rename(names: Sequence[str], convention: str) -> list[str]:
    """What ``convention``, one of `CONVENTIONS`, calls the joints that we call ``names``. Raises InputError for a
    convention or a name that is not known."""
    if convention not in CONVENTIONS:
        raise InputError(f"The names of bones are {', '.join(CONVENTIONS)}, got {convention!r}.")
    if unknown := [name for name in names if name not in JOINTS]:
        raise InputError(f"A body has no bone {unknown[0]!r}; it has {', '.join(JOINT_NAMES)}.")
    return [CONVENTIONS[convention][JOINTS[name]] for name in names]
