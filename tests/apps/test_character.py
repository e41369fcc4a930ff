"""A head on a body: whole, in the colors of the head, and the same head as before."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bust.drawn_bust import draw_bust
from conftest import make_layer, make_marked_head
from portraitist import (
    BodyShape,
    build_character,
    detect_landmarks,
    load_head,
    read_manner,
    save_head,
    subdivide_head,
)
from portraitist.apps.character import describe_losses
from portraitist.apps.character_paint import _to_lab
from portraitist.body.body_model import PIECES, load_body_model
from portraitist.body.border import find_middles
from portraitist.body.standing import stand
from portraitist.bust.appearance import find_ring_colors
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.cameras import head_camera, view_camera
from portraitist.rendering.layers import rasterize_parts
from portraitist.rendering.sampling import render, sample_bilinear
from portraitist.rendering.uv_layout import mark_texels
from portraitist.types import REGIONS, Head

MODEL = load_body_model()
SKIN = torch.tensor([0.85, 0.62, 0.5])


def paint_plain(head: Head, color: torch.Tensor) -> Head:
    return dataclasses.replace(head, texture=color[:, None, None] * torch.ones_like(head.texture))


@pytest.fixture(scope="module")
def plain() -> Head:
    return paint_plain(make_marked_head(128), SKIN)


def test_the_head_stays_as_it_is(plain):
    somebody = build_character(plain, BodyShape(age=40, sex=1.0))
    assert [layer.name for layer in somebody.layers] == ["body", "clothes"]
    for field in ("texture", "neutral", "expression", "expression_deltas", "original"):
        assert torch.equal(getattr(somebody, field), getattr(plain, field)), field
    assert torch.equal(somebody.mesh.vertices, plain.mesh.vertices)


def test_head_and_body_share_the_ring_and_its_color(plain):
    somebody = build_character(plain)
    body = somebody.layers[0]
    assert torch.equal(body.mesh.vertices[MODEL.ring], plain.neutral[MODEL.ring_head])
    corners = torch.from_numpy(np.isin(MODEL.skin_faces, MODEL.ring))
    colors = sample_bilinear(body.texture, body.mesh.uvs[body.mesh.uv_faces[corners]])
    own = torch.from_numpy(find_ring_colors(plain, load_head_model()).mean(0)).float()
    assert float((colors.mean(1) - own).abs().max()) < 0.04


@pytest.mark.parametrize("head_scale", [1.0, 1.4])
def test_a_subdivided_head_gets_a_body_that_begins_on_it(plain, head_scale):
    finer = subdivide_head(plain)
    somebody = build_character(finer, BodyShape(head_scale=head_scale))
    body = somebody.layers[0]
    heads = torch.from_numpy(np.append(MODEL.ring_head, find_middles(finer.mesh, MODEL)))
    own = torch.cat([torch.from_numpy(MODEL.ring), torch.arange(MODEL.count, len(body.mesh.vertices))])
    assert len(own) == len(heads) == 2 * len(MODEL.ring)
    assert torch.equal(body.mesh.vertices[own], somebody.neutral[heads])
    assert torch.equal(body.original[own], somebody.original[heads])
    assert torch.equal(somebody.mesh.faces, finer.mesh.faces)
    face = finer.mesh.faces[finer.mesh.regions != REGIONS.index("neck")]
    assert torch.equal(somebody.mesh.vertices[face], finer.mesh.vertices[face])


def test_skin_is_of_the_heads_color_and_clothes_of_another(plain):
    somebody = build_character(plain)
    camera = head_camera(somebody, 0.0, 0.0, 256)
    picture = render(somebody, camera)
    head, body, clothes = rasterize_parts([plain.mesh, *(layer.mesh for layer in somebody.layers)], camera)
    skin, cloth = (_to_lab(picture[:, part.mask].median(1).values.double().numpy()) for part in (body, clothes))
    own = _to_lab(SKIN.double().numpy())
    assert np.linalg.norm(skin[1:] - own[1:]) < 8
    assert np.linalg.norm(cloth - own) > 20
    assert min(int(part.mask.sum()) for part in (head, body, clothes)) > 100


def test_everything_is_seen_from_outside_and_nothing_through_clothes(plain):
    """Of the body only what clothes leave free is there: no skin where the trunk and the legs are."""
    somebody = build_character(plain)
    vertices = torch.cat([layer.mesh.vertices for layer in somebody.layers])
    for yaw in (0.0, 90.0, 180.0, 270.0):
        camera = view_camera(vertices, yaw, 0.0, 256)
        body, clothes = rasterize_parts([layer.mesh for layer in somebody.layers], camera)
        rows = torch.nonzero(clothes.mask.any(1))[:, 0]
        low = int(rows.min() + 0.55 * (rows.max() - rows.min()))
        assert not body.mask[low:].any()


def test_of_the_body_of_a_bust_only_the_color_stays():
    head = draw_bust(-0.25).bust.head
    somebody = build_character(head)
    assert [layer.name for layer in somebody.layers] == ["body", "clothes"]
    assert "bust" in describe_losses(head)[0]
    assert not describe_losses(somebody)


def test_somebody_on_a_body_can_get_another_one(plain):
    once = build_character(build_character(plain, BodyShape(age=8)), BodyShape(sex=1.0))
    assert torch.equal(once.layers[0].mesh.vertices, build_character(plain, BodyShape(sex=1.0)).layers[0].mesh.vertices)


def test_hair_stays_and_comes_first(plain):
    haired = dataclasses.replace(plain, layers=(make_layer(plain),))
    assert [layer.name for layer in build_character(haired).layers] == ["hair", "body", "clothes"]


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_somebody_stands_at_the_height_that_was_asked_for(plain, scale, tmp_path):
    somebody = build_character(plain, BodyShape(height=1.6, head_scale=scale))
    save_head(tmp_path / "somebody.safetensors", somebody)
    read = load_head(tmp_path / "somebody.safetensors")
    standing = stand(read)
    assert float(standing.mesh.vertices[:, 1].max()) == pytest.approx(1.6, abs=5e-3)
    lowest = min(float(layer.mesh.vertices[:, 1].min()) for layer in standing.layers)
    assert lowest == pytest.approx(0, abs=1e-5)


def test_same_head_same_person(plain):
    first, second = build_character(plain), build_character(plain)
    for a, b in zip(first.layers, second.layers, strict=True):
        assert torch.equal(a.texture, b.texture)
        assert torch.equal(a.mesh.vertices, b.mesh.vertices)


def test_the_top_is_of_the_artworks_cloth(plain, brush, models):
    cloth = read_manner(brush, models).worn
    assert cloth is not None
    somebody = build_character(plain, cloth=cloth)
    assert torch.equal(somebody.layers[0].texture, build_character(plain).layers[0].texture)
    clothes = somebody.layers[1]
    texels = mark_texels(clothes.mesh, clothes.texture.shape[-1])
    top = torch.from_numpy(MODEL.clothes_pieces == PIECES.index("top"))[texels.clamp(min=0)] & (texels >= 0)
    shown = _to_lab(clothes.texture[:, top].median(1).values.double().numpy())
    assert np.linalg.norm(shown - _to_lab(cloth.tones.middle)) < 12


def test_an_artwork_of_a_face_alone_has_no_cloth(brush, models):
    points = detect_landmarks(brush, models.detector)[0].points
    low, high = points.amin(0).int().tolist(), points.amax(0).int().tolist()
    margin = (high[1] - low[1]) // 3
    face = brush[:, max(low[1] - margin, 0) : high[1], max(low[0] - margin, 0) : high[0] + margin]
    assert read_manner(face, models).worn is None
