"""The steps of putting a head on a character, each on its own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp

from portraitist.characters.cutting import cut_mesh, find_pieces, list_loops
from portraitist.characters.head_part import Seam, extend_uvs, join_head
from portraitist.characters.joining import measure_loop, pick_loop, zip_loops
from portraitist.characters.paint import decode_srgb, encode_srgb
from portraitist.characters.placing import fit_similarity
from portraitist.characters.rigging import keep_strongest, match_expression
from portraitist.io.gltf_document import GltfDocument, read_gltf
from portraitist.io.gltf_pruning import prune
from portraitist.mesh.closing import list_openings


def make_tube(around: int, rows: int, height: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A vertical tube of radius 1 around +Y, triangles facing outwards."""
    turns = 2 * np.pi * np.arange(around) / around
    ring = np.stack([np.sin(turns), np.zeros(around), np.cos(turns)], 1)
    vertices = np.concatenate([ring + np.array([0, y, 0]) for y in np.linspace(0, height, rows)])
    faces = []
    for row in range(rows - 1):
        for i in range(around):
            a, b = row * around + i, row * around + (i + 1) % around
            faces += [(a, b, a + around), (b, b + around, a + around)]
    return vertices, np.array(faces)


def measure_area(vertices: np.ndarray, faces: np.ndarray) -> float:
    corners = vertices[faces]
    return float(
        np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    )


def test_a_cut_leaves_what_is_below_the_level():
    vertices, faces = make_tube(12, 5)
    level = 0.6
    cut = cut_mesh(faces, vertices[:, 1] - level, vertices[:, 1] > level)
    points = cut.matrix() @ vertices
    assert np.allclose(points[cut.rim][..., 1], level)
    assert measure_area(points, cut.faces) == pytest.approx(level * measure_area(vertices, faces))
    (loop,) = list_loops(cut.rim)
    assert len(loop) == len(cut.pairs)
    assert np.array_equal(cut.origin[: len(faces) // 2], np.arange(len(faces) // 2))
    normals = np.cross(
        points[cut.faces][:, 1] - points[cut.faces][:, 0], points[cut.faces][:, 2] - points[cut.faces][:, 0]
    )
    assert ((normals * points[cut.faces].mean(1))[:, [0, 2]].sum(1) > 0).all()


def test_only_what_is_joined_to_the_face_goes():
    """Two tubes: hands raised beside the head."""
    vertices, faces = make_tube(8, 4)
    both = np.concatenate([faces, faces + len(vertices)])
    above = np.tile(vertices[:, 1] > 0.5, 2)
    pieces = find_pieces(both, 2 * len(vertices), above)
    assert len(set(pieces[above].tolist())) == 2
    assert (pieces[~above] == -1).all()


@pytest.mark.parametrize(("upper", "lower"), [(12, 12), (7, 31), (40, 9)])
def test_a_strip_closes_the_gap_between_two_loops(upper: int, lower: int):
    top, bottom = (make_tube(n, 2)[0][:n] for n in (upper, lower))
    top = top + np.array([0, 0.2, 0])
    strip, edges = zip_loops(top, bottom)
    assert len(strip) == upper + lower
    points = np.concatenate([top, bottom])
    rims = list_openings(strip)
    assert sorted(len(rim) for rim in rims) == sorted((upper, lower))
    corners = points[strip]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((normals * corners.mean(1))[:, [0, 2]].sum(1) > 0).all()
    assert set(edges.tolist()) <= set(range(upper))


def test_the_loop_around_the_neck_is_picked():
    large, small = make_tube(30, 2)[0][:30], 0.1 * make_tube(30, 2)[0][:30]
    beside = large + np.array([3, 0, 0])
    assert pick_loop([small + np.array([0.5, 0, 0]), beside, large], np.zeros(2)) == 2
    assert pick_loop([beside], np.zeros(2)) is None
    assert measure_loop(large) == pytest.approx(2 * np.pi, rel=0.01)


def test_a_neck_that_ends_aslant_is_cut_all_around():
    """In front its end lies above the level of the cut: a line that ran along the end would not be closed."""
    vertices, faces = make_tube(16, 5)
    end = np.arange(16)
    vertices[end, 1] += 0.2 * vertices[end, 2]
    lower = make_tube(20, 2)[0][:20] + np.array([0, 0.1, 0])
    part = join_head(vertices, faces, vertices[:, :2], faces, end, 0.1, Seam(lower, np.arange(20)))
    assert not np.isin(end, part.faces).any()
    rims = sorted(len(rim) for rim in list_openings(part.faces))
    assert rims == [16, 20]  # the crown of the tube, and the seam


def test_uvs_go_on_as_they_are_beside():
    corners = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    uvs = np.array([[[0.1, 0.1], [0.3, 0.1], [0.1, 0.5]]])
    found = extend_uvs(np.array([[[0.5, -0.5, 0], [2, 0, 0], [0, 0, 7]]]), corners, uvs)
    assert np.allclose(found, [[[0.2, -0.1], [0.5, 0.1], [0.1, 0.1]]], atol=1e-9)


def test_a_similarity_is_found_again():
    rng = np.random.default_rng(4)
    points = rng.normal(size=(20, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    found = fit_similarity(points, 2.5 * points @ turn.T + [1, 2, 3])
    assert found.scale == pytest.approx(2.5)
    assert np.allclose(found.rotation, turn)
    assert np.allclose(found.undo(found.apply(points)), points)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("jawOpen", "jawOpen"),
        ("JawOpen", "jawOpen"),
        ("mouthSmile_L", "mouthSmileLeft"),
        ("Mouth_Smile_Right", "mouthSmileRight"),
        ("blendShape1.eyeBlinkLeft", "eyeBlinkLeft"),
        ("eye_blink_r", "eyeBlinkRight"),
        ("browInnerUp", "browInnerUp"),
        ("Fcl_MTH_A", None),
        ("smile", None),
        ("target_3", None),
    ],
)
def test_names_of_expressions_are_understood(name: str, meant: str | None):
    assert match_expression(name) == meant


def test_the_strongest_joints_stay_and_others_count_for_those_above():
    weights = sp.csr_matrix([[0.1, 0.2, 0.3, 0.15, 0.05, 0.2], [0, 0, 0, 0, 0, 1]])
    ids, shares = keep_strongest(weights, [0, 1, 2, 3, 4], {5: 2})
    assert ids[0].tolist() == [2, 1, 3, 0]
    assert np.allclose(shares[0], np.array([0.5, 0.2, 0.15, 0.1]) / 0.95)
    assert ids[1].tolist() == [2, 0, 0, 0]
    assert shares[1].tolist() == [1, 0, 0, 0]


def test_colors_come_back():
    values = np.linspace(0, 1, 50)
    assert np.allclose(encode_srgb(decode_srgb(values)), values, atol=1e-6)


def make_document() -> GltfDocument:
    file = GltfDocument({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}]}, bytearray())
    for shift in range(2):
        places = np.arange(9, dtype="<f4").reshape(3, 3) + shift
        primitive = {"attributes": {"POSITION": file.add_numbers(places, bounds=True)}}
        file.append("meshes", {"primitives": [primitive]})
    file.append("nodes", {"mesh": 1})
    return file


def test_a_file_without_a_scene_shows_all_its_nodes_once():
    file = make_document()
    file.append("nodes", {"children": [0], "translation": [0, 5, 0]})
    del file.tree["scenes"], file.tree["scene"]
    places = file.place_nodes()
    assert {*places} == {0, 1}
    assert places[0][1, 3] == 5


def test_what_nobody_uses_is_taken_out(tmp_path):
    file = make_document()
    before = len(file.blob)
    prune(file)
    assert len(file.tree["meshes"]) == len(file.tree["accessors"]) == len(file.tree["bufferViews"]) == 1
    assert len(file.blob) < before
    (tmp_path / "a.glb").write_bytes(file.pack())
    again = read_gltf(tmp_path / "a.glb")
    assert again.buffers.read(0)[0].tolist() == [1, 2, 3]


def test_unknown_extensions_keep_what_they_may_refer_to():
    file = make_document()
    file.tree["extensionsUsed"] = ["VRM"]
    prune(file)
    assert len(file.tree["meshes"]) == 2


def test_rows_of_bytes_are_padded_as_gltf_wants(tmp_path):
    file = make_document()
    number = file.add_numbers(np.arange(9, dtype="i1").reshape(3, 3), normalized=True)
    view = file.tree["bufferViews"][file.tree["accessors"][number]["bufferView"]]
    assert view["byteStride"] == 4
    assert np.array_equal(file.buffers.read_raw(number), np.arange(9).reshape(3, 3))


def test_a_gltf_with_files_beside_it_is_read_as_one(tmp_path):
    file = make_document()
    (tmp_path / "a b.bin").write_bytes(bytes(file.blob))
    tree = file.tree | {"buffers": [{"byteLength": len(file.blob), "uri": "a%20b.bin"}]}
    (tmp_path / "a.gltf").write_text(json.dumps(tree))
    again = read_gltf(tmp_path / "a.gltf")
    assert again.buffers.read(1)[2].tolist() == [7, 8, 9]
    assert again.tree["buffers"] == [{"byteLength": len(file.blob)}]
