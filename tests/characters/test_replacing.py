"""A head on a character: joined without a gap, moved by what moved the old one, and all else as it was."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest

from characters.worn import Worn, name_pieces, take_piece, unpack, wear
from export.gltf_validator import SCRIPT, VALIDATOR, needs_validator
from portraitist.characters.new_head import list_targets
from portraitist.mesh.closing import list_openings
from portraitist.types import EXPRESSION_NAMES
from replace_face import measure_seam


@pytest.fixture(scope="module")
def realistic(sitter, models, tmp_path_factory) -> Worn:
    path = unpack("realistic", tmp_path_factory.mktemp("realistic"))
    return wear(path, sitter.content, models)


@pytest.fixture(scope="module")
def toon(sitter, models, tmp_path_factory) -> Worn:
    return wear(unpack("toon", tmp_path_factory.mktemp("toon")), sitter.content, models)


@pytest.fixture(params=["realistic", "toon"])
def worn(request) -> Worn:
    return request.getfixturevalue(request.param)


def read_primitive(worn: Worn, number: int, *names: str) -> list[np.ndarray]:
    attributes = worn.after.primitive(worn.after.pieces[number])["attributes"]
    return [worn.document.buffers.read(attributes[name]) for name in names]


def find_face(worn: Worn) -> int:
    (number,) = take_piece(worn.after, "Face")
    return int(number)


def match_seam(worn: Worn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the new head's vertices on the seam, and for each the skin's piece and vertex at the same numbers."""
    (mine,) = read_primitive(worn, find_face(worn), "POSITION")
    found = []
    for piece in take_piece(worn.after, "Body", "Person"):
        (theirs,) = read_primitive(worn, piece, "POSITION")
        places: dict[bytes, list[int]] = {}
        for number, row in enumerate(theirs):
            places.setdefault(row.tobytes(), []).append(number)
        found += [(n, piece, other) for n, row in enumerate(mine) for other in places.get(row.tobytes(), ())]
    return tuple(np.array(column) for column in zip(*found, strict=True))


def test_old_face_is_gone_and_all_else_stays(worn: Worn):
    names = {name.split(".")[0] for name in name_pieces(worn.after)}
    assert names >= {"Clothes", "Hair", "Face"}
    assert not names & {"Eyes", "Teeth", "Brows"}
    before, after = (figure.document.tree for figure in (worn.before, worn.after))
    assert [node.get("name") for node in after["nodes"]][: len(before["nodes"])] == [
        n.get("name") for n in before["nodes"]
    ]
    assert [clip["name"] for clip in after["animations"]] == [clip["name"] for clip in before["animations"]]
    for name in ("Clothes", "Hair"):
        for old, new in zip(take_piece(worn.before, name), take_piece(worn.after, name), strict=True):
            attributes = worn.before.primitive(worn.before.pieces[old])["attributes"]
            for key, own in zip(attributes, read_primitive(worn, new, *attributes), strict=True):
                assert np.array_equal(own, worn.before.document.buffers.read(attributes[key])), (name, key)


def test_neck_and_head_share_their_vertices_normals_and_weights(worn: Worn):
    mine, pieces, theirs = match_seam(worn)
    assert len(set(mine.tolist())) > 20
    names = ("POSITION", "NORMAL", "JOINTS_0", "WEIGHTS_0")
    own = read_primitive(worn, find_face(worn), *names)
    for piece in set(pieces.tolist()):
        other = read_primitive(worn, piece, *names)
        rows = pieces == piece
        for name, a, b in zip(names, own, other, strict=True):
            if name == "NORMAL":  # the old skin has two where its texture has a seam: one of them
                best = np.full(len(a), -1.0)
                np.maximum.at(best, mine[rows], (a[mine[rows]] * b[theirs[rows]]).sum(1))
                assert best[mine[rows]].min() > 1 - 1e-5
            else:
                assert np.array_equal(a[mine[rows]], b[theirs[rows]]), name


def test_colors_meet_at_the_neck(worn: Worn):
    """Across the seam they differ less than a little further down the old skin, or by a step of 8 bits."""
    seam = measure_seam(worn.after)
    assert seam["color_across"] <= max(seam["color_beside"], 2 / 255)
    assert seam["normals_deg"] < 0.3


def test_nothing_is_open_at_the_neck(worn: Worn):
    """Welded by position, head and body have no rim where they meet."""
    numbers = [find_face(worn), *take_piece(worn.after, "Body", "Person")]
    faces = np.concatenate([worn.after.faces[worn.after.pieces[n].faces] for n in numbers])
    ids, places = np.unique(worn.after.vertices.astype(np.float32).round(6), axis=0, return_inverse=True)
    mine, _, _ = match_seam(worn)
    seam = worn.after.vertices[worn.after.pieces[numbers[0]].vertices][mine]
    height, size = seam[:, 1].mean(), np.ptp(seam[:, 0])
    merged = places.reshape(-1)[faces]
    merged = merged[(merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 2] != merged[:, 0])]
    rims = [ids[np.unique(opening)] for opening in list_openings(merged)]
    near = [rim for rim in rims if abs(rim[:, 1].mean() - height) < 0.3 * size and np.ptp(rim[:, 0]) > 0.5 * size]
    assert not near


def test_weights_are_those_of_at_most_four_joints(worn: Worn):
    joints, weights = read_primitive(worn, find_face(worn), "JOINTS_0", "WEIGHTS_0")
    assert joints.shape[1] == weights.shape[1] == 4
    assert np.allclose(weights.sum(1), 1, atol=1e-6)
    assert weights.min() >= 0
    skin = worn.document.tree["skins"][0]["joints"]
    names = [worn.document.tree["nodes"][joint]["name"] for joint in skin]
    heaviest = joints[np.arange(len(joints)), weights.argmax(1)].astype(int)
    assert {names[joint] for joint in heaviest} <= {"Head", "Neck", "Spine2"}
    assert np.mean([names[joint] == "Head" for joint in heaviest]) > 0.8


def move_skin(worn: Worn, clip: str, key: int, number: int) -> np.ndarray:
    """Vertices of a piece as an animation has them at a key: linear blend skinning, as glTF has it."""
    document = worn.document.copy()
    (animation,) = (each for each in document.tree["animations"] if each["name"] == clip)
    for channel in animation["channels"]:
        if channel["target"]["path"] in ("rotation", "translation", "scale"):
            values = document.buffers.read(animation["samplers"][channel["sampler"]]["output"])
            document.tree["nodes"][channel["target"]["node"]][channel["target"]["path"]] = values[
                min(key, len(values) - 1)
            ].tolist()
    from portraitist.characters.figure import build_figure

    figure = build_figure(document, worn.after.path)
    return figure.vertices[figure.pieces[number].vertices]


@pytest.mark.parametrize("key", [0, 8, 17])
def test_the_seam_stays_closed_in_every_pose(worn: Worn, key: int):
    mine, pieces, theirs = match_seam(worn)
    head = move_skin(worn, "Wave", key, find_face(worn))
    for piece in set(pieces.tolist()):
        body, rows = move_skin(worn, "Wave", key, piece), pieces == piece
        assert np.array_equal(head[mine[rows]], body[theirs[rows]])
    if key == 8:
        assert np.abs(head - worn.after.vertices[worn.after.pieces[find_face(worn)].vertices]).max() > 0.02


def test_expressions_go_by_the_characters_own_names(realistic: Worn, toon: Worn):
    names = list_targets(realistic.after, realistic.after.pieces[find_face(realistic)])
    assert {"jawOpen", "eyeBlinkLeft", "tongueOut"} < {*names}
    assert {*names} - {*EXPRESSION_NAMES} == {"Stout"}  # which moves the neck
    names = list_targets(toon.after, toon.after.pieces[find_face(toon)])
    assert {"JawOpen", "eyeBlink_L", "MouthSmile_R", "browInnerUp"} < {*names}
    assert "jawOpen" not in names


def test_a_morph_target_of_the_body_keeps_the_seam_closed(realistic: Worn):
    def read(number: int) -> np.ndarray:
        piece = realistic.after.pieces[number]
        names = list_targets(realistic.after, piece)
        target = realistic.after.primitive(piece)["targets"][names.index("Stout")]["POSITION"]
        return realistic.document.buffers.read(target)

    mine, pieces, theirs = match_seam(realistic)
    assert np.abs(read(find_face(realistic))[mine]).max() > 0.002
    for piece in set(pieces.tolist()):
        rows = pieces == piece
        assert np.array_equal(read(find_face(realistic))[mine[rows]], read(piece)[theirs[rows]])


def test_an_animation_of_the_old_face_moves_the_new_one(worn: Worn):
    (clip,) = (each for each in worn.document.tree["animations"] if each["name"] == "Talk")
    node = worn.after.pieces[find_face(worn)].node
    (channel,) = (each for each in clip["channels"] if each["target"]["node"] == node)
    names = list_targets(worn.after, worn.after.pieces[find_face(worn)])
    rows = worn.document.buffers.read(clip["samplers"][channel["sampler"]]["output"]).reshape(-1, len(names))
    jaw = next(number for number, name in enumerate(names) if name.lower() == "jawopen")
    assert rows[:, jaw].max() == pytest.approx(1.0, abs=1e-3)
    assert np.abs(np.delete(rows, jaw, 1)).max() == 0
    for other in clip["channels"]:
        mesh = worn.document.tree["nodes"][other["target"]["node"]]["mesh"]
        assert "targets" in worn.document.tree["meshes"][mesh]["primitives"][0]


def test_the_face_looks_where_the_old_one_did(worn: Worn):
    """Eyes and chin of both lie in the same places of the scene, to a few percent of the face."""
    hits = worn.wearer.points
    size = np.linalg.norm(hits[36] - hits[45])
    model_points = worn.head.landmarks68.positions(worn.head.neutral, worn.head.mesh.faces).numpy()
    from portraitist.characters.placing import find_hits, place_head

    similarity = place_head(model_points.astype(float), find_hits(worn.wearer.view, hits), worn.wearer.view)
    turn = worn.wearer.view.camera
    shown = similarity.apply(model_points.astype(float)) @ turn.rotation.numpy().T.astype(float)
    pixels = np.array(turn.center_px) + turn.scale_px * shown[:, :2] * [1, -1]
    assert np.linalg.norm(pixels - hits, axis=1)[27:].mean() < 0.12 * size


@needs_validator
def test_the_validator_finds_no_more_than_before(worn: Worn):
    def validate(path) -> dict:
        environment = os.environ | {"NODE_PATH": str(VALIDATOR.parent)}
        command = ["node", str(SCRIPT), str(path)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        issues = json.loads(run.stderr or "[]")
        return {kind: sum(issue["severity"] == kind for issue in issues) for kind in (0, 1)}

    before, after = validate(worn.before.path), validate(worn.after.path)
    assert after[0] == 0
    assert after[1] <= before[1]


def test_photo_hair_takes_the_place_of_the_characters(sitter, models, tmp_path):
    worn = wear(unpack("toon", tmp_path), sitter.content, models, keep_hair=False, keep_neck=False)
    names = name_pieces(worn.after)
    assert "Hair" not in names
    assert "Headwear" in names  # the photo shows a cap
    number = int(take_piece(worn.after, "Headwear")[0])
    assert list_targets(worn.after, worn.after.pieces[number]) == list_targets(
        worn.after, worn.after.pieces[find_face(worn)]
    )
    mine, _, _ = match_seam(worn)
    assert len(mine) > 20
