"""Stickers in the formats of messengers, each in the best quality with which it is as small as they ask for.

Limits in bytes, with sources in docs/stickers.md. A kilobyte is taken for 1,000 bytes, the stricter reading.
"""

from __future__ import annotations

import fractions
import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image as PillowImage
from scipy.ndimage import distance_transform_edt

from portraitist.io.video_writer import BT709

MOST_PNG = 300_000  # Signal; Telegram: 512,000
MOST_WEBP = 100_000  # WhatsApp
MOST_MOVING_WEBP = 500_000  # WhatsApp
MOST_WEBM = 256_000  # Telegram
FRAME_MS = 40  # 25 frames a second; Telegram allows 30
VP9 = {"b": "0", "deadline": "realtime", "cpu-used": "6", "auto-alt-ref": "0", "threads": "1"}
"""Constant quality (b), six times as fast as usual for a fifth more bytes. Alternate reference frames do not go with
opacity. One thread: others decide differently."""


def encode_png(picture: PillowImage.Image) -> bytes:
    """Lossless where that is small enough, else with the last bits of its colors rounded away."""
    pixels = np.asarray(picture)

    def encode(lost_bits: int) -> bytes:
        step = 2**lost_bits
        colors = (np.round(pixels[..., :3] / step) * step).clip(0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        PillowImage.fromarray(np.concatenate([colors, pixels[..., 3:]], axis=2)).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()

    return find_best(encode, range(9), MOST_PNG)


def encode_webp(picture: PillowImage.Image) -> bytes:
    """A still picture."""

    def encode(quality: int) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, alpha_quality=quality, method=6)
        return buffer.getvalue()

    return find_best(encode, range(95, -1, -5), MOST_WEBP)


def encode_moving_webp(frames: Sequence[PillowImage.Image], durations: Sequence[int]) -> bytes:
    """An animation that repeats for ever. ``durations``: of its frames, milliseconds."""

    def encode(quality: int) -> bytes:
        buffer = io.BytesIO()
        frames[0].save(
            buffer, "WEBP", save_all=True, append_images=frames[1:], duration=list(durations), loop=0, quality=quality,
            alpha_quality=quality, method=4, minimize_size=True,
        )  # fmt: skip
        return buffer.getvalue()

    return find_best(encode, range(95, -1, -5), MOST_MOVING_WEBP)


def encode_webm(frames: Sequence[PillowImage.Image], durations: Sequence[int]) -> bytes:
    """The same as VP9 with opacity, which players repeat. ``durations``: multiples of ``FRAME_MS``."""
    import av

    pictures = [av.VideoFrame.from_ndarray(_continue_colors(np.asarray(frame)), format="rgba") for frame in frames]
    pictures = [picture.reformat(format="yuva420p", dst_colorspace="ITU709") for picture in pictures]

    def encode(quantizer: int) -> bytes:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="webm") as container:
            options = VP9 | {"crf": str(quantizer)}
            stream = container.add_stream("libvpx-vp9", fractions.Fraction(1000, FRAME_MS), options)
            stream.height, stream.width, stream.pix_fmt = pictures[0].height, pictures[0].width, "yuva420p"
            codec = stream.codec_context
            codec.colorspace = codec.color_primaries = codec.color_trc = BT709
            for picture, duration in zip(pictures, durations, strict=True):
                for _ in range(duration // FRAME_MS):
                    picture.pts = None
                    container.mux(stream.encode(picture))
            container.mux(stream.encode())
        return buffer.getvalue()

    return find_best(encode, range(20, 64, 4), MOST_WEBM)


def find_best(encode: Callable[[int], bytes], settings: Sequence[int], most_bytes: int) -> bytes:
    """What ``encode`` makes with the first of ``settings``, best first, that gives no more than ``most_bytes``; with
    the last one where none does."""
    data = b""
    for setting in settings:
        data = encode(setting)
        if len(data) <= most_bytes:
            break
    return data


def _continue_colors(pixels: np.ndarray) -> np.ndarray:
    """``pixels`` [h, w, 4] with the nearest color where nothing is seen: the encoder mixes colors of neighbors."""
    clear = pixels[..., 3] == 0
    if clear.all():
        return pixels
    rows, columns = np.asarray(distance_transform_edt(clear, return_distances=False, return_indices=True))
    return np.concatenate([pixels[rows, columns, :3], pixels[..., 3:]], axis=2)
