"""Layers follow the head under them."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from conftest import make_marked_head
from portraitist.mesh.carrying import CARRIERS, carry_layers, find_layer_deltas, pose_head
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import EXPRESSION_NAMES, REGIONS, Layer

ABOVE_SKIN = 0.002  # meters


@pytest.fixture(scope="module")
def layer(model: HeadModel) -> Layer:
    """The head's own surface, lifted."""
    normals = vertex_normals(model.mean.double().numpy(), model.faces.numpy())
    vertices = model.mean + ABOVE_SKIN * torch.from_numpy(normals).float()
    regions = torch.full_like(model.template.regions, REGIONS.index("hair"))
    mesh = dataclasses.replace(model.template, vertices=vertices, regions=regions)
    return Layer("hair", mesh, torch.rand(3, 8, 8), vertices)


def carry(layer: Layer, after: torch.Tensor, model: HeadModel) -> torch.Tensor:
    (carried,) = carry_layers([layer], model.template, after)
    assert carried.original is layer.original
    assert carried.texture is layer.texture
    assert carried.mesh.faces is layer.mesh.faces
    return carried.mesh.vertices


def test_a_head_that_stays_leaves_its_layers(layer: Layer, model: HeadModel) -> None:
    assert torch.equal(carry(layer, model.mean, model), layer.mesh.vertices)
    assert carry_layers([], model.template, model.mean) == ()


def test_a_shift_is_followed_exactly(layer: Layer, model: HeadModel) -> None:
    shift = torch.tensor([0.03, -0.02, 0.05])
    moved = carry(layer, model.mean + shift, model)
    torch.testing.assert_close(moved, layer.mesh.vertices + shift, atol=1e-6, rtol=0)


def test_a_larger_head_has_larger_hair(layer: Layer, model: HeadModel) -> None:
    moved = carry(layer, 1.2 * model.mean, model)
    over = model.vertex_ids("scalp")
    assert (moved - 1.2 * layer.mesh.vertices)[over].norm(dim=1).max() < 1e-3


def test_hair_moves_smoothly(layer: Layer, model: HeadModel) -> None:
    """Where one vertex of the head moves alone, hair goes along a little, and no farther than it."""
    bump = torch.zeros_like(model.mean)
    top = model.mean[:, 1].argmax()
    bump[top, 1] = 0.01
    moved = (carry(layer, model.mean + bump, model) - layer.mesh.vertices)[:, 1]
    assert 1e-4 < moved[top] < 0.01
    assert moved.min() > -1e-6
    assert moved[(model.mean - model.mean[top]).norm(dim=1) > 0.05].abs().max() < 1e-6


def test_lips_and_lids_do_not_pull_at_hair(layer: Layer, model: HeadModel) -> None:
    inner = torch.ones(len(model.mean), dtype=torch.bool)
    inner[model.vertex_ids(*CARRIERS)] = False
    after = torch.where(inner[:, None], model.mean + 0.1, model.mean)
    assert inner.sum() > 100
    assert torch.equal(carry(layer, after, model), layer.mesh.vertices)


def test_several_layers_move_each_on_its_own(layer: Layer, model: HeadModel) -> None:
    hat = dataclasses.replace(layer, name="headwear", mesh=layer.mesh.with_vertices(layer.mesh.vertices * 1.1))
    after = model.mean * torch.tensor([1.2, 1.0, 0.9])
    hair, headwear = carry_layers([layer, hat], model.template, after)
    assert (hair.name, headwear.name) == ("hair", "headwear")
    (alone,) = carry_layers([hat], model.template, after)
    assert torch.equal(headwear.mesh.vertices, alone.mesh.vertices)


def test_layers_follow_an_expression_as_they_follow_a_shape(layer: Layer, model: HeadModel) -> None:
    head = dataclasses.replace(make_marked_head(8), layers=())
    (layer,) = carry_layers([layer], model.template, head.mesh.vertices)
    head = dataclasses.replace(head, layers=(layer,))
    weights = torch.zeros(len(EXPRESSION_NAMES))
    for name in ("browInnerUp", "browOuterUpLeft", "jawOpen"):
        weights[EXPRESSION_NAMES.index(name)] = 0.7
    posed = pose_head(head, weights)
    torch.testing.assert_close(posed.mesh.vertices, head.posed(weights))
    (expected,) = carry_layers([layer], head.mesh, posed.mesh.vertices)
    torch.testing.assert_close(posed.layers[0].mesh.vertices, expected.mesh.vertices, atol=3e-5, rtol=0)
    assert (expected.mesh.vertices - layer.mesh.vertices).norm(dim=1).max() > 0.003
    # The exaggeration stays what it is, and the way back leads to the start.
    torch.testing.assert_close(posed.original - posed.mesh.vertices, head.original - head.mesh.vertices)
    again = pose_head(posed, head.expression, find_layer_deltas(head))
    torch.testing.assert_close(again.layers[0].mesh.vertices, layer.mesh.vertices, atol=1e-6, rtol=0)


def test_a_head_without_layers_is_posed_alone() -> None:
    head = make_marked_head(8)
    assert find_layer_deltas(head) == ()
    posed = pose_head(head, torch.zeros(len(EXPRESSION_NAMES)))
    assert torch.equal(posed.mesh.vertices, head.neutral)
    assert not posed.expression.any()
