"""The face at rest is calm whatever the photo's expression was, and the actions are those of this person."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from portraitist.reconstruction.fitting import embed_skin_points, fit_head
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.landmark_noise import load_detector_noise
from portraitist.reconstruction.neutral_face import personalize_actions
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import EXPRESSION_NAMES, Camera, HeadFit, Landmarks

INNER_LIPS = ((13, 14), (82, 87), (312, 317))
SCREAM = {"jawOpen": 0.9, "mouthLowerDownLeft": 0.8, "mouthLowerDownRight": 0.8, "mouthUpperUpLeft": 0.7}


def plant(model: HeadModel, amplitude: float, shown: dict[str, float]) -> Landmarks:
    """The mean head, whose actions go ``amplitude`` times as far as average, from the front; the detector reads the
    weights themselves."""
    weights = torch.tensor([shown.get(name, 0.0) for name in EXPRESSION_NAMES])
    vertices = model.mean + amplitude * torch.einsum("e,end->nd", weights, model.expression_deltas)
    camera = Camera(rotation_from_yaw_pitch(0.0, 0.0), 2000.0, (300.0, 300.0), (600, 600))
    dense = camera.project(model.landmarks478.positions(vertices, model.faces))
    points = camera.project(model.landmarks68.positions(vertices, model.faces))
    return Landmarks(points, camera.size, dense, weights)


def measure_gap(vertices: torch.Tensor, model: HeadModel) -> float:
    """Mean height between the lips, meters."""
    points = model.landmarks478.positions(vertices, model.faces)
    return float(torch.stack([points[upper, 1] - points[lower, 1] for upper, lower in INNER_LIPS]).mean())


@pytest.fixture(scope="module")
def scream(model: HeadModel) -> HeadFit:
    return fit_head(plant(model, 1.3, SCREAM), model)


def test_lips_of_a_scream_close_at_rest(scream: HeadFit, model: HeadModel) -> None:
    at_rest = measure_gap(scream.neutral, model)
    assert abs(at_rest - measure_gap(model.mean, model)) < 0.001
    assert measure_gap(scream.mesh.vertices, model) > 0.03  # as the picture shows it
    shown = scream.neutral + torch.einsum("e,end->nd", scream.expression, scream.expression_deltas)
    assert (shown - scream.mesh.vertices).abs().max() < 1e-6


def test_who_moves_further_has_larger_actions(model: HeadModel) -> None:
    weights = torch.tensor([SCREAM.get(name, 0.0) for name in EXPRESSION_NAMES])
    camera = Camera(rotation_from_yaw_pitch(20.0, 0.0), 2000.0, (300.0, 300.0), (600, 600))
    embedding = embed_skin_points(model)
    shown, further = (
        embedding.positions(
            model.mean + torch.einsum("e,end->nd", weights * scale, model.expression_deltas), model.faces
        )
        for scale in (1.0, 1.3)
    )
    missing_px = camera.project(further) - camera.project(shown)
    noise = load_detector_noise()
    deltas = personalize_actions(missing_px, embedding, weights, camera, noise, model)
    reach = deltas.norm(dim=(1, 2)) / model.expression_deltas.norm(dim=(1, 2))
    assert 1.1 < float(reach[EXPRESSION_NAMES.index("jawOpen")]) < 1.35
    unseen = weights == 0
    unseen[EXPRESSION_NAMES.index("mouthClose")] = False  # goes with the jaw
    assert torch.equal(deltas[unseen], model.expression_deltas[unseen])
    less = personalize_actions(-missing_px, embedding, weights, camera, noise, model)
    assert torch.allclose(deltas + less, 2 * model.expression_deltas, atol=1e-6)


def test_lips_of_68_points_close_at_rest(model: HeadModel) -> None:
    landmarks = dataclasses.replace(plant(model, 1.2, SCREAM), dense=None, expressions=None)
    fit = fit_head(landmarks, model)
    assert abs(measure_gap(fit.neutral, model) - measure_gap(model.mean, model)) < 0.002


def test_nothing_is_seen_between_the_mean_heads_lips(model: HeadModel) -> None:
    """From the front, and from 30 degrees."""
    inside = model.face_mask("upper_teeth", "lower_teeth", "tongue")
    for yaw in (-30.0, 0.0, 30.0):
        camera = Camera(rotation_from_yaw_pitch(yaw, 0.0), 2000.0, (300.0, 150.0), (600, 600))
        seen = rasterize(model.template, camera)
        assert not inside[seen.face_ids[seen.mask]].any()


def test_a_dropped_jaw_closes_its_mouth(scream: HeadFit, model: HeadModel) -> None:
    """``mouthClose`` goes as far as this person's ``jawOpen``."""
    weights = torch.zeros(52)
    weights[[EXPRESSION_NAMES.index(name) for name in ("jawOpen", "mouthClose")]] = 1.0
    closed = scream.neutral + torch.einsum("e,end->nd", weights, scream.expression_deltas)
    expected = model.mean + torch.einsum("e,end->nd", weights, model.expression_deltas)
    assert abs(measure_gap(closed, model) - measure_gap(expected, model)) < 0.001
