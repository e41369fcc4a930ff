"""``portraitist bust`` as a user meets it."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image as PillowImage

from cli.command import run_command
from portraitist import load_head
from portraitist.assets import asset_path

PHOTO = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))
ART = asset_path("exemplars/brush.jpg")


run = functools.partial(run_command, "bust")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--preset", "paper"), ("--preset", "draft", "standard")),
        (("--photo-face", "0"), ("--photo-face", "1 to")),
        (("--seed", "-1"), ("--seed",)),
        (("--subdivide",), ("--subdivide",)),
    ],
)
def test_impossible_arguments_are_named(options, words, folder, capsys):
    assert run(PHOTO, ART, "-o", "out", *options) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert all(word in said for word in words), said
    assert not list(folder.iterdir())


def test_refuses_before_it_computes(folder, capsys):
    (folder / "mine").mkdir()
    (folder / "mine" / "letter.txt").write_text("mine")
    assert run(PHOTO, ART, "-o", "mine") == 5
    assert "mine" in capsys.readouterr().err
    assert run("absent.jpg", ART, "-o", "out") == 2
    assert "absent.jpg" in capsys.readouterr().err
    assert {path.name for path in folder.rglob("*")} == {"mine", "letter.txt"}


def test_a_photo_without_a_face_is_told(folder, capsys):
    PillowImage.new("RGB", (200, 160), (90, 120, 60)).save("meadow.png")
    assert run("meadow.png", ART, "-o", "out", "--preset", "draft", "--device", "cpu") == 3
    assert len(capsys.readouterr().err.splitlines()[-1].split(". ")) <= 3
    assert {path.name for path in folder.iterdir()} == {"meadow.png"}


@pytest.mark.slow
def test_a_whole_run(folder, capsys):
    assert run(PHOTO, ART, "-o", "out", "--preset", "draft", "--device", "cpu", "--seed", "3") == 0
    record = json.loads((folder / "out" / "run.json").read_text())
    assert record["seed"] == 3
    assert {"head.glb", "head.obj", "head_bust.png", "head.stl", "head.safetensors", "preview.png"} < set(
        record["files"]
    )
    head = load_head(folder / "out" / "head.safetensors")
    assert head.layers[-1].name == "bust"
    with PillowImage.open(folder / "out" / "preview.png") as picture:
        assert np.array(picture).std() > 10
    assert "head.glb" in capsys.readouterr().out
