"""Displacements beyond the 52 actions: found over a clip, and carried to a head of another shape."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from conftest import make_head
from portraitist import Camera, Head, HeadFit, Layer
from portraitist.apps.animated_head import AnimatedHead
from portraitist.apps.displacements import MOST_MODES, find_modes, transfer_modes
from portraitist.apps.following import FaceTrack
from portraitist.apps.smoothing import smooth_motion
from portraitist.apps.tracking import Motion, fit_motion
from portraitist.reconstruction.fitting import SKIN_POINTS, FitConfig, embed_landmarks, embed_skin_points
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import REGIONS

FRAMES = 24
REST = [0, 1, 2]
PUFF = 0.006  # meters that the cheeks go apart
CONFIG = FitConfig()


@pytest.fixture(scope="module")
def fit(model: HeadModel) -> HeadFit:
    """Of the mean person."""
    still, identity = torch.zeros(52), torch.zeros(len(model.identity_basis))
    camera = Camera(torch.eye(3), 1200.0, (200.0, 200.0), (400, 400))
    return HeadFit(identity, still, model.template, model.mean, model.expression_deltas, camera, 0.0, 0.0)


@pytest.fixture(scope="module")
def head(model: HeadModel) -> Head:
    """The same head, with hair that is its own skin, lifted."""
    vertices = 1.01 * model.mean
    regions = torch.full_like(model.template.regions, REGIONS.index("hair"))
    mesh = dataclasses.replace(model.template, vertices=vertices, regions=regions)
    texture = torch.rand(3, 8, 8)
    layers = (Layer("hair", mesh, texture, vertices),)
    embedding, deltas = model.landmarks68, model.expression_deltas
    return Head(model.template, texture, model.mean, torch.zeros(52), deltas, embedding, model.mean, layers)


@pytest.fixture(scope="module")
def cheeks(model: HeadModel) -> np.ndarray:
    """``[k]``: how much each dense point is on a cheek, -1 (right) to 1 (left)."""
    x, y, _ = embed_landmarks(model.mean, model, dense=True).T
    return np.sign(x) * np.exp(-(((np.abs(x) - 0.045) / 0.012) ** 2) - ((y + 0.02) / 0.015) ** 2)


@pytest.fixture(scope="module")
def motion(fit: HeadFit, model: HeadModel, cheeks: np.ndarray) -> Motion:
    """Of a face that, as if seen from the front by the detector, does nothing but puff its cheeks."""
    dense = embed_landmarks(fit.neutral, model, dense=True)
    irises = to_pixels(model.landmarks478.positions(fit.neutral, model.faces).numpy())[SKIN_POINTS:]
    points = np.zeros((FRAMES, 478, 2), np.float32)
    for frame, amount in enumerate(puff()):
        puffed = dense + amount * PUFF * cheeks[:, None] * [1, 0, 0]
        points[frame] = np.concatenate([to_pixels(puffed), irises])
    track = FaceTrack(
        (400, 400), np.arange(FRAMES) / 25, points, np.zeros((FRAMES, 52), np.float32), np.ones(FRAMES), ()
    )
    return fit_motion(track, fit, REST, model, CONFIG)


def puff() -> np.ndarray:
    return np.sin(np.linspace(0, np.pi, FRAMES - len(REST) + 1).tolist() + [0.0] * (len(REST) - 1))[::-1].copy()


def to_pixels(places: np.ndarray) -> np.ndarray:
    return 1200 * places[:, :2] * [1, -1] + 200


def test_modes_tell_displacements_against_those_at_rest(model: HeadModel):
    rng = np.random.default_rng(0)
    fields, amounts = rng.normal(size=(2, SKIN_POINTS, 3)), rng.normal(size=(FRAMES, 2))
    amounts[REST] = 0
    seen = np.einsum("tm,mkc->tkc", amounts, fields) + rng.normal(size=(SKIN_POINTS, 3))
    seen[7] = np.nan
    modes, found = find_modes(seen.astype(np.float32), REST, model)
    assert len(modes) == found.shape[1] == MOST_MODES
    assert np.flatnonzero(np.isnan(found).any(1)).tolist() == [7]
    lids = model.template.regions[embed_skin_points(model).face_ids].numpy() == REGIONS.index("eyelids")
    told = np.einsum("tm,mkc->tkc", found, modes)
    expected = np.einsum("tm,mkc->tkc", amounts, fields)
    kept = np.arange(FRAMES) != 7
    np.testing.assert_allclose(told[kept][:, ~lids], expected[kept][:, ~lids], atol=1e-4)
    assert lids.any()
    assert np.abs(told[kept][:, lids]).max() < 1e-5


def test_what_no_action_does_is_found_in_a_clip(motion: Motion, cheeks: np.ndarray):
    """Some of it, since puffed cheeks are an action, too; and all of it together comes and goes with the puff."""
    assert motion.found.all()
    told = np.einsum("tm,mkc->tkc", motion.amounts, motion.modes)
    apart = told[:, :, 0] @ cheeks / (cheeks @ cheeks)
    assert np.corrcoef(apart, puff())[0, 1] > 0.95
    assert 0.2 * PUFF < apart.max() < 1.1 * PUFF
    assert np.abs(apart[REST]).max() < 0.05 * PUFF


def test_displacements_are_smoothed_and_bridged(motion: Motion):
    lost = np.isin(np.arange(FRAMES), [10, 11])
    noise = 1e-4 * np.random.default_rng(0).normal(size=motion.amounts.shape)
    seen = dataclasses.replace(
        motion,
        amounts=np.where(lost[:, None], np.nan, motion.amounts + noise),
        found=~lost,
        trust=motion.trust * ~lost[:, None],
    )
    smoothed = smooth_motion(seen)
    assert np.isfinite(smoothed.amounts).all()
    scale = np.abs(motion.amounts[:, 0]).max()
    np.testing.assert_allclose(smoothed.amounts[:, 0], motion.amounts[:, 0], atol=0.1 * scale)
    assert (
        np.abs(np.diff(smoothed.amounts, 2, axis=0)).mean() < np.abs(np.diff(motion.amounts + noise, 2, axis=0)).mean()
    )


def test_neck_and_scalp_stay_in_place(head: Head, fit: HeadFit, model: HeadModel, motion: Motion):
    modes = transfer_modes(motion.modes, fit, head, model, CONFIG).norm(dim=2)
    still = ~model.expression_deltas.any(0).any(1)  # no action moves them
    skin = torch.zeros_like(still)
    skin[model.vertex_ids("neck", "scalp", "ears")] = True
    assert (still & skin).sum() > 1000
    assert modes[:, still & skin].max() < 0.02 * modes.max()


def test_a_head_twice_as_large_is_displaced_twice_as_far(head: Head, fit: HeadFit, model: HeadModel, motion: Motion):
    plain = transfer_modes(motion.modes, fit, head, model, CONFIG)
    large = dataclasses.replace(head, mesh=head.mesh.with_vertices(2 * model.mean), neutral=2 * model.mean)
    scaled = transfer_modes(motion.modes, fit, large, model, CONFIG)
    skin = model.vertex_ids("skin")
    assert plain[0, skin].norm(dim=1).max() > 0.01  # modes are of length 1 over all points
    torch.testing.assert_close(scaled[:, skin], 2 * plain[:, skin], atol=1e-4, rtol=0.01)


def test_the_head_and_its_hair_are_displaced(head: Head, fit: HeadFit, model: HeadModel, motion: Motion):
    modes = transfer_modes(motion.modes, fit, head, model, CONFIG)
    animated = AnimatedHead(head, 64, modes)
    weights = np.zeros(52 + len(modes))
    still = animated.vertices(weights)
    weights[52] = 0.1
    moved = animated.vertices(weights) - still
    count = len(model.mean)
    np.testing.assert_allclose(moved[:count], 0.1 * modes[0].numpy(), atol=1e-6)
    skin = model.vertex_ids("skin").numpy()
    over, under = moved[count:][skin], moved[:count][skin]
    assert np.abs(over - under).mean() < 0.2 * np.abs(under).mean()


def test_a_head_with_other_vertices_goes_without(fit: HeadFit, model: HeadModel, motion: Motion):
    ball = make_head()
    assert len(ball.mesh.vertices) != len(model.mean)
    modes = transfer_modes(motion.modes, fit, ball, model, CONFIG)
    assert modes.shape == (len(motion.modes), len(ball.mesh.vertices), 3)
    assert not modes.any()
