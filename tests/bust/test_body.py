"""The body is found that was photographed, and stands upright whatever its head does."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import trimesh

from bust.drawn_bust import BROAD, SCALE_PX, crop_below, draw_bust
from portraitist.bust.body import PersonShares, find_outline, fit_body, straighten
from portraitist.bust.torso_model import load_torso_model
from portraitist.mesh.grids import grid_faces
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.cameras import rotation_from_yaw_pitch

PIXEL = 1 / SCALE_PX


def test_the_torso_begins_on_the_heads_own_border():
    model, torso = load_head_model(), load_torso_model()
    edges = trimesh.Trimesh(model.mean.numpy(), model.faces[model.face_mask("outer_skin")].numpy(), process=False)
    border = edges.edges[trimesh.grouping.group_rows(edges.edges_sorted, require_count=1)]
    low = model.mean[:, 1].numpy() < -0.14
    assert set(torso.ring) == set(np.unique(border[low[border].all(1)]))
    vertices = model.mean.double().numpy()
    assert np.array_equal(torso.follow_ring(vertices)[::3], vertices[torso.ring])
    assert np.allclose(torso.follow_ring(vertices), torso.mean_ring, atol=1e-6)


def test_a_broad_body_is_found_by_its_outline():
    drawn, torso = draw_bust(), load_torso_model()
    fitted = fit_body(drawn.fit, drawn.shares, torso)
    mean = fit_body(drawn.fit, PersonShares(*3 * [np.zeros_like(drawn.shares.person)]), torso)
    assert np.ptp(drawn.body[..., 0]) - np.ptp(mean[..., 0]) > 0.02  # else there is nothing to find
    assert abs(np.ptp(fitted[..., 0]) - np.ptp(drawn.body[..., 0])) < 4 * PIXEL


def test_what_is_beyond_the_picture_is_not_taken_for_an_outline():
    drawn, torso = draw_bust(), load_torso_model()
    cropped = crop_below(drawn, 230)  # ends above the shoulders' ends
    outline = find_outline(drawn.body, cropped.shares, cropped.fit.camera)
    below = drawn.fit.camera.project(torch.tensor(drawn.body).float().reshape(-1, 3))[:, 1].reshape(
        outline.weights.shape
    )
    reach = 0.10 * SCALE_PX  # in and a little more which an outline is looked for
    assert outline.weights[below.numpy() > 230 + reach].max() < 0.01
    assert outline.weights.max() > 0.9
    assert BROAD.any()
    assert fit_body(cropped.fit, cropped.shares, torso).shape == drawn.body.shape


def test_hair_along_the_outline_says_nothing_of_shoulders():
    drawn = draw_bust()
    hidden = dataclasses.replace(drawn.shares, cloth=0 * drawn.shares.cloth, bare=0 * drawn.shares.bare)
    assert find_outline(drawn.body, hidden, drawn.fit.camera).weights.max() == 0


def test_a_tilted_head_stands_on_an_upright_body():
    drawn, torso = draw_bust(), load_torso_model()
    roll = np.radians(20)
    turn = torch.tensor([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]).float()
    camera = dataclasses.replace(drawn.fit.camera, rotation=turn @ rotation_from_yaw_pitch(0.0, 0.0))
    fit = dataclasses.replace(drawn.fit, camera=camera)
    body = fit_body(fit, PersonShares(*3 * [np.zeros_like(drawn.shares.person)]), torso)
    shoulders = (body @ camera.rotation.double().numpy().T)[torso.ring_row + 12 : torso.ring_row + 18]
    left, right = (shoulders[np.arange(6), side.argmax(1)] for side in (shoulders[..., 0], -shoulders[..., 0]))
    across = (left - right).mean(0)
    assert abs(np.degrees(np.arctan2(across[1], across[0]))) < 5
    assert np.allclose(body[torso.ring_row], torso.follow_ring(drawn.fit.mesh.vertices.double().numpy()))


def test_a_bust_is_upright_under_its_head():
    drawn, torso = draw_bust(), load_torso_model()
    model = load_head_model()
    vertices = model.mean.double().numpy()
    nothing = PersonShares(*3 * [np.zeros_like(drawn.shares.person)])
    plain = straighten(fit_body(drawn.fit, nothing, torso), torso.ring_row, np.eye(3))
    assert np.ptp(plain[-1, :, 1]) < 1e-9
    for yaw, pitch in ((40.0, 0.0), (0.0, 15.0), (-30.0, -10.0)):
        rotation = rotation_from_yaw_pitch(yaw, pitch)
        fit = dataclasses.replace(drawn.fit, camera=dataclasses.replace(drawn.fit.camera, rotation=rotation))
        body = fit_body(fit, nothing, torso)
        assert np.abs(body - plain).max() > 0.03
        straight = straighten(body, torso.ring_row, rotation.double().numpy())
        assert np.abs(straight - plain).max() < 0.015
        assert np.ptp(straight[-1, :, 1]) < 1e-9
        assert np.array_equal(straight[torso.ring_row], torso.follow_ring(vertices))


def test_normals_of_the_grid_point_outwards():
    drawn = draw_bust()
    faces = grid_faces(*drawn.body.shape[:2])
    corners = drawn.body.reshape(-1, 3)[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outwards = corners.mean(1) - drawn.body.reshape(-1, 3).mean(0)
    assert ((normals * outwards).sum(1) > 0).mean() > 0.95
