"""How well a video's motion is found: clips of heads whose motion is known, and sheets of real ones to look at.

    python benchmarks/reenactment.py                tracking against the truth, of three heads
    python benchmarks/reenactment.py --speed N      speed and memory on a clip of N frames, of the demo's head
    python benchmarks/reenactment.py --sheet VIDEO... --head FILE -o FOLDER   every 20th frame: source above, head below

The clip is rendered from a head without its hair: it turns to +-35 degrees, lifts and tilts, talks,
smiles, blinks, looks around, and stands still for its last quarter. Noise as a camera's is added, and the clip goes
through H.264 as any video does.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from pairs import DEFAULT_DATA
from portraitist import Config, Models, load_image, reconstruct
from portraitist.apps.animated_head import AnimatedHead
from portraitist.apps.eyes import close_lids
from portraitist.apps.following import follow_face
from portraitist.apps.reenactment import ReenactmentConfig, reenact_video
from portraitist.apps.smoothing import smooth_motion
from portraitist.apps.tracking import Motion, find_rest, fit_motion, fit_sitter
from portraitist.cli.stylize import make_demo_request
from portraitist.io.head_file import load_head
from portraitist.io.images import save_image
from portraitist.io.video import Video
from portraitist.io.video_writer import write_video
from portraitist.landmarks.camera_pose import solve_camera
from portraitist.reconstruction.fitting import SKIN_POINTS, FitConfig, embed_landmarks
from portraitist.reconstruction.gauss_newton import angles_to_rotation
from portraitist.types import EXPRESSION_NAMES, Head, Progress
from speed import describe_processor

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "reenactment.json"
PHOTOS = ("photos/p12.jpg", "photos/p14.jpg", "photos/p29.jpg")  # calm faces without glasses
FRAMES_PER_SECOND = 25
CLIP_PX = 512
SOUND_RATE = 48000
NOISE = 2.0  # standard deviation in bytes, of a camera in a room
LARGEST_YAW, LARGEST_PITCH, LARGEST_ROLL = (math.radians(deg) for deg in (35, 15, 12))
STILL_SHARE = 0.25  # of the clip
JAW = EXPRESSION_NAMES.index("jawOpen")
JUDGED = (
    "jawOpen",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthPucker",
    "browInnerUp",
    "eyeLookInLeft",
    "eyeLookUpLeft",
)
SHEET_STEP, SHEET_COLUMNS, SHEET_PX = 20, 8, 256


@dataclasses.dataclass(frozen=True)
class Truth:
    """``weights`` [t, 52], ``rotations`` [t, 3, 3]; ``still``: the first frame of the passage without motion."""

    weights: np.ndarray
    rotations: np.ndarray
    still: int


def write_script(count: int) -> Truth:
    """What the head does."""
    still = count - round(STILL_SHARE * count)
    moment = np.minimum(np.arange(count), still) / FRAMES_PER_SECOND
    phase = 2 * np.pi * np.minimum(np.arange(count), still) / still
    weights = np.zeros((count, len(EXPRESSION_NAMES)))

    def act(names: str, amount: np.ndarray) -> None:
        for name in names.split():
            weights[:, EXPRESSION_NAMES.index(name)] = amount

    act("jawOpen", 0.35 * np.sin(2 * np.pi * 1.7 * moment).clip(min=0) * (np.sin(phase) > 0))
    act("mouthSmileLeft mouthSmileRight", 0.7 * np.sin(phase / 2 + np.pi / 2).clip(min=0) ** 2 * (phase > np.pi))
    act("mouthPucker", 0.6 * np.exp(-(((phase - 2.4) / 0.25) ** 2)))
    act("browInnerUp", 0.7 * np.exp(-(((phase - 4.2) / 0.3) ** 2)))
    act("eyeLookInLeft eyeLookOutRight", 0.6 * np.sin(3 * phase).clip(min=0))
    act("eyeLookOutLeft eyeLookInRight", 0.6 * np.sin(-3 * phase).clip(min=0))
    act("eyeLookUpLeft eyeLookUpRight", 0.4 * np.sin(2 * phase).clip(min=0))
    since_blink = moment % 1.6 - 1.0  # seconds from the middle of a blink, which takes a fifth of a second
    act("eyeBlinkLeft eyeBlinkRight", (1.3 - np.abs(since_blink) / 0.08).clip(0, 1))
    angles = np.stack(
        [LARGEST_YAW * np.sin(phase), LARGEST_PITCH * np.sin(2 * phase), LARGEST_ROLL * np.sin(phase / 2)], 1
    )
    weights[still:], angles[still:] = 0, 0
    return Truth(weights, np.stack([angles_to_rotation(angle) for angle in angles]), still)


def render_clip(head: Head, truth: Truth, path: Path) -> None:
    animated, generator = AnimatedHead(head, CLIP_PX), np.random.default_rng(0)
    with write_video(path, (CLIP_PX, CLIP_PX), FRAMES_PER_SECOND) as writer:
        for frame, (weights, rotation) in enumerate(zip(truth.weights, truth.rotations, strict=True)):
            picture = animated.draw(weights, rotation) + generator.normal(0, NOISE, (CLIP_PX, CLIP_PX, 3))
            picture = picture.clip(0, 255).astype(np.uint8)
            writer.add(picture, frame / FRAMES_PER_SECOND, 1 / FRAMES_PER_SECOND)


def measure_angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    cosine = (np.einsum("tij,tij->t", a, b) - 1) / 2
    return np.degrees(np.arccos(cosine.clip(-1, 1)))


def measure_jitter(values: np.ndarray) -> float:
    """Root mean square change from frame to frame."""
    return float(np.sqrt((np.diff(values, axis=0) ** 2).mean()))


def measure_delay(found: np.ndarray, true: np.ndarray) -> float:
    """Frames by which ``found`` follows ``true``, to a tenth, where they correlate best."""
    found, true = found - found.mean(), true - true.mean()
    times, shifts = np.arange(len(true)), np.arange(-4, 4.05, 0.1)
    return round(float(shifts[np.argmax([np.interp(times + shift, times, found) @ true for shift in shifts])]), 1)


def compare(motion: Motion, truth: Truth, at_landmarks: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Errors of pose and expression, jitter of landmarks in the still passage. ``at_landmarks``: neutral and deltas."""
    found, still = motion.found, slice(truth.still + 5, None)
    neutral, deltas = at_landmarks
    places = (neutral + np.einsum("te,ekd->tkd", motion.weights, deltas)) @ motion.rotations.transpose(0, 2, 1)
    rows = [EXPRESSION_NAMES.index(name) for name in JUDGED]
    moving = slice(0, truth.still)
    blinks = [EXPRESSION_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    shut = truth.weights[:, blinks[0]] == 1
    return {
        "pose_error_deg": float(measure_angle_deg(motion.rotations, truth.rotations)[found].mean()),
        "expression_error": float(np.abs(motion.weights - truth.weights)[found].mean()),
        "judged_error": float(np.abs(motion.weights - truth.weights)[found][:, rows].mean()),
        "still_jitter_mm": 1000 * measure_jitter(places[still]),
        "jaw_delay_frames": measure_delay(motion.weights[moving, JAW], truth.weights[moving, JAW]),
        "blink_reached": float(motion.weights[shut][:, blinks].mean()),
        "lost": float((~found).sum()),
    }  # fmt: skip


def judge(head: Head, models: Models, count: int) -> dict[str, dict[str, float]]:
    """The detector's scores with a rigid pose, each frame's fit, and the smoothed motion, against the truth."""
    truth, fit = write_script(count), FitConfig()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        render_clip(head, truth, clip)
        started = time.perf_counter()
        track = follow_face(Video(clip), models.detector)
        follow_seconds = time.perf_counter() - started
    rest = find_rest(track, models.head, fit)
    sitter = fit_sitter(track, rest, models.head, fit)
    raw = fit_motion(track, sitter, rest, models.head, fit, from_rest=True)
    fit_seconds = time.perf_counter() - started - follow_seconds
    smoothed = smooth_motion(raw)
    smooth_seconds = time.perf_counter() - started - follow_seconds - fit_seconds
    neutral = embed_landmarks(sitter.neutral, models.head, dense=True)
    at_landmarks = neutral, embed_landmarks(sitter.expression_deltas, models.head, dense=True)
    rigid = [
        solve_camera(neutral, points, np.ones(SKIN_POINTS))[0] if np.isfinite(points).all() else np.full((3, 3), np.nan)
        for points in track.points[:, :SKIN_POINTS]
    ]
    detector = dataclasses.replace(raw, weights=track.scores.astype(float), rotations=np.stack(rigid))
    at_rest = np.zeros(len(EXPRESSION_NAMES))
    close = [dataclasses.replace(m, weights=close_lids(m.weights, m.openness, at_rest, head)) for m in (raw, smoothed)]
    named = zip(("detector", "fitted", "smoothed"), (detector, *close), strict=True)
    results = {name: compare(m, truth, at_landmarks) for name, m in named}
    yaws = (motion.rotations[: truth.still, 0, 2] for motion in (smoothed, raw))  # no frame is late alone
    left = results["smoothed"]["still_jitter_mm"] / results["fitted"]["still_jitter_mm"]
    results["smoothed"] |= {
        "jitter_reduction_percent": 100 * (1 - left),
        "yaw_delay_frames": measure_delay(*yaws),
        "follow_ms": 1000 * follow_seconds / count,
        "fit_ms": 1000 * fit_seconds / count,
        "smooth_ms": 1000 * smooth_seconds / count,
    }
    return results


def measure_speed(head: Head, models: Models, count: int) -> dict[str, Any]:
    """Decode to encode, and how far memory grows between the first tenth of each stage and its end."""
    peaks: dict[tuple[str, bool], int] = {}

    def watch(progress: Progress) -> None:
        if progress.step >= count // 10:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            peaks.setdefault((progress.stage, False), peak)
            peaks[progress.stage, True] = peak

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        render_clip(head, write_script(count), clip)
        started = time.perf_counter()
        reenact_video(head, clip, Path(folder) / "out.mp4", models, progress=watch)
        seconds = time.perf_counter() - started
    growth = {stage: (peaks[stage, True] - peaks[stage, False]) / 1024 for stage, is_end in peaks if is_end}
    return {
        **describe_processor(),
        "frames_per_second": count / seconds,
        **{f"{stage}_growth_mb": grown for stage, grown in growth.items()},
    }


def measure_sound_offset(source: Path, result: Path) -> float:
    """By how many milliseconds the last two seconds of sound come later than in the source."""
    ends = [read_sound(path) for path in (source, result)]
    length = min(map(len, ends))
    a, b = (end[:length][-2 * SOUND_RATE :] for end in ends)
    products = np.fft.rfft(b - b.mean(), 2 * len(b)) * np.fft.rfft(a - a.mean(), 2 * len(a)).conj()
    shift = int(np.argmax(np.fft.irfft(products)))
    return 1000 * (shift - 2 * len(a) * (shift > len(a))) / SOUND_RATE


def read_sound(path: Path) -> np.ndarray:
    """Mono samples, the first at the time of the first picture."""
    with av.open(str(path)) as container:
        begin = float(next(container.decode(video=0)).time or 0)
    with av.open(str(path)) as container:
        resampler, frames = av.AudioResampler("fltp", "mono", SOUND_RATE), list(container.decode(audio=0))
        parts = [part.to_ndarray()[0] for frame in frames for part in resampler.resample(frame)]
    lead = round((begin - float(frames[0].time or 0)) * SOUND_RATE)
    sound = np.concatenate(parts)
    return sound[lead:] if lead >= 0 else np.pad(sound, (-lead, 0))


def draw_sheet(result: Path, path: Path) -> None:
    """Every ``SHEET_STEP``-th frame of a side-by-side video: source above, head below."""
    cells = []
    for index, frame in enumerate(Video(result).read()):
        if index % SHEET_STEP:
            continue
        picture = torch.from_numpy(frame.pixels).permute(2, 0, 1).float() / 255
        side = picture.shape[1]
        beside, head = picture[:, :, :-side], picture[:, :, -side:]
        beside = torch.nn.functional.pad(beside, (0, max(side - beside.shape[2], 0)), value=1.0)[:, :, :side]
        cell = torch.cat([beside, head], dim=1)
        cells.append(torch.nn.functional.interpolate(cell[None], (2 * SHEET_PX, SHEET_PX), mode="area")[0])
    cells += [torch.ones_like(cells[0])] * (-len(cells) % SHEET_COLUMNS)
    rows = [torch.cat(cells[start : start + SHEET_COLUMNS], 2) for start in range(0, len(cells), SHEET_COLUMNS)]
    save_image(path, torch.cat(rows, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--head", type=Path, help="saved head, for sheets")
    parser.add_argument("--frames", type=int, default=300, help="of the clip with known motion")
    parser.add_argument("--speed", type=int, metavar="FRAMES", help="measure the speed on a clip of so many frames")
    parser.add_argument("--sheet", type=Path, nargs="+", metavar="VIDEO")
    parser.add_argument("-o", "--output", type=Path, help="folder for the sheets")
    parser.add_argument("--write", action="store_true", help=f"add the figures to {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args()
    models = Models.load("cpu")
    if options.sheet:
        head = load_head(options.head)
        options.output.mkdir(parents=True, exist_ok=True)
        for video in options.sheet:
            made = options.output / f"{video.stem}_{options.head.parent.name}.mp4"
            result = reenact_video(head, video, made, models, ReenactmentConfig(), overwrite=True)
            draw_sheet(made, made.with_suffix(".png"))
            sound = f", sound {measure_sound_offset(video, made):.1f} ms late" if Video(video).has_sound else ""
            sys.stderr.write(f"{made}: neutral {result.neutral}, lost {result.lost}, cuts {result.cuts}{sound}\n")
        return
    if options.speed:
        head = reconstruct(load_image(make_demo_request().photo), models, Config.draft()).content
        results = {f"speed, {options.speed:,} frames": measure_speed(head, models, options.speed)}
    else:
        results = {}
        for photo in PHOTOS:
            head = reconstruct(load_image(DEFAULT_DATA / photo), models, Config.draft()).content
            results[f"tracking, {photo}"] = judge(dataclasses.replace(head, layers=()), models, options.frames)
    sys.stdout.write(json.dumps(results, indent=1) + "\n")
    if options.write:
        known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        RESULTS.write_text(json.dumps(known | results, indent=1) + "\n")


if __name__ == "__main__":
    main()
