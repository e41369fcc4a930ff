"""GLBs of other programs are read whatever the order and the storage; damaged ones are refused in one sentence."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gl
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from conftest import add_layers, make_head
from portraitist import InputError, write_glb
from portraitist.export.glb import GlbForm
from portraitist.io.glb_file import read_glb
from portraitist.types import Head


@pytest.fixture(scope="module")
def layered() -> Head:
    return add_layers(make_head())


@pytest.fixture(scope="module")
def data(layered: Head, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("glb") / "head.glb"
    write_glb(path, layered, GlbForm(quantized=True))
    return path.read_bytes()


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    size = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def join(tree: dict[str, Any], blob: bytes) -> bytes:
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(blob), 0x004E4942) + blob
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


def change(path: Path, layered: Head, edit: Any) -> Path:
    """Write the head's GLB with its JSON edited."""
    write_glb(path, layered)
    tree, blob = split(path.read_bytes())
    edit(tree)
    path.write_bytes(join(tree, blob))
    return path


def test_places_of_nodes_are_applied(layered: Head, tmp_path: Path):
    turn = Rotation.from_euler("XYZ", [20, 30, 40], degrees=True)

    def edit(tree: dict[str, Any]) -> None:
        tree["nodes"][0] |= {"rotation": turn.as_quat().tolist(), "translation": [1, 2, 3], "scale": [2, 2, 2]}
        tree["nodes"][1]["name"] = "Hair.001"
        matrix = np.eye(4)
        matrix[:3, 3] = (0, 0, 1)
        tree["nodes"][1]["matrix"] = matrix.T.reshape(-1).tolist()

    write_glb(tmp_path / "plain.glb", layered)
    before, after = read_glb(tmp_path / "plain.glb"), read_glb(change(tmp_path / "moved.glb", layered, edit))
    place = np.array([1, 2, 3])
    moved = turn.apply(2 * before["Head"].positions) + place
    np.testing.assert_allclose(after["Head"].positions, moved, atol=1e-6)
    moved = turn.apply(2 * (before["Hair"].positions + np.array([0, 0, 1]))) + place
    np.testing.assert_allclose(after["Hair"].positions, moved, atol=1e-6)
    jaw = turn.apply(2 * before["Head"].morphs["jawOpen"])
    np.testing.assert_allclose(after["Head"].morphs["jawOpen"], jaw, atol=1e-6)


def test_a_skin_at_rest_places_its_mesh_and_a_posed_one_is_refused(layered: Head, tmp_path: Path):
    write_glb(tmp_path / "skinned.glb", layered, GlbForm(skinned=True))
    file = gl.GLTF2().load(str(tmp_path / "skinned.glb"))
    before = read_glb(tmp_path / "skinned.glb")["Head"].positions
    file.nodes[-1].translation = [0.0, 0.5, 0.0]
    file.save(str(tmp_path / "moved.glb"))
    np.testing.assert_allclose(read_glb(tmp_path / "moved.glb")["Head"].positions - before, [[0, 0.5, 0]] * len(before))
    tree, blob = split((tmp_path / "skinned.glb").read_bytes())
    tree["skins"][0]["joints"] = [len(tree["nodes"]) - 1, len(tree["nodes"]) - 2]
    tree["skins"][0].pop("inverseBindMatrices")
    tree["nodes"][-1]["translation"] = [0.0, 0.5, 0.0]
    (tmp_path / "posed.glb").write_bytes(join(tree, blob))
    with pytest.raises(InputError, match="rest pose"):
        read_glb(tmp_path / "posed.glb")


def test_what_trimesh_writes_is_read(layered: Head, tmp_path: Path):
    """Another writer, without morph targets."""
    write_glb(tmp_path / "head.glb", layered)
    trimesh.load_scene(tmp_path / "head.glb").export(tmp_path / "other.glb")
    before, after = read_glb(tmp_path / "head.glb"), read_glb(tmp_path / "other.glb")
    for name, part in before.items():
        np.testing.assert_allclose(np.sort(after[name].positions, axis=0), np.sort(part.positions, axis=0), atol=1e-6)
        assert after[name].morphs == {}
        assert after[name].texture is not None


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda tree: tree.update(extensionsRequired=["KHR_draco_mesh_compression"]), "without compression"),
        (lambda tree: tree["nodes"][1].update(children=[0]), "twice"),
        (lambda tree: tree["accessors"][0].update(count=10**9), "too many"),
        (lambda tree: tree["bufferViews"][0].update(byteOffset=10**9), "beyond"),
        (lambda tree: tree["accessors"][0].update(byteOffset=10**6), "beyond"),
        (lambda tree: tree["meshes"][0]["primitives"][0].update(mode=1), "triangles"),
        (lambda tree: tree["nodes"][0].update(rotation=[0, 0, 0, 0]), "rotation"),
        (lambda tree: tree["images"].__setitem__(0, {"uri": "../secret.png"}), "elsewhere"),
        (lambda tree: tree["images"].__setitem__(0, {"uri": "absent.png"}), "does not exist"),
        (lambda tree: tree.pop("scenes"), "no usable GLB"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(edit: Any, reason: str, layered: Head, tmp_path: Path):
    with pytest.raises(InputError, match=reason):
        read_glb(change(tmp_path / "head.glb", layered, edit))


def test_other_files_are_refused(data: bytes, tmp_path: Path):
    for name, content in (("text", b"no GLB"), ("cut", data[: len(data) // 2]), ("old", data[:4] + b"\x01" + data[5:])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="no usable GLB"):
            read_glb(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        read_glb(tmp_path / "absent")


@settings(deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 255)), min_size=1, max_size=20))
def test_damaged_files_are_read_or_refused(changes: list, data: bytes, tmp_path_factory: pytest.TempPathFactory):
    damaged = bytearray(data)
    header = struct.unpack_from("<I", data, 12)[0]
    for place, value in changes:
        damaged[place % (header + 28)] = value  # most of the rest is numbers, which may be any
    path = tmp_path_factory.mktemp("damaged") / "head.glb"
    path.write_bytes(damaged)
    try:
        parts = read_glb(path)
    except InputError:
        return
    assert all(np.isfinite(part.positions).all() for part in parts.values())
