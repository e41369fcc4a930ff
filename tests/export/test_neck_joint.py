"""A bust's GLB: the head turns, the shoulders stay, and nothing tears between them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
import torch

from bust.drawn_bust import draw_bust
from export.gltf_validator import assert_valid, needs_validator
from export.read_glb import read_accessor
from export.test_skin import pose
from portraitist.apps.animated_head import AnimatedHead
from portraitist.bust.torso_model import load_torso_model
from portraitist.export.animation import save_animation
from portraitist.export.glb import write_glb
from portraitist.export.neck_joint import BODY, NECK, find_neck_ring


@pytest.fixture(scope="module")
def glb(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bust") / "head.glb"
    write_glb(path, draw_bust(-0.25).bust.head)
    return path


def turn(axis: int, degrees: float) -> np.ndarray:
    matrix, others = np.eye(4), [a for a in range(3) if a != axis]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix[np.ix_(others, others)] = [[cos, -sin], [sin, cos]]
    return matrix


def read(file: gl.GLTF2, part: int) -> np.ndarray:
    return read_accessor(file, file.meshes[part].primitives[0].attributes.POSITION)


def test_the_ring_is_found_without_the_torso():
    head = draw_bust().bust.head
    assert set(find_neck_ring(head.mesh)) == set(load_torso_model().ring)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("degrees", [-20, 20])
def test_the_head_turns_and_the_shoulders_stay(glb, axis, degrees):
    file = gl.GLTF2().load(str(glb))
    names = [node.name for node in file.nodes]
    assert names[:2] == ["Head", "Bust"]
    assert {BODY, NECK} < set(names)
    rest = [read(file, part) for part in (0, 1)]
    turned = [pose(file, part, {NECK: turn(axis, degrees)}) for part in (0, 1)]
    assert np.abs(pose(file, 0, {}) - rest[0]).max() < 1e-6
    # The face moves rigidly; the shoulders and the ring do not move.
    face = rest[0][:, 1] > -0.06
    sizes = [np.linalg.norm(x[face] - x[face].mean(0), axis=1) for x in (rest[0], turned[0])]
    assert np.abs(sizes[0] - sizes[1]).max() < 1e-5
    assert np.linalg.norm(turned[0] - rest[0], axis=1)[face].max() > 0.02
    ring = np.unique(draw_bust(-0.25).fit.mesh.vertices.numpy()[load_torso_model().ring], axis=0)
    at_ring = [(np.abs(x[:, None] - ring).max(2) < 1e-6).any(1) for x in rest]
    assert at_ring[0].sum() >= len(ring)
    assert at_ring[1].sum() > len(ring) / 4
    moved = [np.linalg.norm(a - b, axis=1) for a, b in zip(turned, rest, strict=True)]
    assert max(own[at].max() for own, at in zip(moved, at_ring, strict=True)) < 0.002
    assert moved[1][rest[1][:, 1] < -0.22].max() < 1e-6


@needs_validator
def test_khronos_finds_nothing_wrong(glb):
    assert_valid(glb)


def test_an_animation_turns_the_neck(tmp_path):
    head = draw_bust(-0.25).bust.head
    rotations = torch.tensor(np.stack([np.eye(4)[:3, :3], turn(1, 20)[:3, :3]])).float()
    save_animation(tmp_path / "moving.glb", head, torch.tensor([0.0, 1.0]), torch.zeros(2, 52), rotations)
    file = gl.GLTF2().load(str(tmp_path / "moving.glb"))
    targets = {(channel.target.path, file.nodes[channel.target.node].name) for channel in file.animations[0].channels}
    assert targets == {("weights", "Head"), ("weights", "Bust"), ("rotation", NECK)}


def test_in_a_film_the_shoulders_stay():
    head = draw_bust(-0.25).bust.head
    animated = AnimatedHead(head, 200)
    front, turned = (
        animated.draw(np.zeros(52, np.float32), matrix[:3, :3].astype(np.float32))
        for matrix in (np.eye(4), turn(1, 20))
    )
    assert (front[:80] != turned[:80]).any(2).sum() > 150
    assert np.array_equal(front[110:], turned[110:])
