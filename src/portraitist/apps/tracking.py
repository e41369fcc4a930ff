"""A face through a whole video: where it is in each frame, then pose and expression with its identity held (Sec. 7.1).

First every frame is looked at once, and only the landmarks are kept; then the sitter is known and all are fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float

from portraitist.apps.eyes import GAZE, IRISES, estimate_gaze, measure_openness
from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import FitError, InputError, NoFaceError
from portraitist.io.video import Video
from portraitist.landmarks.camera_pose import solve_camera
from portraitist.landmarks.detection import TILE_ZOOMS, is_plausible, render_close_up, tile
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.faces import Face, list_places
from portraitist.landmarks.ibug68 import dense_to_ibug68
from portraitist.landmarks.views import Augmentation, ViewRenderer
from portraitist.reconstruction.fitting import SKIN_POINTS, FitConfig, embed_landmarks, fit_head, observe_landmarks
from portraitist.reconstruction.gauss_newton import rotation_to_angles
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.tracking import estimate_pose
from portraitist.types import EXPRESSION_NAMES, HeadFit, Landmarks, Progress, ProgressCallback

CLOSE_UP = 0.5  # of a view's side: the size in which the detector sees the face that is followed
SEARCH = (Augmentation(), Augmentation(zoom=0.65), *tile(TILE_ZOOMS[0]))  # where it is looked for, one after another
THUMBNAIL_PX = 16
LEAST_LIKENESS = 0.5  # correlation of two frames' thumbnails: half way between the same picture and another one
SITTER_FRAMES = 8  # from which the sitter's neutral face is taken
HIDING = 0.5  # of an eye's opening: from here on lids hide the iris


@dataclass(frozen=True)
class FaceTrack:
    """One face in every frame of a video, as detected. ``size``: (height, width) of its frames.

    ``times``: seconds, in the time of the file. ``points``: the detector's dense points in pixels, NaN where the face
    was lost. ``scores``: of the 52 ARKit actions, 0..1. ``sharpness``: variance of the Laplacian of the close-up.
    ``cuts``: frames with which another shot begins.
    """

    size: tuple[int, int]
    times: Float[np.ndarray, "t"]
    points: Float[np.ndarray, "t 478 2"]
    scores: Float[np.ndarray, "t 52"]
    sharpness: Float[np.ndarray, "t"]
    cuts: tuple[int, ...]

    @property
    def found(self) -> Bool[np.ndarray, "t"]:
        return np.isfinite(self.points[:, 0, 0])

    def landmarks(self, frame: int, model: HeadModel) -> Landmarks:
        dense = from_numpy(self.points[frame], model.mean)
        scores = from_numpy(self.scores[frame], model.mean).clamp(0, 1)
        return Landmarks(dense_to_ibug68(dense), self.size, dense, scores)


@dataclass(frozen=True)
class Motion:
    """What a head does, frame by frame.

    ``times``: seconds. ``weights``: of the 52 ARKit actions, 0..1. ``openness``: of right and left eye, 0 shut, 1 as at
    rest. ``rotations``: head space to camera space, as in `Camera`. ``scales_px``, ``centers_px``: the rest of the
    camera. ``trust``: of each weight, 0..1; 0 where the face was lost. ``cuts``: frames with which another shot begins.
    """

    times: Float[np.ndarray, "t"]
    weights: Float[np.ndarray, "t 52"]
    openness: Float[np.ndarray, "t 2"]
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


class FaceFollower:
    """Finds the same face in frame after frame: in a close-up where it was last, else anywhere.

    ``face``: which of several is followed from the first frame with a face on, from 1 for the largest on. Later, and
    after a cut, it is the one nearest to where it was last.
    """

    def __init__(self, detector: LandmarkDetector, face: int = 1) -> None:
        self._detector, self._number = detector, face
        self._last: Face | None = None

    def find(self, pixels: np.ndarray, is_cut: bool) -> tuple[Face | None, float, bool]:
        """The face in ``[h, w, 3]`` uint8, how sharp it is, and whether it jumped. Raises InputError where the first
        frame with faces has fewer than asked for."""
        renderer, last = ViewRenderer(pixels), self._last
        if last is not None and not is_cut:
            view = render_close_up(last.points, renderer, CLOSE_UP, Augmentation())
            near = [face for face in self._detector.detect(view) if face.overlaps(last)]
            if near:
                self._last = min(near, key=last.distance)
                return self._last, measure_sharpness(view.pixels), False
        faces = self._search(renderer)
        if not faces:
            return None, 0.0, False
        self._last = self._choose(faces, renderer.size)
        # Once more, as in all other frames.
        view = render_close_up(self._last.points, renderer, CLOSE_UP, Augmentation())
        near = [face for face in self._detector.detect(view) if face.overlaps(self._last)]
        if not near:
            return None, 0.0, False
        self._last = min(near, key=self._last.distance)
        return self._last, measure_sharpness(view.pixels), last is not None and not self._last.overlaps(last)

    def _search(self, renderer: ViewRenderer) -> list[Face]:
        """Faces anywhere in the frame, largest first."""
        for augmentation in SEARCH:
            seen = self._detector.detect(renderer.render_augmented(augmentation))
            if faces := [face for face in seen if is_plausible(face, renderer.size)]:
                return sorted(faces, key=lambda face: -face.eye_distance)
        return []

    def _choose(self, faces: list[Face], size: tuple[int, int]) -> Face:
        if self._last is not None:
            return min(faces, key=self._last.distance)
        if self._number > len(faces):
            raise InputError(
                f"Face {self._number} was asked for, but the first frame with a face has {len(faces)}: "
                f"{list_places(faces, size)}. Give one of these numbers."
            )
        return faces[self._number - 1]


def follow_face(
    video: Video, detector: LandmarkDetector, face: int = 1, progress: ProgressCallback | None = None
) -> FaceTrack:
    """Look at every frame of a video once.

    Raises NoFaceError when no frame shows a face, and InputError as `FaceFollower` and `Video.read` do.
    """
    follower, last_thumbnail = FaceFollower(detector, face), None
    times, points, scores, sharpness, cuts = [], [], [], [], []
    for frame in video.read():
        index = len(times)
        if progress:
            progress(Progress("tracking", index, max(video.frame_count, index + 1)))
        thumbnail = shrink(frame.pixels)
        is_cut = last_thumbnail is not None and correlate(thumbnail, last_thumbnail) < LEAST_LIKENESS
        found, sharp, jumped = follower.find(frame.pixels, is_cut)
        if found is not None:  # what hides the face for a moment is no cut
            cuts += [index] if is_cut or jumped else []
            last_thumbnail = thumbnail
        times.append(frame.seconds)
        points.append(np.full((478, 2), np.nan, np.float32) if found is None else found.points.astype(np.float32))
        scores.append(np.zeros(len(EXPRESSION_NAMES), np.float32) if found is None else found.scores)
        sharpness.append(sharp)
    track = FaceTrack(video.size, np.array(times), np.stack(points), np.stack(scores), np.array(sharpness), tuple(cuts))
    if not track.found.any():
        raise NoFaceError(
            f"No face was found in any of the {len(times)} frames of {video.path}. "
            "Give a video in which the face is larger, sharper or less turned."
        )
    return track


def shrink(pixels: np.ndarray) -> np.ndarray:
    gray = cv2.cvtColor(
        cv2.resize(pixels, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    return gray.astype(np.float32).ravel()


def correlate(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two pictures; 1 for two of no contrast."""
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b + 1) / np.sqrt((a @ a + 1) * (b @ b + 1)))


def measure_sharpness(view: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


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
    """Pose and expression of the sitter in every frame, each by itself; NaN where the face was lost.

    ``rest``: frames in which the face is at rest, with open eyes that look ahead. ``from_rest``: count weights from
    what they are there, for a head that is not the sitter's: a mouth or brow that the model takes for an action is the
    sitter's own.
    """
    config, count = config or FitConfig(), len(track.times)
    weights, rotations = np.full((count, 52), np.nan), np.full((count, 3, 3), np.nan)
    scales_px, centers_px = np.full(count, np.nan), np.full((count, 2), np.nan)
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
    found = np.isfinite(scales_px)
    rest = [frame for frame in rest if found[frame]]
    if from_rest:
        weights = leave_out_rest(weights, rest, config)
    seen = (rotations, scales_px, rest, sitter, model)
    weights[:, GAZE] = estimate_gaze(track.points, track.scores, *seen)
    openness = measure_openness(track.points, *seen)
    trust = _trust(openness, found)
    return Motion(track.times, weights, openness, rotations, scales_px, centers_px, found, trust, track.cuts)


def leave_out_rest(
    weights: Float[np.ndarray, "t 52"], rest: Sequence[int], config: FitConfig
) -> Float[np.ndarray, "t 52"]:
    """Weights counted from those at rest, so that these become 0 and 1 stays 1.

    What at rest is more than two standard deviations of the detector's scores is no error, but an expression that the
    whole clip has, and that much of it stays.
    """
    at_rest = np.median(weights[list(rest)], axis=0).clip(max=2 * config.expression_spread)
    return ((weights - at_rest) / (1 - at_rest)).clip(0, 1)


def _trust(openness: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Closed lids hide where the eye looks."""
    trust = np.repeat(found[:, None], len(EXPRESSION_NAMES), 1).astype(float)
    for column, side in enumerate(IRISES):
        own = [index for index in GAZE if EXPRESSION_NAMES[index].endswith(side)]
        trust[:, own] *= openness[:, column, None] > HIDING
    return trust
