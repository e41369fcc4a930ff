"""Files of stickers, read again: small enough for messengers, and of the format, size and length they ask for."""

from __future__ import annotations

import io
from collections.abc import Callable

import av
import numpy as np
import pytest
from PIL import Image as PillowImage

from portraitist.apps import expression_sheet, sticker_files
from portraitist.apps.sticker_files import encode_moving_webp, encode_png, encode_webm, encode_webp

DURATIONS = (200, 40, 40, 200)


def draw_noise(side: int) -> list[PillowImage.Image]:
    """Which nothing compresses: 3 bytes a pixel, opacity aside."""
    noise = np.random.default_rng(0).integers(0, 256, (len(DURATIONS), side, side, 4), dtype=np.uint8)
    noise[..., 3] = 255
    return [PillowImage.fromarray(pixels) for pixels in noise]


def draw_disk(shift: int = 0) -> PillowImage.Image:
    """A bright red disk on nothing, 64 px wide."""
    y, x = np.mgrid[:64, :64] - 31.5
    pixels = np.zeros((64, 64, 4), np.uint8)
    inside = np.hypot(x - shift, y) < 20
    pixels[inside] = (230, 60, 40, 255)
    return PillowImage.fromarray(pixels)


def decode_webm(data: bytes) -> np.ndarray:
    """Frames ``[t, h, w, 4]`` with their opacity, which the decoder that FFmpeg takes by itself leaves out."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, len(container.streams.audio)) == ("vp9", 0)
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        frames = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]
    return np.stack([frame.to_ndarray(format="rgba") for frame in frames])


@pytest.mark.parametrize(
    ("limit", "encode"),
    [
        ("MOST_PNG", lambda frames: encode_png(frames[0])),
        ("MOST_WEBP", lambda frames: encode_webp(frames[0])),
        ("MOST_MOVING_WEBP", lambda frames: encode_moving_webp(frames, DURATIONS)),
        ("MOST_WEBM", lambda frames: encode_webm(frames, DURATIONS)),
    ],
)
def test_limits_hold_for_the_worst_picture(
    limit: str, encode: Callable[[list[PillowImage.Image]], bytes], monkeypatch: pytest.MonkeyPatch
):
    """At half of the bytes that the best quality takes, quality gives way; it does so no farther than it has to."""
    frames = draw_noise(96)
    monkeypatch.setattr(sticker_files, limit, 10**9)
    best = len(encode(frames))
    monkeypatch.setattr(sticker_files, limit, best // 2)
    assert best // 8 < len(encode(frames)) <= best // 2
    monkeypatch.setattr(sticker_files, limit, best)
    assert len(encode(frames)) == best


def test_noise_as_large_as_a_sticker_fits_everywhere():
    frames = draw_noise(expression_sheet.STICKER_PX)
    assert len(encode_png(frames[0])) <= 300_000
    assert len(encode_webp(frames[0])) <= 100_000


def test_still_files_keep_size_and_opacity():
    for data, kind in ((encode_png(draw_disk()), "PNG"), (encode_webp(draw_disk()), "WEBP")):
        with PillowImage.open(io.BytesIO(data)) as picture:
            assert (picture.format, picture.size, getattr(picture, "n_frames", 1)) == (kind, (64, 64), 1)
            opacity = np.asarray(picture.convert("RGBA"))[..., 3]
        np.testing.assert_allclose(opacity, np.asarray(draw_disk())[..., 3], atol=40)


def test_a_small_png_loses_nothing():
    picture = PillowImage.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8))
    with PillowImage.open(io.BytesIO(encode_png(picture))) as again:
        np.testing.assert_array_equal(np.asarray(again), np.asarray(picture))


def test_video_moves_in_time_on_nothing():
    data = encode_webm([draw_disk(shift) for shift in (-8, 0, 8)], (120, 40, 80))
    frames = decode_webm(data).astype(int)
    assert len(frames) == 3 + 1 + 2
    with av.open(io.BytesIO(data)) as container:
        assert container.duration == pytest.approx(240_000, abs=1000)  # microseconds
        assert container.streams.video[0].average_rate == 25
    for index, shift in ((0, -8), (3, 0), (5, 8)):
        expected = np.asarray(draw_disk(shift)).astype(int)
        assert np.abs(frames[index][..., 3] - expected[..., 3]).mean() < 6


def test_the_outline_of_a_video_has_no_fringe():
    """Half of the pixels' colors are stored; the disk's outer ones must not be mixed with the black around it."""
    picture = decode_webm(encode_webm([draw_disk()], (40,)))[0].astype(int)
    seen = np.asarray(draw_disk())[..., 3] == 255
    assert np.abs(picture[seen][:, :3] - (230, 60, 40)).max() < 30


def test_default_timing_is_what_messengers_allow():
    frames = [draw_disk(shift) for shift in range(expression_sheet.EASE_FRAMES + 1)]
    shown, durations = expression_sheet._time_frames(frames)
    assert len(shown) == len(durations) == 2 * expression_sheet.EASE_FRAMES
    assert sum(durations) <= 3000
    assert 1000 / sticker_files.FRAME_MS <= 30
    assert all(duration % sticker_files.FRAME_MS == 0 for duration in durations)
    # There and back: the first is not repeated at the end, after which the animation starts anew.
    assert shown[0] is frames[0]
    assert shown[expression_sheet.EASE_FRAMES] is frames[-1]
    assert shown[-1] is frames[1]
