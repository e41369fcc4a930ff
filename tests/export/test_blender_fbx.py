"""GLB -> Blender -> FBX -> Blender, the way to older programs: names, shapes and every texture arrive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bust.drawn_bust import draw_bust
from conftest import add_layers, make_marked_head
from export.blender import needs_blender, run_blender
from portraitist.export.gltf_parts import ORIGINAL_SHAPE
from portraitist.export.neck_joint import BODY, NECK
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import UNSIGNED
from portraitist.types import EXPRESSION_NAMES, Head

UNTESTED = "the way through FBX is NOT tested"

pytestmark = needs_blender(UNTESTED)


@pytest.fixture(scope="module")
def layered() -> Head:
    return add_layers(make_marked_head(64))


def pass_through_fbx(profile: str, head: Head, folder: Path, **options: Any) -> dict[str, Any]:
    PROFILES[profile].write(folder / "head.glb", head, provenance=UNSIGNED, **options)
    files = [folder / "head.glb", folder / "head.fbx", folder / "report.json"]
    run_blender("blender_fbx.py", *files, untested=UNTESTED)
    return json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize("joints", [[], [BODY, NECK]])
def test_all_arrives(joints: list[str], layered: Head, tmp_path: Path):
    """The two joints are those of a bust."""
    if joints:
        layered = draw_bust(-0.25).bust.head
    report = pass_through_fbx("blender", layered, tmp_path)
    textures = {"Head": layered.texture, **{layer.name.capitalize(): layer.texture for layer in layered.layers}}
    assert report["after"].keys() == report["before"].keys() == textures.keys()
    for name, texture in textures.items():
        before, after = report["before"][name], report["after"][name]
        assert [*after["moves"]] == [*EXPRESSION_NAMES, ORIGINAL_SHAPE]
        np.testing.assert_allclose([*after["moves"].values()], [*before["moves"].values()], atol=1e-5)
        np.testing.assert_allclose([*after["values"].values()], [*layered.expression.tolist(), 0], atol=1e-5)
        assert after["joints"] == joints
        (picture,) = after["pictures"]
        assert picture["size"] == [texture.shape[2], texture.shape[1]]
        assert picture["into"] == "Base Color"
        np.testing.assert_allclose(picture["mean"], texture.mean(dim=(1, 2)), atol=1 / 255)


def test_names_arrive_from_other_profiles_but_textures_of_unlit_materials_do_not(layered: Head, tmp_path: Path):
    """Why Blender has a profile of its own. If this fails, Blender has learned it, and the documents should say so."""
    report = pass_through_fbx("unity", layered, tmp_path, visemes=True)
    assert [*report["after"]["Head"]["moves"]][:53] == [*EXPRESSION_NAMES, ORIGINAL_SHAPE]
    assert "viseme_aa" in report["after"]["Hair"]["moves"]
    assert report["before"]["Head"]["pictures"]
    assert not report["after"]["Head"]["pictures"]
