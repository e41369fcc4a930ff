"""Ears, neck and skull are drawn in to the person's outline; what the landmarks say stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.silhouette import fit_silhouette
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import Camera, Landmarks


@pytest.fixture(scope="module")
def seen(model):
    """The mean head, looked at from a little to the side, and its fit."""
    camera = Camera(rotation_from_yaw_pitch(8.0, 3.0), 1200.0, (200.0, 190.0), (420, 400))
    points = model.landmarks68.positions(model.mean, model.faces)
    landmarks = Landmarks(camera.project(points), camera.size, expressions=torch.zeros(52))
    eyes = float((landmarks.points[36] - landmarks.points[45]).norm())
    return camera, landmarks, fit_head(landmarks, model), eyes


def draw_person(model, camera, vertices):
    return rasterize(model.template.with_vertices(vertices), camera).mask.float()


def narrow_ears(model, factor=0.5):
    """The mean head with everything that is wider than the face drawn in: ears and neck."""
    vertices = model.mean.clone()
    x = vertices[:, 0].abs()
    limit = model.landmarks68.positions(model.mean, model.faces)[:, 0].max()
    vertices[:, 0] *= torch.where(x > limit, factor + (1 - factor) * limit / x, torch.ones_like(x))
    return vertices


def test_a_head_that_fits_is_left_alone(seen, model):
    camera, _, fit, eyes = seen
    person = draw_person(model, camera, fit.mesh.vertices)
    assert fit_silhouette(fit, person, eyes, model).mesh.vertices is fit.mesh.vertices


def test_ears_are_drawn_in_and_the_face_stays(seen, model):
    camera, _, fit, eyes = seen
    person = draw_person(model, camera, narrow_ears(model))
    fitted = fit_silhouette(fit, person, eyes, model)

    def overhang(vertices):
        return float((draw_person(model, camera, vertices) * (1 - person)).sum() / person.sum())

    assert overhang(fit.mesh.vertices) > 0.02
    assert overhang(fitted.mesh.vertices) < 0.35 * overhang(fit.mesh.vertices)
    points = [model.landmarks68.positions(each.mesh.vertices, model.faces) for each in (fit, fitted)]
    before, after = map(camera.project, points)
    assert (after - before).norm(dim=1).max() < 0.02 * eyes
    moved = fitted.mesh.vertices - fit.mesh.vertices
    assert torch.allclose(fitted.neutral - fit.neutral, moved, atol=1e-7)
    assert (moved @ fit.camera.rotation[2]).abs().max() < 0.002  # followers turn a little; skin stays in the plane


def test_hair_around_the_head_widens_nothing(seen, model):
    _, landmarks, fit, eyes = seen
    person = torch.ones(landmarks.size)
    assert fit_silhouette(fit, person, eyes, model).mesh.vertices is fit.mesh.vertices


def test_a_head_cut_by_the_border_is_not_squeezed_into_the_picture(seen, model):
    _, landmarks, fit, eyes = seen
    person = torch.ones(landmarks.size)
    left = int(landmarks.points[:, 0].min()) - 5
    cut = person[:, left:]
    x, y = fit.camera.center_px
    shifted = replace(fit.camera, center_px=(x - left, y), size=(cut.shape[0], cut.shape[1]))
    there = replace(fit, camera=shifted)
    assert fit_silhouette(there, cut, eyes, model).mesh.vertices is fit.mesh.vertices


def test_a_mask_that_lost_the_head_is_not_believed(seen, model):
    _, landmarks, fit, eyes = seen
    person = torch.zeros(landmarks.size)
    person[:5] = 1
    assert fit_silhouette(fit, person, eyes, model).mesh.vertices is fit.mesh.vertices


def lower_crown(model, height, rest=0.5):
    """The mean head with what is higher above the eyes than ``height`` (meters) brought nearer to it."""
    vertices = model.mean.clone()
    above = (vertices[:, 1] - height).clamp(min=0)
    vertices[:, 1] -= (1 - rest) * above
    return vertices


def test_crown_is_lowered_as_crowns_differ(seen, model):
    camera, _, fit, eyes = seen
    person = draw_person(model, camera, lower_crown(model, 0.08, rest=0.6))
    fitted = fit_silhouette(fit, person, eyes, model)
    moved = fitted.neutral - fit.neutral
    assert moved[fit.neutral[:, 1].argmax(), 1] < -0.006
    assert model.landmarks478.positions(moved, model.faces).norm(dim=1).max() < 0.002
    heights = [each.neutral[model.vertex_ids("scalp"), 1] for each in (fit, fitted)]
    before, after = [float((each > each.max() - 0.004).float().mean()) for each in heights]
    assert after < 1.6 * before  # a cut would leave a plateau


def test_crown_under_a_wreath_keeps_its_shape(seen, model):
    """The person mask of a photo may end at the hair line; skulls do not."""
    camera, _, fit, eyes = seen
    person = draw_person(model, camera, lower_crown(model, 0.075, rest=0.05))
    fitted = fit_silhouette(fit, person, eyes, model)
    assert (fitted.neutral - fit.neutral).norm(dim=1).max() < 0.002
