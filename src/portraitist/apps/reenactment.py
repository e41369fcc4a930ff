"""A video drives a stylized head (Sec. 7.1, Fig. 10)."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from portraitist.apps.animated_head import AnimatedHead
from portraitist.apps.displacements import transfer_modes
from portraitist.apps.eyes import close_lids
from portraitist.apps.following import FaceTrack, follow_face
from portraitist.apps.smoothing import smooth_motion
from portraitist.apps.tracking import Motion, find_rest, fit_motion, fit_sitter, rank_neutral_frames
from portraitist.config import Config
from portraitist.errors import InputError
from portraitist.export.animation import save_animation
from portraitist.io.head_file import save_head
from portraitist.io.images import MAX_SIDE
from portraitist.io.output_file import check_output_file
from portraitist.io.output_folder import check_output, new_folder, write_record
from portraitist.io.video import Video
from portraitist.io.video_writer import write_video
from portraitist.models import Models
from portraitist.pipeline import stylize
from portraitist.reconstruction.fitting import FitConfig
from portraitist.types import Head, Image, Progress, ProgressCallback

VIDEO_NAME, ANIMATION_NAME, HEAD_NAME = "reenacted.mp4", "animated.glb", "head.safetensors"
DRAWN_AHEAD = 4  # frames: casting rays takes one thread, so two are drawn while one is encoded
SITTER_CROP = 1.6  # extents of the face to each side: head and shoulders

_with_one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")


@dataclass(frozen=True)
class ReenactmentConfig:
    """``layout``: the head beside the video, or alone. ``size_px``: side of the head's picture, even. ``face``: which
    of several the video shows, from 1 for the largest on. ``frame``: of the video, from 0, that is stylized and taken
    for neutral, instead of the most neutral one. ``fit``: how landmarks are fitted."""

    layout: Literal["side-by-side", "head"] = "side-by-side"
    size_px: int = 512
    face: int = 1
    frame: int | None = None
    fit: FitConfig = field(default_factory=FitConfig)


@dataclass(frozen=True)
class Reenactment:
    """What the head did. ``times``: seconds, in the time of the video. ``weights``: of the 52 ARKit actions, 0..1.
    ``rotations``: head space to camera space. ``lost``: frames without the face, which were bridged. ``cuts``: frames
    with which another shot begins. ``neutral``: the frame taken for the most neutral. ``files``: what was written."""

    times: Float[np.ndarray, "t"]
    weights: Float[np.ndarray, "t 52"]
    rotations: Float[np.ndarray, "t 3 3"]
    lost: tuple[int, ...]
    cuts: tuple[int, ...]
    neutral: int
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@_with_one_blas_thread
def reenact_video(
    head: Head,
    video: str | Path,
    output: str | Path,
    models: Models,
    config: ReenactmentConfig | None = None,
    progress: ProgressCallback | None = None,
    *,
    overwrite: bool = False,
) -> Reenactment:
    """Make ``head`` do what the person in ``video`` does.

    ``output``: a folder for ``reenacted.mp4`` and ``animated.glb``, or a file that ends in .mp4 or .glb for one of
    them. It appears whole or not at all, so that a run that is stopped or fails leaves nothing. Raises InputError for a
    file that is no video, NoFaceError when no frame shows a face, OutputError, and what ``progress`` raises.
    """
    config, output = config or ReenactmentConfig(), Path(output)
    check_target(output, overwrite)
    film = Video(video)
    track = follow_face(film, models.detector, config.face, progress)
    return _drive(head, film, track, output, models, config, progress, overwrite, style=None)


def reenact_sitter(
    art: Image,
    video: str | Path,
    output: str | Path,
    models: Models,
    config: ReenactmentConfig | None = None,
    style: Config | None = None,
    progress: ProgressCallback | None = None,
    *,
    overwrite: bool = False,
) -> Reenactment:
    """The same, of the person in ``video`` stylized after ``art`` (``style``: how), from the most neutral frame. The
    head is written as ``head.safetensors``, too, where ``output`` is a folder."""
    config, output = config or ReenactmentConfig(), Path(output)
    check_target(output, overwrite)
    film = Video(video)
    track = follow_face(film, models.detector, config.face, progress)
    neutral = choose_neutral(track, film, models, config)
    styled = stylize(cut_out_sitter(film, track, neutral), art, models, style or Config.standard(), progress=progress)
    result = _with_one_blas_thread(_drive)(
        styled.stylized, film, track, output, models, config, progress, overwrite, style=HEAD_NAME
    )
    return result


def choose_neutral(track: FaceTrack, film: Video, models: Models, config: ReenactmentConfig) -> int:
    """The frame asked for, or the most neutral one. Raises InputError for a frame without the face."""
    if config.frame is None:
        return rank_neutral_frames(track, models.head, config.fit)[0]
    if config.frame >= len(track.times):
        raise InputError(f"Frame {config.frame} was asked for, but {film.path} has {len(track.times)}, from 0.")
    if not track.found[config.frame]:
        raise InputError(f"Frame {config.frame} of {film.path} shows no face. Give another, or none.")
    return config.frame


def cut_out_sitter(film: Video, track: FaceTrack, frame: int) -> Image:
    """Head and shoulders of the one face that is followed, as large as the video has it, sRGB 0..1."""
    pixels = Video(film.path, MAX_SIDE).read_frame(frame).pixels
    points = track.points[frame] * (pixels.shape[0] / track.size[0])
    middle, extent = (points.max(0) + points.min(0)) / 2, np.ptp(points, axis=0).max()
    left, top = np.maximum(middle - SITTER_CROP * extent, 0).astype(int)
    right, bottom = np.minimum(middle + SITTER_CROP * extent, pixels.shape[1::-1]).astype(int)
    return torch.from_numpy(pixels[top:bottom, left:right].copy()).permute(2, 0, 1).float() / 255


def _drive(
    head: Head,
    film: Video,
    track: FaceTrack,
    output: Path,
    models: Models,
    config: ReenactmentConfig,
    progress: ProgressCallback | None,
    overwrite: bool,
    style: str | None,
) -> Reenactment:
    neutral = choose_neutral(track, film, models, config)
    rest = find_rest(track, models.head, config.fit, neutral)
    sitter = fit_sitter(track, rest, models.head, config.fit)
    seen = fit_motion(track, sitter, rest, models.head, config.fit, progress, from_rest=style is None)
    motion = smooth_motion(seen)
    at_rest = np.zeros(motion.weights.shape[1]) if style is None else np.nanmedian(seen.weights[rest], axis=0)
    motion = replace(motion, weights=close_lids(motion.weights, motion.openness, at_rest, head))
    result = Reenactment(
        motion.times, motion.weights, motion.rotations, motion.lost, motion.cuts, neutral, (), describe(motion)
    )
    with _open_target(output, overwrite) as (video_path, animation_path, folder):
        if video_path:
            modes = transfer_modes(motion.modes, sitter, head, models.head, config.fit)
            film_head(AnimatedHead(head, config.size_px, modes), film, motion, video_path, config, progress)
        if animation_path:
            if progress:
                progress(Progress("writing files", 0, 1))
            signals = (motion.times - motion.times[0], motion.weights, motion.rotations)
            save_animation(animation_path, head, *(torch.from_numpy(signal).float() for signal in signals))
        if folder and style:
            save_head(folder / style, head)
        files = write_record(folder, describe_result(result, film))["files"] if folder else [output.name]
    return replace(result, files=tuple(files))


def film_head(
    head: AnimatedHead,
    film: Video,
    motion: Motion,
    path: Path,
    config: ReenactmentConfig,
    progress: ProgressCallback | None,
) -> None:
    """Draw the head in every frame and write the video: its pictures at the times of ``film``, with its sound."""
    count = len(motion.times)
    durations = np.diff(motion.times, append=motion.times[-1])
    durations[-1] = np.median(durations[:-1]) if count > 1 else 0.04
    size = (config.size_px, config.size_px + _beside_px(film, config))
    sound = film.path if film.has_sound else None
    with (
        write_video(path, size, 1 / float(np.median(durations)), sound) as writer,
        ThreadPoolExecutor(2) as executor,
    ):
        waiting: deque[tuple[Future[np.ndarray], int]] = deque()

        def add_first() -> None:
            picture, index = waiting.popleft()
            writer.add(picture.result(), float(motion.times[index]), float(durations[index]))
            if progress:
                progress(Progress("rendering", index, count))

        try:
            for index, frame in enumerate(film.read()):
                if index == count:  # the file grew
                    break
                waiting.append((executor.submit(_compose, head, motion, index, frame.pixels, size), index))
                if len(waiting) == DRAWN_AHEAD:
                    add_first()
            while waiting:
                add_first()
        finally:  # whoever stops early waits for two pictures, not for all
            executor.shutdown(wait=False, cancel_futures=True)


def _compose(head: AnimatedHead, motion: Motion, index: int, source: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The head in one frame, beside ``source`` where the layout has that."""
    picture = head.draw(np.concatenate([motion.weights[index], motion.amounts[index]]), motion.rotations[index])
    if size[0] == size[1]:
        return picture
    beside = cv2.resize(source, (size[1] - size[0], size[0]), interpolation=cv2.INTER_AREA)
    return np.concatenate([beside, picture], axis=1)


def _beside_px(film: Video, config: ReenactmentConfig) -> int:
    """Width of the source beside the head: as high as that, and even, as 4:2:0 color needs it."""
    height, width = film.size
    return 0 if config.layout == "head" else max(2 * round(config.size_px * width / height / 2), 2)


def describe(motion: Motion) -> tuple[str, ...]:
    """What the user should know."""
    if not motion.lost:
        return ()
    return (
        f"The face was not found in {len(motion.lost)} of {len(motion.times)} frames, which were bridged: "
        f"{_list_ranges(motion.lost)}.",
    )


def _list_ranges(numbers: tuple[int, ...]) -> str:
    """3, 7 to 9"""
    array = np.array(numbers)
    runs = np.split(array, np.flatnonzero(np.diff(array) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def check_target(output: Path, overwrite: bool) -> None:
    """Make sure that the result can be written; to be called before the long computation. Raises OutputError."""
    if output.suffix.lower() in (".mp4", ".glb"):
        check_output_file(output, overwrite)
    else:
        check_output(output, overwrite)


@contextlib.contextmanager
def _open_target(output: Path, overwrite: bool) -> Iterator[tuple[Path | None, Path | None, Path | None]]:
    """Where to write the video, the animation, and all else; None for what is not wanted."""
    suffix = output.suffix.lower()
    if suffix in (".mp4", ".glb"):
        yield (output, None, None) if suffix == ".mp4" else (None, output, None)  # both appear whole by themselves
    else:
        with new_folder(output, overwrite) as folder:
            yield folder / VIDEO_NAME, folder / ANIMATION_NAME, folder


def describe_result(result: Reenactment, film: Video) -> dict[str, Any]:
    """What ``run.json`` says, as JSON values."""
    return {
        "video": film.path.name,
        "frames": len(result.times),
        "neutral_frame": result.neutral,
        "lost_frames": list(result.lost),
        "cuts": list(result.cuts),
        "warnings": list(result.warnings),
    }
