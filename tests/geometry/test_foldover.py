"""Displacements of landmarks that would fold the face: what is left alone, what is kept, and that it is the nearest."""

import numpy as np
import pytest
import torch

from portraitist.geometry.foldover import LEAST_STRETCH, prevent_foldover
from portraitist.geometry.translation import mean_face

EYES = (slice(36, 42), slice(42, 48))


def grow_eyes(points, factor):
    """Displacement that makes both eyes larger where they are."""
    moved = torch.zeros_like(points)
    for eye in EYES:
        moved[eye] = (factor - 1) * (points[eye] - points[eye].mean(0))
    return moved


def test_eyes_that_grow_leave_a_nose_between_them(model):
    mean = mean_face(model)
    held = mean + prevent_foldover(mean, grow_eyes(mean, 2.2))
    asked = mean + grow_eyes(mean, 2.2)
    width = float(mean[42, 0] - mean[39, 0])
    assert float(asked[42, 0] - asked[39, 0]) < 0.1 * width
    assert float(held[42, 0] - held[39, 0]) > (LEAST_STRETCH - 0.02) * width


def test_lips_stay_in_order_in_a_flat_wide_mouth(model):
    mean = mean_face(model)
    moved = torch.zeros(68, 2)
    moved[48:68] = (mean[48:68] - mean[57]) * torch.tensor([1.0, -0.95])
    moved[60:68, 1] -= 0.15  # inner lips below the lower lip's edge
    held = mean + prevent_foldover(mean, moved)
    for above, inner, below in ((50, 61, 58), (51, 62, 57), (52, 63, 56)):
        middle = (held[inner] + held[{61: 67, 62: 66, 63: 65}[inner]]) / 2
        assert held[above, 1] > middle[1] > held[below, 1]
    torch.testing.assert_close(held[61] - held[67], (mean + moved)[61] - (mean + moved)[67])


@pytest.mark.parametrize("seed", range(4))
def test_the_nearest_of_the_allowed_displacements(model, seed):
    """The allowed ones are a convex set around 0: no allowed one lies on the asked one's side of the nearest."""
    mean = mean_face(model)
    generator = torch.Generator().manual_seed(seed)
    asked, other = (prevent_lips(0.15 * torch.randn(68, 2, generator=generator)) for _ in range(2))
    nearest, allowed = prevent_foldover(mean, asked), prevent_foldover(mean, other)
    assert (nearest - asked).norm() > 0.1
    for inside in (torch.zeros(68, 2), allowed, 0.5 * (allowed + nearest)):
        missed, step = (asked - nearest)[:60], (inside - nearest)[:60]
        assert (missed * step).sum() < 0.01 * missed.norm() * step.norm()
    torch.testing.assert_close(prevent_foldover(mean, nearest), nearest, atol=2e-3, rtol=0)


def prevent_lips(moved):
    """Without displacement of the mouth, where several landmarks count as one."""
    moved[48:] = 0
    return moved


def test_it_changes_continuously_with_the_strength(model):
    mean = mean_face(model)
    strengths = np.linspace(0, 1.6, 33)
    path = torch.stack([prevent_foldover(mean, float(s) * grow_eyes(mean, 2.2)) for s in strengths])
    steps = (path[1:] - path[:-1]).norm(dim=(1, 2))
    assert steps.max() < 1.1 * (strengths[1] * grow_eyes(mean, 2.2)).norm()
