"""A head on a bust in every program's file: all parts are there, shoulders hang on the body, and the print is one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
import torch
import trimesh
from scipy.spatial import KDTree

from bust.drawn_bust import draw_bust
from conftest import make_layer
from export.gltf_validator import assert_valid, needs_validator
from export.test_skin import list_vertices, read_bytes, read_weights
from portraitist import import_glb
from portraitist.bust.torso_model import load_torso_model
from portraitist.export.neck_joint import BODY, NECK
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import UNSIGNED
from portraitist.export.solid import build_solid
from portraitist.export.vrm import write_vrm
from portraitist.types import EXPRESSION_NAMES, REGIONS, Head

GLBS = [name for name, profile in PROFILES.items() if profile.suffix == ".glb"]
HEIGHT_MM = 40.0


@pytest.fixture(scope="module")
def head() -> Head:
    """With hair, on bare shoulders, its mouth open: a chin that is lower than that of the neutral head."""
    head = draw_bust(-0.25).bust.head
    expression = torch.zeros(len(EXPRESSION_NAMES))
    expression[EXPRESSION_NAMES.index("jawOpen")] = 1.0
    posed = dataclasses.replace(head, expression=expression, mesh=head.mesh.with_vertices(head.posed(expression)))
    return dataclasses.replace(posed, layers=(make_layer(head), *head.layers))


def read_shares(file: gl.GLTF2, head: Head) -> list[dict[str, np.ndarray]]:
    """How much each joint moves the vertices of the head and its layers."""
    names, parts = [file.nodes[joint].name for joint in file.skins[0].joints], []
    for mesh, stored in zip([head.mesh, *(layer.mesh for layer in head.layers)], file.meshes, strict=True):
        own = stored.primitives[0].attributes
        joints, weights = read_bytes(file, own.JOINTS_0), read_weights(file, own.WEIGHTS_0)
        shares = np.stack([(weights * (joints == number)).sum(1) for number in range(len(names))])
        _, first = np.unique(list_vertices(mesh), return_index=True)
        parts.append(dict(zip(names, shares[:, first], strict=True)))
    return parts


def list_rigid(head: Head) -> torch.Tensor:
    """Vertices of all that is no neck."""
    return head.mesh.faces[head.mesh.regions != REGIONS.index("neck")].unique()


@pytest.mark.parametrize("program", GLBS)
def test_a_bust_hangs_on_a_neck_that_bends(program: str, head: Head, tmp_path: Path):
    PROFILES[program].write(tmp_path / "head.glb", head, provenance=UNSIGNED)
    file = gl.GLTF2().load(str(tmp_path / "head.glb"))
    assert [node.name for node in file.nodes[:3]] == ["Head", "Hair", "Bust"]
    joints = [[file.nodes[joint].name for joint in skin.joints] for skin in file.skins]
    assert joints == ([] if program == "web" else [[BODY, NECK]])
    if joints:
        own, hair, bust = read_shares(file, head)
        assert own[NECK][list_rigid(head)].min() > 1 - 1e-6
        assert own[NECK][load_torso_model().ring].mean() < 0.05
        assert hair[NECK].min() > 1 - 1e-6
        assert (bust[BODY] == 1).mean() > 0.8


@needs_validator
@pytest.mark.parametrize("program", [*GLBS, "vrm"])
def test_khronos_finds_nothing(program: str, head: Head, tmp_path: Path):
    PROFILES[program].write(tmp_path / "head.glb", head, provenance=UNSIGNED)
    assert_valid(tmp_path / "head.glb")


def test_an_untouched_file_gives_the_head_itself(head: Head, tmp_path: Path):
    PROFILES["blender"].write(tmp_path / "head.glb", head, provenance=UNSIGNED)
    got = import_glb(tmp_path / "head.glb", head)
    assert torch.equal(got.mesh.vertices, head.mesh.vertices)
    for mine, own in zip(got.layers, head.layers, strict=True):
        assert mine.name == own.name
        assert (mine.mesh.vertices - own.mesh.vertices).abs().max() < 1e-6


def test_shoulders_of_an_avatar_hang_on_its_chest(head: Head, tmp_path: Path):
    write_vrm(tmp_path / "head.glb", head)
    file = gl.GLTF2().load_binary(str(tmp_path / "head.glb"))
    own, hair, bust = read_shares(file, head)
    vertices, shoulders = head.neutral.numpy(), head.layers[-1].mesh.vertices.numpy()
    ring = load_torso_model().ring
    below = shoulders[:, 1] < vertices[ring, 1].min()
    assert below.mean() > 0.5
    assert bust["chest"][below].min() > 0.99
    assert hair["head"].min() > 1 - 1e-6
    assert own["head"][list_rigid(head)].min() > 1 - 1e-6
    assert own["chest"][ring].mean() > 0.9
    # Where neck and bust meet, both follow the same bones.
    distances, nearest = KDTree(vertices).query(shoulders)
    (at,) = np.nonzero(distances < 1e-6)
    assert len(at) > 10
    for bone in ("chest", "neck", "head"):
        np.testing.assert_allclose(bust[bone][at], own[bone][nearest[at]], atol=1e-5)


@pytest.mark.parametrize("flat_base", [False, True])
def test_a_print_is_one_body_on_its_shoulders(flat_base: bool, head: Head):
    solid = build_solid(head, HEIGHT_MM, flat_base)
    mesh = trimesh.Trimesh(solid.vertices, solid.faces, process=False)
    assert mesh.is_volume
    assert mesh.body_count == 1
    assert solid.lost_mm3 < 1
    assert {REGIONS.index(name) for name in ("bust", "hair", "skin")} <= {*solid.regions.tolist()}
    # It stands on all of its base.
    lowest = solid.vertices[solid.vertices[:, 2] < 0.2]
    assert np.ptp(lowest[:, 0]) > 0.5 * np.ptp(solid.vertices[:, 0])
