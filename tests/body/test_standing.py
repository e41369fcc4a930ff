"""Somebody with a body stands on the ground, as tall as they are."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from body.people import make_person
from conftest import make_marked_head
from portraitist.body.shape import BodyShape
from portraitist.body.standing import has_body, stand


def list_all(head):
    return [head.mesh.vertices, *(layer.mesh.vertices for layer in head.layers)]


@pytest.mark.parametrize("shape", [BodyShape(height=1.9), BodyShape(age=5.0), BodyShape(head_scale=1.5)])
def test_soles_are_on_the_ground_and_the_crown_is_where_it_should_be(shape: BodyShape):
    person = make_person(shape)
    standing = stand(person)
    assert has_body(person)
    assert min(float(part[:, 1].min()) for part in list_all(standing)) == pytest.approx(0, abs=1e-5)
    assert float(standing.mesh.vertices[:, 1].max()) == pytest.approx(person.height, abs=1e-5)
    feet = torch.cat([part[part[:, 1] < 0.02] for part in list_all(standing)])
    assert feet[:, [0, 2]].mean(0).abs().max() < 0.05
    # Nothing is bent: all distances are scaled alike, expressions and original shapes too.
    scale = float((standing.neutral[0] - standing.neutral[99]).norm() / (person.neutral[0] - person.neutral[99]).norm())
    for got, given in zip(list_all(standing), list_all(person), strict=True):
        torch.testing.assert_close(got - got[0], (given - given[0]) * scale, atol=2e-5, rtol=0)
    torch.testing.assert_close(standing.expression_deltas, person.expression_deltas * scale)
    torch.testing.assert_close(standing.posed(standing.expression), standing.mesh.vertices, atol=1e-5, rtol=0)
    shift, own = standing.original - standing.mesh.vertices, person.original - person.mesh.vertices
    torch.testing.assert_close(shift, own * scale, atol=2e-5, rtol=0)


def test_without_a_height_nothing_is_scaled():
    person = dataclasses.replace(make_person(), height=None)
    standing = stand(person)
    torch.testing.assert_close(standing.expression_deltas, person.expression_deltas)
    assert float(standing.layers[1].mesh.vertices[:, 1].min()) == pytest.approx(0, abs=1e-6)


def test_a_head_alone_stays_where_it_is():
    head = make_marked_head(8)
    assert stand(head) is head
    assert not has_body(head)
