"""Losses against slow obvious references, and sampling that stays where it was told to."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from portraitist.texture.color_transfer import decorrelate, recorrelate, transfer_colors
from portraitist.texture.losses import (
    color_distances,
    cosine_distances,
    moment_distance,
    relaxed_emd,
    sample_points,
    self_similarity_loss,
    unit_rows,
)


def rows(count: int, channels: int, seed: int) -> torch.Tensor:
    return torch.rand(count, channels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 500))
def test_points_stay_in_the_mask(seed, count):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(13, 29, generator=generator) > 0.7
    mask[3, 4] = True
    points = sample_points(mask, count, generator)
    columns, row_ids = points.floor().long().unbind(1)
    assert mask[row_ids, columns].all()
    assert len(points) == min(count, int(mask.sum()))
    assert len({(int(x), int(y)) for x, y in zip(columns, row_ids, strict=True)}) == len(points)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="empty"):
        sample_points(torch.zeros(4, 4, dtype=torch.bool), 3)


def test_cosine_distances_by_definition():
    x, y = rows(4, 6, 0), rows(5, 6, 1)
    distances = cosine_distances(unit_rows(x), unit_rows(y))
    for i, j in itertools.product(range(4), range(5)):
        expected = 1 - (x[i] @ y[j]) / (x[i].norm() * y[j].norm())
        assert distances[i, j].item() == pytest.approx(expected.item())


def test_relaxed_emd_bounds_the_earth_movers_distance_from_below():
    distances = cosine_distances(unit_rows(rows(6, 3, 2) - 0.5), unit_rows(rows(6, 3, 3) - 0.5))
    exact = min(
        sum(distances[i, j].item() for i, j in enumerate(order)) / 6 for order in itertools.permutations(range(6))
    )
    forward = sum(min(row.tolist()) for row in distances) / 6
    backward = sum(min(column.tolist()) for column in distances.T) / 6
    assert relaxed_emd(distances).item() == pytest.approx(max(forward, backward))
    assert relaxed_emd(distances).item() <= exact + 1e-12


def test_moment_distance_by_definition():
    x, y = rows(7, 4, 4), rows(9, 4, 5)
    expected = sum(abs(x[:, c].mean() - y[:, c].mean()) for c in range(4)) / 4
    for a, b in itertools.product(range(4), range(4)):
        first, second = (((z[:, a] - z[:, a].mean()) * (z[:, b] - z[:, b].mean())).mean() for z in (x, y))
        expected += abs(first - second) / 16
    torch.testing.assert_close(moment_distance(x, y), expected)


def test_a_channel_subset_has_the_full_covariance_term_as_its_mean():
    x, y = rows(7, 4, 6), rows(9, 4, 7)
    singles = [
        moment_distance(x, y, torch.tensor(pair))
        for pair in itertools.product(range(4), range(4))
        if pair[0] != pair[1]
    ]
    diagonal = [moment_distance(x, y, torch.tensor([c])) for c in range(4)]
    mean_term = moment_distance(x, y) - _covariance_term(x, y)
    # A pair (a, b) averages entries aa, ab, ba, bb; solve for the mean over all sixteen.
    off = (torch.stack(singles).mean() - mean_term) * 2 - (torch.stack(diagonal).mean() - mean_term)
    full = (4 * (torch.stack(diagonal).mean() - mean_term) + 12 * off) / 16
    torch.testing.assert_close(full, _covariance_term(x, y))


def _covariance_term(x, y):
    return (torch.cov(x.T, correction=0) - torch.cov(y.T, correction=0)).abs().mean()


def test_losses_of_a_set_with_itself_vanish():
    x = rows(20, 8, 8)
    units = unit_rows(x)
    assert relaxed_emd(cosine_distances(units, units)).item() == pytest.approx(0, abs=1e-12)
    assert moment_distance(x, x).item() == 0
    assert self_similarity_loss(units, units).item() == 0
    assert relaxed_emd(color_distances(x[:, :3], x[:, :3])).item() == pytest.approx(0, abs=1e-9)


def test_content_loss_by_definition():
    x, y = rows(5, 4, 9), rows(5, 4, 10)

    def pattern(z):
        distances = torch.tensor([[1 - torch.cosine_similarity(a, b, dim=0).item() for b in z] for a in z])
        return distances / distances.sum(0)

    expected = (pattern(x) - pattern(y)).abs().sum() / 25 * 5
    assert self_similarity_loss(unit_rows(x), unit_rows(y)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_content_loss_ignores_a_rotation_of_feature_space():
    x = rows(12, 5, 11)
    rotation = torch.linalg.qr(rows(5, 5, 12) - 0.5)[0]
    assert self_similarity_loss(unit_rows(x), unit_rows(x @ rotation)).item() == pytest.approx(0, abs=1e-9)


def test_gradients_of_the_losses():
    x, y = rows(6, 4, 13).requires_grad_(), rows(6, 4, 14)
    assert torch.autograd.gradcheck(lambda z: moment_distance(z, y), x)
    assert torch.autograd.gradcheck(lambda z: self_similarity_loss(unit_rows(z), unit_rows(y)), x)
    assert torch.autograd.gradcheck(lambda z: relaxed_emd(cosine_distances(unit_rows(z), unit_rows(y))), x)


def test_decorrelated_space_keeps_lengths_and_comes_back():
    x = rows(10, 3, 15)
    torch.testing.assert_close(decorrelate(x).norm(dim=1), x.norm(dim=1), rtol=1e-4, atol=0)
    torch.testing.assert_close(recorrelate(decorrelate(x)), x, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(color_distances(x, x[:4]), torch.cdist(x, x[:4]), rtol=1e-3, atol=2e-4)


def test_transfer_to_itself_changes_little_and_to_gray_gives_gray():
    x = rows(4000, 3, 16) * 0.6 + 0.2
    assert (transfer_colors(x, x, x) - x).abs().max() < 0.02
    gray = torch.linspace(0.1, 0.4, 500, dtype=torch.float64)[:, None].expand(-1, 3)
    recolored = transfer_colors(x, x, gray)
    assert (recolored.amax(1) - recolored.amin(1)).max() < 0.01
    assert recolored.mean().item() == pytest.approx(0.25, abs=0.02)
