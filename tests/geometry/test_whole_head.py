"""The whole head goes with its face: as the landmarks do, without folding, and nearer to real heads than at rest."""

import numpy as np
import pytest
import torch

from portraitist.geometry.deformation import build_deformer
from portraitist.geometry.translation import GeometryConfig
from portraitist.geometry.whole_head import predict_whole_head
from portraitist.landmarks.ibug68 import MIRROR_IDS


@pytest.fixture(scope="module")
def deformer(model):
    return build_deformer(model, GeometryConfig().stiffness)


def landmarks_of(model, vertices):
    return model.landmarks68.positions(vertices, model.faces)


def stretch(model, factors):
    """Displacement of the landmarks by a stretch about their middle."""
    points = landmarks_of(model, model.mean)
    return (points - points.mean(0)) * (torch.tensor(factors) - 1)


def extent(vertices, ids, axis):
    return float(vertices[ids, axis].amax() - vertices[ids, axis].amin())


def test_larger_landmarks_make_the_whole_head_larger(model, deformer):
    points = landmarks_of(model, model.mean)
    moved = deformer.displace(model.mean, stretch(model, [1.1, 1.1, 1.1]))
    skin = model.vertex_ids("outer_skin")
    wanted = 0.1 * (model.mean - points.mean(0))[skin]
    assert (moved[skin] - wanted).norm(dim=1).mean() < 0.1 * wanted.norm(dim=1).mean()


@pytest.mark.parametrize("width", [0.75, 1.3])
def test_cranium_neck_and_ears_go_with_the_width_of_the_face(model, deformer, width):
    after = model.mean + deformer.displace(model.mean, stretch(model, [width, 1.0, 1.0]))
    neck = model.vertex_ids("neck")
    neck = neck[(model.mean[neck, 1] > -0.155) & (model.mean[neck, 1] < -0.12)]
    for ids in (model.vertex_ids("scalp"), neck, model.vertex_ids("ears")):
        followed = (extent(after, ids, 0) / extent(model.mean, ids, 0) - 1) / (width - 1)
        assert 0.6 < followed < 1.25


def test_a_long_face_has_a_long_head(model, deformer):
    after = model.mean + deformer.displace(model.mean, stretch(model, [0.85, 1.2, 0.85]))
    above = model.vertex_ids("scalp")[model.mean[model.vertex_ids("scalp"), 1] > 0.0]
    slimmer = extent(after, above, 0) / extent(model.mean, above, 0)
    assert extent(after, above, 1) / extent(model.mean, above, 1) > 1.15 * slimmer


def test_mirrored_landmarks_mirror_the_head(model, deformer):
    generator = torch.Generator().manual_seed(0)
    moved = 0.01 * torch.randn(68, 3, generator=generator)
    flip = torch.tensor([-1.0, 1.0, 1.0])
    straight = deformer.whole_head.displace(model.mean.double().numpy(), moved.double().numpy())
    mirrored = deformer.whole_head.displace(
        (model.mean[model.mirror] * flip).double().numpy(), (moved[list(MIRROR_IDS)] * flip).double().numpy()
    )
    wanted = straight[model.mirror.numpy()] * [-1, 1, 1]
    assert np.abs(mirrored - wanted).max() < 3e-4  # as symmetric as the landmarks are


def test_a_face_without_width_does_not_turn_the_skull_inside_out(model):
    moved = stretch(model, [-0.2, 1.0, 1.0]).double().numpy()
    before = model.mean[model.vertex_ids("scalp")].double().numpy()
    after = before + predict_whole_head(model).displace(before, moved)
    right = before[:, 0] > 0.02
    assert after[right, 0].min() > 0


def test_heads_of_the_model_are_met_better_than_by_staying_at_rest(model, deformer):
    """Only landmarks are given; scalp and ears of the very head are wanted."""
    generator = torch.Generator().manual_seed(2)
    ids = torch.cat([model.vertex_ids("scalp"), model.vertex_ids("ears")])
    followed, rested = [], []
    for _ in range(30):
        identity = torch.randn(len(model.identity_basis), generator=generator)
        wanted = torch.einsum("k,knd->nd", identity, model.identity_basis)
        moved = landmarks_of(model, model.mean + wanted) - landmarks_of(model, model.mean)
        alone = torch.zeros_like(model.mean).double()
        alone[deformer.surface.vertex_ids] = torch.from_numpy(deformer.response @ moved.double().numpy())
        followed.append((deformer.displace(model.mean, moved) - wanted)[ids].norm(dim=1).mean())
        rested.append((alone - wanted)[ids].norm(dim=1).mean())
    assert np.mean(followed) < 0.98 * np.mean(rested)
