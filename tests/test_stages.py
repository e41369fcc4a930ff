"""The stages on their own: what stylize() does, reused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from portraitist import (
    Config,
    InputError,
    LabelRoles,
    Models,
    RegionStrengths,
    TexelLabels,
    detect_landmarks,
    find_seams,
    load_image,
    optimize_texture,
    place_cameras,
    reconstruct,
    render,
    study_artwork,
    stylize,
    transfer_geometry,
    transfer_texture,
    view_camera,
)
from portraitist.assets import asset_path
from portraitist.cli.stylize import make_demo_request
from portraitist.geometry.translation import DirectTranslator
from portraitist.landmarks.refinement import LandmarkRefiner
from portraitist.rendering.ray_casting import cast_parallel_rays
from portraitist.rendering.seams import close_seams, measure_seams
from portraitist.segmentation.parts import UNLABELED

QUICK = dict(view_px=48, steps=3, samples=64, near_views=2, stroke_px=48, stroke_steps=1)


@pytest.fixture(scope="module")
def models():
    return Models.load("cpu")


@pytest.fixture(scope="module")
def config():
    draft = Config.draft()
    return replace(draft, unwrap=replace(draft.unwrap, texture_size=128), texture=replace(draft.texture, **QUICK))


@pytest.fixture(scope="module")
def photo():
    return load_image(make_demo_request().photo)


@pytest.fixture(scope="module")
def arts():
    return [load_image(asset_path(f"exemplars/{name}.jpg")) for name in ("mosaic", "ink")]


@pytest.fixture(scope="module")
def sitter(photo, models, config):
    return reconstruct(photo, models, config)


@pytest.fixture(scope="module")
def exemplars(arts, models, config):
    return [study_artwork(art, models, config) for art in arts]


def test_the_stages_are_what_stylize_does(photo, arts, sitter, exemplars, models, config):
    result = stylize(photo, arts[0], models, config)
    geometry = transfer_geometry(sitter, exemplars[:1], models, config)
    head = transfer_texture(geometry.head, sitter, exemplars[:1], models, config)
    assert torch.equal(head.texture, result.stylized.texture)
    assert torch.equal(head.mesh.vertices, result.stylized.mesh.vertices)
    assert torch.equal(sitter.content.texture, result.content.texture)
    assert result.quality["shape_movement_percent"] == 100 * geometry.movement


def test_an_exemplar_knows_no_sitter(sitter, exemplars, arts, models, config):
    """Used in between for somebody else, in a mix or with another weight, it gives the same again."""
    one = exemplars[:1]
    before = transfer_texture(sitter.content, sitter, one, models, config).texture
    other = replace(sitter, content=replace(sitter.content, texture=sitter.content.texture.flip(0)))
    transfer_texture(sitter.content, other, exemplars, models, config)
    assert torch.equal(transfer_texture(sitter.content, sitter, one, models, config).texture, before)
    heavier = [replace(one[0], weight=3.0)]  # a mix of one is that one
    assert torch.equal(transfer_texture(sitter.content, sitter, heavier, models, config).texture, before)


def test_artworks_are_read_again_photos_and_points_by_hand_are_not(photo, arts, models, config, monkeypatch):
    exemplar = study_artwork(arts[0], models, config)
    detected, _ = detect_landmarks(arts[0], models.detector)
    assert exemplar.landmarks.confidence is not None
    assert (exemplar.landmarks.points - detected.points).norm(dim=1).mean() > 1

    def refuse(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(LandmarkRefiner, "refine", refuse)
    assert reconstruct(photo, models, config).landmarks.confidence is None
    given = study_artwork(arts[0], models, config, landmarks=exemplar.landmarks.points)
    assert torch.equal(given.landmarks.points, exemplar.landmarks.points)


def test_sliders_end_where_the_head_is(sitter, exemplars, models, config):
    geometry = transfer_geometry(sitter, exemplars[:1], models, config)
    assert torch.equal(geometry.displace(0.0), sitter.content.mesh.vertices)
    apart = (geometry.displace(1.0) - geometry.head.mesh.vertices).norm(dim=1)
    moved = (geometry.head.mesh.vertices - sitter.content.mesh.vertices).norm(dim=1)
    assert apart.mean() < 0.1 * moved.mean()


def test_posed_and_rendered(sitter):
    head = sitter.content
    torch.testing.assert_close(head.posed(head.expression), head.mesh.vertices, atol=1e-6, rtol=0)
    assert torch.equal(head.posed(torch.zeros(52)), head.neutral)
    camera = view_camera(head.mesh.vertices, 0.0, 0.0, 64)
    white, black = render(head, camera), render(head, camera, torch.zeros(3))
    assert white.shape == (3, 64, 64)
    assert white[:, 0, 0].min() == 1
    assert black[:, 0, 0].max() == 0
    assert torch.equal(white[:, 32, 32], black[:, 32, 32])


def test_labels_of_another_size_are_refused(head, models, exemplars, config):
    labels = TexelLabels.make(head.mesh, torch.zeros(16, 16, dtype=torch.int64))
    generator = torch.Generator().manual_seed(0)
    cameras = place_cameras(head.mesh, 32, 1, generator)
    styles = [exemplars[0].style]
    with pytest.raises(InputError, match=r"\(3, 32, 32\) and \(16, 16\)"):
        optimize_texture(
            head.mesh, head.texture, styles, labels, cameras, None, config.texture, vgg=models.vgg, generator=generator
        )


def test_labels_that_do_not_fit_are_refused(head, models, exemplars, config):
    generator = torch.Generator().manual_seed(0)
    cameras = place_cameras(head.mesh, 32, 1, generator)

    def paint(label_map):
        labels = TexelLabels.make(head.mesh, label_map)
        given = (head.mesh, head.texture, [exemplars[0].style], labels, cameras, None, config.texture)
        return optimize_texture(*given, vgg=models.vgg, generator=generator)

    with pytest.raises(InputError, match="No texel has a label"):
        paint(torch.full((32, 32), UNLABELED))
    with pytest.raises(InputError, match="label 7, but the texture's labels are 0 to 0"):
        paint(torch.zeros(32, 32, dtype=torch.int64))
    behind = torch.full((32, 32), UNLABELED)
    behind[:, :2] = 7
    with pytest.raises(InputError, match="No near camera"):
        paint(behind)


def test_uniform_labels_play_the_same_part(head):
    labels = torch.zeros(32, 32, dtype=torch.int64)
    labels[:, 16:] = 1
    labels[:4] = UNLABELED
    made = TexelLabels.make(head.mesh, labels)
    assert made.roles.count == 2
    assert torch.equal(made.roles.penalties, 1 - torch.eye(2))
    assert LabelRoles.uniform(3).moments == (0, 1, 2)
    assert torch.equal(made.shown, labels >= 0)


def test_seams_of_any_mesh_are_closed(head):
    """The ball's back meridian is a seam."""
    seams = find_seams(head.mesh, 64)
    assert len(seams.first) > 0
    ramp = torch.linspace(0, 1, 64).expand(3, 64, 64).clone()
    before = measure_seams(ramp, seams)
    closed = close_seams(ramp, seams)
    assert before > 0.5
    assert measure_seams(closed, seams) < 0.2 * before
    middle = slice(28, 36)
    torch.testing.assert_close(closed[:, :, middle], ramp[:, :, middle])  # far from the seam nothing changes


@pytest.mark.parametrize(
    ("values", "is_said"),
    [
        ({}, True),
        ({"strength": 0.5}, True),
        ({"regions": RegionStrengths(outline=0.0)}, True),
        ({"strength": 0.0}, False),
        ({"random_style": True}, False),
        ({"exaggeration": 1.0}, False),
        ({"regions": RegionStrengths(*5 * [0.0])}, False),
    ],
)
def test_a_normal_shape_is_said_to_those_who_wait_for_it(sitter, exemplars, models, config, values, is_said):
    """Not to those who asked for another shape, or for none."""
    normal = replace(exemplars[0], shape=replace(exemplars[0].shape, deviation=torch.zeros(68, 2)))
    direct = replace(models, translator=DirectTranslator())
    asked = replace(config, geometry=replace(config.geometry, **values))
    translators = models if asked.geometry.random_style else direct
    geometry = transfer_geometry(sitter, [normal], translators, asked)
    assert bool(geometry.transfer.doubt(asked.geometry)) == is_said


def test_a_shape_that_shows_is_not_called_normal(sitter, exemplars, models, config):
    """However little of it is asked for."""
    bold = replace(exemplars[0], shape=replace(exemplars[0].shape, deviation=0.2 * torch.randn(68, 2)))
    direct = replace(models, translator=DirectTranslator())
    asked = replace(config, geometry=replace(config.geometry, strength=0.05))
    assert not transfer_geometry(sitter, [bold], direct, asked).transfer.doubt(asked.geometry)


def test_an_artwork_is_rasterized_once(arts, models, config, monkeypatch):
    sizes = []

    def count(points_px, faces, size):
        sizes.append(size)
        return cast_parallel_rays(points_px, faces, size)

    monkeypatch.setattr("portraitist.rendering.rasterizer.cast_parallel_rays", count)
    evened = replace(config, texture=replace(config.texture, delighting=1.0))
    study_artwork(arts[0], models, evened)
    assert sizes.count(tuple(arts[0].shape[1:])) == 1


def test_numpy_has_one_thread_in_every_stage(photo, arts, models, config):
    """Its sums would differ with the number of threads; texture included."""
    seen = {}

    def watch(progress):
        if progress.step:  # from within the stage
            seen[progress.stage] = [x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        stylize(photo, arts[0], models, config, progress=watch)
    assert set(seen["texture"]) == {1}


def test_the_library_leaves_threads_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    Models.load("cpu")
    assert asked == []
