"""A head turning once around, as a video and as an animated picture that loop without a jump."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from portraitist.errors import InputError
from portraitist.io.images import image_to_uint8
from portraitist.io.output_file import new_file
from portraitist.io.video_writer import SMALL, write_video
from portraitist.rendering.cameras import head_camera
from portraitist.rendering.sampling import render_all
from portraitist.types import Head, Progress, ProgressCallback

SIZE_PX = 512
FRAMES = 100
MILLISECONDS_PER_FRAME = 40
"""Four seconds a turn, 3.6 degrees a frame; a whole number of milliseconds, since WebP has no fractions."""


def write_turntable(path: str | Path, head: Head, progress: ProgressCallback | None = None) -> None:
    """Render one full turn of ``head`` on white and write it as ``path`` says: H.264 ``.mp4`` or animated ``.webp``.

    A former file is replaced when the new one is complete. Raises InputError for another suffix, OutputError when the
    file cannot be written, and what ``progress`` raises.
    """
    path = Path(path)
    check_suffix(path)
    frames = render_turn(head, progress)
    with new_file(path) as temporary:
        ENCODERS[path.suffix.lower()](temporary, frames)


def check_suffix(path: Path) -> None:
    """Raises InputError unless the file is to be one of those a turntable can be."""
    if path.suffix.lower() not in ENCODERS:
        raise InputError(f"A turntable cannot be written as {path.name}: the name must end in .mp4 or .webp.")


def render_turn(head: Head, progress: ProgressCallback | None = None) -> list[np.ndarray]:
    """``FRAMES`` uint8 pictures ``[SIZE_PX, SIZE_PX, 3]`` from the front to the step before the front again.

    The face turns to the viewer's right first. The camera keeps its scale and looks at the same point all the way.
    """
    cameras = [head_camera(head, 360.0 * frame / FRAMES, 0.0, SIZE_PX) for frame in range(FRAMES)]
    frames = []
    for frame, picture in enumerate(render_all(head, cameras)):
        if progress:
            progress(Progress("turntable", frame, FRAMES))
        frames.append(image_to_uint8(picture))
    return frames


def encode_mp4(path: Path, frames: list[np.ndarray]) -> None:
    """H.264, which every browser plays."""
    step = MILLISECONDS_PER_FRAME / 1000
    with write_video(path, frames[0].shape[:2], 1 / step, encoder=SMALL) as writer:
        for index, pixels in enumerate(frames):
            writer.add(pixels, index * step, step)


def encode_webp(path: Path, frames: list[np.ndarray]) -> None:
    """Animated WebP that repeats for ever: for pages and chats that do not show videos in line."""
    first, *rest = [PillowImage.fromarray(pixels) for pixels in frames]
    timing = {"duration": MILLISECONDS_PER_FRAME, "loop": 0}
    first.save(path, "WEBP", save_all=True, append_images=rest, quality=85, method=4, **timing)


ENCODERS = {".mp4": encode_mp4, ".webp": encode_webp}
