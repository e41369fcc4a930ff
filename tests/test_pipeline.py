"""The main job on the embedded example: exact ends of both sliders, determinism, cancelling, files that agree."""

from dataclasses import replace

import matplotlib.cbook
import pytest
import torch

from portraitist import Cancelled, Config, InputError, Models, NoFaceError, load_image, stylize, subdivide_head
from portraitist.assets import asset_path
from portraitist.types import Head


@pytest.fixture(scope="module")
def models():
    return Models.load("cpu")


@pytest.fixture(scope="module")
def photo():
    return load_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


@pytest.fixture(scope="module")
def art():
    return load_image(asset_path("exemplars/brush.jpg"))


def quick_config(geometry=1.0, texture=1.0):
    config = Config.draft()
    return replace(
        config,
        geometry=replace(config.geometry, strength=geometry),
        texture=replace(config.texture, strength=texture, texture_size=256, view_px=64, steps=3),
    )


@pytest.fixture(scope="module")
def result(photo, art, models):
    return stylize(photo, art, models, quick_config())


def rebuild(head: Head) -> torch.Tensor:
    return head.neutral + torch.einsum("e,end->nd", head.expression, head.expression_deltas)


def test_shape_follows_the_artwork_and_texture_changes(result):
    chin = lambda head: head.landmarks68.positions(head.mesh.vertices, head.mesh.faces)[8]  # noqa: E731
    eyes = lambda head: head.landmarks68.positions(head.mesh.vertices, head.mesh.faces)[36:48].mean(0)  # noqa: E731
    length = [float((eyes(head) - chin(head))[1]) for head in (result.content, result.stylized)]
    assert length[1] > 1.05 * length[0]  # the brush exemplar is a very long face
    assert not torch.equal(result.content.texture, result.stylized.texture)
    assert torch.isfinite(result.stylized.texture).all()
    assert result.stylized.texture.min() >= 0
    assert result.stylized.texture.max() <= 1


def test_base_plus_default_weights_is_the_shown_shape(result):
    for head in (result.content, result.stylized):
        assert (rebuild(head) - head.mesh.vertices).abs().max() < 1e-6
    assert torch.equal(result.stylized.original, result.content.mesh.vertices)


def test_every_stage_is_timed_and_nothing_is_left_to_guess(result):
    assert list(result.seconds) == ["landmarks", "fit", "unwrap", "geometry", "texture"]
    assert result.warnings == ()
    assert result.quality["photo_fit_error_percent"] < 2


def test_both_sliders_at_zero_give_the_content_exactly(photo, art, models):
    result = stylize(photo, art, models, quick_config(geometry=0.0, texture=0.0))
    assert torch.equal(result.stylized.mesh.vertices, result.content.mesh.vertices)
    assert torch.equal(result.stylized.texture, result.content.texture)


def test_subdivided_result_is_the_same_head_cut_finer(photo, art, models):
    coarse = stylize(photo, art, models, quick_config(texture=0.0))
    fine = stylize(photo, art, models, replace(quick_config(texture=0.0), subdivide=True))
    for name in ("content", "stylized"):
        expected = subdivide_head(getattr(coarse, name))
        assert torch.equal(getattr(fine, name).mesh.vertices, expected.mesh.vertices)
        assert torch.equal(getattr(fine, name).mesh.uv_faces, expected.mesh.uv_faces)


def test_same_seed_same_head(result, photo, art, models):
    again = stylize(photo, art, models, quick_config())
    assert torch.equal(again.stylized.texture, result.stylized.texture)
    assert torch.equal(again.stylized.mesh.vertices, result.stylized.mesh.vertices)


def test_given_landmarks_replace_detection(result, photo, art, models):
    given = stylize(
        photo, art, models, quick_config(texture=0.0),
        photo_landmarks=result.photo_landmarks.points, art_landmarks=result.art_landmarks.points,
    )  # fmt: skip
    moved = (given.stylized.mesh.vertices - result.stylized.mesh.vertices).norm(dim=1)
    assert given.photo_landmarks.dense is None
    assert moved[models.head.vertex_ids("nose", "lips", "eyelids")].median() < 0.006
    with pytest.raises(InputError, match="landmarks"):
        stylize(photo, art, models, quick_config(texture=0.0), photo_landmarks=result.photo_landmarks.points + 5000)


def test_a_blank_picture_has_no_face(photo, models):
    with pytest.raises(NoFaceError, match="art"):
        stylize(photo, torch.full((3, 200, 200), 0.5), models, quick_config())


def test_progress_is_reported_and_can_cancel(photo, art, models):
    seen = []

    def watch(progress):
        seen.append(progress)
        if progress.stage == "texture" and progress.step >= 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        stylize(photo, art, models, quick_config(), progress=watch)
    stages = [progress.stage for progress in seen]
    assert list(dict.fromkeys(stages)) == ["landmarks", "fit", "unwrap", "geometry", "texture"]
    assert seen[-1].steps >= seen[-1].step == 2


def test_an_unknown_device_is_refused():
    with pytest.raises(InputError, match="auto, cpu or cuda"):
        Models.load("abacus")
