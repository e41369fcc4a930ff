"""How much two pictures show the same person, by dlib's face embedding.

The 128 numbers of dlib's ResNet were trained so that two photos of one person lie closer than 0.6. They come from
``face_recognition_models`` (weights) and ``dlib`` (code), which only the benchmarks need.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np

NOT_FOUND_DISTANCE = 1.0
"""Counts for a pair in which either face is not found: beyond what two different persons usually score."""

MAX_SIDE_PX = 800
PADDING = 0.25
"""Share of the picture's size added on every side for the second tries: the detector wants ground around a face."""

Face = tuple[int, int, int, int]
"""Detection rectangle: left, top, right, bottom in pixels."""


def measure_identity_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Distance of the faces in two uint8 ``[h, w, 3]`` sRGB pictures; 1.0 when one shows no face."""
    return compare_embeddings(embed_face(first), embed_face(second))


def compare_embeddings(first: np.ndarray | None, second: np.ndarray | None) -> float:
    """Euclidean distance; 1.0 when one is None, i.e. no face was found."""
    if first is None or second is None:
        return NOT_FOUND_DISTANCE
    return float(np.linalg.norm(first - second))


def embed_face(picture: np.ndarray) -> np.ndarray | None:
    """128-d embedding of the largest face in a uint8 ``[h, w, 3]`` sRGB picture, or None when no detector finds one.

    The face is cut out and turned upright by five landmarks, as the network was trained.
    """
    import dlib

    for prepared, find_faces in _detection_tries(_limit_size(picture)):
        faces = find_faces(prepared)
        if faces:
            left, top, right, bottom = max(faces, key=lambda face: (face[2] - face[0]) * (face[3] - face[1]))
            shape = _load_shape_predictor()(prepared, dlib.rectangle(left, top, right, bottom))
            return np.asarray(_load_embedder().compute_face_descriptor(prepared, shape, 0))
    return None


def _detection_tries(picture: np.ndarray):
    """The same cascade for photo and rendering: plain, enlarged, padded; then the slow convolutional detector."""
    padded = _pad_with_border_mean(picture)
    yield picture, lambda image: _find_faces_hog(image, upsamplings=0)
    yield picture, lambda image: _find_faces_hog(image, upsamplings=1)
    yield padded, lambda image: _find_faces_hog(image, upsamplings=1)
    yield padded, _find_faces_cnn


def _find_faces_hog(picture: np.ndarray, upsamplings: int) -> list[Face]:
    return [_rectangle_to_face(found) for found in _load_hog_detector()(picture, upsamplings)]


def _find_faces_cnn(picture: np.ndarray) -> list[Face]:
    return [_rectangle_to_face(found.rect) for found in _load_cnn_detector()(picture, 0)]


def _rectangle_to_face(rectangle) -> Face:
    return rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom()


def _limit_size(picture: np.ndarray) -> np.ndarray:
    """Shrink to at most ``MAX_SIDE_PX``: the embedding sees 150 px of face, and the detectors cost by area."""
    from PIL import Image

    height, width = picture.shape[:2]
    factor = MAX_SIDE_PX / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(picture)
    size = (round(width * factor), round(height * factor))
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _pad_with_border_mean(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    down, across = round(PADDING * height), round(PADDING * width)
    padded = np.empty((height + 2 * down, width + 2 * across, 3), np.uint8)
    padded[:] = border.mean(0).round()
    padded[down : down + height, across : across + width] = picture
    return padded


def _weights_path(name: str) -> str:
    # The package's own module needs setuptools' retired pkg_resources; its files do not.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the identity metric needs `pip install dlib-bin face_recognition_models`")
    return str(Path(spec.submodule_search_locations[0]) / "models" / name)


@cache
def _load_hog_detector():
    import dlib

    return dlib.get_frontal_face_detector()


@cache
def _load_cnn_detector():
    import dlib

    return dlib.cnn_face_detection_model_v1(_weights_path("mmod_human_face_detector.dat"))


@cache
def _load_shape_predictor():
    import dlib

    return dlib.shape_predictor(_weights_path("shape_predictor_5_face_landmarks.dat"))


@cache
def _load_embedder():
    import dlib

    return dlib.face_recognition_model_v1(_weights_path("dlib_face_recognition_resnet_model_v1.dat"))
