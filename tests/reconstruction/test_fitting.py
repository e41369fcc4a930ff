"""Fitting recovers what was planted, from dense and from 68 points, and refuses what is no face."""

import numpy as np
import pytest
import torch

from portraitist.errors import FitError
from portraitist.landmarks.camera_pose import solve_camera
from portraitist.landmarks.ibug68 import dense_to_ibug68
from portraitist.reconstruction.contour_landmarks import find_contour_landmarks
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.gauss_newton import angles_to_rotation, rotation_to_angles, solve_box_constrained
from portraitist.reconstruction.landmark_noise import independent_noise, load_detector_noise
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.types import EXPRESSION_NAMES, Camera, Landmarks


def plant_face(model, yaw_deg=0.0, pitch_deg=0.0, expression=None, seed=0):
    """Landmarks of a random person, with the vertices and the camera they came from. The dense ones are off as the
    detector's are in this view; of the 68, those of the jaw are on the outline, as annotators put them."""
    generator = torch.Generator().manual_seed(seed)
    identity = torch.randn(len(model.identity_basis), generator=generator) * 0.7
    weights = torch.zeros(len(EXPRESSION_NAMES))
    for name, value in (expression or {}).items():
        weights[EXPRESSION_NAMES.index(name)] = value
    neutral = model.mean + torch.einsum("k,knd->nd", identity, model.identity_basis)
    vertices = neutral + torch.einsum("e,end->nd", weights, model.expression_deltas)
    camera = Camera(rotation_from_yaw_pitch(yaw_deg, pitch_deg), 1500.0, (300.0, 260.0), (512, 600))
    dense = camera.project(model.landmarks478.positions(vertices, model.faces))
    bias = load_detector_noise().bias(np.radians(yaw_deg), np.radians(pitch_deg)).reshape(-1, 2)
    dense[: len(bias)] += camera.scale_px * torch.from_numpy(bias * [1, -1]).float()
    seen = find_contour_landmarks(vertices, camera.rotation, model).embedding
    points = camera.project(seen.positions(vertices, model.faces))
    return Landmarks(points, camera.size, dense, weights), neutral, vertices, camera


def aligned_error(found, truth, ids):
    """Median vertex distance after a translation and scale, meters."""
    a, b = found[ids] - found[ids].mean(0), truth[ids] - truth[ids].mean(0)
    return float(((a * (a * b).sum() / (a * a).sum()) - b).norm(dim=1).median())


def test_camera_of_a_planted_pose_is_found(model):
    points = model.landmarks478.positions(model.mean, model.faces).double().numpy()
    camera = Camera(rotation_from_yaw_pitch(33.0, -12.0).double(), 2100.0, (120.0, 333.0), (600, 600))
    rotation, scale, center = solve_camera(
        points, camera.project(torch.from_numpy(points)).numpy(), torch.ones(478).numpy()
    )
    assert abs(rotation - camera.rotation.numpy()).max() < 1e-6
    assert scale == pytest.approx(2100, rel=1e-6)
    assert center == pytest.approx((120, 333), abs=1e-3)


@pytest.mark.parametrize("yaw_deg", [0.0, 25.0, -40.0])
@pytest.mark.parametrize("dense", [True, False])
def test_planted_face_is_recovered(model, yaw_deg, dense):
    landmarks, neutral, _, camera = plant_face(model, yaw_deg, 5.0, {"jawOpen": 0.4, "mouthSmileLeft": 0.5})
    given = landmarks if dense else Landmarks(landmarks.points, landmarks.size)
    fit = fit_head(given, model)
    assert fit.residual_relative < 0.01
    angle = torch.acos(((torch.trace(fit.camera.rotation @ camera.rotation.T) - 1) / 2).clamp(-1, 1)) * 57.2958
    assert angle < (3 if dense else 5)
    face = model.vertex_ids("skin", "nose", "lips")
    assert aligned_error(fit.neutral, neutral, face) < (0.003 if dense else 0.004)
    if dense:  # from 68 points the depth of a turned face stays a guess, about as good as the mean's
        assert aligned_error(fit.neutral, neutral, face) < 0.8 * aligned_error(model.mean, neutral, face)


def test_expression_is_kept_apart_from_identity(model):
    landmarks, *_ = plant_face(model, expression={"jawOpen": 0.6})
    fit = fit_head(landmarks, model)
    assert fit.expression[EXPRESSION_NAMES.index("jawOpen")] == pytest.approx(0.6, abs=0.1)
    assert ((fit.expression >= 0) & (fit.expression <= 1)).all()
    posed = fit.neutral + torch.einsum("e,end->nd", fit.expression, fit.expression_deltas)
    assert (posed - fit.mesh.vertices).abs().max() < 1e-6


def test_fit_follows_the_picture_when_it_moves_and_grows(model):
    landmarks, *_ = plant_face(model, 10.0)
    moved = Landmarks(landmarks.points * 2 + 40, (1064, 1240), landmarks.dense * 2 + 40, landmarks.expressions)
    a, b = fit_head(landmarks, model), fit_head(moved, model)
    assert (a.mesh.vertices - b.mesh.vertices).abs().max() < 1e-5
    assert b.camera.scale_px == pytest.approx(2 * a.camera.scale_px, rel=1e-4)


def test_dense_points_and_their_68_agree(model):
    landmarks, *_ = plant_face(model)
    assert (dense_to_ibug68(landmarks.dense) - landmarks.points).norm(dim=1).mean() < 6  # px, eyes 140 px apart


@pytest.mark.parametrize(
    "points",
    [
        torch.zeros(68, 2),
        torch.arange(136.0).reshape(68, 2),
        torch.rand(68, 2, generator=torch.Generator().manual_seed(1)) * 500,
    ],
    ids=["one place", "a line", "noise"],
)
def test_what_is_no_face_is_refused(model, points):
    with pytest.raises(FitError, match="landmark"):
        fit_head(Landmarks(points, (512, 512)), model)


def test_angles_are_those_of_the_conventions():
    yaw, pitch, roll = np.radians([31.0, -14.0, 9.0])
    expected = rotation_from_yaw_pitch(31.0, -14.0).double().numpy()
    assert angles_to_rotation(np.array([yaw, pitch, 0.0])) == pytest.approx(expected, abs=1e-6)
    assert rotation_to_angles(angles_to_rotation(np.array([yaw, pitch, roll]))) == pytest.approx([yaw, pitch, roll])


def test_precision_is_the_inverse_of_the_covariance():
    errors = load_detector_noise()
    covariance = errors.loadings @ errors.loadings.T + np.diag(errors.variance)
    assert errors.apply_precision(covariance) == pytest.approx(np.eye(len(covariance)), abs=1e-6)
    assert independent_noise(np.array([2.0])).apply_precision(np.array([8.0, 4.0])) == pytest.approx([2, 1])


def test_bias_jacobian_is_the_derivative_of_the_bias():
    errors, step = load_detector_noise(), 1e-6
    ahead, above = errors.bias(0.3 + step, -0.2), errors.bias(0.3, -0.2 + step)
    numeric = (np.stack([ahead, above]) - errors.bias(0.3, -0.2)) / step
    assert errors.bias_jacobian(0.3, -0.2) == pytest.approx(numeric, abs=1e-6)


def test_bounds_hold_and_the_rest_makes_the_best_of_it():
    normal, right = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([5.0, 1.0])  # without bounds (3, -1)
    assert solve_box_constrained(normal, right, np.full(2, -9.0), np.full(2, 9.0)) == pytest.approx([3, -1])
    assert solve_box_constrained(normal, right, np.array([-9.0, 0.0]), np.full(2, 9.0)) == pytest.approx([2.5, 0])


def test_what_the_detector_gets_wrong_together_is_not_taken_for_shape(model):
    """The strongest learnt error pattern, twice its standard deviation, against as much noise without pattern."""
    landmarks, _, _, camera = plant_face(model, 5.0, 5.0)
    pattern = 2 * load_detector_noise().loadings[:, 0]
    noise = np.random.default_rng(0).permutation(pattern)
    errors = []
    before = fit_head(landmarks, model)
    for shift in (pattern, noise):
        assert landmarks.dense is not None
        dense = landmarks.dense.clone()
        dense[: len(shift) // 2] += camera.scale_px * torch.from_numpy(shift.reshape(-1, 2) * [1, -1]).float()
        moved = fit_head(Landmarks(landmarks.points, landmarks.size, dense, landmarks.expressions), model)
        errors.append(float((moved.identity - before.identity).norm()))
    assert errors[0] < 0.5 * errors[1]


def test_landmarks_of_a_turned_head_leave_its_own_shape_alone(model):
    for yaw_deg, followed in ((0.0, True), (45.0, False)):
        landmarks, *_ = plant_face(model, yaw_deg)
        assert landmarks.dense is not None
        bump = landmarks.dense.clone()
        bump[[1, 4, 5, 195]] += torch.tensor([0.0, 12.0])  # a nose no detector error explains
        fit = fit_head(Landmarks(landmarks.points, landmarks.size, bump, landmarks.expressions), model)
        from_basis = model.mean + torch.einsum("k,knd->nd", fit.identity, model.identity_basis)
        largest = float((fit.neutral - from_basis).norm(dim=1).max())
        assert (largest > 0.001) == followed
