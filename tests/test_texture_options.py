"""The texture's options on real pictures of the package, through the whole pipeline, small."""

from __future__ import annotations

import pytest
import torch

from conftest import make_quick_config
from portraitist import load_image, stylize
from portraitist.assets import asset_path
from portraitist.errors import InputError
from portraitist.segmentation.parts import LIPS, SKIN
from portraitist.segmentation.texels import label_texels
from portraitist.texture.labels import LabelStrengths


@pytest.fixture(scope="module")
def pictures(hopper, brush):
    return hopper, brush


def make(pictures, models, given=None, **values):
    return stylize(*pictures, models, make_quick_config(**values), **(given or {}))


@pytest.fixture
def plain(quick_result):
    return quick_result


def hue_change(result) -> float:
    change = result.stylized.texture - result.content.texture
    return float((change - change.mean(0)).abs().mean())


def test_part_strengths_leave_their_part_alone(plain, pictures, models):
    result = make(pictures, models, regions=LabelStrengths(skin=0.0))
    labels = label_texels(result.content.mesh, result.content.texture.shape[-1])
    change = (result.stylized.texture - result.content.texture).abs().mean(0)
    inner = torch.nn.functional.avg_pool2d((labels == SKIN)[None, None].float(), 15, 1, 7)[0, 0] == 1
    assert inner.sum() > 500
    assert change[inner].max() < 0.01
    assert change[labels == LIPS].mean() > 0.02


def test_kept_colors_change_less_hue(plain, pictures, models):
    assert hue_change(make(pictures, models, preserve_color=True)) < 0.7 * hue_change(plain)


@pytest.mark.slow
def test_a_mixed_texture_lies_between(plain, pictures, models):
    other = load_image(asset_path("exemplars/ink.jpg"))
    mixed = make(pictures, models, {"mix": [(other, 1.0)]}).stylized.texture.mean((1, 2))
    first = plain.stylized.texture.mean((1, 2))
    second = make((pictures[0], other), models).stylized.texture.mean((1, 2))
    assert (first - mixed).norm() < (first - second).norm()
    assert (second - mixed).norm() < (first - second).norm()


def test_a_style_mask_of_another_size_is_refused(pictures, models):
    with pytest.raises(InputError, match="style mask is 7 x 5 pixels"):
        make(pictures, models, {"style_mask": torch.ones(5, 7)})


def test_a_style_mask_takes_the_style_from_elsewhere(plain, pictures, models):
    photo, art = pictures
    corner = torch.zeros(art.shape[1:])
    corner[: art.shape[1] // 6] = 1.0
    painted = art.clone()
    painted[:, corner > 0] = torch.tensor([0.1, 0.8, 0.1])[:, None]
    green = make((photo, painted), models, {"style_mask": corner}).stylized.texture.mean((1, 2))
    assert green[1] - green[0] > 0.2 + plain.stylized.texture.mean((1, 2))[1] - plain.stylized.texture.mean((1, 2))[0]
