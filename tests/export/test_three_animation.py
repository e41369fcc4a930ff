"""three.js plays the animation as it was given, and shows the head's expressions."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from conftest import add_layers, make_marked_head
from export.three_page import needs_three, show_in_three
from portraitist import save_animation
from portraitist.types import EXPRESSION_NAMES

TOLERANCE = 0.01
TIMES = torch.arange(60) / 25

pytestmark = [pytest.mark.slow, needs_three]


def test_it_plays(tmp_path: Path):
    weights = torch.zeros(len(TIMES), 52)
    weights[:, EXPRESSION_NAMES.index("jawOpen")] = (4 * TIMES).sin().abs()
    weights[30, EXPRESSION_NAMES.index("eyeBlinkLeft")] = 1.0
    angles = torch.stack([100 * TIMES, 20 * (3 * TIMES).sin()], dim=1).double().numpy()
    rotations = Rotation.from_euler("YX", angles, degrees=True).as_matrix()
    head, glb = add_layers(make_marked_head(8)), tmp_path / "animated.glb"
    save_animation(glb, head, TIMES, weights, torch.from_numpy(rotations).float(), tolerance=TOLERANCE)
    played = show_in_three(glb, [{"time": time} for time in TIMES.tolist()], tmp_path / "profile")
    for moment, given, rotation in zip(played, weights, rotations, strict=True):
        assert len(moment["parts"]) == 3
        for part in moment["parts"].values():
            np.testing.assert_allclose([part["keys"][name] for name in EXPRESSION_NAMES], given, atol=TOLERANCE + 1e-4)
            place = np.reshape(part["place"], (4, 4))
            np.testing.assert_allclose(place[:3, :3], rotation, atol=TOLERANCE + 1e-4)
    assert all(np.ptp(moment["picture"]) > 100 for moment in played), "nothing is seen"
    changes = [np.abs(a["picture"].astype(int) - b["picture"]).max() for a, b in pairwise(played)]
    assert min(changes) > 20, "a frame is like the one before"
