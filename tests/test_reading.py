"""Parts that the user gives take the place of person mask and segmentation, in photos and artworks."""

from __future__ import annotations

import pytest
import torch

from conftest import make_quick_config
from portraitist import InputError, PictureParts, detect_landmarks, reconstruct, study_artwork
from portraitist.reading import read_artwork, read_photo
from portraitist.reconstruction.fitting import FitConfig
from portraitist.segmentation.parts import HAIR
from portraitist.segmentation.picture import PART_NAMES


@pytest.fixture(autouse=True)
def blind(monkeypatch):
    """Nothing is segmented here."""

    def fail(*_: object) -> None:
        raise AssertionError("given parts should do")

    for name in ("find_person", "segment_person", "segment_picture"):
        monkeypatch.setattr(f"portraitist.reading.{name}", fail)


def mark_parts(size: tuple[int, int], boxes: dict[str, tuple[float, float, float, float]]) -> PictureParts:
    """Boxes (left, top, right, bottom in pixels) on background, the later over the former."""
    labels = torch.zeros(size, dtype=torch.int64)
    for name, (left, top, right, bottom) in boxes.items():
        labels[max(int(top), 0) : int(bottom), max(int(left), 0) : int(right)] = PART_NAMES.index(name)
    return PictureParts(torch.nn.functional.one_hot(labels, len(PART_NAMES)).permute(2, 0, 1).float())


def mark_person(landmarks, **more):
    """Hair with a face in it, as large as the landmarks say."""
    (left, top), (right, bottom) = landmarks.points.amin(0).tolist(), landmarks.points.amax(0).tolist()
    grow, height = (right - left) / 3, bottom - top
    boxes = {
        "hair": (left - grow, top - height, right + grow, bottom + height),
        "skin": (left - 5, top - height / 4, right + 5, bottom + height),
    }
    return mark_parts(landmarks.size, boxes | more)


def test_a_photo_shows_what_the_user_says(hopper, models):
    landmarks, _ = detect_landmarks(hopper, models.detector)
    parts = mark_person(landmarks, clothes=(0, 540, 512, 600))
    reading = read_photo(hopper, landmarks, models, FitConfig(), parts)
    assert torch.equal(reading.parts.shares, parts.shares)
    assert torch.equal(reading.person, 1 - parts.shares[0])
    assert reading.warnings == []
    with pytest.raises(InputError, match="parts given for the photo are 300 x 200"):
        read_photo(hopper, landmarks, models, FitConfig(), mark_parts((200, 300), {}))


def test_a_cover_that_the_user_marks_is_told(hopper, models):
    landmarks, _ = detect_landmarks(hopper, models.detector)
    nose, chin = landmarks.points[30].tolist(), landmarks.points[8].tolist()
    parts = mark_person(landmarks, other=(0, nose[1] - 10, 512, chin[1]))
    (warning,) = read_photo(hopper, landmarks, models, FitConfig(), parts).warnings
    assert warning.startswith("Something covers ")


def test_the_head_of_a_photo_is_made_of_given_parts(hopper, models):
    landmarks, _ = detect_landmarks(hopper, models.detector)
    parts = mark_person(landmarks)
    sitter = reconstruct(hopper, models, make_quick_config(), parts=parts)
    assert torch.equal(sitter.parts.shares, parts.shares)
    assert [layer.name for layer in sitter.content.layers] == ["hair"]
    bald = PictureParts(parts.shares.clone())
    bald.shares[1] += bald.shares[2]
    bald.shares[2] = 0
    assert reconstruct(hopper, models, make_quick_config(), parts=bald).content.layers == ()


def test_an_artwork_is_studied_by_given_parts(brush, models):
    landmarks, _ = detect_landmarks(brush, models.detector)
    parts = mark_person(landmarks)
    reading = read_artwork(brush, landmarks, models, FitConfig(), "art", parts)
    assert torch.equal(reading.parts.shares, parts.shares)
    bald = PictureParts(parts.shares.clone())
    bald.shares[1] += bald.shares[2]
    bald.shares[2] = 0
    for given, has_hair in ((parts, True), (bald, False)):
        exemplar = study_artwork(brush, models, make_quick_config(), parts=given)
        assert bool((exemplar.style.source.labels == HAIR).any()) == has_hair
    with pytest.raises(InputError, match="parts given for the art are 300 x 200"):
        study_artwork(brush, models, make_quick_config(), parts=mark_parts((200, 300), {}))
