"""three.js and Blender show somebody with a body as the file has them, in every motion and with every expression."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from body.people import make_person
from export.blender import needs_blender, run_blender
from export.three_page import needs_three, show_in_three
from metrics.gltf_motion import MovingGlb
from portraitist.body.clips import CLIP_NAMES
from portraitist.body.skeleton import CONVENTIONS
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import UNSIGNED
from portraitist.types import EXPRESSION_NAMES

PHASES = 8
UNTESTED = "characters are NOT tested in it"
SIX = ("jawOpen", "mouthSmileLeft", "eyeBlinkRight", "browInnerUp", "mouthPucker", "eyeLookOutLeft")
TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def write_person(program: str, folder: Path) -> Path:
    path = folder / f"person_{program}.glb"
    PROFILES[program].write(path, make_person(), provenance=UNSIGNED)
    return path


def list_moments(glb: MovingGlb) -> list[tuple[str, float]]:
    return [(clip, glb.clips[clip] * phase / PHASES) for clip in CLIP_NAMES for phase in range(PHASES)]


def assert_where_it_should_be(glb: MovingGlb, clip: str, time: float, parts: dict[str, Any], axes: np.ndarray) -> None:
    for name in ("Body", "Clothes"):  # which no expression moves
        places = glb.move(clip, np.array([time]), name)[0] @ axes.T
        np.testing.assert_allclose(parts[name]["low"], places.min(0), atol=2e-3, err_msg=f"{name} in {clip} at {time}")
        np.testing.assert_allclose(parts[name]["high"], places.max(0), atol=2e-3, err_msg=f"{name} in {clip} at {time}")


@pytest.mark.slow
@needs_three
@pytest.mark.parametrize("program", ["web", "unity"])
def test_three_plays_every_motion(program: str, tmp_path: Path):
    path = write_person(program, tmp_path)
    glb = MovingGlb(path)
    moments = list_moments(glb)
    asked = [{"clip": clip, "time": time} for clip, time in moments]
    shown = show_in_three(path, asked, tmp_path / "profile", boxes=True, target=(0, 0.9, 0), radius=1.0)
    for (clip, time), moment in zip(moments, shown, strict=True):
        assert_where_it_should_be(glb, clip, time, moment["parts"], np.eye(3))
        assert np.ptp(moment["picture"]) > 100
    blinks = [moment["parts"]["Head"]["keys"]["eyeBlinkLeft"] for moment in shown]
    assert len({*np.round(blinks, 3)}) > 2


@pytest.mark.slow
@needs_three
def test_three_shows_expressions_on_bones(tmp_path: Path):
    path = write_person("web", tmp_path)
    asked = [{"weights": {}}, *({"weights": {name: 1.0}} for name in SIX)]
    top = float(MovingGlb(path).move("idle", np.zeros(1), "Head")[0][:, 1].max())
    shown = show_in_three(path, asked, tmp_path / "profile", target=(0, top - 0.12, 0.1), radius=0.2)
    still = shown[0]["picture"].astype(int)
    for name, moment in zip(SIX, shown[1:], strict=True):
        assert moment["parts"]["Head"]["keys"][name] == 1
        changed = np.abs(moment["picture"].astype(int) - still).max(2) > 30
        assert 20 < changed.sum() < 0.2 * changed.size, name


class TestBlender:
    pytestmark = needs_blender(UNTESTED)

    @pytest.mark.parametrize("program", ["blender", "unreal"])
    def test_it_plays_every_motion(self, program: str, tmp_path: Path):
        path, job, report = write_person(program, tmp_path), tmp_path / "job.json", tmp_path / "report.json"
        glb = MovingGlb(path)
        moments = list_moments(glb)
        job.write_text(json.dumps({"moments": moments}))
        run_blender("blender_character.py", path, job, report, untested=UNTESTED, timeout=600)
        got = json.loads(report.read_text())
        assert {*got["bones"]} == {*CONVENTIONS[{"blender": "standard", "unreal": "game-engine"}[program]]}
        for (clip, time), parts in zip(moments, got["played"], strict=True):
            assert_where_it_should_be(glb, clip, time, parts, TO_BLENDER)
            assert {*EXPRESSION_NAMES} < {*parts["Head"]["keys"]}
        waves = [parts for (clip, _), parts in zip(moments, got["played"], strict=True) if clip == "wave"]
        smiles = [parts["Head"]["keys"]["mouthSmileLeft"] for parts in waves]
        assert max(smiles) - min(smiles) > 0.15
