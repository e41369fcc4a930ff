"""The mask holds the person and leaves the background out."""

from __future__ import annotations

import matplotlib.cbook
import numpy as np
import pytest
import torch

from portraitist.io.images import load_image
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.segmentation.person import PersonSegmenter, feather_crop, find_head_crop, refine_edges, segment_person
from portraitist.types import Landmarks


@pytest.fixture(scope="module")
def hopper() -> torch.Tensor:
    return load_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


@pytest.fixture(scope="module")
def landmarks(hopper: torch.Tensor) -> Landmarks:
    return detect_landmarks(hopper, LandmarkDetector())[0]


@pytest.fixture(scope="module")
def segmenter() -> PersonSegmenter:
    return PersonSegmenter()


def test_person_is_in_and_background_is_out(
    hopper: torch.Tensor, landmarks: Landmarks, segmenter: PersonSegmenter
) -> None:
    mask = segment_person(hopper, landmarks, segmenter)
    assert mask.shape == (600, 512)
    assert mask.min() >= 0
    assert mask.max() <= 1
    columns, rows = landmarks.points[17:].round().long().T  # brows, eyes, nose, mouth
    assert mask[rows, columns].min() > 0.95
    assert mask[500:, 200:300].min() > 0.95  # uniform
    assert mask[100:250, :60].max() < 0.05  # wall and flag beside the head
    assert 0.2 < mask.mean() < 0.8


def test_landmarks_from_a_file_are_enough(
    hopper: torch.Tensor, landmarks: Landmarks, segmenter: PersonSegmenter
) -> None:
    sparse = Landmarks(points=landmarks.points, size=landmarks.size)
    difference = segment_person(hopper, sparse, segmenter) - segment_person(hopper, landmarks, segmenter)
    assert difference.abs().mean() < 0.02


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_picture_gives_the_turned_mask(
    hopper: torch.Tensor, landmarks: Landmarks, segmenter: PersonSegmenter, turns: int
) -> None:
    x, y = landmarks.points.T
    height, width = landmarks.size
    points = {1: (y, width - x), 2: (width - x, height - y), 3: (height - y, x)}[turns]
    turned = torch.rot90(hopper, turns, dims=(1, 2)).contiguous()
    size = (turned.shape[1], turned.shape[2])
    mask = segment_person(turned, Landmarks(points=torch.stack(points, dim=1), size=size), segmenter)
    upright = segment_person(hopper, Landmarks(points=landmarks.points, size=landmarks.size), segmenter)
    assert torch.allclose(torch.rot90(mask, -turns), upright, atol=1e-3)


def test_crop_of_a_small_head_is_sharper_than_the_whole_picture(
    hopper: torch.Tensor, landmarks: Landmarks, segmenter: PersonSegmenter
) -> None:
    """On a wide wall the person gets few of the network's 256 pixels: the mask must stay that of the close picture."""
    wall = torch.full((3, 1400, 2000), 0.8)
    wall[:, 800:, 744:1256] = hopper
    moved = Landmarks(points=landmarks.points + torch.tensor([744.0, 800.0]), size=(1400, 2000))
    close = segment_person(hopper, landmarks, segmenter)[:330, 100:412]
    far = segment_person(wall, moved, segmenter)[800:1130, 844:1156]
    assert (far - close).abs().mean() < 0.05


def test_crop_stays_in_the_picture() -> None:
    for offset in (-200.0, 0.0, 90.0, 500.0):
        points = torch.rand(68, 2, generator=torch.Generator().manual_seed(0)) * 60 + offset
        left, top, right, bottom = find_head_crop(Landmarks(points=points, size=(100, 150)))
        assert 0 <= left < right <= 150
        assert 0 <= top < bottom <= 100


def test_feather_falls_only_at_inner_sides() -> None:
    weight = feather_crop((100, 100), (0, 20, 60, 80))
    assert weight.shape == (60, 60)
    assert weight[30, 0] == 1  # the crop's left side is the picture's
    assert weight[30, 30] == 1
    assert weight[30, 59] < 0.1
    assert weight[0, 30] < 0.1


def test_edges_move_to_those_of_the_picture() -> None:
    pixels = np.zeros((64, 1000, 3), dtype=np.uint8)
    pixels[:, 500:] = 255
    soft = ((np.arange(1000) - 500) / 12 + 0.2).clip(0, 1).astype(np.float32)  # passes 0.5 four pixels too late
    sharp = refine_edges(soft[None].repeat(64, 0), pixels)[30]
    assert soft[499] > 0.1
    assert soft[500] < 0.3
    assert sharp[499] < 0.02
    assert np.abs(np.diff(sharp)).argmax() == 499
