"""The 52 blendshapes on exaggerated heads: what closes stays closed, what is inside stays inside, nothing folds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metrics.expressions import OPENINGS, measure_teeth_lag, measure_worst_exposure, pose_head
from metrics.shape import measure_flipped_share
from portraitist.geometry.blendshape_transfer import (
    find_lid_contacts,
    find_lip_contacts,
    transfer_blendshapes,
)
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.translation import GeometryConfig
from portraitist.types import Head

BLINK = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
EYES, BROWS_AND_EYES, MOUTH, JAW = slice(36, 48), slice(17, 48), slice(48, 68), slice(0, 17)


def exaggerate(points: torch.Tensor, kind: str) -> torch.Tensor:
    """Landmarks ``[68, 3]`` of a caricature, about as far from the mean face as the furthest hand-annotated ones."""
    moved = points.clone()
    below = (points[36:48, 1].mean() - points[:, 1]).clamp(min=0)
    if kind == "long":
        moved[:, 1] -= 0.7 * below
    elif kind == "pear":  # wide jaw, and eyes so close together that the balls have no room
        width = 0.7 + 8.0 * below
        moved[:, 0] *= width.clamp(max=1.5)
    elif kind == "grin":  # a mouth wider than the chin below it
        moved[MOUTH, 0] *= 1.6
        moved[4:13, 0] *= 0.6
    elif kind == "goggle":
        for eye in (slice(36, 42), slice(42, 48)):
            moved[eye] = moved[eye].mean(0) + 1.7 * (moved[eye] - moved[eye].mean(0))
    elif kind == "small":  # small eyes and mouth in a large face
        for part in (slice(36, 42), slice(42, 48), MOUTH):
            moved[part] = moved[part].mean(0) + 0.55 * (moved[part] - moved[part].mean(0))
        moved[JAW, :2] *= 1.2
    return moved


KINDS = ("long", "pear", "grin", "goggle", "small")
SLOW_KINDS = ("grin", "goggle", "small")


@pytest.fixture(scope="module")
def content(model):
    vertices, rest = model.mean, torch.zeros(52)
    return Head(
        model.template, torch.zeros(3, 4, 4), vertices, rest, model.expression_deltas, model.landmarks68, vertices
    )


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=pytest.mark.slow if kind in SLOW_KINDS else ()) for kind in KINDS]
)
def exaggerated(request, content, model):
    points = model.landmarks68.positions(model.mean, model.faces)
    deformer = build_deformer(model, GeometryConfig().stiffness)
    return deform_to_landmarks(content, exaggerate(points, request.param), deformer)


def test_contacts_are_the_same_on_both_sides_of_the_face(model):
    for pairs in (find_lid_contacts(model), find_lip_contacts(model)):
        mirrored = model.mirror.numpy()[pairs]
        assert {*map(tuple, pairs.tolist())} == {*map(tuple, mirrored.tolist())}
        assert len(pairs) >= 12


def test_lids_close_over_the_eyes(exaggerated, model):
    through = measure_worst_exposure(exaggerated, BLINK, model).through
    closed, opened = (
        through["eye_socket_left"],
        measure_worst_exposure(exaggerated, {}, model).through["eye_socket_left"],
    )
    assert closed < min(0.0005, 0.2 * opened)
    assert through["eye_socket_right"] < 0.0005


@pytest.mark.parametrize(
    "weights", [{}, {"mouthPressLeft": 1.0, "mouthPressRight": 1.0}, {"jawOpen": 1.0, "mouthClose": 1.0}]
)
def test_lips_close(exaggerated, content, model, weights):
    before = measure_worst_exposure(content, weights, model).through["mouth_cavity"]
    assert measure_worst_exposure(exaggerated, weights, model).through["mouth_cavity"] < before + 0.003


def test_jaw_opens_and_the_teeth_go_with_it(exaggerated, content, model):
    opened = measure_worst_exposure(exaggerated, {"jawOpen": 1.0}, model).through["mouth_cavity"]
    closed = measure_worst_exposure(exaggerated, {}, model).through["mouth_cavity"]
    assert opened > 5 * closed
    assert opened > 0.005
    assert abs(measure_teeth_lag(exaggerated, model) - measure_teeth_lag(content, model)) < 0.2


STRONG = (
    "eyeBlinkLeft",
    "eyeWideRight",
    "browInnerUp",
    "cheekPuff",
    "jawOpen",
    "jawLeft",
    "mouthFunnel",
    "mouthPucker",
)
"""Actions that move most; ``benchmarks/expressions.py`` measures all 52."""


@pytest.mark.parametrize("action", STRONG)
def test_nothing_inside_comes_through_the_skin(exaggerated, model, action):
    assert measure_worst_exposure(exaggerated, {action: 1.0}, model).outside < 0.0005


def test_no_action_turns_triangles_over(exaggerated, content):
    for action in STRONG:
        before, after = (pose_head(head, {action: 1.0}) for head in (content, exaggerated))
        assert measure_flipped_share(before, after, content.mesh.faces, content.mesh.regions) <= 0.002, action


def test_the_sitters_own_head_keeps_its_expressions(model):
    carried = transfer_blendshapes(model.mean, model.mean, model.expression_deltas, model)
    assert (carried - model.expression_deltas).abs().max() < 1e-5


def test_a_stretched_eye_blinks_as_far_as_it_is_open(content, model):
    """Plain copying would leave an eye twice as high half open: the lids would not meet."""
    points = model.landmarks68.positions(model.mean, model.faces)
    wide = points.clone()
    for eye in (slice(36, 42), slice(42, 48)):
        wide[eye, 1] = points[eye, 1].mean() + 2 * (points[eye, 1] - points[eye, 1].mean())
    head = deform_to_landmarks(content, wide, build_deformer(model, GeometryConfig().stiffness))
    above, below = find_lid_contacts(model).T
    opening = torch.nn.functional.normalize(head.neutral[above] - head.neutral[below], dim=1)
    closed = pose_head(head, BLINK)
    copied = head.neutral + pose_head(content, BLINK) - content.neutral
    gaps = [lids[above] - lids[below] for lids in (closed, copied)]
    left = [(gap * opening).sum(1, keepdim=True).clamp(min=0) for gap in gaps]  # lids that overlap leave nothing open
    assert left[0].mean() < 0.001 < 0.003 < left[1].mean()
    # As distances, but for the overlap: what is left open, and what lies side by side.
    apart = [
        (gap - (gap * opening).sum(1, keepdim=True) * opening + rest * opening).norm(dim=1).mean()
        for gap, rest in zip(gaps, left, strict=True)
    ]
    assert apart[0] < 0.002 < 0.003 < apart[1]
    assert (gaps[0] * opening).sum(1).amin() > -0.005


def test_outside_is_noticed_when_teeth_come_through(content, model):
    """The measure itself: move the lower teeth forward through the chin."""
    neutral = content.neutral.clone()
    neutral[model.vertex_ids("lower_teeth")] += torch.tensor([0.0, -0.02, 0.05])
    broken = Head(content.mesh, content.texture, neutral, content.expression, content.expression_deltas,
                  content.landmarks68, content.original)  # fmt: skip
    assert measure_worst_exposure(broken, {}, model).outside > 0.001
    assert set(OPENINGS) == {"eye_socket_left", "eye_socket_right", "mouth_cavity"}
    assert np.isclose(measure_worst_exposure(content, {}, model).outside, 0, atol=1e-4)
