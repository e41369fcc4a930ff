"""The shipped style exemplars: faces that are found, strongly and differently exaggerated, in files of modest size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from portraitist.assets import asset_hashes, asset_path
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.ibug68 import dense_to_ibug68
from portraitist.reconstruction.head_model import load_head_model
from portraitist.types import Landmarks

NAMES = ("brush", "ink", "mosaic")
OUTER_EYE_CORNERS = (36, 45)
SHAPE_POINTS = slice(0, 60)  # without the inner lips, which move with the expression


def load_exemplar(name: str) -> torch.Tensor:
    with PillowImage.open(asset_path(f"exemplars/{name}.jpg")) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1) / 255


@pytest.fixture(scope="module")
def landmarks() -> dict[str, Landmarks]:
    detector = LandmarkDetector()
    return {name: detect_landmarks(load_exemplar(name), detector)[0] for name in NAMES}


@pytest.fixture(scope="module")
def deviations(landmarks: dict[str, Landmarks]) -> dict[str, np.ndarray]:
    """Where 60 landmarks lie away from the mean head's after the best similarity, over the outer eye distance."""
    model = load_head_model()
    dense = model.landmarks478.positions(model.mean, model.faces)
    mean = dense_to_ibug68(dense)[:, :2].double().numpy() * [1, -1]
    eye_distance = np.linalg.norm(np.subtract(*mean[list(OUTER_EYE_CORNERS)]))
    reference = mean[SHAPE_POINTS]
    points = {name: found.points.double().numpy()[SHAPE_POINTS] for name, found in landmarks.items()}
    return {name: (align_by_similarity(each, reference) - reference) / eye_distance for name, each in points.items()}


def align_by_similarity(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Least-squares shift, turn and size, solved as four linear unknowns: x' = a x - b y + c, y' = b x + a y + d."""
    x, y = points.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, one, zero], axis=1), np.stack([y, x, zero, one], axis=1)])
    solution, *_ = np.linalg.lstsq(rows, reference.T.ravel(), rcond=None)
    return (rows @ solution).reshape(2, -1).T


def root_mean_square(deviation: np.ndarray) -> float:
    return float(np.sqrt((deviation**2).sum(1).mean()))


@pytest.mark.parametrize("name", NAMES)
def test_exemplar_is_recorded_large_and_light(name: str):
    path = asset_path(f"exemplars/{name}.jpg")
    assert f"exemplars/{name}.jpg" in asset_hashes()
    assert min(load_exemplar(name).shape[1:]) >= 768
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize("name", NAMES)
def test_face_is_found_once_and_fills_the_picture(name: str, landmarks: dict[str, Landmarks]):
    found = landmarks[name]
    assert found.dense is not None
    low, high = found.dense.amin(0), found.dense.amax(0)
    assert (high - low)[1] >= 400
    assert (low >= 0).all()
    assert high[0] <= found.size[1]
    assert high[1] <= found.size[0]


@pytest.mark.parametrize("name", NAMES)
def test_pupils_are_dark_where_the_detector_looks(name: str, landmarks: dict[str, Landmarks]):
    """The iris centers that are found lie on painted irises, which are darker than the cheeks."""
    picture = load_exemplar(name).mean(0)
    dense = landmarks[name].dense
    assert dense is not None
    for iris_id, cheek_id in ((468, 50), (473, 280)):
        iris, cheek = (
            picture[int(y) - 6 : int(y) + 7, int(x) - 6 : int(x) + 7].mean() for x, y in dense[[iris_id, cheek_id]]
        )
        assert iris < 0.75 * cheek


@pytest.mark.parametrize("name", NAMES)
def test_exaggeration_is_strong(name: str, deviations: dict[str, np.ndarray]):
    """The drawn heads deviate by more: the detector draws wide faces back towards the usual proportions."""
    assert root_mean_square(deviations[name]) >= 0.10


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(NAMES, 2)))
def test_exaggerations_differ(one: str, other: str, deviations: dict[str, np.ndarray]):
    assert root_mean_square(deviations[one] - deviations[other]) >= 0.12
