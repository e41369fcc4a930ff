"""One detected face: where it is, how it compares with another, and what it lacks for a good result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EYE_CORNERS = (33, 133, 362, 263)  # sitter's right outer, right inner, left inner, left outer

# Beyond these the user is warned.
MAX_OUTSIDE = 0.05  # share of the points that lie outside of the picture
MIN_SHARP_WIDTH = 80  # pixels
MAX_TURN = 0.7  # as in Face.turn: a yaw of some 40 degrees


@dataclass(frozen=True)
class Face:
    """One face: ``points [478, 2]`` in picture pixels and ``scores [52]`` of the expressions."""

    points: np.ndarray
    scores: np.ndarray

    @property
    def eye_distance(self) -> float:
        """Between the outer eye corners, in pixels."""
        return float(np.linalg.norm(self.points[33] - self.points[263]))

    @property
    def extent(self) -> float:
        """Longer side of the box around the points, in pixels."""
        return float(np.ptp(self.points, axis=0).max())

    @property
    def turn(self) -> float:
        """-1..1: where the bridge of the nose stands between the ends of the jaw, along the line of the eyes.

        0 seen from the front; 0.5 at a yaw of 30 degrees, 0.75 at 45, 1 at 60.
        """
        jaw_right, jaw_left, bridge = self.points[[127, 356, 168]]
        right_outer, _, _, left_outer = self.points[list(EYE_CORNERS)]
        across = left_outer - right_outer
        to_right, to_left = (bridge - jaw_right) @ across, (jaw_left - bridge) @ across
        return float((to_right - to_left) / max(abs(to_right) + abs(to_left), 1e-6))

    def overlaps(self, other: Face) -> bool:
        """Whether the middles are closer than half the extent of the larger face."""
        apart = np.linalg.norm(self.points.mean(axis=0) - other.points.mean(axis=0))
        return bool(apart < max(self.extent, other.extent) / 2)

    def distance(self, other: Face) -> float:
        """Mean distance to the points of another face, over this one's outer eye distance."""
        return float(np.linalg.norm(self.points - other.points, axis=1).mean() / max(self.eye_distance, 1e-6))


def take_median(faces: list[Face]) -> Face:
    """Median of every coordinate and score."""
    points = np.median([face.points for face in faces], axis=0)
    return Face(points, np.median([face.scores for face in faces], axis=0))


def describe_choice(faces: list[Face], used: int, size: tuple[int, int]) -> list[str]:
    """All of several faces, which of them is used (counted from 1), and how to take another. ``size``: (height, width)
    of the picture."""
    if len(faces) == 1:
        return []
    return [
        f"{len(faces)} faces were found in the {{what}}: {list_places(faces, size, used)}. To use another, give its "
        "number (--photo-face or --art-face), or crop the picture to it."
    ]


def list_places(faces: list[Face], size: tuple[int, int], used: int | None = None) -> str:
    """Number and place of every face: "1: 30 % from the left, 40 % from the top (used); 2: ..."."""
    places = [(100 * face.points.mean(axis=0) / size[::-1]).round().astype(int) for face in faces]
    return "; ".join(
        f"{number}: {left} % from the left, {top} % from the top{' (used)' if number == used else ''}"
        for number, (left, top) in enumerate(places, 1)
    )


def describe_doubts(face: Face, size: tuple[int, int]) -> list[str]:
    """What the face lacks for a good result. ``size``: (height, width) of the picture."""
    doubts = []
    outside = ((face.points < 0) | (face.points > size[::-1])).any(axis=1).mean()
    if outside > MAX_OUTSIDE:
        doubts.append(
            f"{100 * outside:.0f} % of the face in the {{what}} is outside of the picture and is guessed. "
            "Use a picture with the whole face."
        )
    if face.extent < MIN_SHARP_WIDTH:
        doubts.append(
            f"The face in the {{what}} is only {face.extent:.0f} pixels large, so the result is blurred. "
            "Use a closer picture, or crop a large one."
        )
    if abs(face.turn) > MAX_TURN:
        doubts.append(
            "The face in the {what} is turned far to the side, so its hidden half is guessed. Use a picture from "
            "further in front."
        )
    return doubts
