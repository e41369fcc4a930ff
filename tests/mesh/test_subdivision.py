"""Subdivision: Loop's weights by hand, what must stay, and what must get smoother."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import trimesh

from conftest import add_layers
from portraitist.mesh.subdivision import coarsen_head, subdivide_head
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.uv_layout import mark_texels
from portraitist.types import EXPRESSION_NAMES, REGIONS, Head


@pytest.fixture(scope="module")
def coarse():
    model = load_head_model()
    expression = torch.zeros(52)
    expression[EXPRESSION_NAMES.index("mouthSmileLeft")] = 0.5
    vertices = model.mean + torch.einsum("e,env->nv", expression, model.expression_deltas)
    return Head(model.template.with_vertices(vertices), torch.zeros(3, 4, 4), model.mean, expression,
                model.expression_deltas, model.landmarks68, vertices + 0.01)  # fmt: skip


@pytest.fixture(scope="module")
def fine(coarse):
    return subdivide_head(coarse)


def test_four_times_the_faces_and_one_vertex_per_edge(coarse, fine):
    faces = coarse.mesh.faces.numpy()
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    assert len(fine.mesh.faces) == 4 * len(faces)
    assert len(fine.neutral) == len(coarse.neutral) + len(edges)
    assert 3.8 < len(fine.neutral) / len(coarse.neutral) < 4.1


def test_a_ball_is_what_another_implementation_makes_of_it(head: Head):
    """trimesh's Loop subdivision of the same closed part; the test ball is open at its poles, which tests borders."""
    fine = subdivide_head(head)
    vertices, faces = trimesh.remesh.subdivide_loop(
        head.neutral.double().numpy(), head.mesh.faces.numpy(), iterations=1
    )
    theirs = np.sort(vertices[faces].mean(1).round(6), axis=0)
    ours = np.sort(fine.neutral.double().numpy()[fine.mesh.faces.numpy()].mean(1).round(6), axis=0)
    assert np.abs(theirs - ours).max() < 2e-5


def test_it_can_be_undone(coarse, fine):
    """But for where vertices are."""
    back = coarsen_head(fine)
    for name in ("faces", "uvs", "uv_faces", "regions"):
        assert torch.equal(getattr(back.mesh, name), getattr(coarse.mesh, name)), name
    assert torch.equal(back.landmarks68.face_ids, coarse.landmarks68.face_ids)
    torch.testing.assert_close(back.landmarks68.barycentrics, coarse.landmarks68.barycentrics, atol=1e-6, rtol=0)
    assert torch.equal(back.neutral, fine.neutral[: len(coarse.neutral)])
    assert coarsen_head(back) is back


def test_expressions_still_add_up(fine):
    rebuilt = fine.neutral + torch.einsum("e,env->nv", fine.expression, fine.expression_deltas)
    assert (rebuilt - fine.mesh.vertices).abs().max() < 1e-6
    assert torch.allclose(fine.original - fine.mesh.vertices, torch.full_like(fine.original, 0.01), atol=1e-6)


def test_landmarks_stay_where_they_were(coarse, fine):
    before = coarse.landmarks68.positions(coarse.neutral, coarse.mesh.faces)
    after = fine.landmarks68.positions(fine.neutral, fine.mesh.faces)
    assert (fine.landmarks68.barycentrics >= -1e-6).all()
    assert torch.allclose(fine.landmarks68.barycentrics.sum(1), torch.ones(68), atol=1e-5)
    assert (after - before).norm(dim=1).max() < 0.0015  # meters; the smooth surface is a little inside


def test_landmarks_stay_exactly_where_nothing_is_smoothed(coarse):
    """With every face hard, subdivision only cuts: the same points in space."""
    hard = dataclasses.replace(
        coarse,
        mesh=dataclasses.replace(coarse.mesh, regions=torch.full_like(coarse.mesh.regions, REGIONS.index("teeth"))),
    )
    fine = subdivide_head(hard)
    before = coarse.landmarks68.positions(coarse.mesh.vertices, coarse.mesh.faces)
    assert (fine.landmarks68.positions(fine.mesh.vertices, fine.mesh.faces) - before).abs().max() < 1e-6
    assert torch.equal(fine.neutral[: len(coarse.neutral)], coarse.neutral)


def test_uvs_cover_what_they_covered(coarse, fine):
    def area(mesh):
        a, b, c = mesh.uvs[mesh.uv_faces].double().unbind(1)
        return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2

    assert torch.allclose(area(fine.mesh).reshape(-1, 4).sum(1), area(coarse.mesh), atol=1e-9)
    assert (area(fine.mesh).sign() == area(coarse.mesh).sign().repeat_interleave(4)).all()


def test_teeth_keep_their_corners(coarse, fine):
    teeth = torch.unique(coarse.mesh.faces[coarse.mesh.regions == REGIONS.index("teeth")])
    assert torch.equal(fine.neutral[teeth], coarse.neutral[teeth])


def test_the_skull_gets_rounder(coarse, fine):
    """Angles between neighboring faces of the scalp: about half."""

    def bend(head):
        mesh = trimesh.Trimesh(
            head.neutral.numpy(), head.mesh.faces[head.mesh.regions == REGIONS.index("scalp")].numpy(), process=False
        )
        return np.median(mesh.face_adjacency_angles)

    assert bend(fine) < 0.6 * bend(coarse)


def test_layers_are_subdivided_and_stay_closed(head: Head):
    layered = add_layers(head)
    fine = subdivide_head(layered)
    assert torch.equal(fine.mesh.vertices, subdivide_head(head).mesh.vertices)
    for coarse_layer, layer in zip(layered.layers, fine.layers, strict=True):
        assert (layer.name, layer.texture) == (coarse_layer.name, coarse_layer.texture)
        before, after, back = (
            trimesh.Trimesh(vertices.numpy(), part.mesh.faces.numpy(), process=False)
            for part, vertices in (
                (coarse_layer, coarse_layer.mesh.vertices), (layer, layer.mesh.vertices), (layer, layer.original)
            )
        )  # fmt: skip
        assert len(after.faces) == 4 * len(before.faces) == len(layer.mesh.regions)
        assert after.is_watertight
        assert 0.9 * before.volume < after.volume < before.volume
        assert back.volume / after.volume == pytest.approx(
            0.8 * 1.1, rel=0.02
        )  # as the ball of these tests is stretched
        marks = [mark_texels(part.mesh, 64) >= 0 for part in (coarse_layer, layer)]
        assert (marks[0] != marks[1]).float().mean() < 0.01
        assert (layer.mesh.regions == REGIONS.index(layer.name)).all()
