"""The main job on the embedded example: exact ends of both sliders, determinism, cancelling, files that agree."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import interpolate

from conftest import make_quick_config
from portraitist import (
    Cancelled,
    InputError,
    Models,
    NoFaceError,
    reconstruct,
    study_artwork,
    stylize,
    subdivide_head,
)
from portraitist.types import Head


@pytest.fixture(scope="module")
def again(hopper, brush, models):
    """``quick_result`` once more, subdivided, and what was reported on the way."""
    reports = []
    result = stylize(hopper, brush, models, replace(make_quick_config(), subdivide=True), progress=reports.append)
    return result, reports


def rebuild(head: Head) -> torch.Tensor:
    return head.neutral + torch.einsum("e,end->nd", head.expression, head.expression_deltas)


def test_shape_follows_the_artwork_and_texture_changes(quick_result):
    result = quick_result
    chin = lambda head: head.landmarks68.positions(head.mesh.vertices, head.mesh.faces)[8]  # noqa: E731
    eyes = lambda head: head.landmarks68.positions(head.mesh.vertices, head.mesh.faces)[36:48].mean(0)  # noqa: E731
    length = [float((eyes(head) - chin(head))[1]) for head in (result.content, result.stylized)]
    assert length[1] > 1.05 * length[0]  # the brush exemplar is a very long face
    assert not torch.equal(result.content.texture, result.stylized.texture)
    assert torch.isfinite(result.stylized.texture).all()
    assert result.stylized.texture.min() >= 0
    assert result.stylized.texture.max() <= 1


def test_base_plus_default_weights_is_the_shown_shape(example_result):
    for head in (example_result.content, example_result.stylized):
        assert (rebuild(head) - head.mesh.vertices).abs().max() < 1e-6
    assert torch.equal(example_result.stylized.original, example_result.content.mesh.vertices)


def test_every_stage_is_timed_and_nothing_is_left_to_guess(example_result):
    assert list(example_result.seconds) == ["landmarks", "fit", "unwrap", "study", "geometry", "texture"]
    assert example_result.warnings == ()
    assert example_result.quality["photo_fit_error_percent"] < 2


def test_both_sliders_at_zero_give_the_content_exactly(sitter):
    assert torch.equal(sitter.stylized.mesh.vertices, sitter.content.mesh.vertices)
    assert torch.equal(sitter.stylized.texture, sitter.content.texture)


def test_subdivided_result_is_the_same_head_cut_finer(quick_result, again):
    fine, _ = again
    for name in ("content", "stylized"):
        expected = subdivide_head(getattr(quick_result, name))
        assert torch.equal(getattr(fine, name).mesh.vertices, expected.mesh.vertices)
        assert torch.equal(getattr(fine, name).mesh.uv_faces, expected.mesh.uv_faces)


def test_same_seed_same_head(quick_result, again):
    assert torch.equal(again[0].stylized.texture, quick_result.stylized.texture)
    assert torch.equal(again[0].content.texture, quick_result.content.texture)


def test_given_landmarks_replace_detection(quick_result, hopper, brush, models):
    photo, art, result = hopper, brush, quick_result
    given = stylize(
        photo, art, models, make_quick_config(texture=0.0),
        photo_landmarks=result.photo_landmarks.points, art_landmarks=result.art_landmarks.points,
    )  # fmt: skip
    moved = (given.stylized.mesh.vertices - result.stylized.mesh.vertices).norm(dim=1)
    assert given.photo_landmarks.dense is None
    assert moved[models.head.vertex_ids("nose", "lips", "eyelids")].median() < 0.006
    with pytest.raises(InputError, match="landmarks"):
        stylize(photo, art, models, make_quick_config(), photo_landmarks=result.photo_landmarks.points + 5000)


def test_another_of_several_faces_may_be_chosen(hopper, brush, models):
    """Both faces of a pair, the smaller one taken, in the photo and in the artwork."""
    pair = torch.ones(3, 600, 612 + 307)
    pair[:, :, :512] = hopper
    pair[:, :360, 612:] = interpolate(hopper[None], size=(360, 307), mode="area")[0]
    config = make_quick_config(geometry=0.0, texture=0.0)
    result = stylize(pair, pair, models, config, photo_face=2, art_face=2)
    for landmarks in (result.photo_landmarks, result.art_landmarks):
        assert landmarks.points[:, 0].min() > 612
    assert stylize(pair, pair, models, config).photo_landmarks.points[:, 0].max() < 512
    with pytest.raises(InputError, match=r"Face 3 .* 2 faces were found in the photo"):
        stylize(pair, brush, models, config, photo_face=3)
    with pytest.raises(InputError, match=r"Face 3 .* 2 faces were found in the art"):
        study_artwork(pair, models, config, face=3)
    with pytest.raises(InputError, match="landmarks were given"):
        reconstruct(pair, models, config, face=2, landmarks=result.photo_landmarks.points)


def test_a_blank_picture_has_no_face(hopper, models):
    with pytest.raises(NoFaceError, match="art"):
        stylize(hopper, torch.full((3, 200, 200), 0.5), models, make_quick_config())


def test_progress_is_reported(again):
    _, reports = again
    stages = [progress.stage for progress in reports]
    first, later = [*dict.fromkeys(stages)][:6], [*dict.fromkeys(stages)][6:]
    assert first == ["landmarks", "fit", "unwrap", "study", "geometry", "texture"]
    assert later == [layer.name for layer in again[0].stylized.layers]
    assert [progress.step for progress in reports if progress.stage == "texture"] == list(range(15))
    last = [progress for progress in reports if progress.stage == "texture"][-1]
    assert last.steps == last.step == 14


@pytest.mark.parametrize(("stage", "step"), [("fit", 0), pytest.param("texture", 2, marks=pytest.mark.slow)])
def test_progress_can_cancel(stage, step, hopper, brush, models):
    seen = []

    def watch(progress):
        seen.append(progress)
        if progress.stage == stage and progress.step >= step:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        stylize(hopper, brush, models, make_quick_config(), progress=watch)
    assert (seen[-1].stage, seen[-1].step) == (stage, step)


def test_an_unknown_device_is_refused():
    with pytest.raises(InputError, match="auto, cpu, cuda or mps"):
        Models.load("abacus")
