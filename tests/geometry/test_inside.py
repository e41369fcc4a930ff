"""Huge-eyed heads and narrow jaws: mouth, teeth and eyes stay inside, whatever the skin does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metrics.expressions import measure_exposure, measure_teeth_lag, pose_head
from metrics.shape import measure_flipped_share
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.translation import (
    DirectTranslator,
    GeometryConfig,
    RegionStrengths,
    ShapeExemplar,
    mean_face,
    translate_landmarks,
)
from portraitist.reconstruction.head_surface import build_surface
from portraitist.types import Camera, Head, HeadFit

BLINK = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
STRENGTHS = {
    "1": GeometryConfig(),
    "2": GeometryConfig(strength=2.0),
    "eyes 2": GeometryConfig(regions=RegionStrengths(eyes=2.0)),
}
VIEWS = ((0.0, 0.0), (-30.0, 0.0), (0.0, 20.0))


def draw(kind: str, points: torch.Tensor) -> torch.Tensor:
    """Deviation ``[68, 2]`` of a huge-eyed cartoon from the mean face."""
    moved = points.clone()
    eye_line = points[36:48, 1].mean()
    if kind == "low":  # eyes low, and a face that tapers to a small chin below them
        below = (eye_line - points[:, 1]).clamp(min=0)
        width = 1 - 0.4 * below / below.max()
        for ids in (range(17), range(31, 36), range(48, 68)):
            moved[list(ids), 0] *= width[list(ids)]
        moved[48:68] = moved[48:68].mean(0) + 0.7 * (moved[48:68] - moved[48:68].mean(0))
        moved[17:27, 1] -= 0.2
    elif kind == "half":  # the lower half of the face is small
        lower = points[:, 1] < eye_line
        moved[lower] = points[lower] * torch.tensor([0.8, 0.6]) + torch.tensor([0.0, 0.4]) * eye_line
    for eye in (slice(36, 42), slice(42, 48)):
        moved[eye] = moved[eye].mean(0) + 1.6 * (points[eye] - points[eye].mean(0))
        moved[eye, 1] -= 0.2 if kind == "low" else 0.0
    return moved - points


@pytest.fixture(scope="module")
def content(model):
    rest, vertices = torch.zeros(52), model.mean
    return Head(
        model.template, torch.zeros(3, 4, 4), vertices, rest, model.expression_deltas, model.landmarks68, vertices
    )


@pytest.fixture(scope="module", params=[("popping", "2"), ("low", "1"), ("half", "eyes 2")], ids=" at ".join)
def exaggerated(request, content, model):
    kind, strength = request.param
    mean, camera = mean_face(model), Camera(torch.eye(3), 1400.0, (256.0, 256.0), (512, 512))
    fit = HeadFit(
        torch.zeros(len(model.identity_basis)), torch.zeros(52), model.template, model.mean, model.expression_deltas,
        camera, 0.0, 0.0,
    )  # fmt: skip
    exemplar = ShapeExemplar(draw(kind, mean))
    targets = translate_landmarks(fit, [exemplar], model, DirectTranslator(), STRENGTHS[strength])
    return deform_to_landmarks(content, targets, build_deformer(model, GeometryConfig().stiffness))


@pytest.mark.parametrize("action", ["", "jawOpen", "mouthFunnel", "eyeSquintLeft"])
def test_nothing_inside_comes_through_the_skin(exaggerated, model, action):
    vertices = pose_head(exaggerated, {action: 1.0} if action else {})
    assert max(measure_exposure(exaggerated, vertices, view, model).outside for view in VIEWS) < 0.0002


def test_lids_and_lips_close(exaggerated, model):
    closed = [measure_exposure(exaggerated, pose_head(exaggerated, BLINK), view, model).through for view in VIEWS]
    assert max(max(seen["eye_socket_left"], seen["eye_socket_right"]) for seen in closed) < 0.0002
    assert max(seen["mouth_cavity"] for seen in closed) < 0.004


def test_a_nose_is_left_between_the_eyes(exaggerated, content, model):
    """Beside the bridge, skin stays on its own side of it, and nothing is turned over."""
    for action in ("eyeSquintLeft", "browInnerUp", "jawOpen"):
        before, after = (pose_head(head, {action: 1.0}) for head in (content, exaggerated))
        assert measure_flipped_share(before, after, content.mesh.faces, content.mesh.regions) <= 0.005
    points = model.landmarks68.positions(model.mean, model.faces)
    near = torch.cdist(model.mean, points[27:30]).amin(1) < 0.012
    beside = near & (model.mean[:, 0] > 0.004)
    assert beside.sum() > 10
    assert exaggerated.neutral[beside, 0].min() > 0


def test_teeth_go_with_the_jaw(exaggerated, model):
    assert 0.15 < measure_teeth_lag(exaggerated, model) < 0.4


def test_what_is_inside_follows_an_affine_map_of_the_skin(model):
    """A head half as wide has a mouth half as wide."""
    surface, rest = build_surface(model), model.mean.double().numpy()
    narrow = rest * [0.5, 1.1, 0.9] + 0.2 * rest[:, [1, 2, 0]]
    displacement = np.zeros_like(rest)
    displacement[surface.vertex_ids] = (narrow - rest)[surface.vertex_ids]
    inside = model.vertex_ids("mouth_cavity", "upper_teeth", "lower_teeth", "tongue").numpy()
    assert np.abs(surface.complete(rest, displacement) + rest - narrow)[inside].max() < 1e-6
    assert surface.hung_weights.min() > -1e-6
