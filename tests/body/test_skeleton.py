"""The joints of a body have the names that other programs know."""

from __future__ import annotations

import pytest

from portraitist import InputError
from portraitist.body.skeleton import CONVENTIONS, JOINT_NAMES, PARENTS, SKELETON, rename

# Of VRM 1.0's humanoid: https://github.com/vrm-c/vrm-specification, humanoid.md.
DEMANDED = {"hips", "spine", "head"} | {
    f"{side}{bone}"
    for side in ("left", "right")
    for bone in ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")
}


def test_every_joint_stands_behind_its_parent():
    assert PARENTS[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(PARENTS[1:], 1))
    assert [bone.parent for bone in SKELETON[1:]] == [JOINT_NAMES[parent] for parent in PARENTS[1:]]
    assert set(JOINT_NAMES) > DEMANDED


def test_no_convention_has_a_name_twice():
    for names in CONVENTIONS.values():
        assert len({name.lower() for name in names}) == len(SKELETON) == 52


def test_names_are_those_of_the_programs():
    own = ["hips", "upperChest", "leftUpperArm", "rightThumbMetacarpal", "rightLittleDistal", "leftToes"]
    assert rename(own, "vrm") == own
    assert rename(own, "mixamo") == [
        f"mixamorig:{name}"
        for name in ("Hips", "Spine2", "LeftArm", "RightHandThumb1", "RightHandPinky3", "LeftToeBase")
    ]
    assert rename(own, "game-engine") == ["pelvis", "spine_03", "upperarm_l", "thumb_01_r", "pinky_03_r", "ball_l"]
    assert rename(own, "standard") == ["root", "spine01", "upperarm01.L", "finger1-1.R", "finger5-3.R", "toe1-1.L"]


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="names of bones are standard, mixamo, game-engine, vrm, got 'biped'"):
        rename(["hips"], "biped")
    with pytest.raises(InputError, match="no bone 'tail'"):
        rename(["hips", "tail"], "vrm")
