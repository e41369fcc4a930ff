"""Blender plays the animation as it was given: every part's expression and turn at any moment."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from conftest import add_layers, make_marked_head
from export.blender import needs_blender, run_blender
from portraitist import save_animation
from portraitist.types import EXPRESSION_NAMES

UNTESTED = "the animation is NOT tested in it"
HEAD_TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
TOLERANCE = 0.01
TIMES = torch.arange(60) / 25

pytestmark = needs_blender(UNTESTED)


def test_it_plays(tmp_path: Path):
    weights = torch.zeros(len(TIMES), 52)
    weights[:, EXPRESSION_NAMES.index("jawOpen")] = (4 * TIMES).sin().abs()
    weights[30, EXPRESSION_NAMES.index("eyeBlinkLeft")] = 1.0
    angles = torch.stack([100 * TIMES, 20 * (3 * TIMES).sin()], dim=1).double().numpy()
    rotations = Rotation.from_euler("YX", angles, degrees=True).as_matrix()
    files = [tmp_path / name for name in ("animated.glb", "job.json", "report.json")]
    head = add_layers(make_marked_head(8))
    save_animation(files[0], head, TIMES, weights, torch.from_numpy(rotations).float(), tolerance=TOLERANCE)
    files[1].write_text(json.dumps({"times": TIMES.tolist()}))
    run_blender("blender_animation.py", *files, untested=UNTESTED, timeout=600)
    report = json.loads(files[2].read_text())
    for moment, given, rotation in zip(report["played"], weights, rotations, strict=True):
        for part in ("Head", "Hair", "Headwear"):
            keys = [moment[part]["keys"][name] for name in EXPRESSION_NAMES]
            np.testing.assert_allclose(keys, given, atol=TOLERANCE + 1e-4)
            turned = HEAD_TO_BLENDER @ rotation @ HEAD_TO_BLENDER.T
            # Imported quaternions are interpolated linearly and not along the sphere: between keys that is a bit off.
            np.testing.assert_allclose(np.array(moment[part]["place"])[:3, :3], turned, atol=3 * TOLERANCE)
