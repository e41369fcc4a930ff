"""Videos in: whatever file people have becomes upright uint8 sRGB frames with their times.

A video is read from its start, as often as needed; nothing but the frame at hand is kept.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from portraitist.errors import InputError
from portraitist.io.video_colors import HLG, PQ, hdr_to_srgb

if TYPE_CHECKING:
    import av

log = logging.getLogger(__name__)

LONGEST_SIDE = 1280
"""Larger frames are scaled down to this many pixels: a face in a third of it still has all that a tracker looks at."""

ADVICE = "Give an MP4, MOV, WebM, MKV or AVI video with a face."
NOTEWORTHY_SECONDS = 0.5  # by which a video ends early
UNSPECIFIED = 2  # color space, in ITU-T H.273
BT709, BT601 = 1, 5  # color spaces
HD_ROWS = 720  # from here on an untagged video is taken to be in the colors of HD, as players do


@dataclass(frozen=True)
class VideoFrame:
    """``pixels`` [h, w, 3] uint8 sRGB, upright. ``seconds``: when it is shown, in the time of the file."""

    pixels: np.ndarray
    seconds: float


class Video:
    """A video file.

    ``size``: (height, width) of its frames, upright and scaled down. ``has_sound``: whether there is a sound track.
    """

    def __init__(self, path: str | Path, longest_side: int = LONGEST_SIDE) -> None:
        """Opens and closes the file. Raises InputError when it is missing, empty, or no video."""
        self.path, self.longest_side = Path(path), longest_side
        _check_file(self.path)
        with self._open() as container:
            stream = self._find_stream(container)
            self.frame_count: int = stream.frames
            """What the file says; 0 where it does not."""
            self.has_sound = bool(container.streams.audio)
            self.size = next(self._decode(container)).pixels.shape[:2]

    def read(self) -> Iterator[VideoFrame]:
        """All frames in the order they are shown; times rise strictly, at whatever rate.

        What of a damaged or truncated file can be decoded is given, and a warning is logged. Raises InputError when
        nothing can.
        """
        with self._open() as container:
            count, first, last = 0, 0.0, 0.0
            for frame in self._decode(container):
                count, first, last = count + 1, first if count else frame.seconds, frame.seconds
                yield frame
            missing = (container.duration or 0) / 1e6 - (last - first)
            if count < self.frame_count and missing > NOTEWORTHY_SECONDS:  # a trimmed video hides frames, too
                log.warning("%s is damaged or cut short: its last %.1f s are missing.", self.path, missing)

    def read_frame(self, index: int) -> VideoFrame:
        """Frame number ``index``, from 0. Raises InputError when there are fewer."""
        count = 0
        for frame in self.read():
            if count == index:
                return frame
            count += 1
        raise InputError(f"Frame {index} was asked for, but {self.path} has {count}: 0 to {count - 1}.")

    def _open(self) -> Any:
        import av
        from av.error import FFmpegError

        try:
            return av.open(self.path)
        except (FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{self.path} is not a video, or is damaged or cut short ({reason}). {ADVICE}") from error

    def _find_stream(self, container: Any) -> Any:
        """The first moving picture: sound files have still ones, on their covers."""
        from av.stream import Disposition

        for stream in container.streams.video:
            if not stream.disposition & Disposition.attached_pic:
                return stream
        raise InputError(f"{self.path} has no moving picture in it. {ADVICE}")

    def _decode(self, container: Any) -> Iterator[VideoFrame]:
        stream = self._find_stream(container)
        stream.thread_type = "AUTO"
        step = 1 / float(stream.guessed_rate or stream.average_rate or 25)
        last = None
        for frame in self._decode_packets(container, stream):
            seconds = frame.time if frame.time is not None else (0.0 if last is None else last + step)
            if last is None or seconds > last:  # else it is never shown
                last = seconds
                yield VideoFrame(convert_frame(frame, self.longest_side), seconds)
        if last is None:
            raise InputError(f"{self.path} holds no frame that can be decoded: it is damaged or cut short. {ADVICE}")

    def _decode_packets(self, container: Any, stream: Any) -> Iterator[av.VideoFrame]:
        """All frames that can be decoded; what cannot be is left out and told."""
        from av.error import FFmpegError

        packets, problem = container.demux(stream), None
        while True:
            packet, frames = None, []  # after an error there is nothing more to read
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except (FFmpegError, OSError, ValueError) as error:
                problem = error
            yield from frames
            if packet is None:
                break
        if problem is not None:
            log.warning("%s is damaged or cut short; what cannot be decoded is left out (%s).", self.path, problem)


def convert_frame(frame: av.VideoFrame, longest_side: int) -> np.ndarray:
    """``[h, w, 3]`` uint8 sRGB, upright, at most ``longest_side`` pixels long; HDR is tone-mapped, 10 bits rounded."""
    scale = min(1.0, longest_side / max(frame.width, frame.height))
    shape = {"width": max(round(frame.width * scale), 1), "height": max(round(frame.height * scale), 1)}
    colors: dict[str, Any] = {"interpolation": "AREA" if scale < 1 else "BILINEAR"}
    if frame.colorspace == UNSPECIFIED:
        colors["src_colorspace"] = BT709 if frame.height >= HD_ROWS else BT601
    if frame.color_trc in (PQ, HLG):
        pixels = hdr_to_srgb(frame.reformat(**shape, format="rgb48le", **colors).to_ndarray(), frame.color_trc)
    else:
        pixels = frame.reformat(**shape, format="rgb24", **colors).to_ndarray()
    return np.ascontiguousarray(turn_upright(pixels, frame))


def turn_upright(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Turned and mirrored as the display matrix says; by quarter turns only, as cameras do."""
    side_data: Any = frame.side_data
    matrix = next((data for data in side_data if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(matrix), "<i4")[:5].astype(float)
    # The matrix takes (x, y) of the stored picture, y down, to (a x + c y, b x + d y) of the upright one.
    if abs(a) + abs(d) < abs(b) + abs(c):
        pixels = pixels.transpose(1, 0, 2)  # columns and rows change places
        across, down = c, b
    else:
        across, down = a, d
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist. {ADVICE}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be opened ({getattr(error, 'strerror', None) or error}).") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'a pipe or device'}. {ADVICE}")
    if status.st_size == 0:
        raise InputError(f"{path} is empty. {ADVICE}")
