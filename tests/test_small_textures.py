"""Small and dark textures hold numbers, whatever few texels the parts get."""

from __future__ import annotations

import matplotlib.cbook
import pytest
import torch

from portraitist import load_image
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.pipeline import fit_photo
from portraitist.reconstruction.head_model import load_head_model
from portraitist.unwrapping.projection import UnwrapConfig
from portraitist.unwrapping.unwrap import unwrap_photo


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("light", [1.0, 0.0])
def test_every_texel_is_a_number(size: int, light: float):
    photo = load_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    landmarks, _ = detect_landmarks(photo, LandmarkDetector())
    person, model = torch.ones(landmarks.size), load_head_model()
    fit = fit_photo(landmarks, person, model)
    texture = unwrap_photo(photo * light, fit, person, model, UnwrapConfig(texture_size=size)).texture
    assert torch.isfinite(texture).all()
