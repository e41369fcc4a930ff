"""VRM avatars with another face: their expressions move it, and their bones are as they were."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from body.people import make_person
from characters.worn import Worn, unpack, wear
from export.npm import find_package
from export.three_page import needs_three, open_page
from portraitist.characters.vrm_expressions import OLD_NAMES, OLD_VRM
from portraitist.export.vrm import PRESETS, VRM, write_vrm
from portraitist.io.gltf_document import GltfDocument, read_gltf

pytestmark = pytest.mark.slow
VRM_PAGE = Path(__file__).parent.parent / "export" / "vrm_page.html"


def name_binds(file: GltfDocument, expression: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By names of nodes and of their targets."""
    found: dict[str, dict[str, float]] = {}
    for bind in expression.get("morphTargetBinds", []):
        node = file.tree["nodes"][bind["node"]]
        names = file.tree["meshes"][node["mesh"]]["extras"]["targetNames"]
        found.setdefault(node["name"], {})[names[bind["index"]]] = bind["weight"]
    return found


@pytest.fixture(scope="module")
def avatar(sitter, models, tmp_path_factory) -> Worn:
    """One of our own."""
    path = tmp_path_factory.mktemp("avatar") / "avatar.vrm"
    write_vrm(path, dataclasses.replace(make_person(), texture=sitter.content.texture))
    return wear(path, sitter.content, models)


def test_expressions_move_the_new_face_as_they_moved_the_old_one(avatar: Worn):
    before, after = avatar.before.document, avatar.document
    old, new = (file.tree["extensions"][VRM] for file in (before, after))
    assert new["humanoid"] == old["humanoid"]
    for kind in ("preset", "custom"):
        assert new["expressions"][kind].keys() == old["expressions"][kind].keys()
        for name, expression in old["expressions"][kind].items():
            wanted, got = name_binds(before, expression), name_binds(after, new["expressions"][kind][name])
            assert got.get("Face", {}) == pytest.approx(wanted.get("Head", {})), name
    assert name_binds(after, new["expressions"]["preset"]["aa"])["Face"]["jawOpen"] > 0.2


@needs_three
@pytest.mark.skipif(find_package("@pixiv/three-vrm") is None, reason="npm's global @pixiv/three-vrm is not installed")
def test_an_avatars_page_shows_them(avatar: Worn, tmp_path: Path):
    moments = [{}, {"expressions": {"aa": 1.0}}, {"expressions": {"blink": 1.0}}, {"turn": 40.0}]
    report = open_page(VRM_PAGE, avatar.after.path, {"moments": moments, "size": 256}, tmp_path)
    still, open_, shut, _ = ({**parts} for parts in (moment["parts"] for moment in report["moments"]))
    assert still["Face"]["keys"]["jawOpen"] == 0
    assert open_["Face"]["keys"]["jawOpen"] == pytest.approx(PRESETS["aa"]["jawOpen"])
    assert shut["Face"]["keys"]["eyeBlinkLeft"] == 1


def make_old_avatar(path: Path, names: dict[str, str]) -> Path:
    """The toon character as VRM 0.x, its targets renamed."""
    file = read_gltf(path)
    number = next(n for n, mesh in enumerate(file.tree["meshes"]) if mesh["name"] == "Person")
    targets = file.tree["meshes"][number]["extras"]["targetNames"]
    file.tree["meshes"][number]["extras"]["targetNames"] = [names.get(name, name) for name in targets]
    bound = {"a": ("JawOpen", 100), "blink_l": ("eyeBlink_L", 80), "joy": ("MouthSmile_L", 50)}
    groups = [
        {"name": preset, "presetName": preset, "binds": [{"mesh": number, "index": targets.index(t), "weight": w}]}
        for preset, (t, w) in bound.items()
    ]
    file.tree["extensions"] = {
        OLD_VRM: {
            "blendShapeMaster": {"blendShapeGroups": groups},
            "firstPerson": {"meshAnnotations": [{"mesh": number, "firstPersonFlag": "Auto"}]},
            "materialProperties": [{"name": material["name"]} for material in file.tree["materials"]],
        }
    }
    file.tree["extensionsUsed"] = [OLD_VRM]
    path.write_bytes(file.pack())
    return path


@pytest.mark.parametrize("renamed", [False, True])
def test_old_avatars_bind_meshes(renamed: bool, sitter, models, tmp_path):
    """With names that are not of the 52 (here as a Japanese program gives them), presets bind what ours bind."""
    targets = ("JawOpen", "eyeBlink_L", "eyeBlink_R", "MouthSmile_L", "MouthSmile_R")
    names = {name: f"Fcl_{number}" for number, name in enumerate(targets)} if renamed else {}
    worn = wear(make_old_avatar(unpack("toon", tmp_path), names), sitter.content, models)
    vrm, meshes = worn.document.tree["extensions"][OLD_VRM], worn.document.tree["meshes"]
    (face,) = (node["mesh"] for node in worn.document.tree["nodes"] if node["name"] == "Face")
    shown = meshes[face]["extras"]["targetNames"]
    found = {
        group["presetName"]: {shown[b["index"]]: b["weight"] for b in group["binds"] if b["mesh"] == face}
        for group in vrm["blendShapeMaster"]["blendShapeGroups"]
    }
    if renamed:
        for preset, binds in found.items():
            ours = {name: 100 * weight for name, weight in PRESETS[OLD_NAMES[preset]].items()}
            assert {name: binds[name] for name in ours} == pytest.approx(ours)
    else:
        assert found == {"a": {"JawOpen": 100}, "blink_l": {"eyeBlink_L": 80}, "joy": {"MouthSmile_L": 50}}
    assert face in [note["mesh"] for note in vrm["firstPerson"]["meshAnnotations"]]
    assert len(vrm["materialProperties"]) == len(worn.document.tree["materials"])
