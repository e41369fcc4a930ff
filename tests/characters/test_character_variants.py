"""Characters as other programs make them: without joints, of several pieces, with other numbers, compressed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from characters.variants import drop_skeleton, hang_free, keep_mask, mirror, quantize, wear_ears
from characters.worn import name_pieces, take_piece, unpack, wear
from export.gltf_validator import SCRIPT, VALIDATOR
from portraitist.characters.figure import read_figure
from portraitist.errors import InputError
from portraitist.export.meshopt import MESHOPT, encode_attributes
from portraitist.io.gltf_document import read_gltf
from replace_face import measure_seam

pytestmark = pytest.mark.slow


def count_errors(path) -> int:
    if VALIDATOR is None:
        pytest.skip("npm's global gltf-validator is not installed")
    environment = os.environ | {"NODE_PATH": str(VALIDATOR.parent)}
    command = ["node", str(SCRIPT), str(path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return sum(issue["severity"] == 0 for issue in json.loads(run.stderr or "[]"))


@pytest.mark.parametrize("change", [drop_skeleton, hang_free, keep_mask, mirror, quantize])
def test_a_head_is_put_on_any_of_them(change, sitter, models, tmp_path):
    worn = wear(change(unpack("realistic", tmp_path)), sitter.content, models)
    assert count_errors(worn.after.path) == 0
    # The node of a mask loses all that it showed, and shows the new head itself.
    (number,) = take_piece(worn.after, "Body" if change is keep_mask else "Face")
    piece = worn.after.pieces[number]
    column, row = (2 * worn.wearer.points[30]).astype(int)  # the tip of the nose, on the picture's rays
    old = worn.before.vertices[worn.before.faces[worn.wearer.view.face_ids[row, column]]].mean(0)
    assert np.linalg.norm(worn.after.vertices[piece.vertices] - old, axis=1).min() < 0.02
    corners = worn.after.corners(piece.faces) - old
    assert np.einsum("fi,fi->", np.cross(corners[:, 0], corners[:, 1]), corners[:, 2]) > 0  # it is not inside out
    if change not in (keep_mask, quantize):  # of one nothing is joined, of the other no numbers are equal
        seam = measure_seam(worn.after)
        assert seam["color_across"] <= max(seam["color_beside"], 2 / 255)
    assert not {"Eyes", "Teeth"} & {name.split(".")[0] for name in name_pieces(worn.after)}


def test_ears_go_and_their_rings_stay(sitter, models, tmp_path):
    worn = wear(wear_ears(unpack("realistic", tmp_path)), sitter.content, models)
    names = name_pieces(worn.after)
    assert "Ears" not in names
    assert "Rings" in names


def test_meshopt_is_decoded(tmp_path):
    pytest.importorskip("meshopt")
    path = unpack("toon", tmp_path)
    plain, file = read_figure(path), read_gltf(path)
    for accessor in file.tree["accessors"]:
        view = file.tree["bufferViews"][accessor["bufferView"]]
        if view.get("target") != 34962 or "extensions" in view or "byteStride" in view:
            continue
        rows = np.frombuffer(file.buffers.read_view(accessor["bufferView"]), np.uint8).reshape(accessor["count"], -1)
        packed = encode_attributes(rows)
        number = file.add_view(packed)
        place = file.tree["bufferViews"].pop(number) | {"byteStride": rows.shape[1], "count": len(rows)}
        view["extensions"] = {MESHOPT: place | {"mode": "ATTRIBUTES"}}
    file.tree["extensionsUsed"] = file.tree["extensionsRequired"] = [MESHOPT]
    packed_path = tmp_path / "packed.glb"
    packed_path.write_bytes(file.pack())
    again = read_figure(packed_path)
    assert np.array_equal(again.vertices, plain.vertices)
    assert "extensionsRequired" not in again.document.tree


def test_draco_is_decoded(tmp_path):
    draco = pytest.importorskip("DracoPy")
    path = unpack("toon", tmp_path)
    plain, file = read_figure(path), read_gltf(path)
    for mesh in file.tree["meshes"]:
        for primitive in mesh["primitives"]:
            names, accessors = [*primitive["attributes"]], primitive["attributes"]
            if "targets" in primitive:
                continue  # Draco has none
            values = {n: file.buffers.read_raw(accessors[name]) for n, name in enumerate(names) if name != "POSITION"}
            triangles = file.buffers.read_ids(primitive["indices"]).reshape(-1, 3).astype("u4")
            places = file.buffers.read_raw(accessors["POSITION"])
            options = {"quantization_bits": 20, "preserve_order": True, "generic_attributes": values}
            data = draco.encode(places, triangles, **options)
            (of_places,) = (a["unique_id"] for a in draco.decode(data).attributes if a["attribute_type"] == 0)
            ids = {name: n if name != "POSITION" else of_places for n, name in enumerate(names)}
            own = {"bufferView": file.add_view(data), "attributes": ids}
            primitive["extensions"] = {"KHR_draco_mesh_compression": own}
            for number in (*accessors.values(), primitive["indices"]):
                file.tree["accessors"][number].pop("bufferView", None)
    file.tree["extensionsUsed"] = file.tree["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    packed = tmp_path / "packed.glb"
    packed.write_bytes(file.pack())
    again = read_figure(packed)
    assert np.array_equal(again.faces, plain.faces)
    assert np.abs(again.vertices - plain.vertices).max() < 1e-5 * np.ptp(plain.vertices)
    assert abs(again.weights - plain.weights).max() < 1e-6


def test_a_missing_decoder_is_named(tmp_path, monkeypatch):
    path = unpack("toon", tmp_path)
    file = read_gltf(path)
    file.tree["extensionsUsed"] = file.tree["extensionsRequired"] = [MESHOPT]
    path.write_bytes(file.pack())
    monkeypatch.setitem(sys.modules, "meshopt", None)
    with pytest.raises(InputError, match="pip install meshopt"):
        read_figure(path)
