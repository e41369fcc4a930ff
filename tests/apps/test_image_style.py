"""A photo painted whole: what strengths, seeds, expressions and regions mean, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from conftest import make_marked_head, make_quick_config
from portraitist import (
    EXPRESSION_NAMES,
    ImageConfig,
    ImageResult,
    InputError,
    LabelStrengths,
    paint_image,
    reconstruct,
    study_artwork,
    stylize_image,
    subdivide_head,
    transfer_geometry,
)
from portraitist.apps.image_guide import choose_expression
from portraitist.apps.image_painting import resize_picture
from portraitist.apps.image_style import read_style

QUICK = make_quick_config(steps=2, stroke_steps=1)
TINY = ImageConfig(head=QUICK, size_px=160, scales=((64, 2), (128, 2)), stroke_steps=1, samples=64)


@pytest.fixture(scope="module")
def stages(hopper, brush, models):
    """Sitter, exemplar, and a head whose shape is stylized: how it is painted does not matter here."""
    sitter, exemplar = reconstruct(hopper, models, QUICK), study_artwork(brush, models, QUICK)
    return sitter, exemplar, transfer_geometry(sitter, [exemplar], models, QUICK).head


@pytest.fixture(scope="module")
def result(stages, models) -> ImageResult:
    return paint_image(*stages, models, TINY)


def scale(config: ImageConfig, geometry: float = 1.0, texture: float = 1.0, **regions: float) -> ImageConfig:
    head = replace(
        config.head,
        geometry=replace(config.head.geometry, strength=geometry),
        texture=replace(config.head.texture, strength=texture, regions=LabelStrengths(**regions)),
    )
    return replace(config, head=head)


def test_without_strength_the_picture_is_the_photo(stages, models):
    still = paint_image(*stages, models, scale(TINY, geometry=0.0, texture=0.0))
    height, width = stages[0].photo.shape[1:]
    photo = resize_picture(stages[0].photo, (160, round(160 * width / height)))
    assert torch.equal(still.image, photo)


def test_shape_and_paint_have_their_own_strengths(stages, models, result):
    moved = paint_image(*stages, models, scale(TINY, texture=0.0))
    assert torch.equal(moved.image, result.warped)
    half = paint_image(*stages, models, scale(TINY, geometry=0.5, texture=0.0))
    own = paint_image(*stages, models, scale(TINY, geometry=0.0, texture=0.0)).targets_px
    torch.testing.assert_close(half.targets_px, (own + moved.targets_px) / 2, atol=0.01, rtol=0)
    assert (moved.targets_px - own).norm(dim=1).max() > 1.5


def test_the_same_seed_gives_the_same_picture(stages, models, result):
    assert torch.equal(paint_image(*stages, models, TINY).image, result.image)
    other = replace(TINY, head=replace(TINY.head, seed=1))
    assert not torch.equal(paint_image(*stages, models, other).image, result.image)
    assert result.image.shape == result.warped.shape
    assert 0 <= result.image.min() <= result.image.max() <= 1


def test_the_face_starts_as_the_head_is_painted_and_the_rest_as_the_artwork_is(stages, models):
    """A dark head makes a dark face, and nothing else dark."""
    sitter, exemplar, head = stages
    few = replace(TINY, scales=(), stroke_steps=0)
    dark, light = (
        paint_image(sitter, exemplar, replace(head, texture=torch.full_like(head.texture, gray)), models, few)
        for gray in (0.1, 0.9)
    )
    difference = (light.image - dark.image).mean(0)
    assert difference[dark.face > 0.9].median() > 0.4
    assert difference[dark.face < 0.01].median().abs() < 0.02
    assert (dark.face > 0.9).float().mean() > 0.02


def test_the_network_holds_the_face_to_the_head(stages, models):
    """With the perceptual term alone the painting moves from the photo's face to the head's."""
    sitter, exemplar, head = stages
    dark = replace(head, texture=0.4 * head.texture)
    weights = replace(TINY.weights, perceptual_content=1000.0)
    config = replace(TINY, scales=((128, 12),), stroke_steps=0)
    start = paint_image(sitter, exemplar, dark, models, replace(config, scales=())).image
    held, free = (
        paint_image(sitter, exemplar, dark, models, replace(config, weights=w)) for w in (weights, TINY.weights)
    )
    inside = held.face > 0.9
    off = [(picture.image - start)[:, inside].abs().mean() for picture in (held, free)]
    assert off[0] < off[1]


def test_an_open_mouth_is_rendered(stages, models, result):
    opened = paint_image(*stages, models, scale(TINY, texture=0.0), expression={"jawOpen": 0.9})
    gap = [(x.targets_px[66] - x.targets_px[62]).norm() for x in (result, opened)]
    assert gap[1] > gap[0] + 4
    middle = ((opened.targets_px[66] + opened.targets_px[62]) / 2).long()
    change = (opened.image - result.warped).abs().mean(0)
    assert change[middle[1] - 1 : middle[1] + 2, middle[0] - 1 : middle[0] + 2].mean() > 0.1
    assert change[:8].mean() < 0.01  # far above the head
    assert opened.warp.areas.min() > 0


def test_neutral_takes_the_photos_expression_away(stages, models, result):
    neutral = paint_image(*stages, models, scale(TINY, texture=0.0), expression="neutral")
    assert not neutral.head.expression.any()
    fit, head = stages[0].fit, stages[2]
    away = neutral.head.mesh.vertices - result.head.mesh.vertices
    expected = -torch.einsum("e,end->nd", fit.expression, head.expression_deltas)
    assert expected.norm(dim=1).max() > 0.001
    torch.testing.assert_close(away, expected, atol=1e-6, rtol=1e-4)


def test_regions_keep_the_photo_where_they_are_asked_to(stages, models, result):
    kept = paint_image(*stages, models, scale(TINY, hair=0.0))  # of what is worn on the head, too
    size = (kept.image.shape[1], kept.image.shape[2])
    parts = kept.sitter.parts
    hat, ground = (
        resize_picture(kept.warp.apply(resize_picture(parts.share(name)[None], size)), size)[0] > 0.95
        for name in ("headwear", "background")
    )
    change, whole = ((x.image - x.warped).abs().mean(0) for x in (kept, result))
    assert change[hat].mean() < 0.4 * whole[hat].mean()
    assert change[ground].mean() > 0.9 * whole[ground].mean() > 0


def test_the_background_can_be_left_out(stages, models):
    cut = paint_image(*stages, models, replace(scale(TINY, texture=0.0), transparent=True))
    assert cut.alpha is not None
    nose = cut.targets_px[30].long()
    assert cut.alpha[nose[1], nose[0]] > 0.95
    assert cut.alpha[:4].mean() < 0.3
    assert paint_image(*stages, models, scale(TINY, texture=0.0)).alpha is None


def test_a_given_head_saves_making_one(stages, hopper, brush, models):
    """Photo and artwork are read as the stages read them."""
    few = replace(TINY, scales=((64, 1),), stroke_steps=0)
    again = stylize_image(hopper, brush, models, few, head=stages[2])
    assert torch.equal(again.image, paint_image(*stages, models, few).image)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ({"jawOpens": 0.5}, "'jawOpens' is none of the 52"),
        ({"jawOpen": 1.5}, "jawOpen is 1.5; weights of actions are from 0 to 1"),
        ("happy", "Unknown expression 'happy'"),
    ],
)
def test_unknown_expressions_are_refused(expression, said):
    with pytest.raises(InputError, match=said):
        choose_expression(expression, torch.zeros(52))


def test_asked_actions_take_the_place_of_the_photos_own():
    own = torch.full((52,), 0.3)
    weights = choose_expression({"jawOpen": 0.8}, own)
    assert weights is not None
    assert weights[EXPRESSION_NAMES.index("jawOpen")] == pytest.approx(0.8)
    assert weights[EXPRESSION_NAMES.index("mouthPucker")] == pytest.approx(0.3)
    assert choose_expression(None, own) is None


def test_sizes_and_heads_that_cannot_be_are_refused(stages, models):
    with pytest.raises(InputError, match="128 to 2,048 pixels can be painted, not of 4000"):
        paint_image(*stages, models, replace(TINY, size_px=4000))
    sitter, exemplar, _ = stages
    with pytest.raises(InputError, match="without --subdivide"):
        paint_image(sitter, exemplar, subdivide_head(make_marked_head(64)), models, TINY)


def test_an_open_mouth_does_not_crop_the_artwork(stages, models, monkeypatch):
    given = []

    def note(exemplar, points_px, size):
        given.append(read_style(exemplar, points_px, size))
        return given[-1]

    monkeypatch.setattr("portraitist.apps.image_style.read_style", note)
    unpainted = scale(TINY, texture=0.0)
    for expression in (None, {"jawOpen": 1.0}):
        paint_image(*stages, models, unpainted, expression=expression)
    assert torch.equal(given[0].source.image, given[1].source.image)
    assert given[0].enlargement == given[1].enlargement
