"""Landmark files that do not say what they seem to say: compared with what the detector finds.

Points set by hand differ from detected ones, most where a face is drawn boldly. But they do not differ as those do that
stand in another order, or were counted in another picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import InputError
from portraitist.landmarks.detection import find_nearest_face
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.types import Image

# Bounds that none of 168 annotated artworks comes near, in outer eye distances.
LARGEST_OFFSET = 0.14  # of the points' middle from that of the detected ones (0.12 at most)
LARGEST_MISFIT = 0.24  # mean distance, after the best shift, turn and scaling (0.19 at most)
CLEARLY_BETTER = 0.9  # of the misfit, left by another order: then the points stand in that order (0.97 at least)

MIRRORED = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
)  # fmt: skip
EYES_EXCHANGED = (*range(36), *range(42, 48), *range(36, 42), *range(48, 68))
# 66 points of iBUG's, without the inner corners of the mouth, and the two pupils. The outer corners stand in for them.
WITHOUT_MOUTH_CORNERS = (*range(60), 48, *range(60, 63), 54, *range(63, 66))

Points = Float[np.ndarray, "68 2"]


@dataclass(frozen=True)
class Scheme:
    """``name``: what the points seem to be. ``read``: makes them iBUG's, given the picture's width. ``is_known``: a
    scheme that is in use, so that they are converted; else it is a mistake, and refused."""

    name: str
    read: Callable[[Points, int], Points]
    is_known: bool = False


SCHEMES = (
    Scheme("66 points and two pupils", lambda points, _: points[list(WITHOUT_MOUTH_CORNERS)], is_known=True),
    Scheme("in reverse order", lambda points, _: points[::-1]),
    Scheme("numbered from the other side of the face", lambda points, _: points[list(MIRRORED)]),
    Scheme("those of the mirrored picture", lambda points, width: np.array([width, 0]) + [-1, 1] * points),
    Scheme("with left and right eye exchanged", lambda points, _: points[list(EYES_EXCHANGED)]),
    Scheme("with x and y exchanged", lambda points, _: points[:, ::-1]),
    Scheme("numbered from the second point on", lambda points, _: np.roll(points, 1, axis=0)),
    Scheme("numbered from one before the first point", lambda points, _: np.roll(points, -1, axis=0)),
)


def check_against_picture(
    given: Float[Tensor, "68 2"], image: Image, detector: LandmarkDetector, what: str
) -> tuple[Float[Tensor, "68 2"], list[str]]:
    """`agree_on_landmarks` with the nearest face that the detector finds; where it finds none, nothing can be said."""
    found = find_nearest_face(given, image, detector)
    if found is None:
        return given, []
    points, warnings = agree_on_landmarks(to_numpy(given, float), to_numpy(found, float), image.shape[2], what)
    return from_numpy(points, given), warnings


def agree_on_landmarks(given: Points, found: Points, width: int, what: str) -> tuple[Points, list[str]]:
    """``given`` points (pixels) of the picture ``what``, which may have to be put into iBUG's order, and warnings.

    ``found``: what the detector sees in it. ``width``: of the picture. Raises InputError for points in another order,
    of another size or in another place.
    """
    misfit = measure_misfit(given, found)
    read = {scheme: scheme.read(given, width) for scheme in SCHEMES}
    better = [scheme for scheme in SCHEMES if measure_misfit(read[scheme], found) < CLEARLY_BETTER * misfit]
    if better:  # of those with the right shape, the one in the right place
        scheme = min(better, key=lambda scheme: float(abs(as_complex(read[scheme] - found)).mean()))
        if not scheme.is_known:
            raise InputError(
                f"The landmarks of the {what} seem to be {scheme.name}. Give 68 points in iBUG order: jaw, brows, "
                "nose, eyes, lips, each from the viewer's left."
            )
        points, warnings = agree_on_landmarks(read[scheme], found, width, what)
        return points, [f"The landmarks of the {what} are {scheme.name}; they were put into iBUG order.", *warnings]
    eye_distance = measure_eye_distance(found)
    offset, size = given.mean(0) - found.mean(0), measure_size(given) / measure_size(found)
    if np.linalg.norm(offset) > LARGEST_OFFSET * eye_distance:
        raise InputError(
            f"The landmarks of the {what} are not where its face is: {offset[0]:+.0f} pixels to the right, "
            f"{offset[1]:+.0f} down, and {size:.2f} times as large. Give them in pixels of this very picture."
        )
    if misfit > LARGEST_MISFIT:
        raise InputError(
            f"The landmarks of the {what} are not those of its face: {100 * misfit:.0f} % of the eye distance away on "
            "average, wherever they are put. Give 68 points in iBUG order, of this very picture."
        )
    return given, []


def measure_misfit(given: Points, found: Points) -> float:
    """Mean distance over the outer eye distance, after the similarity that brings ``given`` nearest to ``found``."""
    first, second = (as_complex(points) - as_complex(points).mean() for points in (given, found))
    turn = (first.conj() @ second) / max(float((abs(first) ** 2).sum()), 1e-9)
    return float(abs(turn * first - second).mean() / measure_eye_distance(found))


def as_complex(points: Points) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


def measure_eye_distance(points: Points) -> float:
    return max(float(np.linalg.norm(points[36] - points[45])), 1e-6)


def measure_size(points: Points) -> float:
    return max(float(points.std(0).mean()), 1e-6)
