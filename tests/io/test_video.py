"""Videos are read upright, in sRGB and at their own times, and written whole with their sound, or not at all."""

from __future__ import annotations

import errno
import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from portraitist.errors import InputError, OutputError
from portraitist.io.video import Video
from portraitist.io.video_colors import HLG, PQ, hdr_to_srgb
from portraitist.io.video_writer import VideoWriter, write_video

SIZE = (48, 64)
UNEVEN_TIMES = [0.0, 0.04, 0.05, 0.3, 0.34, 0.9]
RATE = 8000


def draw_frame(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Dark, with a bright top left corner; brighter from frame to frame."""
    pixels = np.full((*size, 3), 20 + 10 * (index % 20), np.uint8)
    pixels[: size[0] // 2, : size[1] // 2] = 230
    return pixels


def write(path: Path, times: list[float] = UNEVEN_TIMES, sound: Path | None = None) -> Path:
    with write_video(path, SIZE, 25, sound) as writer:
        for index, seconds in enumerate(times):
            writer.add(draw_frame(index), seconds, 0.04)
    return path


def encode(
    path: Path, frames: list[np.ndarray], codec: str = "libx264", pix_fmt: str = "yuv420p", **colors: int
) -> Path:
    """A video as other programs make it, with what is asked for; ``turn``: of the display matrix, degrees."""
    turn, sound = colors.pop("turn", 0), colors.pop("sound", 0)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, 25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for name, value in colors.items():
            setattr(stream.codec_context, name, value)
        if turn:
            stream.set_display_rotation(turn)
        audio = container.add_stream("pcm_s16le" if path.suffix == ".mov" else "aac", RATE) if sound else None
        if audio is not None:
            audio.layout = "mono"
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.dtype == np.uint8 else "rgb48le")
            container.mux(stream.encode(frame.reformat(format=pix_fmt, dst_colorspace=colors.get("colorspace"))))
        container.mux(stream.encode())
        if audio is not None:
            tone = np.sin(np.arange(RATE * len(frames) // 25) / 5)[None]
            heard = av.AudioFrame.from_ndarray((tone * 8000).astype(np.int16), format="s16", layout="mono")
            heard.sample_rate = RATE
            container.mux(audio.encode(heard))
            container.mux(audio.encode())
    return path


def measure_end(path: Path, kind: str) -> float:
    """When the last packet of the sound or the pictures ends, seconds."""
    with av.open(path) as container:
        stream = getattr(container.streams, kind)[0]
        packets = [p for p in container.demux(stream) if p.pts is not None]
        return max(float((p.pts + (p.duration or 0)) * p.time_base) for p in packets)


def test_times_are_kept_at_any_rate(tmp_path: Path):
    frames = list(Video(write(tmp_path / "a.mp4")).read())
    np.testing.assert_allclose([frame.seconds for frame in frames], UNEVEN_TIMES, atol=1 / 90_000)
    assert [frame.pixels.shape for frame in frames] == [(*SIZE, 3)] * len(UNEVEN_TIMES)
    for index, frame in enumerate(frames):
        np.testing.assert_allclose(frame.pixels[-4, -4], 20 + 10 * index, atol=3)


@pytest.mark.parametrize(("turn", "corner"), [(90, (1, 0)), (-90, (0, 1)), (180, (1, 1)), (0, (0, 0))])
def test_phone_videos_are_turned_upright(tmp_path: Path, turn: int, corner: tuple[int, int]):
    """The display matrix turns counter-clockwise; the bright corner was at the top left."""
    video = Video(encode(tmp_path / "a.mp4", [draw_frame(0)] * 3, turn=turn))
    pixels = video.read_frame(1).pixels
    assert video.size == pixels.shape[:2] == (SIZE if turn in (0, 180) else SIZE[::-1])
    assert pixels[-4 if corner[0] else 3, -4 if corner[1] else 3, 0] > 200
    assert (pixels[..., 0] > 200).mean() == pytest.approx(0.25, abs=0.03)


def test_ten_bits_become_eight(tmp_path: Path):
    pixels = (draw_frame(3).astype(np.uint16) * 257).astype(np.uint16)
    video = Video(encode(tmp_path / "a.mkv", [pixels] * 3, "ffv1", "yuv444p10le"))
    np.testing.assert_allclose(next(video.read()).pixels, draw_frame(3), atol=3)


def test_odd_sizes_are_read(tmp_path: Path):
    video = Video(encode(tmp_path / "a.mkv", [draw_frame(0, (49, 65))] * 2, "ffv1", "yuv444p"))
    assert video.size == (49, 65)


def test_large_frames_are_scaled_down(tmp_path: Path):
    path = encode(tmp_path / "a.mp4", [draw_frame(0)] * 2)
    assert Video(path, longest_side=32).size == (24, 32)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_keeps_grays_gray_and_in_order(transfer: int):
    steps = np.linspace(0, 65535, 64).astype(np.uint16)
    pixels = hdr_to_srgb(np.repeat(steps[None, :, None], 3, 2), transfer)[0].astype(int)
    assert np.ptp(pixels, axis=1).max() <= 1
    assert (np.diff(pixels[:, 0]) >= 0).all()
    assert pixels[0, 0] == 0
    assert pixels[-1, 0] > 250


def test_diffuse_white_of_hdr_is_nearly_white(tmp_path: Path):
    """203 cd/m2 is 58 % of the signal in PQ; a tenth of that light (paper in the shade) is sRGB 35 %."""
    white, shade = (np.full((16, 16, 3), round(65535 * signal), np.uint16) for signal in (0.5807, 0.3662))
    colors = {"color_trc": PQ, "color_primaries": 9, "colorspace": 9}
    video = Video(encode(tmp_path / "a.mkv", [white, shade], "ffv1", "yuv444p10le", **colors))
    bright, dark = (frame.pixels.mean() for frame in video.read())
    assert 215 < bright < 250
    assert 80 < dark < 100


def test_sound_is_copied_in_sync(tmp_path: Path):
    source = encode(tmp_path / "source.mp4", [draw_frame(i) for i in range(20)] * 3, sound=1)
    video = Video(source)
    assert video.has_sound
    times = [frame.seconds for frame in video.read()]
    made = write(tmp_path / "made.mp4", times, source)
    assert measure_end(made, "audio") == pytest.approx(measure_end(source, "audio"), abs=0.04)
    assert measure_end(made, "video") == pytest.approx(measure_end(source, "video"), abs=0.04)
    with av.open(source) as before, av.open(made) as after:
        packets = [[bytes(p) for p in c.demux(c.streams.audio[0]) if p.size] for c in (before, after)]
    assert packets[0] == packets[1]


def test_sound_that_mp4_does_not_take_becomes_aac(tmp_path: Path):
    source = encode(tmp_path / "source.mov", [draw_frame(0)] * 50, sound=1)
    made = write(tmp_path / "made.mp4", [i / 25 for i in range(50)], source)
    with av.open(made) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    assert measure_end(made, "audio") == pytest.approx(2.0, abs=0.15)  # blocks of 1,024 samples at 8 kHz


def test_a_video_that_is_cut_short_gives_what_it_has(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    noise = np.random.default_rng(0)
    whole = encode(tmp_path / "whole.mkv", [noise.integers(0, 255, (*SIZE, 3), np.uint8) for _ in range(30)])
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert 3 < len(list(Video(cut).read())) < 28
    fast = write(tmp_path / "fast.mp4", [i / 25 for i in range(40)])  # with its index in front
    cut_short(fast)
    with caplog.at_level(logging.WARNING):
        assert 3 < len(list(Video(fast).read())) < 40
    assert "cut short" in caplog.text


def cut_short(path: Path) -> None:
    """A fifth of the pictures' bytes is lost."""
    data = path.read_bytes()
    start = data.index(b"mdat")
    path.write_bytes(data[: start + 4 * (len(data) - start) // 5])


def test_what_is_no_video_is_refused(tmp_path: Path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video " * 100)
    whole = encode(tmp_path / "whole.mp4", [draw_frame(0)] * 20)  # with its index at the end
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:1000])
    with av.open(tmp_path / "sound.mp4", "w") as container:
        audio = container.add_stream("aac", RATE)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        silence.sample_rate = RATE
        container.mux(audio.encode(silence))
        container.mux(audio.encode())
    with av.open(tmp_path / "nothing.avi", "w") as container:
        container.add_stream("ffv1", RATE).pix_fmt = "yuv420p"
        container.start_encoding()
    for name, words in {
        "nothing.avi": "no frame that can be decoded",
        "absent.mp4": "does not exist",
        "empty.mp4": "is empty",
        "text.mp4": "is not a video",
        "cut.mp4": "cut short",
        "sound.mp4": "no moving picture",
        ".": "is a folder",
    }.items():
        with pytest.raises(InputError, match=words):
            Video(tmp_path / name)


def test_a_frame_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="has 6: 0 to 5"):
        Video(write(tmp_path / "a.mp4")).read_frame(6)


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_video_is_written_whole_or_not_at_all(
    tmp_path: Path, problem: BaseException, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path / "a.mp4")
    former = (tmp_path / "a.mp4").read_bytes()

    def fail(_: VideoWriter) -> None:
        raise problem

    monkeypatch.setattr(VideoWriter, "finish", fail)
    with pytest.raises(OutputError if isinstance(problem, OSError) else KeyboardInterrupt):
        write(tmp_path / "a.mp4", [0.0])
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == former


def write_noise(path: Path) -> None:
    noise = np.random.default_rng(0)
    with write_video(path, (256, 256), 25) as writer:
        for index in range(40):
            writer.add(noise.integers(0, 255, (256, 256, 3), np.uint8), index / 25, 0.04)


def test_a_full_disk_is_told(tmp_path: Path):
    """A limit on the size of files, since nobody has a full disk at hand."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(OutputError, match="cannot be written"):
            write_noise(tmp_path / "a.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_time_base_holds_usual_rates():
    for rate in (24, 25, 30, 50, 60, Fraction(30000, 1001)):
        assert (90_000 / rate) % 1 == 0
