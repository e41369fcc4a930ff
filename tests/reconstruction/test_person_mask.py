"""A photo whose person the segmenter does not see still gives a mask with the face in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from conftest import make_quick_config
from portraitist import reconstruct, study_artwork
from portraitist.landmarks.detection import detect_landmarks
from portraitist.reconstruction.person_mask import MISSED, find_person
from portraitist.segmentation.person import PersonSegmenter, fill_face_core, holds_face, segment_person


class BlindSegmenter(PersonSegmenter):
    """Sees nobody, as the real one does in many drawings, tight crops and photos without grays."""

    def __init__(self):
        pass  # no network

    def segment(self, pixels):
        return 0 * pixels[:, :, 0].astype("float32")


def test_a_mask_that_holds_the_face_is_the_segmenters(hopper, models):
    landmarks, _ = detect_landmarks(hopper, models.detector)
    mask, warnings = find_person(hopper, landmarks, models.segmenter, models.head)
    assert torch.equal(mask, segment_person(hopper, landmarks, models.segmenter))
    assert warnings == []


def test_where_nobody_is_seen_the_fitted_head_stands_in(hopper, models):
    landmarks, _ = detect_landmarks(hopper, models.detector)
    mask, warnings = find_person(hopper, landmarks, BlindSegmenter(), models.head)
    assert warnings == [MISSED]
    assert mask.shape == (600, 512)
    assert mask[fill_face_core(landmarks.points, landmarks.size)].min() == 1
    seen = segment_person(hopper, landmarks, models.segmenter) > 0.5
    assert ((mask > 0.5) & ~seen).sum() < 0.1 * mask.sum()  # little background


def test_a_mask_without_the_face_is_not_believed(hopper, models):
    landmarks, _ = detect_landmarks(hopper, models.detector)
    mask = torch.ones(600, 512)
    assert holds_face(mask, landmarks.points)
    mask[:, :250] = 0
    assert not holds_face(mask, landmarks.points)
    assert not holds_face(torch.ones(20, 20), landmarks.points)  # a face outside of the picture


@pytest.fixture
def blind(models):
    return replace(models, segmenter=BlindSegmenter())


def test_a_face_that_the_segmenter_misses_keeps_its_features(hopper, models, blind):
    """Without a mask the texture was skin all over, or the run ended in an error of OpenCV."""
    config = make_quick_config()
    plain, spoilt = (reconstruct(hopper, each, config) for each in (models, blind))
    assert spoilt.warnings == (MISSED,)
    assert spoilt.texels_from_photo > 0.8 * plain.texels_from_photo
    difference = (plain.content.texture - spoilt.content.texture).abs().mean(0)
    assert (difference < 0.1).float().mean() > 0.8


def test_an_artwork_in_which_nobody_is_seen_is_studied(brush, blind):
    assert study_artwork(brush, blind, make_quick_config()).style is not None
