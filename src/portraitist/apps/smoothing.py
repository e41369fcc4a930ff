"""Motion without jitter and without lag: each signal smoothed over the whole clip at once.

The smoother is that of a body of nearly constant velocity seen with Gaussian noise: a penalized least-squares problem
whose banded system is solved exactly, which is what a Kalman filter forward and a Rauch-Tung-Striebel pass backward
would give. Accelerations are taken to have Student's t-distribution rather than the Gaussian one: most of the time next
to none, now and then a large one, and neighbors alike. So a face at rest stands still, and a blink is not cut off. How
strong they usually are is chosen for each signal by cross-validation: which strength best tells frames that it was not
shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.linalg import solveh_banded
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation

from portraitist.apps.tracking import Motion

TAIL = 1.0  # degrees of freedom of the t-distribution: the heaviest usual tail (Cauchy)
TOGETHER = 5  # frames whose accelerations share one scale: movements start and stop within them, and stillness lasts
REWEIGHTINGS = 6
STRENGTHS = 10.0 ** np.arange(-4.0, 0.6, 0.5)  # of accelerations per squared frame, in standard deviations of the noise
WINDOW = 12  # frames over which noise is measured
QUIET = 0.2  # quantile of these windows: elsewhere, motion is measured too
FOLDS = 2  # every other frame is left out
NEGLIGIBLE = 1e-9  # noise of a signal that never changes


def smooth_motion(motion: Motion) -> Motion:
    """The same motion without jitter, shot by shot; frames in which the face was lost are bridged.

    Lost frames before the first and after the last that shows the face stand still. Frames of a shot without any are
    like the one before (or after) it.
    """
    quaternions = _to_quaternions(motion.rotations)
    signals = np.column_stack(
        [motion.weights, motion.openness, motion.amounts, quaternions, np.log(motion.scales_px), motion.centers_px]
    )
    pose_trust = np.repeat(motion.found[:, None].astype(float), signals.shape[1] - motion.weights.shape[1], 1)
    smoothed = smooth(signals, motion.times, np.column_stack([motion.trust, pose_trust]), motion.cuts)
    ends = np.cumsum([motion.weights.shape[1], 2, motion.amounts.shape[1], 4, 1])
    weights, openness, amounts, quaternions, log_scales, centers_px = np.split(smoothed, ends, axis=1)
    return replace(
        motion,
        weights=weights.clip(0, 1),
        openness=openness.clip(min=0),
        amounts=amounts,
        rotations=Rotation.from_quat(quaternions).as_matrix(),
        scales_px=np.exp(log_scales[:, 0]),
        centers_px=centers_px,
    )


def smooth(
    signals: Float[np.ndarray, "t c"],
    times: Float[np.ndarray, "t"],
    trust: Float[np.ndarray, "t c"],
    cuts: Sequence[int] = (),
) -> Float[np.ndarray, "t c"]:
    """Each column smoothed by itself, within each shot by itself. ``times``: rising, at any rate. ``trust``: 0..1, how
    much each sample counts; what counts nothing (and may be NaN) is bridged. ``cuts``: where other shots begin."""
    smoothed = np.full(signals.shape, np.nan)
    bounds = [0, *(cut for cut in cuts if 0 < cut < len(times)), len(times)]
    shots = [slice(*pair) for pair in pairwise(bounds)]
    time = times / max(float(np.median(np.diff(times))) if len(times) > 1 else 1.0, 1e-6)  # in frames
    for column in range(signals.shape[1]):
        counted = np.where(np.isfinite(signals[:, column]), trust[:, column], 0.0)
        values = np.where(counted > 0, signals[:, column], 0.0)
        noise = measure_noise(values, counted, shots)
        # Where there is no noise there is nothing to choose.
        strength = _choose_strength(values, time, counted, shots, noise) if noise > NEGLIGIBLE else STRENGTHS[-1]
        for shot in shots:
            smoothed[shot, column] = _smooth_shot(values[shot], time[shot], counted[shot], noise, strength)
        smoothed[:, column] = _hold(smoothed[:, column])
    return smoothed


def measure_noise(values: Float[np.ndarray, "t"], counted: Float[np.ndarray, "t"], shots: Sequence[slice]) -> float:
    """Standard deviation of the noise, from second differences where the signal is quiet but not constant."""
    quiet = []
    for shot in shots:
        bends = np.diff(values[shot][counted[shot] > 0], 2)
        windows = [bends[start : start + WINDOW] for start in range(0, len(bends), WINDOW)]
        quiet += [float(np.sqrt((window**2).mean() / 6)) for window in windows if len(window)]  # 1, 4 and 1 squared
    moving = [deviation for deviation in quiet if deviation > NEGLIGIBLE]
    return max(float(np.quantile(moving, QUIET)), NEGLIGIBLE) if moving else NEGLIGIBLE


def _choose_strength(
    values: np.ndarray, time: np.ndarray, counted: np.ndarray, shots: Sequence[slice], noise: float
) -> float:
    """By cross-validation over the shots: the smoothest of those that tell left-out frames as well as the best does,
    within one standard error of the difference."""
    fold, misses = np.arange(len(values)) % FOLDS, []
    for strength in STRENGTHS:
        miss = np.zeros(len(values))
        for left_out in range(FOLDS):
            shown = np.where(fold == left_out, 0.0, counted)
            for shot in shots:
                told = _smooth_shot(values[shot], time[shot], shown[shot], noise, strength)
                judged = (counted[shot] > 0) & (fold[shot] == left_out) & np.isfinite(told)
                miss[shot][judged] = np.abs(told - values[shot])[judged]
        misses.append(miss[counted > 0])
    best = misses[int(np.argmin([miss.mean() for miss in misses]))]
    worse = [miss - best for miss in misses]
    as_good = [gap.mean() <= gap.std() / np.sqrt(len(gap)) for gap in worse]
    return float(STRENGTHS[int(np.argmax(as_good))])


def _smooth_shot(
    values: np.ndarray, time: np.ndarray, counted: np.ndarray, noise: float, strength: float
) -> np.ndarray:
    """One signal in one shot; NaN where nothing counts. Before the first and after the last sample it stands still."""
    ids = np.flatnonzero(counted > 0)
    if not len(ids):
        return np.full(len(values), np.nan)
    inner = slice(ids[0], ids[-1] + 1)
    if len(ids) < 3:
        return np.interp(time, time[ids], values[ids])
    solved = _solve(values[inner], time[inner], counted[inner] / noise**2, noise * strength)
    return np.concatenate([np.full(ids[0], solved[0]), solved, np.full(len(values) - ids[-1] - 1, solved[-1])])


def _solve(values: np.ndarray, time: np.ndarray, precision: np.ndarray, deviation: float) -> np.ndarray:
    """Iteratively reweighted least squares. ``precision``: of each sample. ``deviation``: of accelerations."""
    before, after = np.diff(time)[:-1], np.diff(time)[1:]
    span = (before + after) / 2  # that an acceleration acts
    first, last = 1 / (before * span), 1 / (after * span)
    middle = -first - last
    weights, smoothed = np.ones(len(span)), values
    for _ in range(REWEIGHTINGS):
        penalty = weights * span / deviation**2
        bands = np.zeros((3, len(values)))  # upper form of scipy.linalg.solveh_banded
        bands[2] = precision
        bands[2, :-2] += penalty * first**2
        bands[2, 1:-1] += penalty * middle**2
        bands[2, 2:] += penalty * last**2
        bands[1, 1:-1] += penalty * first * middle
        bands[1, 2:] += penalty * middle * last
        bands[0, 2:] += penalty * first * last
        smoothed = solveh_banded(bands, precision * values, check_finite=False)
        bend = first * smoothed[:-2] + middle * smoothed[1:-1] + last * smoothed[2:]
        size = uniform_filter1d((bend / deviation) ** 2 * span, TOGETHER, mode="nearest")
        weights = (TAIL + TOGETHER) / (TAIL + TOGETHER * size)
    return smoothed


def _hold(values: np.ndarray) -> np.ndarray:
    """Shots without a sample take the last value before them, or the first after them."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return np.zeros(len(values))
    return values[known[np.maximum(np.searchsorted(known, np.arange(len(values)), side="right") - 1, 0)]]


def _to_quaternions(rotations: Float[np.ndarray, "t 3 3"]) -> Float[np.ndarray, "t 4"]:
    """Of two that mean the same, the one nearer to the frame before; NaN where there is none."""
    quaternions = np.full((len(rotations), 4), np.nan)
    known = np.flatnonzero(np.isfinite(rotations[:, 0, 0]))
    found = Rotation.from_matrix(rotations[known]).as_quat()
    flips = np.cumprod(np.where((found[1:] * found[:-1]).sum(1) < 0, -1.0, 1.0))
    quaternions[known] = found * np.concatenate([[1.0], flips])[:, None]
    return quaternions
