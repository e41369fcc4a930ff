"""Small and dark textures hold numbers, whatever few texels the parts get."""

from __future__ import annotations

import matplotlib.cbook
import pytest
import torch

from portraitist import load_image
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.head_model import load_head_model
from portraitist.reconstruction.silhouette import fit_photo
from portraitist.unwrapping.projection import UnwrapConfig
from portraitist.unwrapping.unwrap import unwrap_photo


@pytest.fixture(scope="module")
def given():
    """Photo, fit, mask and model."""
    photo = load_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    landmarks, _ = detect_landmarks(photo, LandmarkDetector())
    person, model = torch.ones(landmarks.size), load_head_model()
    return photo, fit_photo(landmarks, person, model), person, model


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("light", [1.0, 0.0])
def test_every_texel_is_a_number(given, size: int, light: float):
    photo, *rest = given
    texture = unwrap_photo(photo * light, *rest, UnwrapConfig(texture_size=size)).texture
    assert torch.isfinite(texture).all()
