"""Evening the light: a planted side light is halved, even light and the skin's own tone stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors, locate_head_texels
from portraitist.rendering.shader_math import luminance
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.delighting import delight_photo

SIZE = 512
SKIN, HAIR = np.array([0.70, 0.52, 0.44]), np.array([0.20, 0.14, 0.10])


@pytest.fixture(scope="module")
def texels(model: HeadModel) -> HeadTexels:
    return locate_head_texels(model, SIZE)


@pytest.fixture(scope="module")
def normals(model: HeadModel, texels: HeadTexels) -> np.ndarray:
    return texels.interpolation @ vertex_normals(model.mean.numpy(), model.faces.numpy())


def see_front(texels: HeadTexels, normals: np.ndarray, light: np.ndarray) -> TexelColors:
    """What a camera in front sees of a head with speckled skin and brown hair in a given light, one value per texel."""
    speckles = 1 + 0.03 * np.random.default_rng(0).standard_normal((len(normals), 1))
    colors = np.where(texels.in_regions("scalp")[:, None], HAIR, SKIN) * speckles * light[:, None]
    weights = ((normals[:, 2] - 0.2) / 0.3).clip(0, 1) * texels.in_components("outer_skin")
    return TexelColors(colors.clip(0, 1).astype(np.float32), weights.astype(np.float32), normals[:, 2])


def even(seen: TexelColors, texels: HeadTexels, model: HeadModel, strength: float = 1.0) -> TexelColors:
    skin = SkinColors.learn(seen.colors, seen.weights * texels.in_regions("skin", "nose"))
    return delight_photo(seen, skin, texels, model, strength)


def measure_side_light(seen: TexelColors, texels: HeadTexels) -> float:
    """Mean difference in log brightness between a cheek's texel and its mirror image."""
    both = np.minimum(seen.weights, seen.weights[texels.mirror_ids])
    left = texels.in_regions("skin") & (both > 0.9) & (texels.texel_ids % SIZE > SIZE / 2)
    brightness = np.log(luminance(seen.colors))
    return float(np.abs(texels.smooth(brightness - brightness[texels.mirror_ids], 8.0)[left]).mean())


@pytest.mark.parametrize("strength", [-0.6, 0.4])
def test_side_light_is_halved(texels: HeadTexels, model: HeadModel, normals: np.ndarray, strength: float) -> None:
    seen = see_front(texels, normals, 1 + strength * normals[:, 0])
    before, after = (measure_side_light(s, texels) for s in (seen, even(seen, texels, model)))
    assert before > 0.2
    assert after < 0.55 * before
    assert measure_side_light(even(seen, texels, model, 0.5), texels) == pytest.approx((before + after) / 2, rel=0.1)


def test_even_light_stays(texels: HeadTexels, model: HeadModel, normals: np.ndarray) -> None:
    seen = see_front(texels, normals, np.full(len(normals), 0.9))
    change = np.abs(even(seen, texels, model).colors - seen.colors)[seen.weights > 0]
    assert change.max() < 0.01


def test_tone_and_detail_stay(texels: HeadTexels, model: HeadModel, normals: np.ndarray) -> None:
    """All channels of a texel change alike, neighboring texels change alike, and a mole on one cheek stays."""
    seen = see_front(texels, normals, 1 - 0.5 * normals[:, 0])
    places = texels.interpolation @ model.mean.numpy()
    cheek = (
        texels.in_regions("skin") & (seen.weights > 0.9) & (np.abs(places - [0.04, -0.04, 0.0])[:, :2] < 0.01).all(1)
    )
    distance = np.linalg.norm(places - places[cheek].mean(0), axis=1)
    mole, around = (inside & texels.in_regions("skin") for inside in (distance < 0.003, distance < 0.007))
    seen.colors[mole] *= 0.5
    done = even(seen, texels, model)
    visible = seen.weights > 0.5
    factors = (done.colors / seen.colors)[visible]
    assert np.ptp(factors, axis=1).max() < 1e-4
    before, after = (
        luminance(s.colors[mole]).mean() / luminance(s.colors[around & ~mole]).mean() for s in (seen, done)
    )
    assert before < 0.55
    assert after == pytest.approx(before, rel=0.1)


def test_hair_is_hardly_touched(texels: HeadTexels, model: HeadModel, normals: np.ndarray) -> None:
    seen = see_front(texels, normals, 1 - 0.5 * normals[:, 0])
    height = (texels.interpolation @ model.mean.numpy())[:, 1]
    hair = texels.in_regions("scalp") & (seen.weights > 0) & (height > 0.1)
    assert hair.sum() > 1000
    change = np.abs(np.log(luminance(even(seen, texels, model).colors) / luminance(seen.colors)))[hair]
    assert np.median(change) < 0.05


def test_eyes_follow_the_skin_around_them(texels: HeadTexels, model: HeadModel, normals: np.ndarray) -> None:
    places = texels.interpolation @ model.mean.numpy()
    seen = see_front(texels, normals, np.where(places[:, 0] > 0, 0.5, 1.0))
    gain = luminance(even(seen, texels, model).colors) / luminance(seen.colors)
    for side, bounds in (("left", (1.15, 1.6)), ("right", (0.6, 0.9))):
        ball = texels.in_components(f"eyeball_{side}")
        around = texels.in_regions("eyelids") & (np.linalg.norm(places - places[ball].mean(0), axis=1) < 0.03)
        assert bounds[0] < np.median(gain[ball]) < bounds[1]
        assert np.median(gain[ball]) == pytest.approx(np.median(gain[around]), rel=0.1)


def test_no_strength_no_change(texels: HeadTexels, model: HeadModel, normals: np.ndarray) -> None:
    seen = see_front(texels, normals, 1 - 0.5 * normals[:, 0])
    assert np.array_equal(even(seen, texels, model, 0.0).colors, seen.colors)
    assert torch.isfinite(torch.from_numpy(even(seen, texels, model).colors)).all()
