"""One face followed through a video: every frame is looked at once, and only the landmarks are kept."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from portraitist.devices import from_numpy
from portraitist.errors import InputError, NoFaceError
from portraitist.io.video import Video
from portraitist.landmarks.detection import TILE_ZOOMS, is_plausible, render_close_up, tile
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.faces import Face, list_places
from portraitist.landmarks.ibug68 import dense_to_ibug68
from portraitist.landmarks.views import Augmentation, ViewRenderer
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import EXPRESSION_NAMES, Landmarks, Progress, ProgressCallback

CLOSE_UP = 0.5  # of a view's side: the size in which the detector sees the face that is followed
SEARCH = (Augmentation(), Augmentation(zoom=0.65), *tile(TILE_ZOOMS[0]))  # where it is looked for, one after another
THUMBNAIL_PX = 16
LEAST_LIKENESS = 0.5  # correlation of two frames' thumbnails: half way between the same picture and another one


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
