"""``portraitist character`` as a user meets it."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from cli.command import run_command
from conftest import make_head, make_marked_head
from portraitist import load_head, save_head

run = functools.partial(run_command, "character")
QUICK = ("--preset", "draft", "--device", "cpu", "--threads", "1", "--seed", "7")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--body", "age=200"), ("age", "2 to 90", "'200'")),
        (("--body", "sex=other"), ("sex", "male, female or", "'other'")),
        (("--body", "shoe=44"), ("age, sex, height, weight, proportions", "shoe=44")),
        (("--body", "age=20,age=30"), ("once",)),
        (("--body", "height"), ("NAME=VALUE",)),
        (("--head-scale", "3"), ("--head-scale", "1 to 1.5")),
        (("--preset", "best"), ("--preset", "draft", "standard")),
        (("--art", "absent.jpg"), ("absent.jpg",)),
    ],
)
def test_impossible_arguments_are_named(options, words, folder, capsys):
    save_head("head.safetensors", make_marked_head(16))
    assert run("head.safetensors", "-o", "out", *options) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert all(word in said for word in words), said
    assert {path.name for path in folder.iterdir()} == {"head.safetensors"}


def test_what_cannot_be_done_is_told_and_nothing_written(folder, capsys):
    save_head("head.safetensors", make_marked_head(16))
    save_head("ball.safetensors", make_head(16))
    (folder / "damaged.safetensors").write_bytes((folder / "head.safetensors").read_bytes()[:5000])
    (folder / "empty").mkdir()
    for arguments, words in (
        (("ball.safetensors",), "subdivided once at most"),
        (("damaged.safetensors",), "damaged.safetensors"),
        (("absent.safetensors",), "absent.safetensors"),
        (("empty",), "head.safetensors"),
        (("head.safetensors", "--body", "age=8,height=2.2"), "At 8 years"),
        (("head.safetensors", "--body", "weight=190"), "kg"),
    ):
        assert run(*arguments, "-o", "out") == 2
        said = capsys.readouterr().err
        assert words in said.splitlines()[-1], said
        assert not (folder / "out").exists()
    (folder / "mine").mkdir()
    (folder / "mine" / "letter.txt").write_text("mine")
    assert run("head.safetensors", "-o", "mine") == 5


def test_a_whole_run(folder, capsys):
    (folder / "result").mkdir()
    save_head("result/head.safetensors", make_marked_head(64))
    assert run("result", "-o", "out", "--body", "age=12,sex=female,height=1.5", "--head-scale", "1.2", *QUICK) == 0
    record = json.loads((folder / "out" / "run.json").read_text())
    assert {"head.glb", "head.obj", "head_body.png", "head_clothes.png", "head.safetensors", "preview.png"} < set(
        record["files"]
    )
    body = {"age": 12.0, "sex": 1.0, "head_scale": 1.2, "weight": None}
    assert record["config"]["body"] | body == record["config"]["body"]
    assert (record["config"]["seed"], record["device"], record["threads"]) == (7, "cpu", 1)
    assert record["height_m"] == pytest.approx(1.5, abs=0.005)
    somebody = load_head(folder / "out" / "head.safetensors")
    assert [layer.name for layer in somebody.layers] == ["body", "clothes"]
    with PillowImage.open(folder / "out" / "preview.png") as picture:
        assert np.array(picture).std() > 10
    assert "head.glb" in capsys.readouterr().out
    assert run("out", "-o", "out", "--overwrite", *QUICK) == 0
