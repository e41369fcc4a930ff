"""Clothes lie over the body, on all bodies, and shoes stand flat."""

from __future__ import annotations

import numpy as np
import pytest

from portraitist.body.body_model import PIECES, load_body_model
from portraitist.body.clothes import TIGHTEST, dress_body, find_cloth_normals, list_outer_faces
from portraitist.body.shape import BodyShape, build_figure
from portraitist.mesh.laplacian import vertex_normals

MODEL = load_body_model()
SHAPES = [BodyShape(), BodyShape(age=6), BodyShape(sex=1, weight=72), BodyShape(sex=0, height=1.9, weight=75)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_nothing_shows_through(shape, scale):
    body = scale * build_figure(shape, MODEL).vertices[: MODEL.count]
    clothes = dress_body(body, scale, MODEL)
    cloth = len(clothes) - MODEL.shoes[..., 0].size
    normals = vertex_normals(body, MODEL.faces)[MODEL.clothes_sources]
    height = ((clothes - body[MODEL.clothes_sources]) * normals).sum(1)[:cloth]
    ease = scale * MODEL.clothes_ease[:cloth]
    assert (height > TIGHTEST * ease.clip(0) - 1e-6)[ease > 0].all()
    assert height[ease > 0].max() < 0.12 * scale
    assert np.allclose(height[ease < 0], ease[ease < 0], atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_shoes_stand_flat_on_the_ground_around_the_feet(shape):
    body = build_figure(shape, MODEL).vertices[: MODEL.count]
    clothes = dress_body(body, 1.0, MODEL)
    shoes = clothes[-MODEL.shoes[..., 0].size :].reshape(2, -1, 3)
    lowest = shoes[..., 1].min()
    assert lowest < body[:, 1].min()
    for shoe in shoes:
        floor = shoe[shoe[:, 1] < lowest + 0.002]
        assert np.ptp(floor[:, 2]) > 0.5 * np.ptp(shoe[:, 2])
    assert np.allclose(shoes[0, :, 1], shoes[1, :, 1], atol=0.004)


@pytest.mark.parametrize("shape", SHAPES)
def test_hems_have_the_normals_of_their_outer_sides(shape):
    """The inner side would turn them about where it has more triangles: dark spots at the front of the collar."""
    clothes = dress_body(build_figure(shape, MODEL).vertices[: MODEL.count], 1.0, MODEL)
    faces, rims = MODEL.clothes_faces, MODEL.clothes_ease < 0
    normals = find_cloth_normals(clothes, faces, MODEL)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    corners = clothes[list_outer_faces(faces, MODEL)]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    of_hem = np.isin(list_outer_faces(faces, MODEL), np.setdiff1d(faces[rims[faces].any(1)], np.flatnonzero(rims)))
    for corner in range(3):
        ids = list_outer_faces(faces, MODEL)[of_hem[:, corner], corner]
        assert (normals[ids] * flat[of_hem[:, corner]]).sum(1).min() > 0.5


def test_every_piece_has_faces_that_look_outwards():
    body = build_figure(BodyShape(), MODEL).vertices[: MODEL.count]
    clothes = dress_body(body, 1.0, MODEL)
    under = vertex_normals(body, MODEL.faces)[MODEL.clothes_sources]
    for number, name in enumerate(PIECES):
        faces = MODEL.clothes_faces[number == MODEL.clothes_pieces]
        own = np.unique(faces)
        outwards = (vertex_normals(clothes, faces)[own] * under[own]).sum(1)
        assert (outwards > 0).mean() > 0.9, name
