"""Artworks are read as exaggerated as they are; photos are left alone; what is not seen follows the rest."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from portraitist.devices import to_numpy
from portraitist.geometry.shape_space import align_to
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.ibug68 import MIRROR_IDS
from portraitist.landmarks.refinement import FrontalFrame, Reading, load_refiner, pack_refiner, unpack_refiner
from portraitist.types import Image, Landmarks
from portraitist.vgg import load_vgg

JAW, NOSE, EYES, MOUTH = range(3, 14), range(27, 36), range(36, 48), range(48, 68)


@pytest.fixture(scope="module")
def refiner():
    return load_refiner()


@pytest.fixture(scope="module")
def vgg():
    return load_vgg(dtype=torch.float32)


@pytest.fixture(scope="module")
def detector() -> LandmarkDetector:
    return LandmarkDetector()


@pytest.fixture(scope="module")
def seen(hopper, detector) -> Landmarks:
    return detect_landmarks(hopper, detector)[0]


def swell(image: Image, seen: Landmarks, ids: range, factor: float) -> tuple[Image, torch.Tensor]:
    """The picture with what is around these points enlarged, smoothly, and where all points are then."""
    points = to_numpy(seen.points, np.float64)
    middle = points[ids].mean(0)
    reach = 1.1 * np.linalg.norm(points[ids] - middle, axis=1).max()

    def enlarge(places: np.ndarray) -> np.ndarray:
        arms = places - middle
        near = np.exp(-((np.linalg.norm(arms, axis=-1, keepdims=True) / reach) ** 2))
        return middle + arms * (1 + (factor - 1) * near)

    height, width = image.shape[1:]
    grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1)
    source = grid
    for _ in range(30):  # fixed point iteration: where each pixel comes from
        source = source - 0.5 * (enlarge(source) - grid)
    places = (source - 0.5).astype(np.float32)
    pixels = cv2.remap(image_to_uint8(image), places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    picture = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    return picture, torch.from_numpy(enlarge(points)).float()


@pytest.mark.parametrize("ids", [NOSE, EYES, MOUTH, JAW], ids=["nose", "eyes", "mouth", "jaw"])
def test_caricatures_are_read_further_than_detected(hopper, seen, detector, refiner, vgg, ids) -> None:
    """Against what both readings make of the picture before."""
    caricature, truth = swell(hopper, seen, ids, 1.6)
    detected = detect_landmarks(caricature, detector)[0]
    refined, before = refiner.refine(caricature, detected, vgg), refiner.refine(hopper, seen, vgg)
    plane = torch.from_numpy(refiner.mean[:, :2] * [1, -1]).float()

    def shape(points: torch.Tensor) -> torch.Tensor:
        return align_to(points, plane)[0]

    wanted = shape(truth) - shape(seen.points)

    def gain(found: torch.Tensor, start: torch.Tensor) -> float:
        return float(((shape(found) - shape(start)) * wanted).sum() / wanted.square().sum())

    assert gain(detected.points, seen.points) < gain(refined.points, before.points) < 1.3
    assert refined.dense is None


def test_a_photo_read_as_an_artwork_is_hardly_changed(hopper, seen, refiner, vgg) -> None:
    refined = refiner.refine(hopper, seen, vgg)
    scheme = torch.from_numpy(refiner.read(hopper, seen.points, vgg).frame.to_picture(refiner.by_hand))
    moved = (refined.points - scheme - seen.points).norm(dim=1) / (seen.points[36] - seen.points[45]).norm()
    assert moved.mean() < 0.04
    assert refined.confidence is not None
    assert 0 < refined.confidence.min() <= refined.confidence.max() < 1


def test_the_normal_face_is_at_rest(refiner) -> None:
    """Photos smile; were the normal face their mean, every artwork would be read as one that frowns."""
    corners, middles = [48, 54], [51, 57, 62, 66]
    for scheme in (refiner.normal, refiner.by_hand):
        raised = scheme[corners, 1].mean() - scheme[middles, 1].mean()
        widened = scheme[54, 0] - scheme[48, 0]
        assert abs(raised) < 0.02
        assert abs(widened) < 0.03


def test_a_mirrored_picture_is_read_mirrored(hopper, seen, refiner, vgg) -> None:
    width = hopper.shape[2]
    mirrored = (seen.points * torch.tensor([-1.0, 1.0]) + torch.tensor([float(width), 0.0]))[list(MIRROR_IDS)]
    plain = refiner.refine(hopper, seen, vgg)
    turned = refiner.refine(hopper.flip(2), replace(seen, points=mirrored), vgg)
    back = (turned.points * torch.tensor([-1.0, 1.0]) + torch.tensor([float(width), 0.0]))[list(MIRROR_IDS)]
    assert (back - plain.points).norm(dim=1).max() < 1.0


def test_points_go_to_the_front_and_back(refiner) -> None:
    """Of a turned face without deviation none is seen, and a frontal displacement arrives where it was meant to go."""
    rotation = Rotation.from_euler("yx", [25, 10], degrees=True).as_matrix()
    frame = FrontalFrame(refiner.mean, rotation, 80.0, np.array([200.0, 150.0]))
    shown = (refiner.mean @ rotation.T)[:, :2] * 80 * [1, -1] + [200, 150]
    assert np.abs(frame.to_deviation(shown)).max() < 1e-9
    moved = np.zeros((68, 2))
    moved[30] = [0.1, -0.05]
    in_space = np.concatenate([moved[30], [0.0]])
    assert np.allclose(frame.to_picture(moved)[30], (rotation @ in_space)[:2] * 80 * [1, -1])


def test_what_is_not_seen_follows_its_neighbors(refiner) -> None:
    """A chin that the networks do not see, and put anywhere, goes where the jaw beside it goes."""
    frame = FrontalFrame(refiner.mean, np.eye(3), 80.0, np.zeros(2))
    read = np.tile([0.0, -0.2], (68, 1))
    read[8] = [0.5, 0.5]
    expected = np.full(68, 0.02)
    expected[8] = 3.0
    deviation, confidence = refiner.weigh(Reading(frame, np.zeros((68, 2)), read, expected))
    assert np.abs(deviation[8] - (deviation[7] + deviation[9]) / 2).max() < 0.03
    assert deviation[7, 1] < -0.08
    assert confidence[8] < 0.1 < confidence[7]


def test_it_is_kept_as_it_is(refiner) -> None:
    again = unpack_refiner(pack_refiner(refiner))
    assert again.size == pytest.approx(refiner.size)
    assert np.allclose(again.normal, refiner.normal, atol=1e-6)
    for one, other in zip(refiner.networks.parameters(), again.networks.parameters(), strict=True):
        assert torch.equal(one, other)
