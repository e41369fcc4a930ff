"""The texture stage end to end on the mean head, in few texels, and the pieces that make it hold on a small ball."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from conftest import make_head
from portraitist.errors import Cancelled
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.sampling import shade
from portraitist.rendering.uv_layout import extend_islands, mark_texels
from portraitist.segmentation.parts import EYES, HAIR, SKIN, UNLABELED
from portraitist.texture.exemplar import crop_exemplar, mix_styles, study_source
from portraitist.texture.labels import TexelLabels, face_roles, label_head
from portraitist.texture.objective import LossWeights, measure_loss
from portraitist.texture.optimization import TextureConfig, _Optimization
from portraitist.texture.optimizer import PyramidRMSprop
from portraitist.texture.pyramid import build_pyramid, fold_pyramid
from portraitist.texture.transfer import stylize_texture
from portraitist.texture.views import Subject, place_cameras, precompute_views
from portraitist.types import REGIONS, Progress
from portraitist.vgg import load_vgg

TINY = TextureConfig(
    view_px=48,
    steps=6,
    samples=96,
    near_views=3,
    stroke_px=64,
    stroke_steps=2,
)


@pytest.fixture(scope="module")
def vgg():
    return load_vgg()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On pictures this small a second thread costs more than it brings."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def mesh():
    """The test ball with a face in front and scalp behind."""
    head = make_head()
    faces = head.mesh.vertices[head.mesh.faces].mean(1)
    regions = torch.where(faces[:, 2] > 0, REGIONS.index("skin"), REGIONS.index("scalp"))
    return dataclasses.replace(head.mesh, regions=regions)


@pytest.fixture(scope="module")
def content():
    ramp = torch.linspace(0.2, 0.8, 32)
    return torch.stack([ramp[None].expand(32, 32), ramp[:, None].expand(32, 32), torch.full((32, 32), 0.4)])


@pytest.fixture(scope="module")
def art():
    """Red and dark stripes; the face is a disc, the background around it pure green."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    mask = ((rows - 32).square() + (columns - 32).square() < 24**2).float()
    stripes = ((columns + rows) % 8 < 4).float()
    face = torch.stack([0.4 + 0.5 * stripes, 0.1 + 0.2 * stripes, 0.1 + 0.1 * stripes])
    green = torch.tensor([0.0, 1.0, 0.0])[:, None, None]
    labels = torch.where(mask > 0, SKIN, UNLABELED)
    labels[:16][mask[:16] > 0] = HAIR  # of the same stripes
    return face * mask + green * (1 - mask), labels


def study(source, vgg, view_px=30.0):
    return study_source(source, vgg, torch.Generator().manual_seed(0), view_px=view_px, stroke_px=40.0)


def run(content, art, vgg, config=TINY, seed=0, progress=None):
    """The mean head painted, whose texture is continued beyond the face; a ball has no neck."""
    exemplars, generator = [study(crop_exemplar(*art), vgg)], torch.Generator().manual_seed(seed)
    model = load_head_model()
    return stylize_texture(model.template, content, exemplars, model, vgg, config, generator, progress)


def look(mesh, content, vgg, size_px, count, all_round=False):
    """Views of the ball in its own texture."""
    generator = torch.Generator().manual_seed(0)
    subject, background = (
        Subject(mesh, content, content, label_head(mesh, content.shape[-1])),
        torch.tensor([0.5, 0.2, 0.2]),
    )
    cameras = place_cameras(mesh, size_px, count, generator, all_round=all_round)
    return precompute_views(subject, cameras, background, vgg, generator)


@pytest.fixture(scope="module")
def stylized(content, art, vgg):
    """The texture of seed 0 and what was reported on the way."""
    reports: list[Progress] = []
    return run(content, art, vgg, progress=reports.append), reports


def test_strength_zero_returns_the_content_exactly(content, art, vgg):
    assert torch.equal(run(content, art, vgg, dataclasses.replace(TINY, strength=0.0)), content)


def test_equal_seeds_give_equal_textures_and_others_do_not(stylized, content, art, vgg):
    first, _ = stylized
    assert torch.equal(first, run(content, art, vgg))
    assert not torch.equal(first, run(content, art, vgg, seed=1))


def test_texture_takes_the_colors_of_the_face_and_none_of_the_background(stylized, content, model):
    texture, _ = stylized
    assert texture.shape == content.shape
    assert texture.min() >= 0
    assert texture.max() <= 1
    seen = texture[:, mark_texels(model.template, 32) >= 0]
    assert seen.mean(1)[0] > seen.mean(1)[1] + 0.3  # red, as the face
    assert seen[1].max() < 0.6  # the background's green is nowhere


def test_optimization_lowers_the_loss(content, art, vgg):
    losses: list[Progress] = []
    config = dataclasses.replace(TINY, steps=30, samples=128, stroke_steps=0)
    run(content, art, vgg, config, progress=losses.append)
    values = torch.tensor([report.loss for report in losses])
    assert values[-10:].mean() < 0.9 * values[:5].mean()


def test_progress_counts_every_step_and_can_cancel(stylized, content, art, vgg):
    _, reports = stylized
    assert [report.step for report in reports] == list(range(1, 9))
    assert {report.steps for report in reports} == {8}

    def cancel(report: Progress) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        run(content, art, vgg, progress=cancel)


def test_the_papers_recipe_changes_every_texel(content, art, vgg, model):
    config = dataclasses.replace(TextureConfig.paper(view_px=48), steps=4, samples=96, near_views=3)
    texture = run(content, art, vgg, config)
    seen = mark_texels(model.template, 32) >= 0
    front = model.template.regions[mark_texels(model.template, 32).clamp(min=0)] == REGIONS.index("skin")
    assert (texture - content)[:, seen & front].abs().amax(0).gt(1e-4).float().mean() > 0.5


def test_half_strength_is_half_of_the_way(stylized, content, art, vgg, model):
    full, _ = stylized
    half = run(content, art, vgg, dataclasses.replace(TINY, strength=0.5))
    assert torch.allclose(half, extend_islands(model.template, torch.lerp(content, full, 0.5)), atol=1e-6)


def test_an_empty_face_region_is_refused(art):
    with pytest.raises(ValueError, match="empty"):
        crop_exemplar(art[0], torch.full_like(art[1], UNLABELED))


def test_source_has_no_trace_of_the_background(art, vgg):
    source = crop_exemplar(*art)
    assert source.image[1].max() < 0.4
    style = mix_styles([study(source, vgg)], face_roles(), vgg)
    assert style.hypercolumns[:, 1].max() < 0.4  # the second channel is green
    lengths = style.units.float().norm(dim=1)  # in the precision of the network
    torch.testing.assert_close(lengths, torch.ones(len(lengths)), atol=3e-3, rtol=0)
    assert set(style.labels.tolist()) == {SKIN, HAIR}


def test_mixed_artworks_give_style_points_by_their_weights(art, vgg):
    blue = torch.tensor([0.1, 0.1, 0.9])[:, None, None].expand_as(art[0])
    exemplars = [study(crop_exemplar(image, art[1]), vgg, view_px=90.0) for image in (art[0], blue)]
    style = mix_styles([exemplars[0].weighted(0.75), exemplars[1].weighted(0.25)], face_roles(), vgg)
    assert (style.hypercolumns[:, 2] > 0.8).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_view_points_are_inside_the_head_and_know_the_face(mesh, content, art, vgg):
    bank = look(mesh, content, vgg, 32, 4, all_round=True)
    assert len(bank.near) == 4
    scalp = REGIONS.index("scalp")
    for view in bank.near + bank.wide:
        columns, rows = view.points.places_px.long().unbind(1)
        assert view.fragments.mask[rows, columns].all()
        on_face = mesh.regions[view.fragments.face_ids[rows, columns]] != scalp
        # Labels are by texel, and a texel of this small texture may lie on both sides of the border.
        assert (view.points.shown == on_face).float().mean() > 0.85
        assert (view.points.labels == SKIN).all()  # the scalp is bare, and no artwork shows it
    assert min(view.points.shown.float().mean() for view in bank.wide) < 0.2  # the back of the head


def test_pyramid_folds_back_and_its_bands_sum_to_nothing():
    image = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0))
    levels = build_pyramid(image)
    assert [level.shape[-1] for level in levels] == [48, 24, 12, 6]
    torch.testing.assert_close(fold_pyramid(levels), image)
    assert build_pyramid(torch.full((3, 32, 32), 0.3))[0].abs().max() < 1e-6


def test_islands_grow_outwards_only(mesh):
    texture = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    inside = mark_texels(mesh, 32) >= 0
    grown = extend_islands(mesh, texture)
    assert torch.equal(grown[:, inside], texture[:, inside])
    assert not torch.equal(grown[:, ~inside], texture[:, ~inside])
    assert torch.isin(grown[0, ~inside], texture[0, inside]).all()


def test_a_texel_without_gradient_stays_put():
    level = torch.zeros(3, 4, 4)
    gradient = torch.zeros(3, 4, 4)
    gradient[:, 0, 0] = 1.0
    gradient[:, 3, 3] = 1e-3
    PyramidRMSprop([level], 0.01, 10).step([gradient])
    assert level[0, 1, 1] == 0
    assert abs(level[0, 3, 3]) < 0.01 * abs(level[0, 0, 0])  # plain RMSprop would move both alike


@pytest.mark.parametrize("preset", [TextureConfig.draft, TextureConfig.standard, TextureConfig.best])
def test_strokes_are_seen_closer_than_the_network_sees(preset):
    config = preset()
    assert config.view_px < config.stroke_px


def test_lines_leave_the_light_of_eyes(mesh, content, art, vgg):
    """Elsewhere broad light follows the artwork; eyes, small beside the levels that hold it, would go along."""
    texture = torch.nn.functional.interpolate(content[None], scale_factor=8, mode="bilinear")[0]
    labels = torch.full((256, 256), SKIN)
    labels[96:160, 96:160] = EYES
    config = dataclasses.replace(TINY, view_px=200, steps=4)
    subject = Subject(mesh, texture, texture, TexelLabels.make(mesh, labels, face_roles()))
    exemplars, generator = [study(crop_exemplar(*art), vgg)], torch.Generator().manual_seed(0)
    cameras = place_cameras(mesh, config.view_px, config.near_views, generator)
    optimization = _Optimization(subject, exemplars, cameras, vgg, config, generator, lambda *_: None)
    change = optimization.optimize_bands() - texture
    broad = torch.nn.functional.avg_pool2d(change[None], 16)[0].abs().mean(0)
    assert broad[:6].mean() > 1e-3
    assert broad[7:9, 7:9].mean() < 0.5 * broad[:6].mean()


def guided_loss(image, view, style, vgg) -> float:
    """The relaxed earth mover's distance with guidance that nothing outweighs, and moments."""
    weights = LossWeights(content=0.0, moments=1.0, color_emd=0.0, label_penalty=1e3)
    generator = torch.Generator().manual_seed(0)
    return float(measure_loss(image, view.points, style, face_roles(), vgg, weights, 10_000, generator))


def test_eyes_of_the_artwork_do_not_ask_for_eyes_on_skin(mesh, content, art, vgg):
    """A view of a cheek is not to be changed by what the artwork's eyes are like."""
    image, labels = art
    labels = labels.clone()
    labels[28:36, 20:28] = EYES
    view = look(mesh, content, vgg, 48, 1).near[0]
    style = mix_styles([study(crop_exemplar(image, labels), vgg)], face_roles(), vgg)
    columns = torch.where((style.labels == EYES)[:, None], style.hypercolumns.flip(0) * 3, style.hypercolumns)
    other = dataclasses.replace(style, hypercolumns=columns)
    picture = shade(view.fragments, content, torch.tensor([0.5, 0.2, 0.2]))
    assert guided_loss(picture, view, style, vgg) == guided_loss(picture, view, other, vgg)
    skin = torch.where((style.labels == SKIN)[:, None], style.hypercolumns * 3, style.hypercolumns)
    changed = dataclasses.replace(style, hypercolumns=skin)
    assert guided_loss(picture, view, style, vgg) != guided_loss(picture, view, changed, vgg)
