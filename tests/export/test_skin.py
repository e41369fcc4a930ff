"""A skin puts the head on joints without moving it, and moves what it is told to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
import torch

from conftest import add_layers, make_head
from export.gltf_validator import assert_valid, needs_validator
from export.read_glb import read_accessor
from portraitist.export.glb import build_gltf, save_gltf
from portraitist.export.skin import ARMATURE, HEAD_JOINT, Joint, add_skin
from portraitist.types import Head, Mesh

NECK = (Joint("Neck", (0.0, -0.1, -0.02)), Joint("Skull", (0.0, 0.02, -0.01), "Neck"))
QUARTER = np.array([[0.0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]])
"""Turn about +Y."""


@pytest.fixture(scope="module")
def layered() -> Head:
    return add_layers(make_head())


def blend(head: Head) -> list[torch.Tensor]:
    """From the neck below to the skull above, for each part."""
    rows = []
    for mesh in (head.mesh, *(layer.mesh for layer in head.layers)):
        share = ((mesh.vertices[:, 1] + 0.1) / 0.1).clamp(0, 1)
        rows.append(torch.stack([1 - share, share], dim=1))
    return rows


def write_skinned(path: Path, head: Head, *arguments: object) -> gl.GLTF2:
    file, blob = build_gltf(head)
    add_skin(file, blob, head, *arguments)
    save_gltf(path, file, blob)
    return gl.GLTF2().load(str(path))


def pose(file: gl.GLTF2, part: int, turns: dict[str, np.ndarray]) -> np.ndarray:
    """Vertices of a part as glTF 2.0 says (3.7.3.3), its joints turned by 4 x 4 matrices about where they are."""
    (skin,), (primitive,) = file.skins, file.meshes[part].primitives
    parents = {child: number for number, node in enumerate(file.nodes) for child in node.children or []}

    def place(number: int | None) -> np.ndarray:
        if number is None:
            return np.eye(4)
        own = np.eye(4)
        own[:3, 3] = file.nodes[number].translation or 0
        return place(parents.get(number)) @ own @ turns.get(file.nodes[number].name, np.eye(4))

    inverse = read_matrices(file, skin.inverseBindMatrices)
    joints = np.stack([place(number) @ bind for number, bind in zip(skin.joints, inverse, strict=True)])
    ids = read_bytes(file, primitive.attributes.JOINTS_0)
    shares = read_weights(file, primitive.attributes.WEIGHTS_0)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    points = read_accessor(file, primitive.attributes.POSITION)
    moved = np.einsum("nj,njab,nb->na", shares, joints[ids], np.c_[points, np.ones(len(points))])
    return moved[:, :3]


def read_weights(file: gl.GLTF2, index: int) -> np.ndarray:
    is_small = file.accessors[index].componentType == gl.UNSIGNED_BYTE
    return read_bytes(file, index) / 255 if is_small else read_accessor(file, index)


def read_bytes(file: gl.GLTF2, index: int) -> np.ndarray:
    accessor = file.accessors[index]
    offset = file.bufferViews[accessor.bufferView].byteOffset
    return np.frombuffer(file.binary_blob(), np.uint8, 4 * accessor.count, offset).reshape(-1, 4)


def read_matrices(file: gl.GLTF2, index: int) -> np.ndarray:
    offset, count = file.bufferViews[file.accessors[index].bufferView].byteOffset, file.accessors[index].count
    return np.frombuffer(file.binary_blob(), "<f4", 16 * count, offset).reshape(-1, 4, 4).swapaxes(1, 2)


def test_at_rest_nothing_moves(layered: Head, tmp_path: Path):
    for name, joints, weights in (("one", [HEAD_JOINT], None), ("two", NECK, blend(layered))):
        file = write_skinned(tmp_path / f"{name}.glb", layered, joints, weights)
        for part in range(3):
            points = read_accessor(file, file.meshes[part].primitives[0].attributes.POSITION)
            np.testing.assert_allclose(pose(file, part, {}), points, atol=1e-7)


def list_vertices(mesh: Mesh) -> np.ndarray:
    """Which vertex of the mesh each of the file is: one for every pair of vertex and UV."""
    return np.array(sorted({*zip(mesh.faces.flatten().tolist(), mesh.uv_faces.flatten().tolist(), strict=True)}))[:, 0]


def test_a_turned_joint_turns_what_hangs_on_it(layered: Head, tmp_path: Path):
    """A quarter turn of the skull about +Y through its joint, blended linearly with the neck that stays."""
    file, weights = write_skinned(tmp_path / "a.glb", layered, NECK, blend(layered)), blend(layered)
    joint = np.array(NECK[1].position)
    for part, mesh in enumerate([layered.mesh, *(layer.mesh for layer in layered.layers)]):
        share = weights[part][list_vertices(mesh), 1:].numpy()
        points = read_accessor(file, file.meshes[part].primitives[0].attributes.POSITION)
        turned = (points - joint) @ QUARTER[:3, :3].T + joint
        expected = (1 - share) * points + share * turned
        np.testing.assert_allclose(pose(file, part, {"Skull": QUARTER}), expected, atol=1e-6)


def test_one_joint_takes_all_along_in_few_bytes(layered: Head, tmp_path: Path):
    file = write_skinned(tmp_path / "a.glb", layered, [HEAD_JOINT])
    for part in range(3):
        attributes = file.meshes[part].primitives[0].attributes
        points = read_accessor(file, attributes.POSITION)
        got = pose(file, part, {HEAD_JOINT.name: QUARTER})
        np.testing.assert_allclose(got, points @ QUARTER[:3, :3].T, atol=1e-6)
        assert file.accessors[attributes.WEIGHTS_0].componentType == gl.UNSIGNED_BYTE


def test_skinned_parts_stand_beside_the_armature(layered: Head, tmp_path: Path):
    """Below another node their place would be told twice; viewers differ in what they make of that."""
    file = write_skinned(tmp_path / "a.glb", layered, NECK, blend(layered))
    assert [file.nodes[number].name for number in file.scenes[0].nodes] == ["Head", "Hair", "Headwear", ARMATURE]
    assert [node.skin for node in file.nodes[:3]] == [0, 0, 0]
    assert not any(node.children for node in file.nodes[:3])
    root = file.nodes[file.skins[0].skeleton]
    assert (root.name, [file.nodes[number].name for number in root.children]) == (ARMATURE, ["Neck"])


@needs_validator
def test_khronos_finds_nothing(layered: Head, tmp_path: Path):
    write_skinned(tmp_path / "one.glb", layered, [HEAD_JOINT])
    write_skinned(tmp_path / "two.glb", layered, NECK, blend(layered))
    for path in tmp_path.iterdir():
        assert_valid(path)


def test_what_is_no_skeleton_is_refused(layered: Head):
    five = [Joint(f"Joint {number}", (0.0, 0.0, 0.0)) for number in range(5)]
    thin = [torch.full((len(rows), 5), 0.2) for rows in blend(layered)]
    halves = [rows / 2 for rows in blend(layered)]
    for joints, weights, reason in (
        (NECK[::-1], None, "before it"),
        ((Joint("Neck", (0.0, 0.0, 0.0), "Absent"),), None, "before it"),
        ((Joint("Hair", (0.0, 0.0, 0.0)),), None, "names"),
        ((), None, "names"),
        (NECK, halves, "sum to 1"),
        (five, thin, "at most 4"),
    ):
        file, blob = build_gltf(layered)
        with pytest.raises(ValueError, match=reason):
            add_skin(file, blob, layered, joints, weights)
