"""Person mask of a picture: keeps the background out of the texture (paper Sec. 4.2, texture unwrapping)."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.mediapipe_tasks import open_task
from portraitist.types import Image, Landmarks

CROP_OVER_FACE = 2.6  # heights of the face: hair, ears and neck are inside, the shoulders give context
FEATHER = 0.15  # of the head crop's side: width of the transition to the rest of the picture
EDGE_RADIUS = 0.01  # of the region's side: radius of the guided filter
EDGE_SMOOTHNESS = 1e-4  # variance (grays 0..1) below which the guided filter ignores an edge
CERTAINTY = (0.2, 0.9)  # probabilities that become 0 and 1: a lost rim of hair harms a texture less than background

FACE_CORE = 0.75  # of the width and height of the face: its middle, over which no hair falls
FACE_SHARE = 0.95  # of that middle: a mask that holds less is not of this person (photos have all of it)


class PersonSegmenter:
    """MediaPipe's Selfie Segmenter. Make one per thread or process, and never fork after making one."""

    def __init__(self) -> None:
        self._segmenter = open_task(
            self,
            "ImageSegmenter",
            "selfie_segmenter.tflite",
            output_confidence_masks=True,
            output_category_mask=False,
        )

    def segment(self, pixels: np.ndarray) -> np.ndarray:
        """Person probability ``[h, w]`` 0..1 of ``[h, w, 3]`` uint8 pixels; the network sees them at 256 x 256."""
        import mediapipe

        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
        masks = self._segmenter.segment(picture).confidence_masks
        return np.array(masks[-1].numpy_view(), dtype=np.float32).reshape(pixels.shape[:2])


def segment_person(image: Image, landmarks: Landmarks, segmenter: PersonSegmenter) -> Float[Tensor, "h w"]:
    """How much of each pixel is the person, 0..1, hair and shoulders included.

    The network works at 256 x 256, so the head is segmented again in a crop of its own, which is laid over the mask of
    the whole picture. A guided filter moves the edges of both to those of the picture. It has learnt people who stand,
    so a picture that lies on its side or its head is set upright first.
    """
    turns = count_quarter_turns(landmarks)
    mask = segment_upright(
        np.ascontiguousarray(np.rot90(image_to_uint8(image), turns)), turn_landmarks(landmarks, turns), segmenter
    )
    return from_numpy(np.rot90(mask, -turns).copy(), image)


def fill_face_core(points_px: Float[Tensor, "68 2"], size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The middle of the face, which no hair covers: the hull of jaw and brows, drawn in. ``size``: (height, width)."""
    outline = to_numpy(points_px[:27])
    return fill_hull(outline.mean(0) + FACE_CORE * (outline - outline.mean(0)), size)


def fill_hull(points_px: Float[np.ndarray, "k 2"], size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The pixels within the convex hull of points. ``size``: (height, width)."""
    hull = cv2.convexHull(points_px.astype(np.float32))
    return cv2.fillPoly(np.zeros(size, np.uint8), [np.round(hull - 0.5).astype(np.int32)], 1) > 0


def holds_face(person: Float[Tensor, "h w"], points_px: Float[Tensor, "68 2"]) -> bool:
    """Whether a person mask (0..1) holds the middle of the face. Segmenters know photos: of drawings, tight crops and
    strong contrasts they may make anything."""
    height, width = person.shape
    shown = (to_numpy(person) > 0.5)[fill_face_core(points_px, (height, width))]
    return len(shown) > 0 and bool(shown.mean() >= FACE_SHARE)


def count_quarter_turns(landmarks: Landmarks) -> int:
    """By how many quarter turns, counter-clockwise, the face becomes nearly upright: 0 to 3."""
    points = to_numpy(landmarks.points, np.float64)
    across_x, across_y = points[42:48].mean(0) - points[36:42].mean(0)
    return round(np.arctan2(across_y, across_x) / (np.pi / 2)) % 4


def turn_landmarks(landmarks: Landmarks, turns: int) -> Landmarks:
    """Landmarks of the picture turned as ``numpy.rot90`` turns it."""
    (height, width), points, dense = landmarks.size, landmarks.points, landmarks.dense
    for _ in range(turns):  # the picture's upper right corner goes to its upper left
        points, dense = (p if p is None else torch.stack([p[:, 1], width - p[:, 0]], dim=1) for p in (points, dense))
        height, width = width, height
    assert points is not None
    return Landmarks(points=points, size=(height, width), dense=dense)


def segment_upright(pixels: np.ndarray, landmarks: Landmarks, segmenter: PersonSegmenter) -> np.ndarray:
    """Person mask ``[h, w]`` 0..1 of a picture ``[h, w, 3]`` in which the face is upright."""
    mask = refine_edges(segmenter.segment(pixels), pixels)
    left, top, right, bottom = find_head_crop(landmarks)
    crop = pixels[top:bottom, left:right]
    sharper = refine_edges(segmenter.segment(crop), crop)
    weight = feather_crop(landmarks.size, (left, top, right, bottom))
    mask[top:bottom, left:right] += weight * (sharper - mask[top:bottom, left:right])
    return mask.clip(0, 1)


def find_head_crop(landmarks: Landmarks) -> tuple[int, int, int, int]:
    """Square around the head, cut at the picture's border: (left, top, right, bottom) in pixels."""
    points = to_numpy(landmarks.points if landmarks.dense is None else landmarks.dense)
    low, high = points.min(axis=0), points.max(axis=0)
    half = CROP_OVER_FACE * max(high - low) / 2
    height, width = landmarks.size
    center = (low + high) / 2
    left, top = np.clip(np.floor(center - half), 0, (width - 2, height - 2)).astype(int)
    right, bottom = np.clip(np.ceil(center + half), (left + 2, top + 2), (width, height)).astype(int)
    return int(left), int(top), int(right), int(bottom)


def refine_edges(mask: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Move the edges of ``mask [h, w]`` to those of ``pixels [h, w, 3]`` (guided filter, He et al. 2010)."""
    radius = max(2, round(EDGE_RADIUS * max(mask.shape)))
    # A gray guide: with a color one, OpenCV 5.0 only blurs the mask.
    guide = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    filtered = cv2.ximgproc.guidedFilter(guide, mask, radius, EDGE_SMOOTHNESS)
    low, high = CERTAINTY
    return ((filtered - low) / (high - low)).clip(0, 1)


def feather_crop(size: tuple[int, int], crop: tuple[int, int, int, int]) -> np.ndarray:
    """Weights ``[h, w]`` of the crop: 1 inside, falling to 0 at those of its sides that lie within the picture."""
    left, top, right, bottom = crop
    height, width = size
    margin = FEATHER * max(right - left, bottom - top)
    x, y = np.arange(right - left) + 0.5, np.arange(bottom - top) + 0.5
    weight = np.ones((bottom - top, right - left), dtype=np.float32)
    for distance, is_inside in (
        (x, left > 0),
        (x[::-1], right < width),
        (y[:, None], top > 0),
        (y[::-1, None], bottom < height),
    ):
        if is_inside:
            weight = np.minimum(weight, distance / margin)
    return weight
