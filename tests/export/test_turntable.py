"""The turntable, decoded again: a whole smooth turn from the front, right colors, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from PIL import ImageSequence

from conftest import add_layers, make_marked_head
from portraitist import (
    Cancelled,
    InputError,
    OutputError,
    Progress,
    head_camera,
    render_view,
    view_camera,
    write_turntable,
)
from portraitist import render as draw_head
from portraitist.export import turntable
from portraitist.io import video_writer
from portraitist.io.images import image_to_uint8
from portraitist.io.output_file import check_output_file
from portraitist.types import Head

FRAMES, SIZE_PX = 12, 128


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turntable, "FRAMES", FRAMES)
    monkeypatch.setattr(turntable, "SIZE_PX", SIZE_PX)


@pytest.fixture(scope="module")
def marked_head() -> Head:
    return make_marked_head()


def read_frames(path: Path) -> tuple[np.ndarray, float]:
    """All pictures ``[frames, h, w, 3]`` and the seconds they last."""
    if path.suffix == ".webp":
        with PillowImage.open(path) as animation:
            frames, durations = [], []
            for frame in ImageSequence.Iterator(animation):
                frames.append(np.asarray(frame.convert("RGB")))
                durations.append(frame.info["duration"])
        return np.stack(frames), sum(durations) / 1000
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        seconds = float(stream.duration * stream.time_base)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]), seconds


def render(head: Head, yaw_deg: float) -> np.ndarray:
    camera = view_camera(head.mesh.vertices, yaw_deg, 0.0, SIZE_PX)
    return image_to_uint8(render_view(head.mesh, head.texture, camera, torch.ones(3))).astype(int)


def halve(picture: np.ndarray) -> np.ndarray:
    return picture.reshape(SIZE_PX // 2, 2, SIZE_PX // 2, 2, 3).mean((1, 3))


@pytest.mark.parametrize("name", ["turn.mp4", "turn.webp", "TURN.MP4"])
def test_a_turn_starts_at_the_front_and_ends_one_step_before(name: str, marked_head: Head, tmp_path: Path):
    write_turntable(tmp_path / name, marked_head)
    frames, seconds = read_frames((tmp_path / name).rename(tmp_path / name.lower()))
    assert frames.shape == (FRAMES, SIZE_PX, SIZE_PX, 3)
    assert seconds == pytest.approx(FRAMES * turntable.MILLISECONDS_PER_FRAME / 1000, abs=0.002)
    for index in (0, 1, 3, FRAMES - 1):  # half resolution: 4:2:0 has no finer color
        expected = [halve(render(marked_head, 360 * step / FRAMES)) for step in (index, index + 1)]
        here, next_one = (np.abs(halve(frames[index]) - picture).mean() for picture in expected)
        assert here < 4.5 < 2 * 4.5 < next_one
    assert frames[:, :4, :4].min() > 250


def test_layers_turn_with_their_head(marked_head: Head):
    layered = add_layers(marked_head)
    frames = turntable.render_turn(layered)
    for index in (0, 5):
        expected = draw_head(layered, head_camera(layered, 360 * index / FRAMES, 0.0, SIZE_PX))
        np.testing.assert_array_equal(frames[index], image_to_uint8(expected))


def test_no_frame_is_doubled_and_none_jumps(marked_head: Head):
    """Every step, the one over the end included, changes the picture about as much as the others do."""
    frames = np.stack(turntable.render_turn(marked_head)).astype(int)
    steps = np.abs(frames - np.roll(frames, -1, axis=0)).mean((1, 2, 3))
    assert steps.min() > 0.4 * np.median(steps)
    assert steps.max() < 2.5 * np.median(steps)


def test_the_head_keeps_its_size_and_place(marked_head: Head):
    rows = [np.flatnonzero((frame < 250).any((1, 2))) for frame in turntable.render_turn(marked_head)]
    assert np.ptp([row[0] for row in rows]) <= 1
    assert np.ptp([row[-1] for row in rows]) <= 1


def test_video_is_what_browsers_play(marked_head: Head, tmp_path: Path):
    write_turntable(tmp_path / "turn.mp4", marked_head)
    with av.open(tmp_path / "turn.mp4") as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.colorspace) == ("h264", "yuv420p", video_writer.BT709)
    data = (tmp_path / "turn.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")  # it starts before it is loaded
    with PillowImage.open(write(tmp_path / "turn.webp", marked_head)) as animation:
        assert animation.info["loop"] == 0  # for ever


def test_colors_are_coded_as_they_are_tagged(tmp_path: Path):
    """Red has luma 63 by BT.709 (16 + 219 x 0.2126) and 81 by BT.601, the other code that players may take."""
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    turntable.encode_mp4(tmp_path / "red.mp4", [red] * 3)
    with av.open(tmp_path / "red.mp4") as container:
        frame = next(container.decode(video=0))
    assert frame.to_ndarray()[0, 0] == pytest.approx(63, abs=1)


def write(path: Path, head: Head) -> Path:
    write_turntable(path, head)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "webp"])
def test_same_head_gives_the_same_bytes(suffix: str, marked_head: Head, tmp_path: Path):
    first, second = (write(tmp_path / f"{name}.{suffix}", marked_head).read_bytes() for name in "ab")
    assert first == second
    assert str(tmp_path).encode() not in first


def test_former_file_survives_cancelling_and_errors(marked_head: Head, tmp_path: Path):
    def cancel(progress: Progress) -> None:
        assert (progress.stage, progress.steps) == ("turntable", FRAMES)
        raise Cancelled("enough")

    (tmp_path / "turn.mp4").write_text("former")
    with pytest.raises(Cancelled):
        write_turntable(tmp_path / "turn.mp4", marked_head, cancel)
    with pytest.raises(InputError, match=r"\.mp4 or \.webp"):
        write_turntable(tmp_path / "turn.gif", marked_head)
    with pytest.raises(OutputError, match="cannot be written"):
        write_turntable(tmp_path / "absent" / "turn.mp4", marked_head)
    assert [path.name for path in tmp_path.iterdir()] == ["turn.mp4"]
    assert (tmp_path / "turn.mp4").read_text() == "former"


def test_output_file_is_checked_before_the_work(tmp_path: Path):
    (tmp_path / "turn.mp4").write_text("mine")
    check_output_file(tmp_path / "turn.mp4", overwrite=True)
    with pytest.raises(OutputError, match="exists already"):
        check_output_file(tmp_path / "turn.mp4", overwrite=False)
    with pytest.raises(OutputError, match="is a folder"):
        check_output_file(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="Cannot write"):
        check_output_file(tmp_path / "absent" / "turn.mp4", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["turn.mp4"]
