"""Blender plays the animation as it was given: every part's expression and turn at any moment."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from conftest import add_layers, make_marked_head
from portraitist import save_animation
from portraitist.types import EXPRESSION_NAMES

BLENDER = shutil.which("blender")
SCRIPT = Path(__file__).with_name("blender_animation.py")
HEAD_TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
TOLERANCE = 0.01
TIMES = torch.arange(60) / 25

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BLENDER is None, reason="Blender is not installed: the animation is NOT tested in it"),
]


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
    command = [str(BLENDER), "-b", "--factory-startup", "--python-exit-code", "1", "--python", str(SCRIPT), "--"]
    run = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=600, check=False)
    if "No module named 'numpy'" in run.stdout + run.stderr:
        pytest.skip("Blender's own Python has no numpy (Debian: python3-numpy): the animation is NOT tested in it")
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads(files[2].read_text())
    for moment, given, rotation in zip(report["played"], weights, rotations, strict=True):
        for part in ("Head", "Hair", "Headwear"):
            keys = [moment[part]["keys"][name] for name in EXPRESSION_NAMES]
            np.testing.assert_allclose(keys, given, atol=TOLERANCE + 1e-4)
            turned = HEAD_TO_BLENDER @ rotation @ HEAD_TO_BLENDER.T
            # Imported quaternions are interpolated linearly and not along the sphere: between keys that is a bit off.
            np.testing.assert_allclose(np.array(moment[part]["place"])[:3, :3], turned, atol=3 * TOLERANCE)
