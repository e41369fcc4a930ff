"""A body under a subdivided head: it begins on all vertices of the border, and moves with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from body.people import make_person
from conftest import make_marked_head
from portraitist import subdivide_head
from portraitist.body.body_model import load_body_model
from portraitist.body.border import find_middles
from portraitist.body.shape import BodyShape
from portraitist.body.skin import find_joints, find_weights
from portraitist.export.gltf_parts import find_normals, list_parts
from portraitist.mesh.laplacian import triangle_areas
from portraitist.types import Head, Mesh

MODEL = load_body_model()


@pytest.fixture(scope="module", params=[1.0, 1.5])
def person(request: pytest.FixtureRequest) -> Head:
    return make_person(BodyShape(head_scale=request.param), subdivide_head(make_marked_head(32)))


def find_borders(mesh: Mesh) -> np.ndarray:
    """Vertices of edges with one face."""
    edges = np.sort(np.concatenate([mesh.faces.numpy()[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    return np.unique(unique[counts == 1])


def test_head_and_body_share_every_vertex_of_the_border(person: Head):
    body = person.layers[0]
    assert body.name == "body"
    own = torch.cat([torch.from_numpy(MODEL.ring), torch.arange(MODEL.count, len(body.mesh.vertices))])
    heads = torch.from_numpy(np.append(MODEL.ring_head, find_middles(person.mesh, MODEL)))
    assert len(own) == len(heads) == 2 * len(MODEL.ring)
    assert set(heads.tolist()) <= set(find_borders(person.mesh).tolist())
    assert set(own.tolist()) <= set(find_borders(body.mesh).tolist())
    assert torch.equal(body.mesh.vertices[own], person.neutral[heads])
    weights = find_weights(person)
    torch.testing.assert_close(weights[0][heads], weights[1][own], atol=1e-6, rtol=0)
    torch.testing.assert_close(weights[1].sum(1), torch.ones(len(weights[1])))


def test_normals_are_the_same_on_both_sides(person: Head):
    parts = list_parts(person)
    head, body = (find_normals(parts)[number] for number in (0, 1))
    heads = np.append(MODEL.ring_head, find_middles(person.mesh, MODEL))
    own = np.append(MODEL.ring, np.arange(MODEL.count, len(body)))
    np.testing.assert_allclose(head[heads], body[own], atol=1e-6)


def test_skin_and_its_layout_are_only_cut_finer(person: Head):
    mesh = person.layers[0].mesh
    before = make_person(BodyShape()).layers[0].mesh
    assert len(mesh.faces) == len(before.faces) + len(MODEL.ring)
    areas = []
    for each in (mesh, before):
        flat = np.pad(each.uvs.double().numpy()[each.uv_faces.numpy()], ((0, 0), (0, 0), (0, 1)))
        areas.append(triangle_areas(flat).sum())
    assert areas[0] == pytest.approx(areas[1], rel=1e-6)
    assert np.isfinite(find_joints(person).numpy()).all()


def test_other_heads_have_no_middles():
    assert not len(find_middles(make_marked_head(32).mesh, MODEL))
