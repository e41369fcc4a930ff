"""Layers are painted as the artwork's hair is, on the painted head; small, in few steps."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import pytest
import torch

from conftest import make_layer, make_marked_head
from portraitist.reconstruction.head_model import load_head_model
from portraitist.segmentation.parts import HAIR, SKIN, UNLABELED
from portraitist.texture.exemplar import StyleExemplar, crop_exemplar
from portraitist.texture.labels import LabelStrengths, label_head
from portraitist.texture.layers import stylize_layer
from portraitist.texture.optimization import TextureConfig
from portraitist.texture.transfer import study_artwork_style
from portraitist.texture.views import Painted, render_front_view
from portraitist.types import Head, Image, Layer
from portraitist.vgg import load_vgg

SIDE = 64
TINY = TextureConfig(view_px=48, steps=6, samples=64, near_views=2, stroke_px=48, stroke_steps=3)
BROWN, BLUE, PALE = ((0.40, 0.25, 0.15), (0.15, 0.25, 0.75), (0.85, 0.70, 0.60))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def color(rgb: tuple[float, ...], side: int = SIDE, noise: float = 0.05, seed: int = 0) -> Image:
    picture = torch.tensor(rgb)[:, None, None] + noise * torch.randn(1, side, side, generator=seeded(seed))
    return picture.clamp(0, 1)


@functools.cache
def make_content() -> Head:
    """A head in one skin color with brown hair."""
    head = dataclasses.replace(make_marked_head(SIDE), texture=color(PALE))
    hair = dataclasses.replace(make_layer(head, "hair"), texture=color(BROWN, seed=1))
    return dataclasses.replace(head, layers=(hair,))


@functools.cache
def study(hair: tuple[float, ...] | None = BLUE) -> StyleExemplar:
    """An artwork: pale skin, and hair of this color above it, or none."""
    labels = torch.full((96, 96), UNLABELED)
    labels[30:80, 24:72] = SKIN
    labels[10:40, 16:80] = SKIN if hair is None else HAIR
    art = torch.where(labels == HAIR, color(hair or PALE, 96, seed=2), color(PALE, 96, seed=3))
    return study_artwork_style(crop_exemplar(art, labels), load_head_model(), load_vgg(), TINY, seeded())


def paint(hair: tuple[float, ...] | None = BLUE, config: TextureConfig = TINY, **given: Any) -> Image:
    content = make_content()
    layer = content.layers[0]
    rest = load_head_model(), load_vgg(), config, seeded()
    return stylize_layer(layer, given.pop("head", content), content, [study(hair)], *rest, **given)


@pytest.fixture(scope="module")
def blue() -> tuple[Image, list[Any]]:
    reports: list[Any] = []
    return paint(progress=reports.append), reports


def find_mean(texture: Image, layer: Layer) -> torch.Tensor:
    """Mean color of the texels that the layer has."""
    return texture[:, label_head(layer.mesh, texture.shape[-1]).map == HAIR].mean(1)


def test_hair_takes_the_color_of_the_artworks_hair(blue) -> None:
    texture, reports = blue
    layer = make_content().layers[0]
    assert texture.shape == layer.texture.shape
    assert texture.min() >= 0
    assert texture.max() <= 1
    assert (find_mean(texture, layer) - torch.tensor(BLUE)).abs().max() < 0.12
    assert {report.stage for report in reports} == {"hair"}
    assert [report.step for report in reports] == list(range(1, reports[-1].steps + 1))


def test_an_artwork_without_hair_leaves_hair_darker_than_skin() -> None:
    """What takes skin to the artwork's skin is done to hair, too: here hardly anything."""
    layer = make_content().layers[0]
    mean = find_mean(paint(None), layer)
    assert mean[0] > mean[2]
    assert (mean - torch.tensor(BROWN)).abs().max() < 0.15


def test_without_strength_hair_stays_as_it_was() -> None:
    layer = make_content().layers[0]
    assert torch.equal(paint(config=dataclasses.replace(TINY, strength=0.0)), layer.texture)
    none = dataclasses.replace(TINY, regions=LabelStrengths(hair=0.0))
    assert torch.equal(paint(config=none), layer.texture)


def test_half_strength_is_half_of_the_way(blue) -> None:
    layer = make_content().layers[0]
    inside = label_head(layer.mesh, SIDE).map == HAIR
    half = paint(config=dataclasses.replace(TINY, regions=LabelStrengths(hair=0.5)))
    expected = (layer.texture + blue[0]) / 2
    assert (half - expected)[:, inside].abs().max() < 3 / 255


def test_kept_colors_are_the_sitters_own() -> None:
    mean = find_mean(paint(config=dataclasses.replace(TINY, preserve_color=True)), make_content().layers[0])
    assert mean[0] > mean[1] > mean[2]  # brown
    assert (mean - torch.tensor(BROWN)).abs().max() < 0.15


def test_equal_seeds_give_equal_hair(blue) -> None:
    assert torch.equal(paint(), blue[0])


def test_the_recipe_of_the_paper_paints_hair_too() -> None:
    config = dataclasses.replace(TextureConfig.paper(view_px=48), steps=6, samples=64, near_views=2)
    layer = make_content().layers[0]
    change = (paint(config=config) - layer.texture)[:, label_head(layer.mesh, SIDE).map == HAIR]
    assert change.abs().amax(0).gt(1e-3).float().mean() > 0.5


def test_hair_of_which_the_front_shows_only_the_rim_is_painted() -> None:
    """Cropped hair behind a face. The rim that closes a layer has no area in the layout, and no texels of its own."""
    content = make_content()
    layer = content.layers[0]
    mesh = layer.mesh
    corners = mesh.vertices[mesh.faces]
    ahead = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0
    uv_faces = torch.where(ahead[:, None], mesh.uv_faces[:, :1], mesh.uv_faces)
    rimmed = dataclasses.replace(layer, mesh=dataclasses.replace(mesh, uv_faces=uv_faces))
    texture = stylize_layer(rimmed, content, content, [study()], load_head_model(), load_vgg(), TINY, seeded())
    assert torch.isfinite(texture).all()
    assert (find_mean(texture, rimmed) - torch.tensor(BLUE)).abs().max() < 0.2


def test_a_front_shows_the_hair_over_the_face() -> None:
    """Hair is seen where it lies, in its own colors, and the face beside it in those of the head."""
    content = make_content()
    layer = content.layers[0]
    green = torch.tensor([0.0, 1.0, 0.0])[:, None, None].expand(3, SIDE, SIDE)
    face = Painted(content.mesh, green, label_head(content.mesh, SIDE))
    front = render_front_view(layer.mesh, layer.texture, label_head(layer.mesh, SIDE), (face,))
    assert (front.labels == HAIR).sum() > 200
    assert (front.labels == SKIN).sum() > 50
    assert (front.image[:, front.labels == HAIR].mean(1) - torch.tensor(BROWN)).abs().max() < 0.05
    assert front.image[0, front.labels == SKIN].max() < 0.05
