"""How segmentations are compared with labels made by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import segmentation as benchmark
from portraitist.segmentation.picture import PART_NAMES, PictureParts
from portraitist.types import Landmarks

SIZE = (80, 60)


@pytest.fixture
def landmarks() -> Landmarks:
    points = torch.full((68, 2), 40.0)
    points[17:22] = torch.tensor([[10.0, 30], [13, 30], [16, 30], [19, 30], [22, 30]])
    points[22:27] = points[17:22] + torch.tensor([20.0, 0])
    points[36], points[45] = torch.tensor([12.0, 35]), torch.tensor([40.0, 35])
    return Landmarks(points, SIZE)


def say(labels: np.ndarray) -> PictureParts:
    eye = torch.eye(len(PART_NAMES))
    return PictureParts(eye[torch.from_numpy(labels).long()].permute(2, 0, 1))


def test_brows_are_no_hair_and_beards_are_skin_as_in_fasseg(tmp_path: Path, landmarks: Landmarks) -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[20:70, 5:50] = 1
    labels[5:20, 5:50] = 2
    labels[29:32, 10:43] = 2  # brows
    labels[35:38, 10:20] = 3  # an eye
    cv2.imwrite(str(tmp_path / "f00.png"), labels)
    case = benchmark.Case("frontal", "f00", tmp_path / "f00.jpg")
    truth, counts = benchmark.read_truth(case, landmarks)
    assert counts[10, 20]
    assert not counts[30, 15]
    said = np.zeros(SIZE, np.uint8)
    said[20:70, 5:50] = PART_NAMES.index("skin")
    said[60:70, 5:50] = PART_NAMES.index("beard")
    said[35:38, 10:43] = PART_NAMES.index("glasses")
    said[5:20, 5:50] = PART_NAMES.index("hair")
    pairs = benchmark.compare(case, say(said), truth)
    overlaps = {name: benchmark.measure_overlap(a & counts, b & counts) for name, (a, b) in pairs.items()}
    assert overlaps == pytest.approx({"hair": 1.0, "skin": 1.0}, abs=0.03)


def test_means_are_of_the_pictures_that_have_the_part() -> None:
    rows: list[dict[str, float | str]] = [
        {"group": "hair", "name": "a", "hair": 0.5, "skin": 1.0, "seconds": 1.0},
        {"group": "hair", "name": "b", "skin": 0.5, "seconds": 1.0},
    ]
    assert benchmark.summarize(rows) == {"hair": {"pictures": 2, "hair": 0.5, "skin": 0.75, "seconds": 1.0}}
