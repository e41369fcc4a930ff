"""Tracking finds the pose and the expression of a frame on a head whose identity stays as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from portraitist.errors import FitError
from portraitist.reconstruction.contour_landmarks import find_contour_landmarks
from portraitist.reconstruction.fitting import FitConfig, fit_head
from portraitist.reconstruction.landmark_noise import load_detector_noise
from portraitist.reconstruction.tracking import track
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.types import EXPRESSION_NAMES, Camera, Landmarks

POSES = [(0.0, 0.0), (22.0, -8.0), (-30.0, 6.0)]
EXPRESSION = {"jawOpen": 0.5, "mouthSmileLeft": 0.6, "eyeBlinkRight": 0.8}


def film(model, neutral, yaw_deg=0.0, pitch_deg=0.0, expression=None, moved=0.0):
    """Landmarks of a head in a pose and with an expression, its vertices and its camera. The dense points are off as
    the detector's are on average in this view."""
    weights = torch.zeros(52)
    for name, value in (expression or {}).items():
        weights[EXPRESSION_NAMES.index(name)] = value
    vertices = neutral + torch.einsum("e,end->nd", weights, model.expression_deltas) + moved
    camera = Camera(rotation_from_yaw_pitch(yaw_deg, pitch_deg), 1400.0, (310.0, 240.0), (500, 640))
    seen = find_contour_landmarks(vertices, camera.rotation, model).embedding
    points, dense = (camera.project(e.positions(vertices, model.faces)) for e in (seen, model.landmarks478))
    bias = load_detector_noise().bias(np.radians(yaw_deg), np.radians(pitch_deg)).reshape(-1, 2)
    dense[: len(bias)] += camera.scale_px * torch.from_numpy(bias * [1, -1]).float()
    return Landmarks(points, camera.size, dense, weights), vertices, camera


def without_dense(landmarks):
    return replace(landmarks, dense=None)


def angle_deg(a, b):
    return float(torch.rad2deg(torch.acos(((torch.trace(a @ b.T) - 1) / 2).clamp(-1, 1))))


@pytest.fixture(scope="module")
def sitter(model):
    """A random person, fitted to a frame seen from the front."""
    generator = torch.Generator().manual_seed(4)
    identity = torch.randn(len(model.identity_basis), generator=generator) * 0.7
    landmarks, *_ = film(model, model.mean + torch.einsum("k,knd->nd", identity, model.identity_basis))
    return landmarks, fit_head(landmarks, model)


@pytest.mark.parametrize(("yaw_deg", "pitch_deg"), POSES)
@pytest.mark.parametrize("dense", [True, False])
def test_pose_and_expression_are_found(model, sitter, yaw_deg, pitch_deg, dense):
    _, fit = sitter
    landmarks, _, camera = film(model, fit.neutral, yaw_deg, pitch_deg, EXPRESSION)
    tracked = track(landmarks if dense else without_dense(landmarks), fit, model)
    assert angle_deg(tracked.camera.rotation, camera.rotation) < 0.5
    assert tracked.camera.scale_px == pytest.approx(camera.scale_px, rel=0.01)
    assert landmarks.expressions is not None
    assert (tracked.expression - landmarks.expressions).abs().max() < 0.1
    assert tracked.residual_relative < 0.01


def test_expression_is_found_without_scores(model, sitter):
    _, fit = sitter
    landmarks, *_ = film(model, fit.neutral, 10.0, expression={"jawOpen": 0.6})
    for given in (replace(landmarks, expressions=None), Landmarks(landmarks.points, landmarks.size)):
        tracked = track(given, fit, model)
        assert tracked.expression[EXPRESSION_NAMES.index("jawOpen")] == pytest.approx(0.6, abs=0.15)
        assert ((tracked.expression >= 0) & (tracked.expression <= 1)).all()


def test_identity_is_held_and_the_rest_is_displacement(model, sitter):
    _, fit = sitter
    neutral = fit.neutral.clone()
    other = fit.neutral + 2 * model.identity_basis[1]  # another person in the frame: no identity may follow
    tracked = track(film(model, other, 15.0, expression=EXPRESSION)[0], fit, model)
    assert torch.equal(fit.neutral, neutral)
    posed = fit.neutral + torch.einsum("e,end->nd", tracked.expression, fit.expression_deltas)
    assert torch.equal(tracked.mesh.vertices, posed + tracked.displacement)
    assert torch.equal(tracked.mesh.faces, fit.mesh.faces)
    assert tracked.displacement.norm(dim=1).max() > 0.001


@pytest.mark.parametrize("dense", [True, False])
def test_displacement_that_no_expression_makes_is_found(model, sitter, dense):
    """A nose that moves down by 4 mm, while the face makes no expression that could explain some of it."""
    _, fit = sitter
    tip = model.landmarks68.positions(fit.neutral, model.faces)[33]
    near = torch.exp(-(((fit.neutral - tip) / 0.02) ** 2).sum(1))
    frame, vertices, camera = film(model, fit.neutral, moved=near[:, None] * torch.tensor([0.0, -0.004, 0.0]))
    tracked = track(frame if dense else without_dense(frame), fit, model, FitConfig(expression_spread=1e-4))
    truth, found, posed = (
        each.project(points)[near > 0.8]
        for each, points in (
            (camera, vertices),
            (tracked.camera, tracked.mesh.vertices),
            (tracked.camera, tracked.mesh.vertices - tracked.displacement),
        )
    )
    assert (found - truth).norm(dim=1).mean() < 0.35 * (posed - truth).norm(dim=1).mean()
    assert (tracked.displacement @ tracked.camera.rotation[2])[near > 0.8].abs().max() < 1e-4  # in the picture's plane


@pytest.mark.parametrize("dense", [True, False])
def test_own_landmarks_give_the_own_pose(model, sitter, dense):
    landmarks, _ = sitter
    given = landmarks if dense else without_dense(landmarks)
    fit = fit_head(given, model)
    tracked = track(given, fit, model)
    assert angle_deg(tracked.camera.rotation, fit.camera.rotation) < 0.3
    assert (tracked.mesh.vertices - fit.mesh.vertices).norm(dim=1).max() < 0.001
    assert tracked.residual_px <= fit.residual_px + 0.1


def test_config_is_followed(model, sitter):
    _, fit = sitter
    frame, *_ = film(model, fit.neutral, expression={"jawOpen": 0.6})
    assert frame.expressions is not None
    wrong = replace(frame, expressions=torch.zeros(52))
    free, held = (
        track(wrong, fit, model, FitConfig(expression_spread=spread)).expression[EXPRESSION_NAMES.index("jawOpen")]
        for spread in (0.3, 0.001)
    )
    assert free > 0.3
    assert held < 0.01


@pytest.mark.parametrize(
    "points",
    [torch.zeros(68, 2), torch.arange(136.0).reshape(68, 2), torch.full((68, 2), torch.nan)],
    ids=["one place", "a line", "not numbers"],
)
def test_what_is_no_face_is_refused(model, sitter, points):
    with pytest.raises(FitError, match="landmark"):
        track(Landmarks(points, (500, 640)), sitter[1], model)


def test_scattered_points_are_refused(model, sitter):
    points = 500 * torch.rand(68, 2, generator=torch.Generator().manual_seed(1))
    with pytest.raises(FitError, match="away from any human head"):
        track(Landmarks(points, (500, 640)), sitter[1], model)
