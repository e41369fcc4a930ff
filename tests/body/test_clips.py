"""Motions of a body: they loop, feet stay where they are planted, and nothing breaks or goes through anything."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import KDTree

from body.people import make_person
from portraitist.body.clips import CLIP_NAMES
from portraitist.body.motion import Clip
from portraitist.body.posing import build_rig, place_joints, skin_vertices, to_world
from portraitist.body.shape import BodyShape
from portraitist.body.skeleton import JOINT_NAMES, JOINTS
from portraitist.body.skin import find_joints, find_weights
from portraitist.body.standing import stand
from portraitist.devices import to_numpy
from portraitist.export.body_joints import list_clips
from portraitist.types import EXPRESSION_NAMES, Head

SHAPES = {
    "average": BodyShape(),
    "child": BodyShape(age=6.0),
    "stout": BodyShape(sex=0.0, weight=90.0),
    "cartoon": BodyShape(head_scale=1.5),
}


@cache
def get_person(shape: str) -> tuple[Head, dict[str, Clip]]:
    head = stand(make_person(SHAPES[shape]))
    return head, {clip.name: clip for clip in list_clips(head)}


def place(head: Head, clip: Clip) -> np.ndarray:
    rig = build_rig(to_numpy(find_joints(head), np.float64))
    return place_joints(rig, to_world(clip.turns), clip.hips)


@pytest.fixture(params=SHAPES)
def person(request: pytest.FixtureRequest) -> tuple[Head, dict[str, Clip]]:
    return get_person(request.param)


def test_every_clip_ends_as_it_begins(person: tuple[Head, dict[str, Clip]]):
    head, clips = person
    assert tuple(clips) == CLIP_NAMES
    for clip in clips.values():
        assert clip.times[0] == 0
        assert (np.diff(clip.times) > 0).all()
        np.testing.assert_allclose(clip.turns[0], clip.turns[-1], atol=1e-12)
        np.testing.assert_allclose(clip.hips[0], clip.hips[-1], atol=1e-12)
        np.testing.assert_allclose(clip.weights[0], clip.weights[-1], atol=1e-12)
        # No jump there either: the last step is as long as those around it.
        joints = place(head, clip)
        steps = np.linalg.norm(np.diff(joints, axis=0), axis=2).max(1)
        assert steps[[0, -1]].max() <= 1.5 * max(steps[1], steps[-2]) + 1e-4


def test_who_stands_begins_in_the_same_pose(person: tuple[Head, dict[str, Clip]]):
    idle, *others = (person[1][name] for name in ("idle", "wave", "head_turn"))
    for clip in others:
        np.testing.assert_allclose(clip.turns[0], idle.turns[0], atol=1e-9)
        np.testing.assert_allclose(clip.hips[0], idle.hips[0], atol=1e-9)


def test_turns_are_rotations_and_weights_are_weights(person: tuple[Head, dict[str, Clip]]):
    for clip in person[1].values():
        products = clip.turns @ clip.turns.swapaxes(2, 3)
        np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-9)
        assert (np.linalg.det(clip.turns) > 0).all()
        assert clip.weights.min() >= 0
        assert clip.weights.max() <= 1


@pytest.mark.parametrize("name", ["idle", "wave", "head_turn"])
def test_who_stands_keeps_both_feet_where_they_are(person: tuple[Head, dict[str, Clip]], name: str):
    head, clips = person
    joints = place(head, clips[name])
    for foot in ("leftFoot", "rightFoot", "leftToes", "rightToes"):
        track = joints[:, JOINTS[foot]]
        assert np.ptp(track, axis=0).max() < 1e-6, foot
    assert joints[0, JOINTS["leftFoot"], 1] == pytest.approx(joints[0, JOINTS["rightFoot"], 1], abs=0.005)


def test_a_planted_foot_moves_back_with_the_ground(person: tuple[Head, dict[str, Clip]]):
    """While the sole is flat its ankle is a point of the ground."""
    head, clips = person
    walk = clips["walk"]
    joints = place(head, walk)
    phase = walk.times / walk.times[-1]
    for side, start in (("left", 0.0), ("right", 0.5)):
        flat = ((phase - start) % 1 > 0.12) & ((phase - start) % 1 < 0.3)
        track = joints[flat][:, JOINTS[f"{side}Foot"]]
        speed = np.diff(track[:, 2]) / np.diff(walk.times[flat])
        speed = speed[np.diff(np.flatnonzero(flat)) == 1] if len(speed) >= flat.sum() - 1 else speed
        np.testing.assert_allclose(speed, -walk.speed, rtol=1e-3)
        assert np.ptp(track[:, [0, 1]], axis=0).max() < 1e-4
    assert walk.speed > 0
    assert all(clip.speed == 0 for name, clip in clips.items() if name != "walk")


def test_knees_never_snap_and_bend_forwards_only(person: tuple[Head, dict[str, Clip]]):
    head, clips = person
    for clip in clips.values():
        joints = place(head, clip)
        for side in ("left", "right"):
            hip, knee, ankle = (joints[:, JOINTS[f"{side}{name}"]] for name in ("UpperLeg", "LowerLeg", "Foot"))
            thigh, shin = knee - hip, ankle - knee
            cos = (thigh * shin).sum(1) / np.linalg.norm(thigh, axis=1) / np.linalg.norm(shin, axis=1)
            bend = np.degrees(np.arccos(np.clip(cos, -1, 1)))
            assert 3 < bend.min() < bend.max() < 75
            assert np.abs(np.diff(bend) / np.diff(clip.times)).max() < 520, "degrees a second; walkers reach 450"
            middle = (
                hip
                + (ankle - hip)
                * np.linalg.norm(thigh, axis=1)[:, None]
                / (np.linalg.norm(thigh, axis=1) + np.linalg.norm(shin, axis=1))[:, None]
            )
            assert (knee - middle)[:, 2].min() > 0


def test_a_body_walks_as_people_do(person: tuple[Head, dict[str, Clip]]):
    """Steps are about 0.7 of a leg, hips go up and down twice a stride, arms swing against the legs."""
    head, clips = person
    walk, joints = clips["walk"], place(head, clips["walk"])
    leg = joints[0, JOINTS["leftUpperLeg"], 1]
    assert 0.5 < walk.speed * walk.times[-1] / 2 / leg < 0.9
    heights = walk.hips[:-1, 1] - walk.hips[:-1, 1].mean()
    spectrum = np.abs(np.fft.rfft(heights))
    assert spectrum.argmax() == 2
    assert 0.02 < np.ptp(heights) / leg < 0.06
    for side in ("left", "right"):
        hand, foot = (joints[:-1, JOINTS[f"{side}{name}"], 2] for name in ("Hand", "Foot"))
        assert np.corrcoef(hand, foot)[0, 1] < -0.7


def measure_bends(joints: np.ndarray, side: str) -> np.ndarray:
    """Degrees by which a knee is bent."""
    hip, knee, ankle = (joints[:, JOINTS[f"{side}{name}"]] for name in ("UpperLeg", "LowerLeg", "Foot"))
    thigh, shin = knee - hip, ankle - knee
    cos = (thigh * shin).sum(1) / np.linalg.norm(thigh, axis=1) / np.linalg.norm(shin, axis=1)
    return np.degrees(np.arccos(np.clip(cos, -1, 1)))


def test_knees_bend_as_those_of_walkers(person: tuple[Head, dict[str, Clip]]):
    """Nearly straight when the heel touches the ground, and again before the other one does (Perry 1992)."""
    head, clips = person
    walk, joints = clips["walk"], place(head, clips["walk"])
    phase = walk.times / walk.times[-1]
    for side, start in (("left", 0.0), ("right", 0.5)):
        order = np.argsort((phase[:-1] - start) % 1)
        bends = measure_bends(joints[:-1], side)[order]
        strike, loaded, late, free = (float(np.interp(at, phase[:-1], bends)) for at in (0, 0.12, 0.4, 0.73))
        assert strike < 10
        assert 15 < loaded < 25
        assert late < 12
        assert 55 < free < 72


def test_thumbs_lie_beside_hands_at_rest(person: tuple[Head, dict[str, Clip]]):
    head, clips = person
    for name, clip in clips.items():
        joints = place(head, clip)[0]
        for side in ("left", "right"):
            first, last, wrist, knuckle = (
                joints[JOINTS[f"{side}{part}"]] for part in ("ThumbMetacarpal", "ThumbDistal", "Hand", "IndexProximal")
            )
            thumb, palm = last - first, knuckle - wrist
            cos = thumb @ palm / np.linalg.norm(thumb) / np.linalg.norm(palm)
            assert np.degrees(np.arccos(cos)) < 30, (name, side)


def test_shoulders_go_with_the_arms(person: tuple[Head, dict[str, Clip]]):
    """A third of what an arm is lifted more or less than at rest is the shoulder's (Inman et al. 1944)."""
    head, clips = person
    rest = to_numpy(find_joints(head), np.float64)

    def lift(joints: np.ndarray, start: str, end: str) -> np.ndarray:
        along = joints[..., JOINTS[end], :] - joints[..., JOINTS[start], :]
        return np.degrees(np.arctan2(np.linalg.norm(along[..., [0, 2]], axis=-1), -along[..., 1]))

    for name, at, side in (("idle", 0, "left"), ("idle", 0, "right"), ("wave", 45, "right")):
        joints = place(head, clips[name])[at]
        bones = [f"{side}{part}" for part in ("Shoulder", "UpperArm", "LowerArm")]
        shoulder, arm = (float(lift(joints, *ends) - lift(rest, *ends)) for ends in pairwise(bones))
        assert shoulder == pytest.approx(arm / 3, abs=4), "the chest leans a little, too"


def test_hands_stay_out_of_the_body(person: tuple[Head, dict[str, Clip]]):
    head, clips = person
    rows = find_weights(head)
    vertices = np.concatenate([to_numpy(layer.mesh.vertices, np.float64) for layer in head.layers])
    weights = np.concatenate([to_numpy(own, np.float64) for own in rows[1:]])
    rig = build_rig(to_numpy(find_joints(head), np.float64))

    def belong(*names: str) -> np.ndarray:
        return weights[:, [JOINTS[name] for name in names]].sum(1) > 0.5

    hands = belong(*(name for name in JOINT_NAMES if any(part in name for part in ("Hand", "Thumb", "Proximal"))))
    trunk = belong("hips", "spine", "chest", "upperChest", "leftUpperLeg", "rightUpperLeg")
    for clip in clips.values():
        turns, places = to_world(clip.turns), place(head, clip)
        for moment in np.linspace(0, len(turns) - 1, 9).astype(int):
            parts = [
                skin_vertices(vertices[own], weights[own], rig, turns[moment], places[moment]) for own in (hands, trunk)
            ]
            apart, _ = KDTree(parts[1]).query(parts[0])
            assert apart.min() > 0.002 * head.height, (clip.name, moment)


def test_faces_live(person: tuple[Head, dict[str, Clip]]):
    weights = {name: clip.weights.max(0) for name, clip in person[1].items()}
    rows = {name: EXPRESSION_NAMES.index(name) for name in ("eyeBlinkLeft", "mouthSmileLeft", "eyeLookOutLeft")}
    assert weights["idle"][rows["eyeBlinkLeft"]] > 0.95
    assert weights["wave"][rows["mouthSmileLeft"]] > 0.4
    assert weights["head_turn"][rows["eyeLookOutLeft"]] > 0.3
    assert not weights["walk"].any()


def test_the_head_turns_to_both_sides_and_the_arm_goes_up(person: tuple[Head, dict[str, Clip]]):
    head, clips = person
    turn = to_world(clips["head_turn"].turns)[:, JOINTS["head"]]
    yaw = np.degrees(np.arctan2(turn[:, 0, 2], turn[:, 2, 2]))
    assert yaw.max() > 35
    assert yaw.min() < -35
    joints = place(head, clips["wave"])
    hand, shoulder = joints[:, JOINTS["rightHand"]], joints[:, JOINTS["rightUpperArm"]]
    assert (hand - shoulder)[:, 1].max() > 0
    assert (joints[:, JOINTS["leftHand"], 1] - joints[:, JOINTS["leftUpperArm"], 1]).max() < 0
