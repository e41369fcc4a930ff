"""The animation in the GLB passes through what was given, with few keys, and moves the layers as it moves the head."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pygltflib as gl
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation, Slerp

from conftest import add_layers, make_head
from export.read_glb import read_accessor
from portraitist import InputError, OutputError, save_animation, write_glb
from portraitist.export.gltf_animation import make_continuous, thin_keys
from portraitist.types import EXPRESSION_NAMES, Head

FRAMES = 90
TOLERANCE = 0.01


class Clip(NamedTuple):
    times: torch.Tensor
    weights: torch.Tensor
    rotations: torch.Tensor


def turn(yaw_deg: torch.Tensor, pitch_deg: torch.Tensor) -> torch.Tensor:
    angles = torch.stack([yaw_deg, pitch_deg], dim=1).double().numpy()
    return torch.from_numpy(Rotation.from_euler("YX", angles, degrees=True).as_matrix()).float()


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Talk, a blink of one frame, a steady brow, and more than one turn, at uneven times."""
    times = torch.arange(FRAMES) / 30 + 0.004 * torch.rand(FRAMES, generator=torch.Generator().manual_seed(0))
    weights = torch.zeros(FRAMES, 52)
    weights[:, EXPRESSION_NAMES.index("jawOpen")] = (4 * times).sin().abs()
    weights[40, EXPRESSION_NAMES.index("eyeBlinkLeft")] = 1.0
    weights[:, EXPRESSION_NAMES.index("browInnerUp")] = 0.5
    return Clip(times, weights, turn(250 * times, 20 * (3 * times).sin()))


@pytest.fixture(scope="module")
def layered() -> Head:
    return add_layers(make_head())


@pytest.fixture(scope="module")
def animated(layered: Head, clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> gl.GLTF2:
    path = tmp_path_factory.mktemp("animation") / "animated.glb"
    save_animation(path, layered, *clip, tolerance=TOLERANCE)
    return gl.GLTF2().load(str(path))


def read_channel(file: gl.GLTF2, node: int, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of a channel's keys."""
    (animation,) = file.animations
    (channel,) = [each for each in animation.channels if (each.target.node, each.target.path) == (node, path)]
    sampler = animation.samplers[channel.sampler]
    assert sampler.interpolation == "LINEAR"
    times = read_accessor(file, sampler.input)[:, 0]
    assert (file.accessors[sampler.input].min, file.accessors[sampler.input].max) == ([times[0]], [times[-1]])
    return times, read_accessor(file, sampler.output).reshape(len(times), -1)


def test_weights_pass_through_what_was_given(animated: gl.GLTF2, clip: Clip):
    times, keys = read_channel(animated, 0, "weights")
    assert keys.shape[1] == len(animated.meshes[0].primitives[0].targets) == 53
    assert (keys[:, 52] == 0).all()
    for action in range(52):
        played = np.interp(clip.times, times, keys[:, action])
        np.testing.assert_allclose(played, clip.weights[:, action], atol=TOLERANCE + 1e-6)


def test_rotations_pass_through_what_was_given(animated: gl.GLTF2, clip: Clip):
    times, keys = read_channel(animated, 0, "rotation")
    np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1, atol=1e-6)
    played = Slerp(times, Rotation.from_quat(keys))(np.clip(clip.times.numpy(), times[0], times[-1]))
    off = (played.inv() * Rotation.from_matrix(clip.rotations.double().numpy())).magnitude()
    assert off.max() < TOLERANCE + 1e-5


def test_a_quaternion_is_the_turn_itself(layered: Head, tmp_path: Path):
    """A quarter turn about +Y: x, y, z, w."""
    quarter = turn(torch.tensor([90.0]), torch.zeros(1))
    save_animation(tmp_path / "a.glb", layered, torch.zeros(1), torch.zeros(1, 52), quarter)
    _, keys = read_channel(gl.GLTF2().load(str(tmp_path / "a.glb")), 0, "rotation")
    np.testing.assert_allclose(keys, [[0, 0.5**0.5, 0, 0.5**0.5]], atol=1e-6)


def test_signs_go_the_shorter_way(animated: gl.GLTF2):
    _, keys = read_channel(animated, 0, "rotation")
    assert ((keys[1:] * keys[:-1]).sum(1) > 0).all()
    assert keys[:, 3].min() < -0.5  # it went beyond half a turn, where the usual sign changes


def test_few_keys_are_kept(animated: gl.GLTF2):
    for path in ("weights", "rotation"):
        times, _ = read_channel(animated, 0, path)
        assert 2 < len(times) < 0.7 * FRAMES


def test_a_blink_of_one_frame_is_kept(animated: gl.GLTF2, clip: Clip):
    times, keys = read_channel(animated, 0, "weights")
    blink = keys[:, EXPRESSION_NAMES.index("eyeBlinkLeft")]
    assert times[blink.argmax()] == pytest.approx(clip.times[40].item())
    assert (blink > 0).sum() == 1
    assert blink.max() == 1


@pytest.mark.parametrize("frames", [1, 2, 50])
def test_what_stands_still_needs_no_keys(frames: int, layered: Head, tmp_path: Path):
    steady = turn(torch.full((frames,), 10.0), torch.zeros(frames))
    save_animation(tmp_path / "a.glb", layered, torch.arange(frames) / 25, torch.full((frames, 52), 0.3), steady)
    file = gl.GLTF2().load(str(tmp_path / "a.glb"))
    for path in ("weights", "rotation"):
        assert len(read_channel(file, 0, path)[0]) == min(frames, 2)


def test_layers_play_the_same_weights_and_turn_with_the_head(animated: gl.GLTF2):
    (animation,) = animated.animations
    targets = [(channel.target.node, channel.target.path) for channel in animation.channels]
    assert targets == [(0, "weights"), (1, "weights"), (2, "weights"), (0, "rotation")]
    assert len({channel.sampler for channel in animation.channels}) == 2
    assert animated.nodes[0].children == [1, 2]


def test_the_head_itself_is_written_as_ever(animated: gl.GLTF2, layered: Head, tmp_path: Path):
    write_glb(tmp_path / "still.glb", layered)
    still = gl.GLTF2().load(str(tmp_path / "still.glb"))
    assert animated.binary_blob().startswith(still.binary_blob())
    assert [node.name for node in animated.nodes] == [node.name for node in still.nodes]
    assert [mesh.extras for mesh in animated.meshes] == [mesh.extras for mesh in still.meshes]


def test_it_opens_in_trimesh(layered: Head, clip: Clip, tmp_path: Path):
    save_animation(tmp_path / "a.glb", layered, *clip)
    assert len(trimesh.load_scene(tmp_path / "a.glb").geometry) == 3


def test_keys_are_those_of_a_broken_line():
    line = np.interp(np.arange(101), [0, 30, 70, 100], [0, 1, 1, -2])

    def errors(first: int, last: int) -> np.ndarray:
        span = np.arange(first, last + 1)
        return np.abs(line[span] - np.interp(span, [first, last], line[[first, last]]))

    assert thin_keys(101, errors, 1e-9).tolist() == [0, 30, 70, 100]
    assert thin_keys(101, errors, 10.0).tolist() == [0, 100]
    assert thin_keys(1, errors, 1e-9).tolist() == [0]


def test_signs_are_turned_for_good():
    quaternions = np.array([[0, 0, 0, 1.0], [0, 0, 0, -1], [0, 0, 0, -1], [0, 0, 0, 1]])
    np.testing.assert_array_equal(make_continuous(quaternions)[:, 3], 1)


def test_what_is_no_animation_is_refused(layered: Head, clip: Clip, tmp_path: Path):
    path, mirrored = tmp_path / "a.glb", clip.rotations * torch.tensor([1.0, 1.0, -1.0])
    with pytest.raises(InputError, match="rotation matrices"):
        save_animation(path, layered, clip.times, clip.weights, mirrored)
    with pytest.raises(InputError, match="rotation matrices"):
        save_animation(path, layered, clip.times, clip.weights, 1.1 * clip.rotations)
    with pytest.raises(InputError, match="finite"):
        save_animation(path, layered, clip.times, clip.weights / 0, clip.rotations)
    with pytest.raises(InputError, match="increase"):
        save_animation(path, layered, clip.times.flip(0), clip.weights, clip.rotations)
    with pytest.raises(InputError, match="increase"):
        save_animation(path, layered, clip.times - 1, clip.weights, clip.rotations)
    with pytest.raises(InputError, match="at least one"):
        save_animation(path, layered, clip.times[:0], clip.weights[:0], clip.rotations[:0])
    with pytest.raises(OutputError, match="cannot be written"):
        save_animation(tmp_path / "absent" / "a.glb", layered, *clip)
    assert not list(tmp_path.iterdir())
