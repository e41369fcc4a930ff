"""``portraitist image`` as a user meets it."""

from __future__ import annotations

import functools
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.cbook import get_sample_data
from PIL import Image as PillowImage

from cli.command import run_command
from conftest import make_head, make_marked_head
from portraitist import Config, save_head
from portraitist.apps.image_style import ImageConfig
from portraitist.assets import asset_path
from portraitist.cli.image import make_image_config

PHOTO = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))
ART = asset_path("exemplars/brush.jpg")


run = functools.partial(run_command, "image")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", "64"), ("--size", "128 to 2048", "64")),
        (("--expression", "jawOpen"), ("--expression", "neutral", "jawOpen")),
        (("--expression", "jawOpen=0.5,jawOpen=0.7"), ("--expression", "once")),
        (("--expression", "jawOpen=2"), ("--expression", "0 to 1", "2")),
        (("--head", "absent.safetensors"), ("--head", "no such file")),
        (("--head", str(PHOTO), "--geometry-regions", "nose=2"), ("--geometry-regions", "--head")),
        (("--preset", "best"), ("--preset", "draft", "standard")),
        (("--art-face", "0"), ("--art-face", "1 to")),
    ],
)
def test_impossible_arguments_are_named(options, words, folder, capsys):
    assert run(PHOTO, ART, "-o", "out.png", *options) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert all(word in said for word in words), said
    assert not list(folder.iterdir())


def test_refuses_before_it_computes(folder, capsys):
    (folder / "there.png").write_text("mine")
    (folder / "text.safetensors").write_text("no head")
    for options, code, word in (
        (("-o", "out.jpg"), 2, ".png"),
        (("-o", "there.png"), 5, "--overwrite"),
        (("-o", "absent/out.png"), 5, "Cannot write"),
        (("-o", "out.png", "--head", "text.safetensors"), 2, "not a head saved by Portraitist"),
    ):
        assert run(PHOTO, ART, *options) == code
        assert word in capsys.readouterr().err
    assert (folder / "there.png").read_text() == "mine"
    assert {path.name for path in folder.iterdir()} == {"there.png", "text.safetensors"}


def test_values_replace_those_of_the_preset():
    given = {"preset": "draft", "size": 300, "transparent": True, "geometry": 0.5, "texture": 0.2, "seed": 3}
    config = make_image_config(given | {"geometry_regions": {"nose": 2.0}, "texture_regions": {"lips": 0.0}})
    assert (config.size_px, config.transparent, config.scales) == (300, True, ImageConfig.draft().scales)
    assert (config.head.seed, config.head.geometry.strength, config.head.texture.strength) == (3, 0.5, 0.2)
    assert (config.head.geometry.regions.nose, config.head.texture.regions.lips) == (2.0, 0.0)
    assert config.head.unwrap == Config.draft().unwrap
    assert make_image_config({}) == ImageConfig.standard()


def test_what_is_asked_for_reaches_the_picture(folder, monkeypatch, capsys):
    asked = {}

    def stylize_image(photo, art, models, config, **values):
        asked.update(values, config=config)
        image = torch.full((3, 8, 6), 0.5)
        return types.SimpleNamespace(image=image, alpha=torch.linspace(0, 1, 48).view(8, 6), warnings=("Odd.",))

    monkeypatch.setattr("portraitist.apps.image_style.stylize_image", stylize_image)
    monkeypatch.setattr("portraitist.models.Models.load", lambda device: device)
    save_head("head.safetensors", make_head())
    options = ("--head", "head.safetensors", "--expression", "jawOpen=0.5", "--photo-face", "2", "--transparent")
    assert run(PHOTO, ART, "-o", "out.png", *options) == 0
    said = capsys.readouterr()
    assert "out.png" in said.out
    assert "Note: Odd." in said.err
    assert (asked["expression"], asked["photo_face"], "art_face" in asked) == ({"jawOpen": 0.5}, 2, False)
    assert asked["head"].mesh.vertices.shape == make_head().mesh.vertices.shape
    with PillowImage.open("out.png") as picture:
        assert picture.mode == "RGBA"
        pixels = np.array(picture)
    assert (pixels[..., :3] == 128).all()
    assert (pixels[0, 0, 3], pixels[-1, -1, 3]) == (0, 255)


def test_heads_of_another_kind_are_refused_in_one_sentence(folder, capsys):
    save_head("ball.safetensors", make_head())
    assert run(PHOTO, ART, "-o", "out.png", "--preset", "draft", "--head", "ball.safetensors", "--device", "cpu") == 2
    assert "vertices" in capsys.readouterr().err
    assert {path.name for path in folder.iterdir()} == {"ball.safetensors"}


def test_a_photo_without_a_face_is_told(folder, capsys):
    PillowImage.new("RGB", (200, 160), (90, 120, 60)).save("meadow.png")
    assert run("meadow.png", ART, "-o", "out.png", "--preset", "draft", "--device", "cpu") == 3
    assert len(capsys.readouterr().err.splitlines()[-1].split(". ")) <= 3
    assert {path.name for path in folder.iterdir()} == {"meadow.png"}


@pytest.mark.slow
def test_a_whole_run(folder, capsys):
    save_head("head.safetensors", make_marked_head(64))
    options = ("--preset", "draft", "--size", "200", "--head", "head.safetensors", "--device", "cpu", "--transparent")
    assert run(PHOTO, ART, "-o", "out.png", *options) == 0
    with PillowImage.open("out.png") as picture:
        assert picture.mode == "RGBA"
        assert picture.size == (171, 200)
        assert np.array(picture)[..., :3].std() > 10
    assert "picture" in capsys.readouterr().err
