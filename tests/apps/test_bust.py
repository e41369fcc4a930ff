"""The bust is painted from all sides in the artwork's manner, and fits the neck that it meets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bust.drawn_bust import crop_below, draw_bust
from portraitist.apps.bust import NO_CLOTHES, BustConfig, doubt_bust, paint_bust, stylize_bust
from portraitist.apps.bust_painting import look_at_bust
from portraitist.apps.image_labels import PICTURE_LABELS
from portraitist.apps.view_painting import ViewPainting, project_back
from portraitist.bust.appearance import find_ring_colors, meet_neck
from portraitist.config import Config
from portraitist.pipeline import study_artwork
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.cameras import head_camera
from portraitist.rendering.layers import rasterize_parts
from portraitist.rendering.sampling import render
from portraitist.segmentation.parts import SKIN, UNLABELED

TINY = BustConfig(Config.draft(), ViewPainting(view_px=96, scales=((96, 2),), stroke_steps=1, samples=64))


def test_four_pictures_show_every_side_of_the_bust():
    head = draw_bust(-0.25).bust.head
    sheet, labels = look_at_bust(head, draw_bust(-0.25).bust.bare, 96)
    assert sheet.picture.shape == (3, 192, 192)
    assert set(labels.unique().tolist()) == {UNLABELED, SKIN, PICTURE_LABELS.index("clothes")}
    clothes = labels == PICTURE_LABELS.index("clothes")
    corners = [
        clothes[rows, columns] for rows in (slice(0, 96), slice(96, 192)) for columns in (slice(0, 96), slice(96, 192))
    ]
    assert all(corner.sum() > 600 for corner in corners)


def test_what_was_painted_comes_back_to_the_texture():
    head, bare = draw_bust().bust.head, draw_bust().bust.bare
    sheet, _ = look_at_bust(head, bare, 128)
    number, texture = len(head.layers), head.layers[-1].texture
    same = project_back(number, texture, sheet, sheet.picture)
    assert torch.allclose(same, head.layers[-1].texture, atol=1 / 255)
    darker = project_back(number, texture, sheet, 0.5 * sheet.picture)
    seen = dataclasses.replace(head, layers=(dataclasses.replace(head.layers[-1], texture=darker),))
    for yaw in (0.0, 60.0, 120.0, 180.0):
        camera = head_camera(head, yaw, 0.0, 96)
        mask = rasterize_parts([head.mesh, head.layers[-1].mesh], camera)[1].mask
        before, after = (render(x, camera)[:, mask].mean() for x in (head, seen))
        assert 0.4 < after / before < 0.6, yaw


def test_bare_skin_takes_on_the_color_of_the_neck_that_it_meets():
    model, drawn = load_head_model(), draw_bust(-0.25)
    bust = drawn.bust
    blue = dataclasses.replace(
        bust.head, texture=torch.tensor([0.2, 0.3, 0.8])[:, None, None].expand(3, 128, 128).clone()
    )
    texture = meet_neck(bust.head.layers[-1], bust.bare, blue, model)
    ring = find_ring_colors(blue, model)
    assert np.allclose(ring, [0.2, 0.3, 0.8], atol=1e-6)
    size = texture.shape[-1]
    row = int(8.5 / 49 * size)
    front = slice(size // 2 - 4, size // 2 + 4)
    assert torch.allclose(texture[:, row, front], torch.tensor([0.2, 0.3, 0.8])[:, None], atol=0.02)
    assert torch.equal(texture[:, size // 2 :], bust.head.layers[-1].texture[:, size // 2 :])


def test_a_bust_is_painted_after_an_artwork(brush, models):
    exemplar = study_artwork(brush, models, TINY.head)
    drawn = draw_bust()
    reports = []
    painted = paint_bust(drawn.bust.head, drawn.bust, exemplar, models, TINY, reports.append)
    before, after = (head.layers[-1] for head in (drawn.bust.head, painted))
    assert torch.equal(before.mesh.vertices, after.mesh.vertices)
    assert (before.texture - after.texture).abs().mean() > 0.02
    assert [report.step for report in reports] == [1, 2, 3]
    assert reports[-1].steps == TINY.painting.total_steps
    again = paint_bust(drawn.bust.head, drawn.bust, exemplar, models, TINY)
    assert torch.equal(again.layers[-1].texture, after.texture)


@pytest.mark.slow
def test_a_whole_bust(hopper, brush, models):
    result = stylize_bust(hopper, brush, models, TINY)
    for head in (result.content, result.stylized):
        assert head.layers[-1].name == "bust"
    assert [layer.name for layer in result.stylized.layers] == [layer.name for layer in result.content.layers]
    assert {"bust", "painting"} < set(result.seconds)
    assert NO_CLOTHES not in result.warnings


def test_a_photo_without_clothes_is_told():
    assert doubt_bust(crop_below(draw_bust(), 195).bust) == (NO_CLOTHES,)
    assert not doubt_bust(draw_bust().bust)
