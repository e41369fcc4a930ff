"""Jaw points of a turned head are looked for on its outline, where annotators see them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from portraitist.reconstruction.contour_landmarks import JAW_POINTS, find_contour_landmarks
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.gauss_newton import point_to_line_residual
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import Camera, Landmarks


def look_at(yaw_deg, pitch_deg=0.0):
    return Camera(rotation_from_yaw_pitch(yaw_deg, pitch_deg), 2400.0, (300.0, 300.0), (640, 600))


def annotate(model, vertices, camera):
    """The 68 points as an annotator marks them: on the far side of the jaw the outermost pixel of the face's row."""
    points = camera.project(model.landmarks68.positions(vertices, model.faces))
    far = range(12, JAW_POINTS) if camera.rotation[2, 0] < 0 else range(5)
    return move_to_outline(points, far, model, vertices, camera)


def move_to_outline(points, far, model, vertices, camera):
    fragments = rasterize(model.template.with_vertices(vertices), camera)
    face = fragments.mask & model.face_mask("skin", "lips", "nose")[fragments.face_ids.clamp(min=0)]
    moved = points.clone()
    for i in far:
        columns = torch.nonzero(face[int(points[i, 1])])[:, 0]
        moved[i, 0] = float(columns.max() + 1 if i > 8 else columns.min())
    return moved


@pytest.mark.parametrize("yaw_deg", [30.0, -40.0])
def test_far_jaw_points_stand_on_the_outline(model, yaw_deg):
    camera = look_at(yaw_deg)
    seen = find_contour_landmarks(model.mean, camera.rotation, model)
    found = camera.project(seen.embedding.positions(model.mean, model.faces))
    far, near = (range(13, 17), range(7)) if yaw_deg > 0 else (range(4), range(10, 17))
    outermost = move_to_outline(found, far, model, model.mean, camera)
    assert (found - outermost).norm(dim=1).max() < 2  # px; the eyes are 180 px apart
    slid = seen.tangents.norm(dim=1) > 0.5
    assert slid[list(far)].all()
    assert not slid[list(near)].any()
    assert not slid[JAW_POINTS:].any()


def test_seen_from_the_front_every_point_is_at_its_own_place(model):
    seen = find_contour_landmarks(model.mean, torch.eye(3), model)
    own = model.landmarks68.positions(model.mean, model.faces)
    assert torch.allclose(seen.embedding.positions(model.mean, model.faces), own)
    assert not seen.tangents.any()


def test_the_outline_of_a_turned_face_is_not_taken_for_a_wide_jaw(model):
    camera = look_at(40.0)
    marked = annotate(model, model.mean, camera)
    fit = fit_head(Landmarks(marked, camera.size), model)
    jaw = [model.landmarks68.positions(v, model.faces)[:JAW_POINTS] for v in (fit.neutral, model.mean)]
    widths = [float(points[14, 0] - points[2, 0]) for points in jaw]
    assert widths[0] == pytest.approx(widths[1], rel=0.02)
    assert (fit.neutral - model.mean)[model.vertex_ids("skin")].norm(dim=1).median() < 0.0015


def test_what_lies_along_the_outline_is_dropped():
    rows = np.array([3.0, 4.0, 1.0, 2.0])
    along = np.array([[0.0, 1.0], [0.0, 0.0]])
    assert point_to_line_residual(rows, along) == pytest.approx([3, 0, 1, 2])
