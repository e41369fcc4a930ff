"""Landmark files that do not say what they seem to say: compared with what the detector finds.

Points set by hand differ from detected ones, most where a face is drawn boldly. But they do not differ as those do that
stand in another order, or were counted in another picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from portraitist.errors import InputError
from portraitist.landmarks.alignment import similarity_2d
from portraitist.landmarks.detection import find_nearest_face
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.ibug68 import MIRROR_IDS, outer_eye_distance
from portraitist.types import Image

# Bounds that none of 168 annotated artworks comes near, in outer eye distances.
LARGEST_OFFSET = 0.14  # of the points' middle from that of the detected ones (0.12 at most)
LARGEST_MISFIT = 0.24  # mean distance, after the best shift, turn and scaling (0.19 at most)
CLEARLY_BETTER = 0.9  # of the misfit, left by another order: then the points stand in that order (0.97 at least)

EYES_EXCHANGED = (*range(36), *range(42, 48), *range(36, 42), *range(48, 68))
# 66 points of iBUG's, without the inner corners of the mouth, and the two pupils. The outer corners stand in for them.
WITHOUT_MOUTH_CORNERS = (*range(60), 48, *range(60, 63), 54, *range(63, 66))

Points = Float[Tensor, "68 2"]


def mirror(points: Points, width: int) -> Points:
    return points * points.new_tensor([-1.0, 1.0]) + points.new_tensor([float(width), 0.0])


@dataclass(frozen=True)
class Scheme:
    """``name``: what the points seem to be. ``read``: makes them iBUG's, given the picture's width. ``is_known``: a
    scheme that is in use, so that they are converted; else it is a mistake, and refused."""

    name: str
    read: Callable[[Points, int], Points]
    is_known: bool = False


SCHEMES = (
    Scheme("66 points and two pupils", lambda points, _: points[list(WITHOUT_MOUTH_CORNERS)], is_known=True),
    Scheme("in reverse order", lambda points, _: points.flip(0)),
    Scheme("numbered from the other side of the face", lambda points, _: points[list(MIRROR_IDS)]),
    Scheme("those of the mirrored picture", mirror),
    Scheme("with left and right eye exchanged", lambda points, _: points[list(EYES_EXCHANGED)]),
    Scheme("with x and y exchanged", lambda points, _: points.flip(1)),
    Scheme("numbered from the second point on", lambda points, _: points.roll(1, 0)),
    Scheme("numbered from one before the first point", lambda points, _: points.roll(-1, 0)),
)


def check_against_picture(
    given: Float[Tensor, "68 2"], image: Image, detector: LandmarkDetector, what: str
) -> tuple[Float[Tensor, "68 2"], list[str]]:
    """`agree_on_landmarks` with the nearest face that the detector finds; where it finds none, nothing can be said."""
    found = find_nearest_face(given, image, detector)
    if found is None:
        return given, []
    return agree_on_landmarks(given, found, image.shape[2], what)


def agree_on_landmarks(given: Points, found: Points, width: int, what: str) -> tuple[Points, list[str]]:
    """``given`` points (pixels) of the picture ``what``, which may have to be put into iBUG's order, and warnings.

    ``found``: what the detector sees in it. ``width``: of the picture. Raises InputError for points in another order,
    of another size or in another place.
    """
    misfit = measure_misfit(given, found)
    read = {scheme: scheme.read(given, width) for scheme in SCHEMES}
    better = [scheme for scheme in SCHEMES if measure_misfit(read[scheme], found) < CLEARLY_BETTER * misfit]
    if better:  # of those with the right shape, the one in the right place
        scheme = min(better, key=lambda scheme: float((read[scheme] - found).norm(dim=1).mean()))
        if not scheme.is_known:
            raise InputError(
                f"The landmarks of the {what} seem to be {scheme.name}. Give 68 points in iBUG order: jaw, brows, "
                "nose, eyes, lips, each from the viewer's left."
            )
        points, warnings = agree_on_landmarks(read[scheme], found, width, what)
        return points, [f"The landmarks of the {what} are {scheme.name}; they were put into iBUG order.", *warnings]
    offset, size = (given.mean(0) - found.mean(0)).tolist(), float(given.std(0).mean() / found.std(0).mean())
    if math.hypot(*offset) > LARGEST_OFFSET * float(outer_eye_distance(found)):
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
    linear, shift = similarity_2d(given, found)
    return float((given @ linear.mT + shift - found).norm(dim=1).mean() / outer_eye_distance(found))
