"""Joints lie in the body, and weights are what a skin needs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from conftest import make_marked_head
from portraitist import BodyShape, build_character
from portraitist.body.body_model import load_body_model
from portraitist.body.skeleton import JOINT_NAMES, JOINTS
from portraitist.body.skin import find_joints, find_weights
from portraitist.errors import InputError
from portraitist.types import REGIONS, Head

MODEL = load_body_model()


@pytest.fixture(scope="module")
def somebody() -> Head:
    return build_character(make_marked_head(64))


def test_weights_sum_to_one_over_at_most_four_joints(somebody):
    weights = find_weights(somebody)
    sizes = [len(somebody.neutral), *(len(layer.mesh.vertices) for layer in somebody.layers)]
    assert [len(rows) for rows in weights] == sizes
    for rows in weights:
        assert torch.allclose(rows.sum(1), torch.ones(len(rows)), atol=1e-5)
        assert float(rows.min()) >= 0
        assert int((rows > 0).sum(1).max()) <= 4


def test_head_and_body_move_as_one_at_the_ring(somebody):
    head, body, _ = find_weights(somebody)
    assert torch.equal(head[MODEL.ring_head], body[MODEL.ring])


def test_the_face_is_stiff_and_the_neck_bends(somebody):
    rows = find_weights(somebody)[0][:, JOINTS["head"]]
    faces = somebody.mesh.faces[somebody.mesh.regions != REGIONS.index("neck")]
    assert (rows[faces.unique()] == 1).all()
    edges = somebody.mesh.faces[:, :2]
    assert float((rows[edges[:, 0]] - rows[edges[:, 1]]).abs().max()) < 0.5


def test_joints_are_those_of_both_sides_alike():
    joints = MODEL.find_joints(MODEL.mean[: MODEL.count])
    for name in JOINT_NAMES:
        other = name.replace("left", "right") if name.startswith("left") else name
        assert np.allclose(joints[JOINTS[name]], joints[JOINTS[other]] * [-1, 1, 1], atol=2e-3) or "right" in name
    order = [joints[JOINTS[name], 1] for name in ("leftFoot", "leftLowerLeg", "hips", "chest", "neck", "head")]
    assert order == sorted(order)


def test_a_head_without_our_body_is_told(somebody):
    with pytest.raises(InputError, match="got none"):
        find_joints(dataclasses.replace(somebody, layers=()))
    body = somebody.layers[0]
    other = dataclasses.replace(body, mesh=body.mesh.with_vertices(body.mesh.vertices[:-1]))
    with pytest.raises(InputError, match="got one of 9021"):
        find_weights(dataclasses.replace(somebody, layers=(other, somebody.layers[1])))


def test_joints_are_as_large_as_the_person():
    small = build_character(make_marked_head(64), BodyShape(head_scale=1.5))
    large = build_character(make_marked_head(64))
    legs = [
        float((find_joints(head)[JOINTS["leftFoot"]] - find_joints(head)[JOINTS["leftUpperLeg"]]).norm())
        for head in (small, large)
    ]
    assert legs[1] / legs[0] == pytest.approx(1.5, rel=1e-3)
