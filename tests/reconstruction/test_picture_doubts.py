"""A badly taken photo does not pass without a word, and a good one passes without."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from portraitist.landmarks.detection import detect_landmarks
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.picture_doubts import doubt_artwork, doubt_cover, doubt_photo, measure_stretch
from portraitist.rendering.cameras import view_camera
from portraitist.segmentation.picture import PART_NAMES, PictureParts
from portraitist.types import Landmarks


def find_doubts(photo, models):
    landmarks, _ = detect_landmarks(photo, models.detector)
    return doubt_photo(photo, landmarks, fit_head(landmarks, models.head), models.head)


def squash(photo, height=1.0, width=1.0):
    return interpolate(photo[None], size=(int(600 * height), int(512 * width)), mode="area")[0]


SPOILT = {
    "dark": (lambda photo: (0.08 * 255 * photo).round() / 255, "too dark: it has "),
    "gray": (lambda photo: 0.05 * photo + 0.6, "without contrast: it has "),
    "overexposed": (lambda photo: (3 * photo).clamp(0, 1), "The face in the photo is as white or as black"),
    "black and white": (lambda photo: (photo.mean(0).expand(3, -1, -1) > 0.45).float(), "as white or as black"),
    "half dark": (
        lambda photo: torch.where(torch.arange(512) < 268, 0.08, 1.0) * photo,
        "One side of the face in the photo is too dark",
    ),
    "too wide": (lambda photo: squash(photo, height=0.5), "times as wide as faces are"),
    "too tall": (lambda photo: squash(photo, width=0.5), "times as tall as faces are"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_what_is_wrong_is_said(hopper, models, kind):
    spoil, words = SPOILT[kind]
    doubts = find_doubts(spoil(hopper).contiguous(), models)
    assert len(doubts) == 1
    assert words in doubts[0]
    assert "Use " in doubts[0]


@pytest.mark.parametrize("change", [1.0, 0.5])
def test_good_photos_pass_without_a_word(hopper, models, change):
    assert find_doubts(change * hopper, models) == []
    assert find_doubts(torch.rot90(hopper, 1, (1, 2)).contiguous(), models) == []
    assert find_doubts(hopper.mean(0, keepdim=True).expand(3, -1, -1).contiguous(), models) == []


def test_dark_artworks_are_told_and_drawings_are_not(brush, models):
    landmarks, _ = detect_landmarks(brush, models.detector)
    assert doubt_artwork(brush, landmarks, "art") == []
    assert doubt_artwork((brush.mean(0).expand(3, -1, -1) > 0.4).float(), landmarks, "art") == []
    (doubt,) = doubt_artwork((0.08 * 255 * brush).round() / 255, landmarks, "art")
    assert doubt.startswith("The face in the art is too dark: it has ")


def test_half_a_face_is_not_called_squashed(hopper, models):
    """What lies beyond the border is guessed, and guessed narrower than it is."""
    assert find_doubts(hopper[:, :, 262:].contiguous(), models) == []


def test_stretch_is_measured_on_68_points_too(hopper, models):
    dense, _ = detect_landmarks(hopper, models.detector)
    for height in (1.0, 0.6):
        scale = torch.tensor([1.0, height])
        seen = Landmarks(dense.points * scale, (round(600 * height), 512))
        stretch = measure_stretch(seen, fit_head(seen, models.head), models.head)
        assert stretch == pytest.approx(height, rel=0.15)


@pytest.fixture(scope="module")
def face(model):
    """The points of the mean face from the front, in 300 x 300 pixels."""
    camera = view_camera(model.mean, 0.0, 0.0, 300)
    return Landmarks(camera.project(model.landmarks68.positions(model.mean, model.faces)), (300, 300))


def mark(face, name, top, bottom):
    """Skin all over, but the named part from one of the 68 points down to another."""
    labels = torch.full(face.size, PART_NAMES.index("skin"))
    labels[int(face.points[top, 1]) : int(face.points[bottom, 1])] = PART_NAMES.index(name)
    return PictureParts(torch.nn.functional.one_hot(labels, len(PART_NAMES)).permute(2, 0, 1).float())


@pytest.mark.parametrize("name", ["other", "headwear", "clothes", "background"])
def test_a_covered_face_is_told(face, name):
    """Nose and mouth, as under a mask."""
    (doubt,) = doubt_cover(mark(face, name, 29, 8), face, "mixed artwork")
    share = int(doubt.split(" %")[0].split()[-1])
    assert 25 <= share < 80
    assert doubt.startswith(f"Something covers {share} % of the face in the mixed artwork")
    assert "Use a picture that shows the whole face" in doubt


@pytest.mark.parametrize(
    ("name", "top", "bottom"),
    [
        pytest.param("skin", 29, 8, id="plain face"),
        pytest.param("hair", 19, 29, id="fringe over the eyes"),
        pytest.param("beard", 29, 8, id="beard"),
        pytest.param("glasses", 19, 29, id="glasses"),
        pytest.param("other", 57, 8, id="chin in a hand"),
    ],
)
def test_what_belongs_to_a_face_is_no_cover(face, name, top, bottom):
    assert doubt_cover(mark(face, name, top, bottom), face, "photo") == []
