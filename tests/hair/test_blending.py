"""Hair ends on the skin without a line: its texture fades to what is under it, and nowhere else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hair.drawn_hair import BROWN, LONG, SHORT, SKIN, draw_head
from portraitist.hair.blending import FADE, blend_into_skin, find_outer_side
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.uv_layout import locate_texels
from portraitist.types import Head, Layer
from portraitist.unwrapping.unwrap import make_content

SIDE = 256


def blend(layer: Layer, head: Head, model: HeadModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place, distance to the border, and color of each texel of the outer side."""
    texture = blend_into_skin(layer, head, model)
    outer, border = find_outer_side(layer.mesh)
    texel_ids, face_ids, weights = locate_texels(outer, texture.shape[-1])
    vertices = layer.mesh.vertices.double().numpy()
    places = (weights[..., None] * vertices[outer.faces.numpy()[face_ids]]).sum(1)
    rim = np.concatenate([vertices[border].mean(1), vertices[np.unique(border)]])
    distance = np.array([np.linalg.norm(rim - place, axis=1).min() for place in places])
    return places, distance, texture.flatten(1).T.numpy()[texel_ids]


def wear(shape: tuple[tuple[float, ...], tuple[float, ...]], model: HeadModel) -> tuple[Layer, Head]:
    drawn = draw_head(shape)
    (layer,) = drawn.layers
    plain = torch.tensor(BROWN)[:, None, None].expand(3, SIDE, SIDE)
    skin = SKIN[:, None, None].expand(3, SIDE, SIDE)
    return dataclasses.replace(layer, texture=plain), make_content(drawn.fit, skin, model)


def test_a_hairline_fades_into_the_skin(model: HeadModel) -> None:
    layer, head = wear(SHORT, model)
    places, distance, colors = blend(layer, head, model)
    share = (colors[:, 0] - BROWN[0]) / (float(SKIN[0]) - BROWN[0])  # of skin
    front = (places[:, 2] > -0.05) & (places[:, 1] < 0.12)
    at_border, beyond = share[front & (distance < 0.0005)], share[distance > 1.5 * FADE]
    assert len(at_border) > 10
    assert np.median(at_border) > 0.9
    assert 0.2 < np.median(share[front & (np.abs(distance - FADE / 2) < 0.0005)]) < 0.8
    assert np.abs(beyond).max() < 0.01


def test_hair_that_hangs_free_ends_as_it_is(model: HeadModel) -> None:
    layer, head = wear(LONG, model)
    places, _, colors = blend(layer, head, model)
    skin = head.mesh.vertices[model.vertex_ids("outer_skin")].double().numpy()
    away = np.array([np.linalg.norm(skin - place, axis=1).min() for place in places[::31]]) > 0.015
    assert away.sum() > 100
    assert np.abs(colors[::31][away] - BROWN).max() < 0.01


def test_hair_that_ends_at_a_hat_and_the_hat_itself_end_as_they_are(model: HeadModel) -> None:
    drawn = draw_head(SHORT, 0.0, 0.05)
    plain = torch.tensor(BROWN)[:, None, None].expand(3, SIDE, SIDE)
    layers = tuple(dataclasses.replace(layer, texture=plain) for layer in drawn.layers)
    skin = SKIN[:, None, None].expand(3, SIDE, SIDE)
    head = dataclasses.replace(make_content(drawn.fit, skin, model), layers=layers)
    hair, hat = layers
    assert torch.equal(blend_into_skin(hat, head, model), hat.texture)
    places, distance, colors = blend(hair, head, model)
    edge = hat.mesh.vertices.double().numpy()
    at_hat = np.array([np.linalg.norm(edge - place, axis=1).min() for place in places]) < 0.002
    ends_elsewhere = (distance < FADE) & (places[:, 1] < 0.02)
    assert at_hat.sum() > 50
    assert np.median(np.abs(colors[at_hat] - BROWN).max(1)) < 0.01
    assert np.abs(colors[ends_elsewhere] - BROWN).max() > 0.2


@pytest.mark.parametrize("shape", [SHORT, LONG], ids=["short", "long"])
def test_the_outer_side_is_half_of_a_layer_and_looks_outwards(shape, model: HeadModel) -> None:
    layer, _ = wear(shape, model)
    outer, border = find_outer_side(layer.mesh)
    corners = outer.vertices[outer.faces].double()
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outwards = corners.mean(1) - torch.tensor([0.0, 0.02, -0.09])
    assert ((normals * outwards).sum(1) > 0).float().mean() > 0.95
    assert 2 * len(outer.faces) + 2 * len(border) == len(layer.mesh.faces)
