"""A skeleton is posed as it is told, whatever its body."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from body.people import make_person
from portraitist.body.motion import bend_leg, mirror, rotate
from portraitist.body.posing import (
    SIDES,
    Rig,
    build_rig,
    match_axes,
    place_joints,
    skin_vertices,
    to_local,
    to_world,
)
from portraitist.body.shape import BodyShape
from portraitist.body.skeleton import JOINTS
from portraitist.body.skin import find_joints, find_weights
from portraitist.body.standing import stand
from portraitist.devices import to_numpy


@pytest.fixture(scope="module", params=[BodyShape(), BodyShape(age=6.0), BodyShape(sex=0.0, weight=90.0)])
def rig(request: pytest.FixtureRequest) -> Rig:
    return build_rig(to_numpy(find_joints(stand(make_person(request.param))), np.float64))


def test_alignment_makes_a_t(rig: Rig):
    places = place_joints(rig, rig.alignment[None], rig.joints[:1])[0]

    def direction(start: str, end: str) -> np.ndarray:
        way = places[JOINTS[end]] - places[JOINTS[start]]
        return way / np.linalg.norm(way)

    for side, sign in SIDES.items():
        arm = [f"{side}{name}" for name in ("UpperArm", "LowerArm", "Hand", "MiddleProximal", "MiddleIntermediate")]
        for start, end in pairwise(arm):
            np.testing.assert_allclose(direction(start, end), [sign, 0, 0], atol=1e-9)
        across = direction(f"{side}LittleProximal", f"{side}IndexProximal")
        assert across[2] > 0.9, "palms look down, the index finger is in front"
        assert direction(f"{side}ThumbMetacarpal", f"{side}ThumbProximal")[2] > 0.3
        np.testing.assert_allclose(direction(f"{side}UpperLeg", f"{side}LowerLeg"), [0, -1, 0], atol=1e-9)
        np.testing.assert_allclose(direction(f"{side}LowerLeg", f"{side}Foot"), [0, -1, 0], atol=1e-9)
        assert abs(direction(f"{side}Foot", f"{side}Toes")[0]) < 1e-9


def test_alignment_takes_little_where_little_is_needed(rig: Rig):
    """Anny's arms hang halfway, elbows and fingers bent: no joint turns far against its parent, or skin would twist."""
    angles = np.degrees(Rotation.from_matrix(to_local(rig.alignment[None])[0]).magnitude())
    assert 40 < angles.max() < 65
    assert angles[JOINTS["leftHand"]] < 20, "the wrist is hardly twisted"


def test_local_turns_are_those_of_the_world(rig: Rig):
    turns = np.linalg.qr(np.random.default_rng(0).standard_normal((2, len(JOINTS), 3, 3)))[0]
    turns *= np.linalg.det(turns)[..., None, None]
    np.testing.assert_allclose(to_world(to_local(turns)), turns, atol=1e-12)


def test_a_skeleton_that_turns_as_a_whole_moves_rigidly(rig: Rig):
    turn = rotate("y", 30.0) @ rotate("x", 20.0)
    places = place_joints(rig, np.tile(turn, (1, len(JOINTS), 1, 1)), rig.joints[:1])[0]
    np.testing.assert_allclose(places - places[0], (rig.joints - rig.joints[0]) @ turn.T, atol=1e-12)


def test_vertices_follow_their_joints():
    head = stand(make_person())
    rig, weights = build_rig(to_numpy(find_joints(head), np.float64)), to_numpy(find_weights(head)[1], np.float64)
    vertices = to_numpy(head.layers[0].mesh.vertices, np.float64)
    still = np.tile(np.eye(3), (len(JOINTS), 1, 1))
    np.testing.assert_allclose(skin_vertices(vertices, weights, rig, still, rig.joints), vertices, atol=1e-9)
    turns = still.copy()
    for joint in (name for name in JOINTS if name == "leftHand"):
        turns[JOINTS[joint]] = rotate("x", 90.0)
    moved = skin_vertices(vertices, weights, rig, turns, rig.joints)
    with_hand = weights[:, JOINTS["leftHand"]]
    assert np.abs(moved - vertices)[with_hand == 0].max() < 1e-6
    whole = np.flatnonzero(with_hand > 1 - 1e-6)
    wrist = rig.place("leftHand")
    np.testing.assert_allclose(moved[whole] - wrist, (vertices[whole] - wrist) @ rotate("x", 90.0).T, atol=1e-4)


def test_a_leg_reaches_its_foot_and_bends_forwards():
    hip, ankle, front = np.array([[0.1, 0.9, 0.0]]), np.array([[0.12, 0.2, 0.3]]), np.array([[0.0, 0.0, 1.0]])
    knee = bend_leg(hip, ankle, 0.45, 0.42, front)
    assert np.linalg.norm(knee - hip) == pytest.approx(0.45)
    assert np.linalg.norm(ankle - knee) == pytest.approx(0.42)
    middle = hip + (ankle - hip) * 0.5
    assert knee[0, 2] > middle[0, 2]
    too_far = bend_leg(hip, ankle - [[0, 5.0, 0]], 0.45, 0.42, front)
    assert np.isfinite(too_far).all()
    assert np.linalg.norm(too_far - hip) == pytest.approx(0.45)


def test_turns_are_told_of_the_left_side():
    np.testing.assert_allclose(rotate("z", 90.0) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(mirror(rotate("z", 90.0), "left"), rotate("z", 90.0))
    np.testing.assert_allclose(mirror(rotate("z", 90.0), "right") @ [-1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(mirror(rotate("x", 30.0), "right"), rotate("x", 30.0))
    turn = match_axes(np.array([0, 0, 2.0]), np.array([1.0, 1, 0]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    np.testing.assert_allclose(turn @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    assert (turn @ np.array([1, 1, 0]))[1] == pytest.approx(np.sqrt(2))
