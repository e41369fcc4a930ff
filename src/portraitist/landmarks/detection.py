"""Finding the face: 478 dense points, 68 iBUG points and 52 expression scores (paper Sec. 4.2, first step).

The detector is MediaPipe's Face Landmarker. Around it stands test-time augmentation: other views of
the picture, for faces that it misses at first, and then several upright close-ups of each face, of which the median is
taken. How well they agree tells a face from a chance pattern.
"""

from __future__ import annotations

import logging

import numpy as np
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy
from portraitist.errors import InputError, NoFaceError
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.faces import EYE_CORNERS, Face, describe_choice, describe_doubts, list_places, take_median
from portraitist.landmarks.ibug68 import dense_to_ibug68
from portraitist.landmarks.views import VIEW_SIDE, Augmentation, View, ViewRenderer, rotation, stretch_matrix
from portraitist.types import Image, Landmarks

log = logging.getLogger(__name__)


# Ordered by how many more of 168 artworks each one finds (benchmarks/detection.py), then pictures lying on their side
# and tilted heads.
SEARCH: tuple[Augmentation, ...] = (
    Augmentation(),
    Augmentation(zoom=0.65, stretch=1.3),
    Augmentation(zoom=0.65, blur_px=3.0),
    Augmentation(blur_px=3.0, tone="gray"),
    Augmentation(zoom=0.65, blur_px=5.0, tone="contrast"),
    Augmentation(zoom=0.65, blur_px=3.0, stretch=1.3, tone="gray"),
    *(Augmentation(zoom=0.65, turn_deg=turn) for turn in (180.0, 90.0, -90.0, 45.0, -45.0)),
    *(Augmentation(blur_px=3.0, turn_deg=turn, tone="gray") for turn in (20.0, -20.0)),
    *(Augmentation(zoom=0.65, blur_px=5.0, stretch=1.3, turn_deg=turn) for turn in (0.0, 20.0, -20.0)),
)

TILE_ZOOMS = (2.0, 4.0, 7.0)  # the detector sees faces of a seventh of the view or more; the last one reaches 2 %
MIN_TILE_SIDE = 128  # pixels of the picture: smaller tiles show no more
TILE_STEP = 0.65  # of a tile's side: every face up to a third of a tile lies whole in one

MIN_INSIDE = 0.5  # share of a face's points that lie in the picture
MIN_EYE_DISTANCE_PX = 10  # smaller faces cannot be measured

MAX_SHARE_OF_CROWD = 0.2  # of the picture: where the first faces are larger, there is no crowd
MIN_SHARE_OF_TILE = 0.15  # of a tile: size at which a crowd's faces are looked for

# (size of the face over the view, blur in pixels, stretch). Seen wider, long faces are measured better.
CLOSE_UPS = ((0.40, 1.5, 1.0), (0.55, 3.0, 1.0), (0.40, 3.0, 1.3), (0.55, 1.5, 1.3), (0.50, 2.0, 1.6))
MIN_CLOSE_UPS = 3  # that show the face

# Of 4,600 right detections in paintings 97 % stay within these bounds, of chance patterns none.
MAX_SPREAD = 0.05  # outer eye distances: of the close-ups around their median
MAX_SHIFT = 0.25  # outer eye distances: of that median from the first detection

# Without such a face the first detections vote.
MIN_VOTES = 4  # detections that agree
MAX_VOTE_DISTANCE = 0.15  # outer eye distances: within which they agree

ADVICE = (
    "Use a picture in which the face is larger, sharper or less turned, or give the 68 landmarks yourself "
    "(--photo-landmarks or --art-landmarks)."
)


def detect_landmarks(
    image: Image, detector: LandmarkDetector, *, what: str = "photo", face: int = 1
) -> tuple[Landmarks, list[str]]:
    """Find a face of a picture. Returns its landmarks and warnings for the user.

    ``what`` names the picture in messages ("photo", "art"). ``face``: which of several, from 1 for the largest on.
    Raises NoFaceError when no face is found, and InputError when there are fewer than ``face``.
    """
    renderer = ViewRenderer(image_to_uint8(image))
    faces, warnings = find_faces(renderer, detector)
    if not faces:
        raise NoFaceError(f"No face was found in the {what} ({image.shape[2]} x {image.shape[1]} pixels). {ADVICE}")
    if not 1 <= face <= len(faces):
        found = f"{len(faces)} face was" if len(faces) == 1 else f"{len(faces)} faces were"
        raise InputError(
            f"Face {face} was asked for, but {found} found in the {what}: {list_places(faces, renderer.size)}. "
            "Give one of these numbers, or crop the picture to the face."
        )
    chosen = faces[face - 1]
    warnings += [*describe_choice(faces, face, renderer.size), *describe_doubts(chosen, renderer.size)]
    dense = from_numpy(chosen.points, image)
    landmarks = Landmarks(
        points=dense_to_ibug68(dense),
        size=(image.shape[1], image.shape[2]),
        dense=dense,
        expressions=from_numpy(chosen.scores, image).clamp(0, 1),
    )
    return landmarks, [warning.format(what=what) for warning in warnings]


def find_nearest_face(
    points: Float[Tensor, "68 2"], image: Image, detector: LandmarkDetector
) -> Float[Tensor, "68 2"] | None:
    """The 68 points (pixels) of the face of a picture that is nearest to ``points``; None where none is found."""
    faces, _ = find_faces(ViewRenderer(image_to_uint8(image)), detector)
    found = [dense_to_ibug68(from_numpy(face.points, points)) for face in faces]
    return min(found, key=lambda face: float((face - points).norm(dim=1).mean()), default=None)


def find_faces(renderer: ViewRenderer, detector: LandmarkDetector) -> tuple[list[Face], list[str]]:
    """Faces from the first view in which one stands up to refinement, largest first, with warnings.

    First views of the whole picture, then tiles. When all fail, the first detections in the whole picture vote.
    """
    candidates: list[Face] = []
    tiles = [
        augmentation for zoom in TILE_ZOOMS if max(renderer.size) / zoom >= MIN_TILE_SIDE for augmentation in tile(zoom)
    ]
    for augmentation in (*SEARCH, *tiles):
        seen = [
            face
            for face in detector.detect(renderer.render_augmented(augmentation))
            if is_plausible(face, renderer.size)
        ]
        refined = [refine_face(face, augmentation, renderer, detector) for face in seen]
        faces = [face for face in refined if face is not None]
        if faces:
            log.debug("face found with %s", augmentation)
            faces += find_other_faces(faces, renderer, detector)
            return sorted(faces, key=lambda face: -face.eye_distance), []
        if augmentation in SEARCH:
            candidates += seen
    voted = vote(candidates)
    doubt = "The face in the {what} was found with doubts; check its landmarks, or give the 68 points yourself."
    return ([voted], [doubt]) if voted else ([], [])


def find_other_faces(faces: list[Face], renderer: ViewRenderer, detector: LandmarkDetector) -> list[Face]:
    """Where the faces found are small, there may be a crowd, of which the detector sees but a few at once."""
    longest = max(renderer.size)
    share = max(face.extent for face in faces) / longest
    zooms = [zoom for zoom in TILE_ZOOMS if share * zoom >= MIN_SHARE_OF_TILE and longest / zoom >= MIN_TILE_SIDE]
    if share >= MAX_SHARE_OF_CROWD or not zooms:
        return []
    others: list[Face] = []
    for augmentation in tile(zooms[0]):
        for seen in detector.detect(renderer.render_augmented(augmentation)):
            if is_plausible(seen, renderer.size) and not any(seen.overlaps(face) for face in (*faces, *others)):
                others += [face for face in [refine_face(seen, augmentation, renderer, detector)] if face is not None]
    return others


def tile(zoom: float) -> list[Augmentation]:
    """Views of overlapping parts, so that every face up to a third of a part lies whole in one; middle first."""
    half = 0.5 / zoom
    centers = np.linspace(half, 1 - half, 1 + int(np.ceil((zoom - 1) / TILE_STEP)))
    augmentations = [Augmentation(zoom=zoom, center=(float(x), float(y))) for y in centers for x in centers]
    return sorted(
        augmentations, key=lambda augmentation: np.hypot(augmentation.center[0] - 0.5, augmentation.center[1] - 0.5)
    )


def is_plausible(face: Face, size: tuple[int, int]) -> bool:
    """Whether at least half of the points lie in the picture and the face is large enough to be measured."""
    inside = ((face.points >= 0) & (face.points <= size[::-1])).all(axis=1)
    return bool(inside.mean() > MIN_INSIDE) and face.eye_distance >= MIN_EYE_DISTANCE_PX


def refine_face(
    face: Face, augmentation: Augmentation, renderer: ViewRenderer, detector: LandmarkDetector
) -> Face | None:
    """Detect ``face`` again in upright close-ups and take medians; None when the close-ups do not agree on it.

    Whatever ``augmentation`` needed to see the face at all (blur, stretch, tone) is kept.
    """
    seen: list[Face] = []
    for size, blur_px, stretch in CLOSE_UPS:
        view = render_close_up(
            face.points,
            renderer,
            size,
            Augmentation(
                blur_px=max(blur_px, augmentation.blur_px),
                stretch=stretch if augmentation.stretch == 1 else augmentation.stretch,
                tone=augmentation.tone,
            ),
        )
        seen += sorted(detector.detect(view), key=face.distance)[:1]
    if len(seen) < MIN_CLOSE_UPS:
        return None
    median = take_median(seen)
    spread = np.mean([median.distance(other) for other in seen])
    return median if spread <= MAX_SPREAD and median.distance(face) <= MAX_SHIFT else None


def vote(candidates: list[Face]) -> Face | None:
    """Median of the largest group of candidates close to one of them, if it is large enough."""
    groups = [[other for other in candidates if face.distance(other) <= MAX_VOTE_DISTANCE] for face in candidates]
    largest = max(groups, key=len, default=[])
    return take_median(largest) if len(largest) >= MIN_VOTES else None


def render_close_up(points: np.ndarray, renderer: ViewRenderer, size: float, augmentation: Augmentation) -> View:
    """The view in which the eyes of ``points [478, 2]`` are level and the face takes ``size`` of the side.

    Blur, stretch and tone are the augmentation's.
    """
    right_outer, right_inner, left_inner, left_outer = points[list(EYE_CORNERS)]
    across = left_inner + left_outer - right_inner - right_outer
    upright = rotation(-np.arctan2(across[1], across[0]))
    linear = stretch_matrix(augmentation.stretch) @ upright
    box = points @ linear.T
    low, high = box.min(axis=0), box.max(axis=0)
    scale = VIEW_SIDE * size / max(*(high - low), 1.0)
    return renderer.render(
        scale * linear, np.linalg.solve(linear, (low + high) / 2), augmentation.blur_px, augmentation.tone
    )
