"""Body and clothes are painted as the head is, or as an artwork is; a photo's own head gets a plain body."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from conftest import make_layer, make_marked_head
from portraitist import CharacterConfig, InputError, build_character, read_manner, stylize_character
from portraitist.apps.character_manner import CLOTHES, Manner, find_manner
from portraitist.apps.character_swatches import TONES, Swatch, join_swatches, tone_roles
from portraitist.apps.character_views import MATERIALS, list_body, look_at_person
from portraitist.apps.view_painting import ViewPainting, project_back
from portraitist.body.body_model import load_body_model
from portraitist.rendering.layers import rasterize_parts
from portraitist.rendering.shader_math import luminance
from portraitist.rendering.uv_layout import locate_texels
from portraitist.segmentation.parts import UNLABELED, select_faces
from portraitist.types import Head

TINY = CharacterConfig(painting=ViewPainting(view_px=128, scales=((128, 1),), stroke_steps=2, samples=64))
RED = torch.tensor([1.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def painted_head() -> Head:
    """Skin in stripes as broad as strokes; all that is no plain skin is red."""
    head = make_marked_head(256)
    rows = torch.arange(256)[:, None].expand(256, 256)
    stripes = torch.where(rows // 3 % 2 == 0, 0.9, 0.5)
    texture = torch.stack([stripes, 0.8 * stripes, 0.7 * stripes])
    texel_ids, face_ids, _ = locate_texels(head.mesh, 256)
    is_skin = select_faces(head.mesh, ("skin", "neck", "ears", "scalp", "nose"))[torch.from_numpy(face_ids)]
    texture.view(3, -1)[:, torch.from_numpy(texel_ids)[~is_skin]] = RED[:, None]
    return dataclasses.replace(head, texture=texture)


def stripe(dark: float, light: float, side: int = 64) -> Manner:
    """An engraving: vertical lines, skin to the left, cloth to the right."""
    columns = torch.arange(side)[None].expand(side, side)
    picture = torch.where(columns % 4 < 2, dark, light)[None].expand(3, side, side).clone()
    return Manner(picture, columns < side // 2, columns >= side // 2, 200.0)


def test_pictures_show_all_materials_and_the_trunk_beside_the_arms(painted_head):
    person = build_character(painted_head)
    sheet, materials = look_at_person(person, 200)
    for view, shown in zip(sheet.views, sheet.split(materials[None]), strict=True):
        assert set(shown.unique().tolist()) == {UNLABELED, *range(len(MATERIALS))}
        assert view.picture.shape[1:] == shown.shape[1:] == view.camera.size
    # Clothes that no picture shows from ahead: with arms at rest they would hide the flanks.
    model = load_body_model()
    top = np.flatnonzero(model.clothes_pieces == 0)
    seen = [np.isin(top, view.seen[1].face_ids.numpy()) for view in sheet.views]
    at_rest = [layer.mesh for layer in list_body(person)]
    hidden = [rasterize_parts(at_rest, view.camera)[1].face_ids.numpy() for view in sheet.views]
    before = [np.isin(top, ids) for ids in hidden]
    assert np.any(seen, axis=0).sum() > np.any(before, axis=0).sum()


def test_features_of_the_face_are_no_example_of_skin_or_cloth(painted_head):
    hair = make_layer(painted_head)
    hair = dataclasses.replace(hair, texture=torch.zeros_like(hair.texture))
    manner = find_manner(dataclasses.replace(painted_head, layers=(hair,)))
    is_red = (manner.picture[0] > 0.8) & (manner.picture[1] < 0.2)
    assert is_red.any()
    examples = manner.skin | manner.cloth
    assert (is_red & examples).sum() < 0.01 * examples.sum()  # but where colors of one texel run into the next
    assert manner.skin.sum() > 1000
    assert torch.equal(manner.cloth, manner.skin)
    assert manner.picture.amax(0).min() > 0.1  # nor is hair, which covers all of it here
    bust = dataclasses.replace(hair, name="bust")
    manner = find_manner(dataclasses.replace(painted_head, layers=(bust,)))
    assert torch.equal(manner.cloth, manner.picture.amax(0) < 0.1)
    assert manner.cloth.any()


def test_cloth_that_an_artwork_shows_is_the_example_of_cloth(brush, models):
    manner = read_manner(brush, models)
    assert manner.worn is not None
    assert not (manner.skin & manner.cloth).any()
    assert manner.cloth.sum() > 500


def test_an_engraving_stays_black_and_white_where_the_material_is_as_light():
    colors = np.full((100, 3), 0.5)
    swatch = Swatch.make(stripe(0.05, 0.95), stripe(0.05, 0.95).cloth, colors)
    paint = swatch.picture[swatch.tones >= 0]
    assert paint.shape == (32 * 64, 3)
    assert ((paint < 0.1) | (paint > 0.9)).all()
    assert paint.mean() == pytest.approx(0.5, abs=0.02)


def test_swatches_have_the_hues_of_their_material_and_the_strokes_of_the_artwork():
    colors = np.linspace(0.5, 1.5, 100)[:, None] * [0.1, 0.2, 0.4]
    manner = stripe(0.6, 0.8)
    swatch = Swatch.make(manner, manner.cloth, colors)
    paint = swatch.picture[swatch.tones >= 0]
    assert (paint[:, 2] > 1.3 * paint[:, 0]).all()
    dark, light = np.quantile(luminance(paint), [0.1, 0.9])
    assert light / dark == pytest.approx(0.8 / 0.6, rel=0.1)
    assert luminance(paint).mean() < 0.35  # the artwork has nothing as dark


def test_tones_are_painted_like_what_is_as_light():
    swatch = Swatch.make(stripe(0.1, 0.9), stripe(0.1, 0.9).skin, np.linspace(0.1, 0.9, 90)[:, None] * np.ones(3))
    tones = np.linspace(swatch.edges[0], swatch.edges[-1], 50)
    ranks = swatch.rank(tones, np.full(50, 0.5))
    assert (np.diff(ranks) >= 0).all()
    assert set(ranks) == set(range(TONES))
    source = join_swatches([swatch, swatch], torch.zeros(1))
    assert source.image.shape == (3, 64, 64)
    assert set(source.labels.unique().tolist()) <= {UNLABELED, *range(tone_roles(2).count)}
    assert torch.equal(source.labels[:, 32:], source.labels[:, :32] + TONES)


def test_what_no_picture_shows_gets_strokes(painted_head):
    person = build_character(painted_head, strokes=False)
    sheet, _ = look_at_person(person, 160)
    texture = list_body(person)[1].texture
    count = len(locate_texels(list_body(person)[1].mesh, texture.shape[-1])[0])
    plain, struck = (project_back(1, texture, sheet, sheet.picture, 6.0, np.full((count, 3), x)) for x in (0.0, -1.0))
    changed = (plain - struck).abs().amax(0) > 0.05
    assert 0.02 < changed.float().mean() < 0.5
    assert (plain - texture).abs().max() <= 1 / 255


def test_body_and_clothes_are_painted_and_nothing_else_changes(painted_head, models):
    reports = []
    person = stylize_character(painted_head, models, TINY, progress=reports.append)
    plain = build_character(painted_head, strokes=False)
    assert torch.equal(person.texture, plain.texture)
    for after, before in zip(person.layers, plain.layers, strict=True):
        assert torch.equal(after.mesh.vertices, before.mesh.vertices)
        assert (after.texture - before.texture).abs().mean() > 0.004
        assert (after.texture.mean((1, 2)) - before.texture.mean((1, 2))).abs().max() < 0.1
        # No red: neither lips nor eyes are painted on cloth.
        assert not ((after.texture[0] > 0.8) & (after.texture[1] < 0.2)).any()
    assert [report.step for report in reports if report.stage == "painting"] == [1, 2, 3]
    again = stylize_character(painted_head, models, TINY)
    assert all(torch.equal(a.texture, b.texture) for a, b in zip(again.layers, person.layers, strict=True))
    other = stylize_character(painted_head, models, dataclasses.replace(TINY, seed=1))
    assert not torch.equal(other.layers[1].texture, person.layers[1].texture)


def test_a_head_that_was_never_stylized_gets_a_plain_body(painted_head, models):
    head = dataclasses.replace(painted_head, original=painted_head.mesh.vertices)
    person = stylize_character(head, models, TINY)
    for after, before in zip(person.layers, build_character(head).layers, strict=True):
        assert torch.equal(after.texture, before.texture)


def test_presets_are_faster_or_better():
    draft, standard = CharacterConfig.draft().painting, CharacterConfig.standard().painting
    assert draft.view_px < standard.view_px
    assert draft.total_steps < standard.total_steps


def test_an_artwork_without_skin_is_refused(brush, models, monkeypatch):
    monkeypatch.setattr(
        "portraitist.apps.character_manner.label_picture", lambda *_: torch.full(brush.shape[1:], CLOTHES)
    )
    with pytest.raises(InputError, match="no skin"):
        read_manner(brush, models)


def test_strokes_are_taken_from_where_the_artwork_is_as_light():
    manner = stripe(0.4, 0.6, 128)
    shade = torch.linspace(0.4, 1.5, 128)[None, :, None]
    manner = dataclasses.replace(manner, picture=(manner.picture * shade).clamp(0, 1), face_px=60.0)
    everywhere = torch.ones_like(manner.skin)
    swatch = Swatch.make(manner, everywhere, np.linspace(0.2, 0.8, 60)[:, None] * np.ones(3))
    dark, light = (swatch.cut_strokes(0.2, np.full(50, rank)).centers[:, 0] for rank in (0, TONES - 1))
    assert len(dark) > 100
    assert len(light) > 100
    assert dark.max() < light.min()
