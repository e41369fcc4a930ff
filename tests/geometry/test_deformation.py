"""Landmark translation and deformation: identities, rigid motion, exaggeration reached, expressions carried."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import torch

from portraitist.geometry.blendshape_transfer import find_lip_contacts, local_frames, transfer_blendshapes
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.shape_space import align_to
from portraitist.geometry.translation import (
    DirectTranslator,
    GeometryConfig,
    measure_shape,
    translate_landmarks,
)
from portraitist.landmarks.alignment import similarity_2d
from portraitist.landmarks.ibug68 import outer_eye_distance
from portraitist.landmarks.refinement import load_annotated_deviation
from portraitist.mesh.handles import CONSTRAINT_WEIGHT
from portraitist.mesh.laplacian import cotangent_laplacian
from portraitist.reconstruction.contour_landmarks import find_contour_landmarks
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_surface import build_surface
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.types import EXPRESSION_NAMES, Camera, Head, Landmarks

STIFFNESS = 1e-4


@pytest.fixture(scope="module")
def deformer(model):
    return build_deformer(model, STIFFNESS)


@pytest.fixture(scope="module")
def content(model):
    expression = torch.zeros(52)
    expression[EXPRESSION_NAMES.index("mouthSmileLeft")] = 0.4
    vertices = model.mean + torch.einsum("e,end->nd", expression, model.expression_deltas)
    return Head(model.template.with_vertices(vertices), torch.zeros(3, 4, 4), model.mean, expression,
                model.expression_deltas, model.landmarks68, vertices)  # fmt: skip


def landmarks_of(head):
    return head.landmarks68.positions(head.mesh.vertices, head.mesh.faces)


def stretch(points, factor):
    """Longer below the eyes."""
    moved = points.clone()
    moved[:, 1] = points[36:48, 1].mean() + factor * (points[:, 1] - points[36:48, 1].mean())
    return moved


def count_flips(before, after, faces):
    def normals(v):
        a, b, c = v[faces].unbind(1)
        return torch.linalg.cross(b - a, c - a)

    return float(((normals(before) * normals(after)).sum(1) < 0).float().mean())


def test_laplacian_of_one_triangle_by_hand():
    # Right isosceles triangle: cotangents 0 at the right angle, 1 at the others.
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    laplacian, areas = cotangent_laplacian(vertices, np.array([[0, 1, 2]]))
    assert np.allclose(laplacian.toarray(), [[1, -0.5, -0.5], [-0.5, 0.5, 0], [-0.5, 0, 0.5]])
    assert np.allclose(areas, 1 / 6)


def test_smoothness_ignores_constants(model):
    surface = build_surface(model)
    assert abs(surface.smoothness @ np.ones(len(surface.vertex_ids))).max() < 1e-4 * abs(surface.smoothness).max()


def test_handles_at_rest_change_nothing_at_all(content, deformer):
    assert deform_to_landmarks(content, landmarks_of(content), deformer) is content


def test_moving_all_landmarks_moves_the_whole_head(content, deformer):
    shift = torch.tensor([0.01, -0.02, 0.005])
    moved = deformer.displace(content.mesh.vertices, shift.expand(68, 3))
    assert (moved - shift).norm(dim=1).max() < 1e-4


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_landmarks_reach_their_targets(content, deformer, factor):
    targets = stretch(landmarks_of(content), factor)
    result = deform_to_landmarks(content, targets, deformer)
    asked = targets - landmarks_of(content)
    left = targets - landmarks_of(result)
    assert left.norm() < 0.05 * asked.norm()
    assert count_flips(content.mesh.vertices, result.mesh.vertices, content.mesh.faces) <= 0.002


def test_matrix_solution_equals_a_direct_solve(content, deformer, model):
    """The slow obvious way: normal equations assembled densely on the surface's vertices."""
    surface = build_surface(model)
    local = {int(v): k for k, v in enumerate(surface.vertex_ids)}
    handles = np.zeros((68, len(local)))
    for row, (face, weights) in enumerate(zip(model.landmarks68.face_ids, model.landmarks68.barycentrics, strict=True)):
        for vertex, weight in zip(model.faces[face].tolist(), weights.tolist(), strict=True):
            handles[row, local[vertex]] += weight
    ties = np.zeros((len(find_lip_contacts(model)), len(local)))
    for row, (above, below) in enumerate(find_lip_contacts(model)):
        ties[row, local[above]], ties[row, local[below]] = 1, -1
    asked = (stretch(landmarks_of(content), 1.2) - landmarks_of(content)).double().numpy()
    system = handles.T @ handles + CONSTRAINT_WEIGHT * ties.T @ ties + STIFFNESS * surface.smoothness.toarray()
    direct = np.linalg.solve(system, handles.T @ asked)
    assert np.allclose(direct, deformer.response @ asked, atol=1e-6)


def test_eyeballs_stay_balls_behind_their_lids(content, deformer, model):
    targets = stretch(landmarks_of(content), 1.4)
    result = deform_to_landmarks(content, targets, deformer)
    for side in ("left", "right"):
        ball = model.vertex_ids(f"eyeball_{side}")
        before, after = content.mesh.vertices[ball], result.mesh.vertices[ball]
        before, after = before - before.mean(0), after - after.mean(0)
        ratio = after.norm(dim=1) / before.norm(dim=1).clamp(min=1e-9)
        assert ratio.max() / ratio.min() < 1.03  # a similarity


def test_neutral_and_expression_rebuild_the_shape(content, deformer):
    result = deform_to_landmarks(content, stretch(landmarks_of(content), 1.3), deformer)
    rebuilt = result.neutral + torch.einsum("e,end->nd", result.expression, result.expression_deltas)
    assert (rebuilt - result.mesh.vertices).abs().max() < 1e-6
    assert torch.equal(result.original, content.mesh.vertices)


def test_expressions_turn_and_scale_with_the_head(model):
    turn = torch.linalg.matrix_exp(torch.tensor([[0.0, -0.3, 0.1], [0.3, 0, -0.2], [-0.1, 0.2, 0]]))
    after = 1.5 * model.mean @ turn.T
    frames = local_frames(model.mean.double().numpy(), after.double().numpy(), model.faces.numpy())
    assert np.abs(frames - 1.5 * turn.double().numpy()).max() < 1e-3
    carried = transfer_blendshapes(model.mean, after, model.expression_deltas, model)
    assert (carried - 1.5 * model.expression_deltas @ turn.T).abs().max() < 1e-4


def test_similarity_of_a_planted_motion():
    points = torch.randn(20, 2, generator=torch.Generator().manual_seed(3))
    planted = 1.7 * torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    linear, shift = similarity_2d(points, points @ planted.T + torch.tensor([3.0, -1.0]))
    assert torch.allclose(linear, planted, atol=1e-5)
    assert torch.allclose(shift, torch.tensor([3.0, -1.0]), atol=1e-5)


def test_alignment_keeps_elongation(model):
    mean = model.landmarks68.positions(model.mean, model.faces)[:, :2]
    aligned, _ = align_to(stretch(mean, 1.4), mean)
    eye_distance = (mean[45] - mean[36]).norm()
    assert (aligned - mean).square().sum(1).mean().sqrt() / eye_distance > 0.08


def picture_of(model, vertices, expressions=None, factor=1.0):
    camera = Camera(rotation_from_yaw_pitch(12.0, 4.0), 1400.0, (256.0, 256.0), (512, 512))
    seen = find_contour_landmarks(vertices, camera.rotation, model).embedding
    places = stretch(seen.positions(vertices, model.faces), factor)
    return Landmarks(camera.project(places), camera.size, expressions=expressions)


def test_deviation_of_a_drawing_is_added_to_the_sitter(model, content):
    art = picture_of(model, model.mean, torch.zeros(52), factor=1.3)
    unit = outer_eye_distance(art.points)
    by_hand = art.points + unit * torch.from_numpy(load_annotated_deviation() * [1, -1]).float()
    art = dataclasses.replace(art, points=by_hand)
    direct = DirectTranslator()
    exemplar = measure_shape(art, fit_head(art, model), model)
    photo = picture_of(model, content.mesh.vertices, content.expression)
    fit = fit_head(photo, model)
    own = model.landmarks68.positions(fit.mesh.vertices, model.faces)

    def translate(strength):
        return translate_landmarks(fit, [exemplar], model, direct, GeometryConfig(strength=strength))

    moved = translate(1.0) - own
    cosine = (moved[:, :2] * exemplar.deviation).sum() / moved[:, :2].norm() / exemplar.deviation.norm()
    assert cosine > 0.98
    assert moved[8, 1] < -0.004  # the chin goes down
    half = translate(0.5) - own
    assert torch.allclose(2 * half[:, :2], moved[:, :2], atol=1e-5)
    assert torch.equal(translate(0.0), own)


def test_an_open_mouth_in_the_artwork_does_not_open_the_sitters(model):
    expression = torch.zeros(52)
    expression[EXPRESSION_NAMES.index("jawOpen")] = 0.7
    opened = model.mean + torch.einsum("e,end->nd", expression, model.expression_deltas)
    art = picture_of(model, opened, expression)
    direct = DirectTranslator()
    exemplar = measure_shape(art, fit_head(art, model), model)
    fit = replace(fit_head(picture_of(model, model.mean, torch.zeros(52)), model))
    own = model.landmarks68.positions(fit.mesh.vertices, model.faces)
    target = translate_landmarks(fit, [exemplar], model, direct)
    assert ((target[66] - target[62]) - (own[66] - own[62])).norm() < 1e-3
