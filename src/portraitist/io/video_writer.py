"""Videos out: H.264 in an MP4 file that keeps the frame times and the sound of the video it is made after."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from portraitist.io.output_file import new_file

log = logging.getLogger(__name__)

TICKS = 90_000  # of time in a second, the custom of video: frames of all usual rates fall on whole ones
BT709 = 1
"""Code of the colors of HD video (matrix, primaries, transfer); untagged, players would guess between two."""

KEPT_SOUND = ("aac", "mp3", "opus", "flac", "alac", "ac3", "eac3")
"""Codecs that players take in MP4 files: packets are copied. Others become AAC."""

# One thread: the encoder decides differently with another number of them, and records it in the file.
QUICK = {"crf": "18", "preset": "veryfast", "threads": "1"}  # for videos of any length
SMALL = {"crf": "16", "preset": "medium", "threads": "1"}  # for a few seconds
SOUND_BITS_PER_SECOND = 160_000


class VideoWriter:
    """Frames with times, in order; made by `write_video`."""

    def __init__(
        self, container: Any, size: tuple[int, int], rate: float | int, sound: Path | None, encoder: dict[str, str]
    ) -> None:
        self._container = container
        self._stream = container.add_stream("libx264", Fraction(rate).limit_denominator(1001), encoder)
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = "yuv420p"
        codec = self._stream.codec_context
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        codec.time_base = Fraction(1, TICKS)
        self._sound = _Sound(container, sound) if sound else None
        self._last: tuple[int, int] | None = None

    def add(self, pixels: np.ndarray, seconds: float, duration: float) -> None:
        """A frame ``[h, w, 3]`` uint8 sRGB that is shown at ``seconds`` for ``duration`` seconds, at the least."""
        import av

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts, frame.duration, frame.time_base = (
            round(seconds * TICKS),
            max(round(duration * TICKS), 1),
            Fraction(1, TICKS),
        )
        self._container.mux(self._stream.encode(frame))
        if self._sound:
            self._sound.copy(seconds)

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        self._container.mux(self._stream.encode())
        if self._sound:
            self._sound.finish()


class _Sound:
    """The sound of a video, copied beside its pictures."""

    def __init__(self, container: Any, path: Path) -> None:
        import av

        self._container, self._source = container, av.open(path)
        source = next((s for s in self._source.streams.audio if s.codec_context is not None), None)
        self._packets = iter(()) if source is None else self._source.demux(source)
        self._ahead: Any = None
        self._resampler: Any = None
        if source is None:
            return
        if source.codec_context.name in KEPT_SOUND:
            self._stream = container.add_stream_from_template(source)
        else:
            rate = source.codec_context.sample_rate
            self._stream = container.add_stream("aac", rate)
            self._stream.bit_rate = SOUND_BITS_PER_SECOND
            self._stream.layout = "mono" if source.codec_context.channels == 1 else "stereo"
            self._resampler = av.AudioResampler("fltp", self._stream.layout, rate)

    def copy(self, until: float) -> None:
        """What is heard up to ``until`` seconds."""
        from av.error import FFmpegError

        while True:
            try:
                packet = self._ahead or next(self._packets, None)
            except FFmpegError as error:
                log.warning("The sound is damaged and ends early: %s", error)
                packet, self._packets = None, iter(())
            self._ahead = packet
            if packet is None or (packet.pts is not None and packet.pts * packet.time_base > until):
                return
            self._ahead = None
            if self._resampler:
                self._encode(packet.decode())
            elif packet.dts is not None:  # the last one, which only says that it is over, has no time
                packet.stream = self._stream
                self._container.mux(packet)

    def finish(self) -> None:
        self.copy(float("inf"))
        if self._resampler:
            self._encode([None])
            self._container.mux(self._stream.encode())
        self._source.close()

    def _encode(self, frames: list[Any]) -> None:
        for frame in frames:
            for resampled in self._resampler.resample(frame):
                self._container.mux(self._stream.encode(resampled))


@contextlib.contextmanager
def write_video(
    path: Path, size: tuple[int, int], rate: float | int, sound: Path | None = None, encoder: dict[str, str] = QUICK
) -> Iterator[VideoWriter]:
    """A new MP4 file of frames of ``size`` (height, width; even), whole or not at all.

    ``rate``: frames in a second about which the encoder plans; what counts are the times of the frames. ``sound``: the
    video whose sound is copied, in its own time. ``encoder``: `QUICK` or `SMALL`. Raises OutputError when the file
    cannot be written.
    """
    import av
    from av.error import FFmpegError

    with new_file(path) as temporary:
        try:
            with av.open(temporary, "w", format="mp4", options={"movflags": "+faststart"}) as container:
                writer = VideoWriter(container, size, rate, sound, encoder)
                yield writer
                writer.finish()
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise OSError(errno.EIO, str(error)) from error
