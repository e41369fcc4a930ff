"""``portraitist replace-face`` as a user meets it."""

from __future__ import annotations

import copy
import functools
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image as PillowImage

from characters.worn import unpack
from cli.command import run_command
from portraitist import load_head
from portraitist.io.gltf_document import GltfDocument, read_gltf

PHOTO = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))
QUICKLY = ("--preset", "draft", "--device", "cpu")

run = functools.partial(run_command, "replace-face")


@pytest.fixture
def toon(folder: Path) -> Path:
    return unpack("toon", folder).relative_to(folder)


def make_box(path: str) -> None:
    """A cube: a file as it should be, that shows no face."""
    file = GltfDocument({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}]}, bytearray())
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1]), "<f4").reshape(3, -1).T
    triangles = np.array([[a, b, c] for a in range(8) for b in range(a) for c in range(b)])
    attributes = {"POSITION": file.add_numbers(corners, bounds=True)}
    mesh = {"primitives": [{"attributes": attributes, "indices": file.add_triangles(triangles, 8)}]}
    file.append("nodes", {"mesh": file.append("meshes", mesh)})
    Path(path).write_bytes(file.pack())


def make_twins(source: Path, path: str) -> None:
    """The character twice, side by side, each on its own joints."""
    file = read_gltf(source)
    count, skins = len(file.tree["nodes"]), len(file.tree["skins"])
    for node in copy.deepcopy(file.tree["nodes"]):
        node["children"] = [child + count for child in node.get("children", [])]
        if not node["children"]:
            del node["children"]
        if "skin" in node:
            node["skin"] += skins
        file.append("nodes", node)
    for skin in copy.deepcopy(file.tree["skins"]):
        file.append("skins", skin | {"joints": [joint + count for joint in skin["joints"]]})
    roots = file.tree["scenes"][0]["nodes"]
    file.tree["scenes"][0]["nodes"] = [*roots, *(root + count for root in roots)]
    Path(path).write_bytes(file.pack())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--preset", "paper"), ("--preset", "draft", "standard")),
        (("--hair", "blue"), ("--hair", "keep", "replace")),
        (("--neck", "long"), ("--neck", "keep")),
        (("--photo-face", "0"), ("--photo-face", "1 to")),
        (("--face-landmarks", "absent.txt"), ("--face-landmarks", "absent.txt")),
    ],
)
def test_impossible_arguments_are_named(options, words, toon, folder, capsys):
    assert run(PHOTO, toon, "-o", "out", *options) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert all(word in said for word in words), said
    assert [path.name for path in folder.iterdir()] == ["toon.glb"]


def damage(path: Path, how: str) -> str:
    """A file that is wrong, and its name."""
    data = path.read_bytes()
    if how == "noise":
        Path("bad.glb").write_bytes(np.random.default_rng(1).bytes(3000))
    elif how == "cut short":
        Path("bad.glb").write_bytes(data[: len(data) // 2])
    elif how == "numbers beyond the file":
        file = read_gltf(path)
        file.tree["accessors"][0]["count"] = 10**6
        Path("bad.glb").write_bytes(file.pack())
    elif how == "a joint that is not there":
        file = read_gltf(path)
        file.tree["skins"][0]["joints"][3] = 9999
        Path("bad.glb").write_bytes(file.pack())
    elif how == "JSON that is none":
        size = struct.unpack_from("<I", data, 12)[0]
        Path("bad.glb").write_bytes(data[:20] + b"{" * size + data[20 + size :])
    elif how == "an extension that nobody knows":
        file = read_gltf(path)
        file.tree["extensionsRequired"] = file.tree["extensionsUsed"] = ["ACME_voxels"]
        Path("bad.glb").write_bytes(file.pack())
    elif how == "nodes that hang on each other":
        file = read_gltf(path)
        first = file.append("nodes", {"children": [len(file.tree["nodes"]) + 1]})
        file.append("nodes", {"children": [first]})
        Path("bad.glb").write_bytes(file.pack())
    elif how == "normals that are missing":
        file = read_gltf(path)
        file.tree["accessors"][file.tree["meshes"][0]["primitives"][0]["attributes"]["NORMAL"]]["count"] -= 5
        Path("bad.glb").write_bytes(file.pack())
    elif how == "no surface":
        Path("bad.glb").write_text('{"asset": {"version": "2.0"}}')
    return "bad.glb"


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("noise", "no usable"),
        ("cut short", "no usable"),
        ("numbers beyond the file", "no usable"),
        ("a joint that is not there", "no usable"),
        ("JSON that is none", "no usable"),
        ("an extension that nobody knows", "ACME_voxels"),
        ("nodes that hang on each other", "no usable"),
        ("normals that are missing", "no usable"),
        ("no surface", "shows no surface"),
    ],
)
def test_a_damaged_character_is_told_at_once(how, word, toon, folder, capsys):
    assert run(PHOTO, damage(toon, how), "-o", "out") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "bad.glb" in said
    assert word in said
    assert {path.name for path in folder.iterdir()} == {"toon.glb", "bad.glb"}


def test_a_character_without_a_face_is_told(folder, capsys):
    make_box("box.glb")
    assert run(PHOTO, "box.glb", "-o", "out", *QUICKLY) == 3
    said = capsys.readouterr().err.splitlines()[-1]
    assert "No face was found on box.glb" in said
    assert "--face-landmarks" in said
    assert {path.name for path in folder.iterdir()} == {"box.glb"}


def test_two_characters_are_told(toon, folder, capsys):
    make_twins(toon, "twins.glb")
    assert run(PHOTO, "twins.glb", "-o", "out", *QUICKLY) == 2
    assert "2 heads" in capsys.readouterr().err.splitlines()[-1]
    assert {path.name for path in folder.iterdir()} == {"toon.glb", "twins.glb"}


def test_a_photo_without_a_face_is_told(toon, folder, capsys):
    PillowImage.new("RGB", (200, 160), (90, 120, 60)).save("meadow.png")
    assert run("meadow.png", toon, "-o", "out", *QUICKLY) == 3
    assert "photo" in capsys.readouterr().err.splitlines()[-1]
    assert {path.name for path in folder.iterdir()} == {"meadow.png", "toon.glb"}


def test_refuses_before_it_computes(toon, folder, capsys):
    (folder / "mine").mkdir()
    (folder / "mine" / "letter.txt").write_text("mine")
    assert run(PHOTO, toon, "-o", "mine") == 5
    assert "mine" in capsys.readouterr().err
    assert run(PHOTO, "absent.glb", "-o", "out") == 2
    assert "absent.glb" in capsys.readouterr().err
    assert run(PHOTO, toon, "-o", "out", "--face-view", "mine/view.jpg") == 2
    assert ".png" in capsys.readouterr().err
    assert run(PHOTO, toon, "-o", "out", "--face-view", "away/view.png") == 5
    said = capsys.readouterr().err
    assert all(word in said for word in ("away", "--face-view"))
    assert {path.name for path in folder.rglob("*")} == {"mine", "letter.txt", "toon.glb"}


@pytest.mark.slow
def test_a_whole_run_and_one_with_given_points(toon, folder, capsys):
    assert run(PHOTO, toon, "-o", "out", *QUICKLY, "--seed", "3", "--face-view", "view.png") == 0
    record = json.loads((folder / "out" / "run.json").read_text())
    assert record["seed"] == 3
    assert {*record["files"]} == {"character.glb", "head.safetensors", "preview.png", "run.json"}
    assert read_gltf(folder / "out" / "character.glb").tree["asset"]["extras"]["synthetic"] is True
    assert load_head(folder / "out" / "head.safetensors").layers == ()
    with PillowImage.open("view.png") as picture:
        assert picture.size == (768, 768)
    assert "character.glb" in capsys.readouterr().out
    assert run_command("landmarks", "view.png", "-o", "points.txt") == 0
    assert run(PHOTO, toon, "-o", "given", *QUICKLY, "--face-landmarks", "points.txt") == 0
    first, second = (read_gltf(folder / name / "character.glb") for name in ("out", "given"))
    assert len(first.tree["nodes"]) == len(second.tree["nodes"])
    inputs = json.loads((folder / "given" / "run.json").read_text())["inputs"]
    assert {*inputs} == {"photo", "character", "face_landmarks"}
