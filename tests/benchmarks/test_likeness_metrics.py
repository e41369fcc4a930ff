"""The metrics of likeness: hand-computed figures, a renderer that agrees with its camera, truth that is true."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import rendered_hair
from likeness import Summary
from likeness_photos import measure_hidden_points
from likeness_rendered import measure_detector, measure_pose, measure_shape
from likeness_silhouette import find_band, find_bare_head, measure_overhang
from likeness_videos import compare_videos
from metrics.head_shape import (
    find_similarity,
    measure_head_height,
    measure_separation,
    measure_turn_deg,
    measure_vertex_errors,
    read_angles_deg,
)
from metrics.pictures import fill_hull, fill_rows, keep_band, measure_overlap, measure_psnr
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.types import EXPRESSION_NAMES, Camera, HeadFit, Landmarks
from reconstruction_runs import HIDDEN_IDS, fit_without_hidden
from rendered_faces import HEAD_MIDDLE, Plan, RenderedFace, plan_faces
from rendered_scene import (
    Light,
    PerspectiveCamera,
    linear_to_srgb,
    make_ball,
    place_camera,
    render_scene,
    srgb_to_linear,
)
from rendered_shapes import TrueShape, draw_residual, draw_smooth_field, sample_expression


def turn(roll_deg: float, yaw_deg: float, pitch_deg: float) -> np.ndarray:
    roll = Rotation.from_euler("z", roll_deg, degrees=True).as_matrix()
    return roll @ rotation_from_yaw_pitch(yaw_deg, pitch_deg).double().numpy()


# --- shapes and poses -----


def test_similarity_is_recovered_and_never_mirrors():
    points = np.random.default_rng(0).normal(size=(30, 3))
    rotation = turn(20, -40, 10)
    found = find_similarity(points, 1.7 * points @ rotation.T + [1, 2, 3])
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-6)
    assert found.scale == pytest.approx(1.7)
    np.testing.assert_allclose(found.apply(points), 1.7 * points @ rotation.T + [1, 2, 3], atol=1e-6)
    mirrored = find_similarity(points, points * [-1, 1, 1])
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1)


def test_vertex_errors_are_millimetres_on_a_head_of_230():
    cube = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    stretched = cube * [1, 1, 1.1]
    moved = 5 * cube @ turn(0, 30, 0).T + 7
    assert measure_vertex_errors(moved, cube, np.arange(8), 2.0) == pytest.approx(np.zeros(8), abs=1e-4)
    # The best scale is (1 + 1 + 1.1) / 3, so x, y are off by 0.1 / 3 and z by 0.2 / 3, in a head 2 high.
    expected = math.sqrt(2 * (0.1 / 3) ** 2 + (0.2 / 3) ** 2) * 115
    assert measure_vertex_errors(cube, stretched, np.arange(8), 2.0) == pytest.approx(np.full(8, expected))


@pytest.mark.parametrize("angles", [(0, 0, 0), (40, -20, 12), (-45, 25, -15)])
def test_angles_are_read_back(angles: tuple[float, float, float]):
    yaw, pitch, roll = angles
    assert read_angles_deg(turn(roll, yaw, pitch)) == pytest.approx(angles, abs=1e-5)


def test_turn_is_the_angle_between_rotations():
    assert measure_turn_deg(turn(0, 30, 0), turn(0, -10, 0)) == pytest.approx(40, abs=1e-4)
    assert measure_turn_deg(turn(5, 30, 9), turn(5, 30, 9)) == pytest.approx(0, abs=1e-4)


def test_separation_counts_pairs_in_order():
    same, different = np.array([1.0, 2.0]), np.array([2.0, 3.0])
    assert measure_separation(same, different) == pytest.approx(3.5 / 4)  # 2 = 2 counts half
    assert measure_separation(same, same + 10) == 1
    assert measure_separation(same + 10, same) == 0


def test_videos_of_rigid_heads_are_told_apart():
    rng = np.random.default_rng(0)
    heads = {name: rng.normal(size=(50, 3)) * 50 for name in ("a", "b")}
    fitted = {
        name: {"shapes": [(head + rng.normal(0, 0.1, head.shape)).tolist() for _ in range(3)], "missed": [4]}
        for name, head in heads.items()
    }
    figures = compare_videos(fitted)
    assert (figures["auc"], figures["persons"], figures["frames"]) == (1.0, 2, 6)
    assert figures["same_median_mm"] < 0.5 < figures["different_median_mm"]
    assert figures["videos"][0]["missed"] == 1


# --- pictures -----


def test_psnr_looks_only_inside():
    first, second = np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.1)
    second[2:] = 1.0
    inside = np.zeros((4, 4), bool)
    inside[:2] = True
    assert measure_psnr(first, second, inside) == pytest.approx(20)
    assert measure_psnr(first, first, inside) == pytest.approx(50)


def test_overlap_hull_rows_and_band():
    square = fill_hull(np.array([[2.0, 2.0], [6.0, 2.0], [6.0, 6.0], [2.0, 6.0]]), (8, 8))
    assert square[3:6, 3:6].all()
    assert not square[0].any()
    assert not square[:, 7].any()
    assert measure_overlap(square, square) == 1
    assert measure_overlap(square, ~square) == 0
    gap = np.array([[False, True, False, True, False], [False] * 5])
    assert fill_rows(gap).tolist() == [[False, True, True, True, False], [False] * 5]
    band = keep_band((8, 8), np.array([4.0, 2.0]), np.array([4.0, 5.0]))
    assert band[2:5].all()
    assert band.sum() == 3 * 8


def make_face_landmarks(size: int = 200) -> Landmarks:
    """The mean head, seen from the front."""
    model = load_head_model()
    camera = Camera(torch.eye(3), size * 3.0, (size / 2, size * 0.45), (size, size))
    dense = camera.project(model.landmarks478.positions(model.mean, model.faces))
    points = camera.project(model.landmarks68.positions(model.mean, model.faces))
    return Landmarks(points, (size, size), dense, torch.zeros(52))


def test_bare_head_leaves_hair_and_ground_out_and_fills_glasses():
    landmarks = make_face_landmarks()
    skin, hair, shirt = torch.tensor([0.8, 0.6, 0.5]), torch.tensor([0.1, 0.07, 0.05]), torch.tensor([0.1, 0.2, 0.6])
    hull = torch.from_numpy(fill_hull(landmarks.points.numpy(), landmarks.size))
    columns = torch.arange(200)[None].expand(200, 200)
    left, right = landmarks.points[0, 0], landmarks.points[16, 0]
    ears = (columns > left - 12) & (columns < right + 12) & (torch.arange(200)[:, None] < landmarks.points[3, 1])
    photo = torch.where(hull | ears, skin[:, None, None], shirt[:, None, None])
    photo[:, :, : int(left) - 6] = hair[:, None, None]
    photo[:, int(landmarks.points[37, 1]), 60:140] = 0.0  # a rim of glasses
    head = find_bare_head(photo, torch.ones(200, 200), landmarks) & find_band(landmarks)
    row = int(landmarks.points[37, 1]) + 6
    filled = np.flatnonzero(head[row])
    assert filled[0] == pytest.approx(int(left) - 6, abs=1)
    assert filled[-1] == pytest.approx(int(right) + 11, abs=2)
    assert not head[int(landmarks.points[8, 1]) + 3 :].any()
    wider = np.roll(head, 3, axis=1) | head
    overhang = measure_overhang(head, wider, landmarks)
    eyes = float(landmarks.points[45, 0] - landmarks.points[36, 0])
    assert overhang == pytest.approx({"overhang_left": 0.0, "overhang_right": 3 / eyes}, abs=1e-4)


# --- held-out landmarks -----


def test_the_fit_does_not_see_hidden_points():
    landmarks = make_face_landmarks()
    before = fit_without_hidden(landmarks)
    assert landmarks.dense is not None
    moved = landmarks.dense.clone()
    moved[list(HIDDEN_IDS)] += 30
    after = fit_without_hidden(dataclasses.replace(landmarks, dense=moved))
    torch.testing.assert_close(after.mesh.vertices, before.mesh.vertices)
    figures = measure_hidden_points(landmarks)
    assert figures["hidden_rms"] < 0.01
    # A point that is not hidden does matter.
    moved = landmarks.dense.clone()
    moved[1] += 30
    shifted = fit_without_hidden(dataclasses.replace(landmarks, dense=moved))
    assert (shifted.mesh.vertices - before.mesh.vertices).abs().max() > 1e-4


# --- truth -----


def make_true_face(rotation: np.ndarray) -> tuple[RenderedFace, HeadFit]:
    """The mean head as truth, and the fit that finds it."""
    model = load_head_model()
    mean = model.mean.double().numpy()
    camera = place_camera(rotation, HEAD_MIDDLE, 0.23, 85.0, 0.5, (0.0, 0.0), 640)
    plan = Plan(0, 0.0, 0.0, 0.0, 85.0, "neutral", "none", "even", 0, 0)
    face = RenderedFace(plan, Path(), TrueShape(mean, mean, np.zeros(52)), camera, camera.rotation_seen(HEAD_MIDDLE))
    fit = HeadFit(
        identity=torch.zeros(len(model.identity_basis)), expression=torch.zeros(52), mesh=model.template,
        neutral=model.mean, expression_deltas=model.expression_deltas,
        camera=Camera(torch.from_numpy(rotation).float(), 1000.0, (320.0, 320.0), (640, 640)),
        residual_px=0.0, residual_relative=0.0,
    )  # fmt: skip
    return face, fit


def test_a_perfect_fit_has_no_error():
    face, fit = make_true_face(turn(8, 30, -12))
    assert all(value < 1e-3 for value in measure_shape(face, fit).values())
    assert all(abs(value) < 0.06 for value in measure_pose(face, fit).values())


def test_a_head_that_lies_tilted_in_its_frame_is_no_pose_error_of_the_surface():
    face, fit = make_true_face(turn(0, 0, 0))
    tilt = torch.from_numpy(turn(0, 0, 10)).float()
    tilted = dataclasses.replace(
        fit, neutral=fit.neutral @ tilt.T, camera=dataclasses.replace(fit.camera, rotation=tilt.T)
    )
    figures = measure_pose(face, tilted)
    assert figures["turn_deg"] == pytest.approx(10, abs=0.01)
    assert figures["turn_shape_deg"] == pytest.approx(0, abs=0.05)
    assert figures["pitch_off_deg"] == pytest.approx(-10, abs=0.01)


def test_detector_error_is_measured_in_the_picture():
    face, _ = make_true_face(turn(0, 0, 0))
    model = load_head_model()
    places = model.landmarks68.positions(model.mean, model.faces).double().numpy()
    true = face.camera.project(places)
    eyes = np.linalg.norm(true[36] - true[45])
    seen = Landmarks(torch.from_numpy(true + np.array([0.1 * eyes, 0])).float(), (640, 640))
    assert measure_detector(face, seen) == pytest.approx(0.1, abs=1e-4)


def test_plans_cover_the_ranges_and_repeat():
    plans = plan_faces()
    assert plans == plan_faces()
    assert len(plans) >= 60
    for name, reach in (("yaw_deg", 45), ("pitch_deg", 25), ("roll_deg", 15)):
        values = np.array([getattr(plan, name) for plan in plans])
        assert np.abs(values).max() <= reach
        assert np.ptp(values) > 1.9 * reach
    assert len({plan.expression for plan in plans}) >= 8
    assert {plan.hair for plan in plans} == set(rendered_hair.HAIR_STYLES)


def test_random_fields_are_smooth_and_of_unit_variance():
    rng = np.random.default_rng(0)
    places = rng.uniform(-0.1, 0.1, (400, 3))
    places[:200, 0] = np.abs(places[:200, 0])
    places[200:] = places[:200] * [-1, 1, 1]
    field = np.concatenate([draw_smooth_field(places, 0.03, 3, rng) for _ in range(20)], axis=1)
    assert field.std() == pytest.approx(1, abs=0.1)
    near = draw_smooth_field(np.concatenate([places, places + np.array([1e-3, 0, 0])]), 0.03, 1, rng)
    assert np.abs(near[400:] - near[:400]).max() < 0.2
    mirror = np.concatenate([np.arange(200, 400), np.arange(200)])
    residual = draw_residual(places, mirror, 0.03, 0.001, rng)
    symmetric = (residual + residual[mirror] * [-1, 1, 1]) / 2
    assert 0.1 < np.linalg.norm(residual - symmetric) / np.linalg.norm(symmetric) < 0.8


def test_expressions_have_both_sides_and_stay_in_range():
    weights = sample_expression("smile", np.random.default_rng(1))
    for side in ("Left", "Right"):
        assert weights[EXPRESSION_NAMES.index(f"mouthSmile{side}")] > 0.4
    assert weights[EXPRESSION_NAMES.index("jawOpen")] == 0
    assert weights.min() >= 0
    assert weights.max() <= 1


# --- scene -----


def test_camera_projects_by_hand_and_knows_the_line_of_sight():
    camera = PerspectiveCamera(np.eye(3), np.array([0.0, 0.0, -2.0]), 1000.0, 500)
    np.testing.assert_allclose(camera.project(np.array([[0.2, 0.1, 0.0], [0.0, 0.0, 1.0]])), [[350, 200], [250, 250]])
    np.testing.assert_allclose(camera.rotation_seen(np.zeros(3)), np.eye(3), atol=1e-12)
    # A head 45 deg to the right that looks straight ahead shows its other side: it seems turned away, to the right.
    beside = PerspectiveCamera(np.eye(3), np.array([2.0, 0.0, -2.0]), 1000.0, 500)
    yaw, pitch, roll = read_angles_deg(beside.rotation_seen(np.zeros(3)))
    assert (yaw, pitch, roll) == pytest.approx((45, 0, 0), abs=1e-6)


def test_camera_is_placed_so_that_the_head_fills_its_share():
    middle = np.array([0.0, -0.02, -0.05])
    camera = place_camera(turn(0, 20, 5), middle, 0.24, 50.0, 0.4, (0.1, -0.05), 600)
    np.testing.assert_allclose(camera.project(middle[None])[0], [360, 330], atol=1e-9)
    distance = -camera.to_camera(middle[None])[0, 2]
    assert camera.focal_px * 0.24 / distance == pytest.approx(0.4 * 600)


def test_rendering_agrees_with_light_and_perspective():
    ball = make_ball(np.array([0.0, 0.0, -1.0]), (0.1, 0.1, 0.1), np.array([0.5, 0.5, 0.5]))
    picture = render_scene([ball], Light(0.2, 0.6, (0.0, 0.0, 1.0)), np.ones((200, 200, 3), np.float32), 800.0)
    assert srgb_to_linear(picture[100, 100]) == pytest.approx(np.full(3, 0.4), abs=0.01)  # 0.5 * (0.2 + 0.6)
    radius = np.sqrt((picture[..., 0] < 0.99).sum() / np.pi)
    assert radius == pytest.approx(800 * 0.1 / math.sqrt(1 - 0.1**2), rel=0.02)


def test_a_ball_between_light_and_ball_throws_a_shadow():
    solids = [
        make_ball(np.array([0.0, 0.0, -1.0]), (0.1, 0.1, 0.1), np.ones(3)),
        make_ball(np.array([0.5, 0.0, -0.3]), (0.05, 0.05, 0.05), np.ones(3)),
    ]
    towards = (0.5, 0.0, 0.6)
    ground = np.zeros((100, 100, 3), np.float32)
    for shadows, expected in ((True, 0.2), (False, 0.2 + 0.5 * 0.6 / math.hypot(0.5, 0.6))):
        picture = render_scene(solids, Light(0.2, 0.5, towards, shadows=shadows), ground, 400.0)
        assert srgb_to_linear(picture[50, 50]) == pytest.approx(np.full(3, expected), abs=0.02)


def test_srgb_curve_is_its_own_inverse():
    values = np.linspace(0, 1, 101)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-5)


def test_hair_grows_outside_and_leaves_the_eyes_free():
    model = load_head_model()
    mean = model.mean.double().numpy()
    style = rendered_hair.HAIR_STYLES["long"]
    assert style is not None
    hair = rendered_hair.grow_hair(mean, model, style, np.full(3, 0.2), np.random.default_rng(0))
    half_width, depth, _ = rendered_hair.FACE_WINDOW
    x, y, z = hair.vertices.T
    before_eyes = (np.abs(x) < half_width - 0.003) & (z > depth + 0.003) & (np.abs(y) < 0.03)
    assert before_eyes.mean() < 0.001
    ears = mean[model.vertex_ids("ears").numpy()]
    beside_ears = (np.abs(x) > np.abs(ears[:, 0]).mean()) & (y < ears[:, 1].min())
    assert beside_ears.sum() > 1000  # it hangs down past them
    height = measure_head_height(mean, model.faces.numpy(), model.template.regions.numpy())
    assert height == pytest.approx(0.233, abs=0.003)


# --- table -----


def test_summary_counts_what_was_not_found_as_said():
    rows = {"a": {"x": 1.0}, "b": {"x": -3.0}, "c": {"error": "no face"}}
    assert Summary("rendered", "found", "", "share found").compute(rows) == pytest.approx(2 / 3)
    assert Summary("rendered", "x", "x", "mean").compute(rows) == -1
    assert Summary("rendered", "x", "x", "median size").compute(rows) == 2
    limited = Summary("rendered", "x", "x", "least", least=-2)
    assert not limited.is_met(limited.compute(rows))
    assert limited.target() == ">= -2"
