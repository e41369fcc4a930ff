"""What a followed face does: pose, expression and displacement in every frame, its identity held (Sec. 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from portraitist.apps.displacements import find_modes
from portraitist.apps.eyes import GAZE, IRISES, estimate_gaze, measure_openness
from portraitist.apps.following import FaceTrack
from portraitist.devices import to_numpy
from portraitist.errors import FitError
from portraitist.landmarks.camera_pose import solve_camera
from portraitist.reconstruction.fitting import SKIN_POINTS, FitConfig, embed_landmarks, fit_head, observe_landmarks
from portraitist.reconstruction.gauss_newton import rotation_to_angles
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.tracking import estimate_pose, measure_displacement
from portraitist.types import EXPRESSION_NAMES, HeadFit, Progress, ProgressCallback

SITTER_FRAMES = 8  # from which the sitter's neutral face is taken
HIDING = 0.5  # of an eye's opening: from here on lids hide the iris


@dataclass(frozen=True)
class Motion:
    """What a head does, frame by frame.

    ``times``: seconds. ``weights``: of the 52 ARKit actions, 0..1. ``openness``: of right and left eye, 0 shut, 1 as at
    rest. ``amounts``: of the ``modes``, which are displacements of the dense points on skin that the actions do not
    tell, against those at rest; meters, head space. ``rotations``: head space to camera space, as in `Camera`.
    ``scales_px``, ``centers_px``: the rest of the camera. ``trust``: of each weight, 0..1; 0 where the face was lost.
    ``cuts``: frames with which another shot begins.
    """

    times: Float[np.ndarray, "t"]
    weights: Float[np.ndarray, "t 52"]
    openness: Float[np.ndarray, "t 2"]
    amounts: Float[np.ndarray, "t m"]
    modes: Float[np.ndarray, "m k 3"]
    rotations: Float[np.ndarray, "t 3 3"]
    scales_px: Float[np.ndarray, "t"]
    centers_px: Float[np.ndarray, "t 2"]
    found: Bool[np.ndarray, "t"]
    trust: Float[np.ndarray, "t 52"]
    cuts: tuple[int, ...]

    @property
    def lost(self) -> tuple[int, ...]:
        """Frames without the face."""
        return tuple(np.flatnonzero(~self.found).tolist())


def rank_neutral_frames(track: FaceTrack, model: HeadModel, config: FitConfig) -> list[int]:
    """Frames that show the face, the most neutral first: frontal, without expression, with open eyes that
    look ahead, sharp and large.

    Angles and scores count in the units in which fitting believes them (``FitConfig.residual_view_deg``, twice
    ``expression_spread``), sharpness and size as logarithms.
    """
    frames = np.flatnonzero(track.found)
    mean = embed_landmarks(model.mean, model, dense=True)
    off_axis_deg, sizes = np.zeros(len(frames)), np.zeros(len(frames))
    for row, frame in enumerate(frames):
        rotation, sizes[row], _ = solve_camera(mean, track.points[frame, :SKIN_POINTS], np.ones(SKIN_POINTS), steps=1)
        off_axis_deg[row] = np.degrees(np.hypot(*rotation_to_angles(rotation)[:2]))
    expressions = track.scores[frames] / (2 * config.expression_spread)
    cost = (off_axis_deg / config.residual_view_deg) ** 2 + (expressions**2).sum(1)
    cost -= np.log(track.sharpness[frames] + 1) + np.log(sizes)
    return frames[np.argsort(cost, kind="stable")].tolist()


def find_rest(track: FaceTrack, model: HeadModel, config: FitConfig, neutral: int | None = None) -> list[int]:
    """The most neutral frames, in which the face is taken to be at rest; ``neutral``: one that is known to be."""
    ranked = rank_neutral_frames(track, model, config)
    first = ranked[0] if neutral is None else neutral
    return [first, *[frame for frame in ranked if frame != first][: SITTER_FRAMES - 1]]


def fit_sitter(track: FaceTrack, frames: Sequence[int], model: HeadModel, config: FitConfig) -> HeadFit:
    """The sitter's head, from several frames: the mean of what each shows. Raises FitError when none is a face."""
    fits, problem = [], None
    for frame in frames:
        try:
            fits.append(fit_head(track.landmarks(frame, model), model, config))
        except FitError as error:
            problem = error
    if problem is not None and not fits:
        raise problem
    identity = torch.stack([fit.identity for fit in fits]).mean(0)
    return replace(fits[0], identity=identity, neutral=torch.stack([fit.neutral for fit in fits]).mean(0))


def fit_motion(
    track: FaceTrack,
    sitter: HeadFit,
    rest: Sequence[int],
    model: HeadModel,
    config: FitConfig | None = None,
    progress: ProgressCallback | None = None,
    *,
    from_rest: bool = False,
) -> Motion:
    """Pose, expression and displacement of the sitter in every frame, each by itself; NaN where the face was lost.

    ``rest``: frames in which the face is at rest, with open eyes that look ahead. ``from_rest``: count weights from
    what they are there, for a head that is not the sitter's: a mouth or brow that the model takes for an action is the
    sitter's own.
    """
    config, count = config or FitConfig(), len(track.times)
    weights, rotations = np.full((count, 52), np.nan), np.full((count, 3, 3), np.nan)
    scales_px, centers_px = np.full(count, np.nan), np.full((count, 2), np.nan)
    displacements = np.full((count, SKIN_POINTS, 3), np.nan, np.float32)
    for frame in np.flatnonzero(track.found).tolist():
        if progress:
            progress(Progress("fitting", frame, count))
        landmarks = track.landmarks(frame, model)
        try:
            observed = observe_landmarks(landmarks, model, config)
            expression, camera = estimate_pose(landmarks, observed, sitter, model, config)
        except FitError:  # no face after all
            continue
        weights[frame], rotations[frame] = to_numpy(expression), to_numpy(camera.rotation)
        scales_px[frame], centers_px[frame] = camera.scale_px, camera.center_px
        displacements[frame] = measure_displacement(observed, expression, camera, sitter, model, config)
    found = np.isfinite(scales_px)
    rest = [frame for frame in rest if found[frame]]
    if from_rest:
        weights = leave_out_rest(weights, rest, config)
    seen = (rotations, scales_px, rest, sitter, model)
    weights[:, GAZE] = estimate_gaze(track.points, track.scores, *seen)
    openness = measure_openness(track.points, *seen)
    trust = _trust(openness, found)
    modes, amounts = find_modes(displacements, rest, model)
    return Motion(
        track.times, weights, openness, amounts, modes, rotations, scales_px, centers_px, found, trust, track.cuts
    )


def leave_out_rest(
    weights: Float[np.ndarray, "t 52"], rest: Sequence[int], config: FitConfig
) -> Float[np.ndarray, "t 52"]:
    """Weights counted from those at rest, so that these become 0 and 1 stays 1.

    At rest is what each frame of the rest has: of people who talk all the time, most have the mouth open. What is more
    than two standard deviations of the detector's scores is no error, but an expression that the whole clip has, and
    that much of it stays.
    """
    at_rest = weights[list(rest)].min(0).clip(max=2 * config.expression_spread)
    return ((weights - at_rest) / (1 - at_rest)).clip(0, 1)


def _trust(openness: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Closed lids hide where the eye looks."""
    trust = np.repeat(found[:, None], len(EXPRESSION_NAMES), 1).astype(float)
    for column, side in enumerate(IRISES):
        own = [index for index in GAZE if EXPRESSION_NAMES[index].endswith(side)]
        trust[:, own] *= openness[:, column, None] > HIDING
    return trust
