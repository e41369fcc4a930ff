"""Tints of eyes and teeth from a few pixels, among lids, lashes and lips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, locate_head_texels
from portraitist.unwrapping.adaptation import Material, estimate_factor, likelihood_of, tint, to_logs
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.authored import draw_mouth
from portraitist.unwrapping.eyes import IRIS, IRIS_COLOR
from portraitist.unwrapping.openings import measure_lid_stretch, unroll_lids
from portraitist.unwrapping.texel_crop import TexelCrop

AUTHORED = np.array([0.9, 0.88, 0.85], np.float32)
SKIN = SkinColors(np.zeros(3, np.float32), np.ones(3, np.float32), np.array([0.75, 0.55, 0.45], np.float32))
MATERIAL = Material(np.zeros(3), brightness=0.2, hue=0.05, noise=0.12)


@pytest.fixture(scope="module")
def texels(model: HeadModel) -> HeadTexels:
    return locate_head_texels(model, 256)


def observe(color: np.ndarray, count: int, noise: float = 0.03) -> np.ndarray:
    random = np.random.default_rng(3)
    return (color * np.exp(random.normal(0, noise, (count, 3)))).clip(0, 1).astype(np.float32)


def estimate(photo: np.ndarray) -> np.ndarray:
    authored = np.broadcast_to(AUTHORED, photo.shape)
    return tint(AUTHORED, estimate_factor(photo, authored, np.ones(len(photo), np.float32), MATERIAL, SKIN))


def test_factor_is_that_of_the_part_and_not_of_what_is_around_it() -> None:
    own = np.array([0.72, 0.70, 0.66], np.float32)
    photo = np.concatenate([observe(own, 100), observe(SKIN.median, 60), observe(np.full(3, 0.06), 40)])
    assert np.abs(estimate(photo) - own).max() < 0.03


def test_factor_far_from_the_expected_one_is_found() -> None:
    """Teeth in the sun below eyes in the shade: 2.5 standard deviations brighter, and not far from the skin's color."""
    expected = Material(np.log(np.full(3, 0.6)), brightness=0.2, hue=0.05, noise=0.12)
    photo = np.concatenate([observe(AUTHORED, 100), observe(SKIN.median, 100)])
    factor = estimate_factor(photo, np.broadcast_to(AUTHORED, photo.shape), np.ones(200, np.float32), expected, SKIN)
    assert np.abs(tint(AUTHORED, factor) - AUTHORED).max() < 0.1


def test_iris_and_lashes_do_not_drown_the_white() -> None:
    """Most of a painted eye may be dark: of what is darker than the expected white, nothing is told."""
    dark = [observe(share * AUTHORED, 300, noise=0.15) for share in (0.45, 0.3, 0.2)]
    photo = np.concatenate([observe(0.85 * AUTHORED, 60), *dark])
    assert np.abs(estimate(photo) - 0.85 * AUTHORED).max() < 0.1


def test_without_anything_seen_the_expected_color_stays() -> None:
    unseen = estimate_factor(
        np.zeros((5, 3), np.float32), np.ones((5, 3), np.float32), np.zeros(5, np.float32), MATERIAL, SKIN
    )
    assert np.abs(unseen).max() < 1e-6


def test_impossible_colors_do_not_tint() -> None:
    """Green is no light that a face stands in."""
    assert np.abs(estimate(observe(np.array([0.2, 0.8, 0.2]), 200)) - AUTHORED).max() < 0.05


def test_own_colors_are_likelier_than_skin_and_lashes() -> None:
    photo = np.stack([AUTHORED, SKIN.median, np.full(3, 0.05, np.float32)])
    own = likelihood_of(photo, np.broadcast_to(AUTHORED, (3, 3)), MATERIAL, SKIN)
    assert own[0] > 0.9
    assert own[1:].max() < 0.1


def test_logs_take_black() -> None:
    assert np.isfinite(to_logs(np.zeros((2, 3), np.float32))).all()


def test_fill_keeps_what_is_known_and_continues_it(texels: HeadTexels) -> None:
    crop = TexelCrop.around(texels, texels.in_components("eyeball_left"))
    rows, columns = np.divmod(crop.pixel_ids, crop.mask.shape[1])
    values = (rows / crop.mask.shape[0]).astype(np.float32)[:, None]
    known = (columns % 4 > 0).astype(np.float32)
    given = np.where(known[:, None] > 0, values, 55.0).astype(np.float32)
    filled = crop.fill(given, known, np.full(1, 0.5, np.float32))
    assert np.abs(filled - values)[known > 0].max() < 1e-5
    assert np.abs(filled - values).max() < 0.25
    assert np.abs(filled - values).mean() < 0.02
    nothing = crop.fill(values, np.zeros(len(values), np.float32), np.full(1, 0.3, np.float32))
    assert np.abs(nothing - 0.3).max() < 1e-6


def test_mouth_is_drawn_alike_on_both_sides_and_gray_on_demand(model: HeadModel, texels: HeadTexels) -> None:
    inside = texels.in_components("mouth_cavity", "upper_teeth", "lower_teeth", "tongue")
    colors = np.zeros((len(inside), 3), np.float32)
    colors[inside] = draw_mouth(model, texels, 1.0).colors
    assert np.abs(colors - colors[texels.mirror_ids])[inside & inside[texels.mirror_ids]].max() < 1e-3
    assert np.ptp(draw_mouth(model, texels, 0.0).colors, axis=1).max() < 1e-6


def test_only_the_lids_are_unrolled(model: HeadModel, texels: HeadTexels) -> None:
    """A line across the lids is gone where they unroll, and all else is as it was."""
    height = texels.interpolation @ model.mean.numpy()[:, 1]
    striped = np.repeat((np.floor(height / 0.001) % 2)[:, None], 3, axis=1).astype(np.float32)
    unrolled, stretch = unroll_lids(striped, texels, model), measure_lid_stretch(model, texels)
    assert np.array_equal(unrolled[stretch < 1.3], striped[stretch < 1.3])
    assert (stretch > 3).sum() > 20
    assert unrolled[stretch > 3].std() < 0.7 * striped[stretch > 3].std()


def test_a_dark_iris_is_no_shade_of_a_light_one():
    color = np.array([0.21, 0.14, 0.12], np.float32)
    photo = np.concatenate([observe(color, 140, 0.15), observe(2.5 * IRIS_COLOR, 60, 0.15)])  # and reflections on it
    authored = np.tile(IRIS_COLOR, (200, 1))
    bright = replace(IRIS, mean=np.full(3, 0.9))  # the white of the eyes is that bright
    found = tint(IRIS_COLOR, estimate_factor(photo, authored, np.ones(200), bright, SKIN))
    assert np.abs(found - color).max() < 0.05
