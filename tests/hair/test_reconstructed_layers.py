"""Layers from the photo to the stylized head, on the package's own example.

What the photo shows is drawn here, so that nothing depends on how well a network sees it.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from conftest import make_parts, make_quick_config, map_head
from portraitist import Config, Sitter, reconstruct, study_artwork, transfer_geometry, transfer_texture
from portraitist.hair.blending import blend_into_skin
from portraitist.rendering.rasterizer import rasterize
from portraitist.segmentation.picture import PART_NAMES, PictureParts
from portraitist.texture.labels import LabelStrengths
from portraitist.types import COVER_NAMES

HAIR, HEADWEAR = (PART_NAMES.index(name) for name in COVER_NAMES)
THICK_PX = 12
QUICK = make_quick_config(view_px=48, steps=3, samples=64, stroke_px=48, stroke_steps=1)


def configure(hair: str) -> Config:
    return dataclasses.replace(QUICK, unwrap=dataclasses.replace(QUICK.unwrap, texture_size=128, hair=hair))


def segment_drawn(image, _, mesh, camera, *rest) -> PictureParts:
    """Hair on the fitted scalp and some pixels beyond."""
    seen = rasterize(mesh, camera)
    labels = map_head(mesh, seen)
    near = F.max_pool2d((labels == HAIR)[None].float(), 2 * THICK_PX + 1, stride=1, padding=THICK_PX)[0] > 0
    return make_parts(torch.where(near & ~seen.mask, HAIR, labels))


def segment_hat(*given) -> PictureParts:
    """Its upper half is a hat."""
    labels = segment_drawn(*given).labels()
    rows = torch.nonzero((labels == HAIR).any(1))[:, 0]
    upper = torch.arange(len(labels))[:, None] < (rows.min() + labels.shape[0] // 6)
    return make_parts(torch.where((labels == HAIR) & upper, HEADWEAR, labels))


@pytest.fixture(scope="module")
def drawn_hair():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portraitist.reading.segment_picture", segment_drawn)
        yield


@pytest.fixture(scope="module")
def sitter(drawn_hair, hopper, models) -> Sitter:
    return reconstruct(hopper, models, configure("layer"))


@pytest.fixture(scope="module")
def exemplar(drawn_hair, brush, models):
    return study_artwork(brush, models, configure("layer"))


@pytest.fixture(scope="module")
def geometry(sitter, exemplar, models):
    return transfer_geometry(sitter, [exemplar], models, configure("layer"))


def test_a_photo_with_hair_gives_a_head_with_hair(sitter: Sitter) -> None:
    (hair,) = sitter.content.layers
    assert hair.name == "hair"
    assert hair.texture.shape == (3, 128, 128)
    assert torch.equal(hair.original, hair.mesh.vertices)
    assert torch.equal((hair.texture * 255).round() / 255, hair.texture)
    assert hair.mesh.vertices[:, 1].max() > sitter.fit.mesh.vertices[:, 1].max()
    assert sitter.parts.shares.shape == (len(PART_NAMES), *sitter.photo.shape[1:])


def test_hair_can_be_left_out_and_the_head_is_the_same(sitter: Sitter, hopper, models) -> None:
    bald = reconstruct(hopper, models, configure("none"))
    assert bald.content.layers == ()
    assert torch.equal(bald.content.texture, sitter.content.texture)
    assert torch.equal(bald.content.mesh.vertices, sitter.content.mesh.vertices)


def test_a_hat_is_a_layer_over_the_hair(drawn_hair, hopper, models) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portraitist.reading.segment_picture", segment_hat)
        layers = reconstruct(hopper, models, configure("layer")).content.layers
    assert [layer.name for layer in layers] == ["hair", "headwear"]
    assert layers[1].mesh.vertices[:, 1].mean() > layers[0].mesh.vertices[:, 1].mean()


def test_layers_move_with_the_head_and_know_where_they_were(sitter: Sitter, geometry) -> None:
    (before,), (after,) = sitter.content.layers, geometry.head.layers
    moved = (after.mesh.vertices - before.mesh.vertices).norm(dim=1)
    skin = (geometry.head.mesh.vertices - sitter.content.mesh.vertices).norm(dim=1)
    assert moved.median() > 0.001
    assert moved.max() <= skin.max()
    assert torch.equal(after.original, before.mesh.vertices)
    assert torch.equal(after.texture, before.texture)


def test_no_exaggeration_leaves_layers_where_they_are(sitter: Sitter, exemplar, models) -> None:
    still = dataclasses.replace(configure("layer"), geometry=dataclasses.replace(QUICK.geometry, strength=0.0))
    head = transfer_geometry(sitter, [exemplar], models, still).head
    assert torch.equal(head.layers[0].mesh.vertices, sitter.content.layers[0].mesh.vertices)


def test_layers_are_painted_with_the_head(sitter: Sitter, exemplar, geometry, models) -> None:
    stages = []

    def watch(progress) -> None:
        stages.append(progress.stage)

    config = configure("layer")
    head = transfer_texture(geometry.head, sitter, [exemplar], models, config, progress=watch)
    (before,), (after,) = geometry.head.layers, head.layers
    assert not torch.equal(after.texture, before.texture)
    assert torch.equal(after.mesh.vertices, before.mesh.vertices)
    assert torch.equal(after.original, before.original)
    assert list(dict.fromkeys(stages)) == ["texture", "hair"]
    none = dataclasses.replace(config, texture=dataclasses.replace(config.texture, regions=LabelStrengths(hair=0.0)))
    unpainted = transfer_texture(geometry.head, sitter, [exemplar], models, none)
    assert torch.equal(unpainted.layers[0].texture, before.texture)
    assert torch.equal(unpainted.texture, head.texture)
    # Where it ends, painted hair fades into the painted skin.
    black, white = (
        blend_into_skin(dataclasses.replace(after, texture=torch.full_like(after.texture, v)), head, models.head)
        for v in (0.0, 1.0)
    )
    ends = (white - black).amax(0) < 0.05
    assert ends.sum() > 20
    assert (after.texture - black)[:, ends].abs().max() < 0.06
