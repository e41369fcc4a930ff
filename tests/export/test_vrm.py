"""The VRM says what VRM 1.0 demands, and an avatar's page moves it as it is meant."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gl
import pytest
import torch
from scipy.spatial.transform import Rotation

from conftest import add_layers, make_head, make_marked_head
from export.gltf_validator import assert_valid, needs_validator
from export.npm import find_package
from export.read_glb import read_accessor
from export.three_page import needs_three, open_page
from portraitist import InputError, OutputError
from portraitist.export.mtoon import THINNEST_M, WIDEST_M, find_shade, find_stroke_width
from portraitist.export.provenance import Provenance
from portraitist.export.vrm import BODY, PRESETS, SHOULDERS_M, write_vrm
from portraitist.mesh.carrying import pose_head
from portraitist.types import EXPRESSION_NAMES, REGIONS, Head

SIGNED = Provenance("Ann Özil", "CC BY 4.0", "2026-11-30")


@pytest.fixture(scope="module")
def head() -> Head:
    return add_layers(make_marked_head())


@pytest.fixture(scope="module")
def path(head: Head, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vrm") / "head.vrm"
    write_vrm(path, head, name="Test", provenance=SIGNED)
    return path


@pytest.fixture(scope="module")
def file(path: Path) -> gl.GLTF2:
    return gl.GLTF2().load_binary(str(path))


@pytest.fixture(scope="module")
def vrm(file: gl.GLTF2) -> dict[str, Any]:
    assert "VRMC_vrm" in file.extensionsUsed
    return file.extensions["VRMC_vrm"]


def test_terms_are_the_strictest_unless_asked(vrm: dict[str, Any], head: Head, tmp_path: Path):
    meta = vrm["meta"]
    assert meta["name"] == "Test"
    assert meta["authors"] == ["Ann Özil"]
    assert meta["licenseUrl"] == "https://vrm.dev/licenses/1.0/"
    assert "CC BY 4.0" in meta["thirdPartyLicenses"]
    assert meta["avatarPermission"] == "onlyAuthor"
    assert meta["modification"] == "prohibited"
    assert not any(value for key, value in meta.items() if key.startswith("allow"))
    write_vrm(tmp_path / "free.vrm", head, terms="everyone", license_url="https://example.org/by")
    free = gl.GLTF2().load_binary(str(tmp_path / "free.vrm")).extensions["VRMC_vrm"]["meta"]
    assert free["avatarPermission"] == "everyone"
    assert free["allowRedistribution"] is True
    assert free["otherLicenseUrl"] == "https://example.org/by"
    assert free["authors"] == ["unknown"]
    assert "copyrightInformation" not in free
    assert not any(free[key] for key in free if re.fullmatch("allow.*Usage", key))


def test_all_demanded_bones_stand_on_the_ground(vrm: dict[str, Any], file: gl.GLTF2, head: Head):
    bones = {name: bone["node"] for name, bone in vrm["humanoid"]["humanBones"].items()}
    assert bones.keys() == {*BODY, "neck", "head"}
    assert len({*bones.values()}) == len(bones)
    parents = {child: number for number, node in enumerate(file.nodes) for child in node.children or ()}

    def place(number: int) -> np.ndarray:
        own = np.array(file.nodes[number].translation or [0, 0, 0])
        return own + place(parents[number]) if number in parents else own

    heights = {name: place(number)[1] for name, number in bones.items()}
    assert 0 < heights["leftFoot"] < heights["leftLowerLeg"] < heights["hips"] < heights["spine"] < heights["chest"]
    assert heights["chest"] < heights["neck"] < heights["head"]
    assert heights["neck"] == pytest.approx(SHOULDERS_M)
    assert place(bones["leftHand"])[0] > 0.5  # +x is the avatar's left
    np.testing.assert_allclose(place(bones["rightHand"]), place(bones["leftHand"]) * [-1, 1, 1])


def test_the_head_is_the_same_but_higher(file: gl.GLTF2, head: Head):
    neutral = pose_head(head, torch.zeros(len(EXPRESSION_NAMES)))
    meshes = [neutral.mesh, *(layer.mesh for layer in neutral.layers)]
    for number, mesh in enumerate(meshes):
        positions = read_accessor(file, file.meshes[number].primitives[0].attributes.POSITION)
        own = mesh.vertices.numpy()
        shift = positions.min(0) - own.min(0)
        if number == 0:
            first = shift
        np.testing.assert_allclose(shift, first, atol=1e-5)
        np.testing.assert_allclose(positions.max(0) - own.max(0), first, atol=1e-5)
        assert not any(file.meshes[number].weights)
    assert first[1] > 1


def test_the_face_hangs_on_the_head_and_the_end_of_the_neck_on_the_chest(
    vrm: dict[str, Any], file: gl.GLTF2, head: Head
):
    primitive = file.meshes[0].primitives[0]
    blob, joints = file.binary_blob(), file.skins[0].joints
    accessor = file.accessors[primitive.attributes.JOINTS_0]
    view = file.bufferViews[accessor.bufferView]
    ids = np.frombuffer(blob, np.uint8, 4 * accessor.count, view.byteOffset).reshape(-1, 4)
    shares = read_accessor(file, primitive.attributes.WEIGHTS_0)
    positions = read_accessor(file, primitive.attributes.POSITION)
    bones = {name: joints.index(bone["node"]) for name, bone in vrm["humanoid"]["humanBones"].items()}
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)

    def share(bone: str) -> np.ndarray:
        return (shares * (ids == bones[bone])).sum(1)

    forehead = positions[:, 1] > np.quantile(positions[:, 1], 0.8)
    assert (share("head")[forehead] == 1).all()
    assert share("chest")[positions[:, 1].argmin()] > 0.9
    assert set(np.unique(ids[shares > 0])) == {bones["chest"], bones["neck"], bones["head"]}


def test_expressions_bind_the_morphs_of_every_part(vrm: dict[str, Any], file: gl.GLTF2, head: Head):
    names = file.meshes[0].extras["targetNames"]
    assert set(EXPRESSION_NAMES) < set(names)
    custom, preset = vrm["expressions"]["custom"], vrm["expressions"]["preset"]
    assert {name[0].upper() + name[1:] for name in EXPRESSION_NAMES} | {"Painted", "OriginalShape"} == custom.keys()
    assert preset.keys() == PRESETS.keys()

    def read(expression: dict[str, Any], node: int) -> dict[str, float]:
        return {names[bind["index"]]: bind["weight"] for bind in expression["morphTargetBinds"] if bind["node"] == node}

    for node in range(3):
        assert read(custom["JawOpen"], node) == {"jawOpen": 1.0}
        assert read(preset["blinkLeft"], node) == {"eyeBlinkLeft": 1.0}
        assert read(preset["neutral"], node) == {}
        painted = read(custom["Painted"], node)
        for name, weight in zip(EXPRESSION_NAMES, head.expression.tolist(), strict=True):
            assert painted.get(name, 0.0) == pytest.approx(weight)
    # To its left is where the left eye looks out.
    assert read(preset["lookLeft"], 0) == {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}
    assert all(0 < weight <= 1 for weights in PRESETS.values() for weight in weights.values())
    assert {name for weights in PRESETS.values() for name in weights} <= set(EXPRESSION_NAMES)


def test_eyes_reach_as_far_as_the_blendshapes_turn_them(vrm: dict[str, Any], head: Head, tmp_path: Path):
    assert vrm["lookAt"]["type"] == "expression"
    turn = torch.from_numpy(Rotation.from_euler("y", 20, degrees=True).as_matrix()).float()
    eyes = torch.unique(head.mesh.faces[head.mesh.regions == REGIONS.index("eyeballs")])
    left = eyes[head.expression_deltas[EXPRESSION_NAMES.index("eyeLookOutLeft")][eyes].norm(dim=1) > 0]
    ball = head.neutral[left] - head.neutral[left].mean(0)
    deltas = head.expression_deltas.clone()
    deltas[EXPRESSION_NAMES.index("eyeLookOutLeft"), left] = ball @ turn.T - ball + 0.002
    mesh = head.mesh.with_vertices(head.neutral + torch.einsum("e,env->nv", head.expression, deltas))
    write_vrm(tmp_path / "a.vrm", dataclasses.replace(head, expression_deltas=deltas, mesh=mesh))
    look = gl.GLTF2().load_binary(str(tmp_path / "a.vrm")).extensions["VRMC_vrm"]["lookAt"]
    assert look["rangeMapHorizontalOuter"]["inputMaxValue"] == pytest.approx(20, abs=0.01)
    assert look["rangeMapVerticalUp"] == vrm["lookAt"]["rangeMapVerticalUp"]


def test_materials_are_mtoon_with_the_colors_of_the_paint(file: gl.GLTF2):
    assert "KHR_materials_unlit" not in file.extensionsUsed
    for number, material in enumerate(file.materials):
        own = material.extensions["VRMC_materials_mtoon"]
        assert own["shadeMultiplyTexture"]["index"] == material.pbrMetallicRoughness.baseColorTexture.index
        assert THINNEST_M <= own["outlineWidthFactor"] <= WIDEST_M
        assert ("outlineWidthMultiplyTexture" in own) == (number == 0)


def test_shade_is_the_darker_half_of_the_paint():
    texture = torch.ones(3, 8, 8)
    texture[:, :4] = torch.tensor([0.5, 0.25, 0.0])[:, None, None]
    linear = [((0.5 + 0.055) / 1.055) ** 2.4, ((0.25 + 0.055) / 1.055) ** 2.4, 0.0]
    assert find_shade(texture) == pytest.approx(linear)
    assert find_shade(torch.full((3, 4, 4), 0.5)) == [1, 1, 1]
    assert find_shade(torch.zeros(3, 4, 4)) == [1, 1, 1]


def test_strokes_are_as_wide_as_they_are_drawn():
    """Lines across the face, two widths of them."""
    head = make_marked_head(1024)
    found = []
    for width_px in (2, 4):
        texture = torch.ones(3, 1024, 1024)
        for start in range(0, 1024, 64):
            texture[:, :, start : start + width_px] = 0
        found.append(find_stroke_width(head.mesh, texture))
    assert found[1] / found[0] == pytest.approx(2)
    assert found[0] > THINNEST_M
    assert found[1] < WIDEST_M


def test_bad_input_is_refused_and_nothing_is_left(head: Head, tmp_path: Path):
    with pytest.raises(InputError, match="author or everyone, got 'all'"):
        write_vrm(tmp_path / "a.vrm", head, terms="all")
    ball = make_head()
    closed = dataclasses.replace(head.layers[0].mesh, regions=0 * head.layers[0].mesh.regions)
    count = len(closed.vertices)
    body = dataclasses.replace(
        ball,
        mesh=closed,
        neutral=closed.vertices,
        original=closed.vertices,
        expression_deltas=torch.zeros(52, count, 3),
    )
    with pytest.raises(InputError, match="no opening"):
        write_vrm(tmp_path / "a.vrm", body)
    with pytest.raises(OutputError, match="cannot be written"):
        write_vrm(tmp_path / "absent" / "a.vrm", head)
    assert not [*tmp_path.iterdir()]


def test_same_bytes_each_time(path: Path, head: Head, tmp_path: Path):
    write_vrm(tmp_path / "again.vrm", head, name="Test", provenance=SIGNED)
    assert (tmp_path / "again.vrm").read_bytes() == path.read_bytes()


@pytest.mark.slow
@needs_validator
def test_the_validator_finds_nothing(path: Path):
    assert_valid(path)


@pytest.mark.slow
@needs_three
def test_it_lives_in_three_vrm(path: Path, head: Head, tmp_path: Path):
    if find_package("@pixiv/three-vrm") is None:
        pytest.skip("npm's global @pixiv/three-vrm is not installed: VRMs are NOT opened in it")
    degrees = 7.0
    moments = [
        {}, {"expressions": {"happy": 1}}, {"expressions": {"aa": 1}}, {"expressions": {"JawOpen": 0.5}},
        {"expressions": {"Painted": 1}}, {"look": [degrees, 0]}, {"turn": 40},
        {"expressions": {"blink": 1, "happy": 1}},
    ]  # fmt: skip
    page = Path(__file__).with_name("vrm_page.html")
    report = open_page(page, path, {"moments": moments, "size": 256}, tmp_path / "profile")
    assert report["meta"]["metaVersion"] == "1"
    assert report["meta"]["thumbnailImage"] == 256
    assert set(report["bones"]) == {*BODY, "neck", "head"}
    assert all(material["toon"] for material in report["materials"])
    assert sum(material["outline"] for material in report["materials"]) == 3
    rest, happy, talk, half, painted, look, turned, both = report["moments"]
    pictures = [moment["picture"].astype(int) for moment in report["moments"]]
    changes = [np.abs(picture - pictures[0]).max() for picture in pictures[1:]]
    assert min(changes) > 10, f"a moment looks like the rest: {changes}"
    for moment in report["moments"]:
        assert len(moment["parts"]) == 3

    def keys(moment: dict[str, Any]) -> dict[str, float]:
        return moment["parts"]["Head"]["keys"]

    assert not any(keys(rest).values())
    for name, weight in PRESETS["happy"].items():
        assert keys(happy)[name] == pytest.approx(weight)
    assert keys(talk)["jawOpen"] == pytest.approx(PRESETS["aa"]["jawOpen"])
    assert keys(half)["jawOpen"] == pytest.approx(0.5)
    for name, weight in zip(EXPRESSION_NAMES, head.expression.tolist(), strict=True):
        assert keys(painted)[name] == pytest.approx(weight, abs=1e-5)
    assert 0.2 < keys(look)["eyeLookOutLeft"] < 0.9  # a part of the way, to its own left
    assert keys(look)["eyeLookInLeft"] == 0
    assert not any(keys(turned).values())
    assert keys(both)["eyeBlinkLeft"] < 0.5  # a smile squints: blinking yields
