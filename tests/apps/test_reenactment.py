"""A video moves a head: what the head in a rendered clip did is what the driven head does."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
import torch
from scipy.spatial.transform import Rotation

from export.read_glb import read_accessor
from portraitist import (
    EXPRESSION_NAMES,
    Head,
    Models,
    Progress,
    Reenactment,
    ReenactmentConfig,
    Result,
    reenact_video,
    save_head,
)
from portraitist.apps.animated_head import AnimatedHead
from portraitist.apps.eyes import close_lids
from portraitist.apps.following import follow_face
from portraitist.apps.reenactment import choose_neutral, cut_out_sitter
from portraitist.apps.tracking import find_rest, leave_out_rest
from portraitist.cli.arguments import ArgumentError
from portraitist.cli.commands import build_parser
from portraitist.cli.reenact import run_reenact
from portraitist.errors import InputError, NoFaceError, OutputError
from portraitist.io.video import Video
from portraitist.io.video_writer import write_video
from portraitist.mesh.carrying import carry_layers
from portraitist.reconstruction.fitting import FitConfig
from portraitist.reconstruction.gauss_newton import angles_to_rotation

FRAMES, SIDE = 36, 256
STILL = 26  # the first frame without motion
RATE = 25
TIMES = np.arange(FRAMES) / RATE + 0.01 * (np.arange(FRAMES) % 3 == 1)  # seconds: no fixed rate
BLINK = slice(8, 11)
SMALL = ReenactmentConfig(size_px=64)
JAW, SMILE, SHUT = (EXPRESSION_NAMES.index(name) for name in ("jawOpen", "mouthSmileLeft", "eyeBlinkLeft"))


@dataclasses.dataclass(frozen=True)
class Clip:
    """``pictures`` [t, h, w, 3] of a head, and what it does in them."""

    pictures: np.ndarray
    weights: np.ndarray
    rotations: np.ndarray

    def write(self, path: Path, pictures: np.ndarray | None = None) -> Path:
        pictures = self.pictures if pictures is None else pictures
        with write_video(path, pictures.shape[1:3], RATE) as writer:
            for pixels, seconds in zip(pictures, TIMES.tolist(), strict=False):
                writer.add(pixels, seconds, 1 / RATE)
        return path


@pytest.fixture(scope="module")
def head(sitter: Result) -> Head:
    return sitter.content


@pytest.fixture(scope="module")
def clip(head: Head) -> Clip:
    animated = AnimatedHead(head, SIDE)
    weights, angles = np.zeros((FRAMES, 52)), np.zeros((FRAMES, 3))
    moment = np.linspace(0, 2 * np.pi, STILL)
    angles[:STILL, 0] = np.radians(20) * np.sin(moment)
    weights[:STILL, JAW] = np.round(0.5 * np.sin(moment / 2) ** 2, 9)  # quite closed at the end, too
    weights[16:22, [SMILE, SMILE + 1]] = 0.7
    weights[BLINK, SHUT : SHUT + 2] = 1
    rotations = np.stack([angles_to_rotation(angle) for angle in angles])
    pictures = [animated.draw(*both) for both in zip(weights, rotations, strict=True)]
    return Clip(np.stack(pictures), weights, rotations)


@pytest.fixture(scope="module")
def film(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip.write(tmp_path_factory.mktemp("clip") / "clip.mp4")


def measure_angles_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(((np.einsum("tij,tij->t", a, b) - 1) / 2).clip(-1, 1)))


def test_the_head_does_what_the_clip_shows(head: Head, clip: Clip, film: Path, models: Models, tmp_path: Path):
    result = reenact_video(head, film, tmp_path / "out.mp4", models, SMALL)
    assert measure_angles_deg(result.rotations, clip.rotations).mean() < 5
    assert np.corrcoef(result.weights[:, JAW], clip.weights[:, JAW])[0, 1] > 0.8
    assert result.weights[17:21, SMILE].min() > result.weights[STILL:, SMILE].max() + 0.3
    assert result.weights[BLINK, SHUT].max() > 0.5 > result.weights[STILL:, SHUT].max()
    np.testing.assert_allclose(result.times, TIMES, atol=1e-4)
    assert (result.lost, result.cuts, result.warnings, result.files) == ((), (), (), ("out.mp4",))
    assert not clip.weights[result.neutral].any()
    assert measure_angles_deg(clip.rotations, np.eye(3)[None].repeat(FRAMES, 0))[result.neutral] < 3
    made = Video(tmp_path / "out.mp4")
    assert made.size == (64, 128)  # the clip beside the head
    assert not made.has_sound
    assert [frame.seconds for frame in made.read()] == pytest.approx(result.times.tolist(), abs=1e-4)


def test_the_head_alone(head: Head, film: Path, models: Models, tmp_path: Path):
    config = dataclasses.replace(SMALL, layout="head")
    reenact_video(head, film, tmp_path / "out.mp4", models, config)
    pixels = Video(tmp_path / "out.mp4").read_frame(0).pixels
    assert pixels.shape == (64, 64, 3)
    assert pixels[:3, :3].min() > 245


def test_lost_frames_are_bridged_and_listed(head: Head, clip: Clip, models: Models, tmp_path: Path):
    pictures = clip.pictures.copy()
    pictures[20:24] = pictures[20:24, :, :, :1] // 64 + 120  # a gray cloth in front of the camera
    path = clip.write(tmp_path / "clip.mp4", pictures)
    result = reenact_video(head, path, tmp_path / "out.mp4", models, SMALL)
    assert set(result.lost) == {20, 21, 22, 23}
    assert "4 of 36 frames, which were bridged: 20 to 23." in result.warnings[0]
    assert measure_angles_deg(result.rotations, clip.rotations)[20:24].max() < 15
    assert len(list(Video(tmp_path / "out.mp4").read())) == FRAMES


def test_a_cut_begins_anew(head: Head, clip: Clip, models: Models, tmp_path: Path):
    pictures = clip.pictures.copy()
    pictures[18:] = np.roll(255 - (255 - pictures[18:]) // 2, 60, axis=2) // 2  # elsewhere, in the dark
    pictures[18:, :128] = pictures[18:, :128] // 2 + 60
    track = follow_face(Video(clip.write(tmp_path / "clip.mp4", pictures)), models.detector)
    assert 18 in track.cuts
    assert len(track.cuts) <= 2


def test_of_several_people_one_is_followed(head: Head, clip: Clip, models: Models, tmp_path: Path):
    small = clip.pictures[:, ::2, ::2]
    beside = np.full((FRAMES, SIDE, SIDE // 2, 3), 255, np.uint8)
    beside[:, : SIDE // 2] = small
    pictures = np.concatenate([beside, clip.pictures], axis=2)
    pictures[12:14] = 128  # nobody for a moment
    path = clip.write(tmp_path / "two.mp4", pictures)
    middles = []
    for face in (1, 2):
        track = follow_face(Video(path), models.detector, face)
        assert np.flatnonzero(~track.found).tolist() == [12, 13]
        middles.append(track.points[track.found, :, 0].mean(1))
    assert (middles[0] > SIDE / 2).all()
    assert (middles[1] < SIDE / 2).all()
    with pytest.raises(InputError, match="Face 3 was asked for"):
        reenact_video(head, path, tmp_path / "out.mp4", models, ReenactmentConfig(face=3))
    assert not (tmp_path / "out.mp4").exists()


def test_no_face_at_all(head: Head, models: Models, tmp_path: Path):
    path = Clip(np.full((3, 64, 64, 3), 128, np.uint8), np.zeros((3, 52)), np.zeros((3, 3, 3))).write(
        tmp_path / "a.mp4"
    )
    with pytest.raises(NoFaceError, match="any of the 3 frames"):
        reenact_video(head, path, tmp_path / "out", models, SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("stage", ["tracking", "fitting", "rendering"])
def test_a_run_that_is_stopped_leaves_nothing(head: Head, film: Path, models: Models, tmp_path: Path, stage: str):
    def stop(progress: Progress) -> None:
        if progress.stage == stage and progress.step == 5:
            raise KeyboardInterrupt

    for name in ("out.mp4", "out"):
        with pytest.raises(KeyboardInterrupt):
            reenact_video(head, film, tmp_path / name, models, SMALL, stop)
    assert list(tmp_path.iterdir()) == []


def check_animation(path: Path, result: Reenactment) -> None:
    """Between its keys, the GLB goes through the weights and rotations of the video."""
    file = gl.GLTF2().load(str(path))
    (animation,) = file.animations
    played = {}
    for channel in animation.channels:
        sampler = animation.samplers[channel.sampler]
        times = read_accessor(file, sampler.input)[:, 0]
        keys = read_accessor(file, sampler.output).reshape(len(times), -1)
        moments = result.times - result.times[0]
        played[channel.target.node, channel.target.path] = np.stack(
            [np.interp(moments, times, column) for column in keys.T], axis=1
        )
        assert len(times) < FRAMES
    np.testing.assert_allclose(played[0, "weights"][:, :52], result.weights, atol=0.006)
    rotations = Rotation.from_quat(played[0, "rotation"])
    assert (rotations.inv() * Rotation.from_matrix(result.rotations)).magnitude().max() < 0.01
    assert {node for node, path in played if path == "weights"} == set(range(len(file.nodes)))  # hair and hat, too


def test_a_folder_holds_everything(head: Head, film: Path, models: Models, tmp_path: Path):
    result = reenact_video(head, film, tmp_path / "out", models, SMALL)
    assert result.files == ("animated.glb", "reenacted.mp4", "run.json")
    check_animation(tmp_path / "out" / "animated.glb", result)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["files"] == sorted(file.name for file in (tmp_path / "out").iterdir())
    with pytest.raises(OutputError, match="is not empty"):
        reenact_video(head, film, tmp_path / "out", models, SMALL)
    reenact_video(head, film, tmp_path / "out", models, SMALL, overwrite=True)


def test_the_frame_asked_for_has_to_show_the_face(clip: Clip, film: Path, models: Models):
    video = Video(film)
    track = follow_face(video, models.detector)
    assert find_rest(track, models.head, FitConfig(), neutral=3)[0] == 3
    hidden = dataclasses.replace(track, points=np.where(np.arange(FRAMES)[:, None, None] == 2, np.nan, track.points))
    for frame, words in ((FRAMES, "has 36, from 0"), (2, "shows no face")):
        with pytest.raises(InputError, match=words):
            choose_neutral(hidden, video, models, ReenactmentConfig(frame=frame))
    cut_out = cut_out_sitter(video, track, STILL)
    assert cut_out.shape[0] == 3
    assert min(cut_out.shape[1:]) > 100


def test_files_that_are_no_head_or_no_video_are_refused(head: Head, film: Path, tmp_path: Path):
    """Before anything is loaded that takes time."""
    (tmp_path / "damaged.safetensors").write_bytes(b"damaged")
    (tmp_path / "empty.mp4").touch()
    save_head(tmp_path / "head.safetensors", head)
    with pytest.raises(InputError, match="is not a head"):
        run_reenact(tmp_path / "damaged.safetensors", film, tmp_path / "out", device="cpu")
    with pytest.raises(InputError, match="is empty"):
        run_reenact(tmp_path / "head.safetensors", tmp_path / "empty.mp4", tmp_path / "out", device="cpu")
    asked = ["reenact", str(tmp_path / "head.safetensors"), str(film), "-o", "out"]
    assert vars(build_parser().parse_args(asked)).keys() == {"source", "video", "output", "run"}
    with pytest.raises(ArgumentError, match="--preset"):  # which would change nothing
        build_parser().parse_args([*asked, "--preset", "draft"])
    with pytest.raises(OutputError, match="exists already"):
        run_reenact(tmp_path / "head.safetensors", film, film, device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_video_that_is_cut_short_is_used_as_far_as_it_goes(
    head: Head, film: Path, models: Models, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = film.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 3 // 4])
    with caplog.at_level(logging.WARNING):
        result = reenact_video(head, tmp_path / "cut.mp4", tmp_path / "out.mp4", models, SMALL)
    assert 3 < len(result.times) < FRAMES
    assert "cut short" in caplog.text
    assert len(list(Video(tmp_path / "out.mp4").read())) == len(result.times)


def test_layers_follow_as_they_do_elsewhere(head: Head):
    assert head.layers
    weights = torch.zeros(52)
    weights[[JAW, SMILE]] = 0.8
    moved = AnimatedHead(head, 64).vertices(weights.numpy())
    posed = head.posed(weights)
    np.testing.assert_allclose(moved[: len(posed)], posed.numpy(), atol=1e-6)
    carried = carry_layers(head.layers, head.mesh, posed)
    expected = torch.cat([layer.mesh.vertices for layer in carried])
    np.testing.assert_allclose(moved[len(posed) :], expected.numpy(), atol=1e-5)


def test_lids_close_whatever_else_moves_them(head: Head):
    weights, at_rest = np.zeros((3, 52)), np.zeros(52)
    weights[1:, EXPRESSION_NAMES.index("eyeSquintLeft")] = 0.7
    openness = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.5]])
    closed = close_lids(weights, openness, at_rest, head)
    left, right = closed[:, SHUT], closed[:, SHUT + 1]
    assert left[1] == 1
    assert left[0] == 0 == right.max()
    assert 0 < left[2] < 0.5  # the squint does a part of it


def test_who_talks_all_the_time_still_opens_the_mouth():
    weights = np.zeros((5, 52))
    weights[:, 17] = (0.1, 0.3, 0.3, 0.3, 0.5)
    weights[:, 20] = 0.9  # an expression that the whole clip has
    left = leave_out_rest(weights, [0, 1, 2, 3], FitConfig(expression_spread=0.15))
    np.testing.assert_allclose(left[:, 17], [0, 2 / 9, 2 / 9, 2 / 9, 4 / 9])
    np.testing.assert_allclose(left[:, 20], 6 / 7)
