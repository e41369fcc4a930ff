"""Strokes painted without a network, and what is done to the texture at the end."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import shade
from portraitist.segmentation.parts import (
    EYES,
    FACE_REGIONS,
    FEATURES,
    HAIR,
    LIPS,
    SKIN,
    UNLABELED,
    select_faces,
)
from portraitist.texture.detail import match_contrast, suppress_noise
from portraitist.texture.exemplar import StyleExemplar, StyleSource, resize_source
from portraitist.texture.label_colors import blur_mask
from portraitist.texture.labels import TexelLabels, face_roles, label_head
from portraitist.texture.patches import PatchPlaces, make_patch_source, sliced_wasserstein_distances
from portraitist.texture.pyramid import build_pyramid
from portraitist.texture.strokes import paint_strokes
from portraitist.texture.views import Subject, find_patch_places, place_cameras

SIDE = 512


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grain(side: int, width: int, amplitude: float, seed: int = 0) -> Tensor:
    """Gray noise of squares ``width`` wide around one half."""
    coarse = torch.rand(1, side // width, side // width, generator=seeded(seed)) - 0.5
    return (0.5 + amplitude * coarse).repeat_interleave(width, 1).repeat_interleave(width, 2).expand(3, -1, -1).clone()


def drawn(image: Tensor) -> StyleSource:
    """A picture that is skin all over but for a margin."""
    labels = torch.full(image.shape[1:], SKIN)
    labels[:8] = UNLABELED
    return StyleSource(image, labels, image.mean((1, 2)), 1.0)


@pytest.fixture(scope="module")
def subject(model):
    content = grain(SIDE, 4, 0.2)
    return Subject(model.template, content, content, label_head(model.template, content.shape[-1]))


def with_patches(source: StyleSource) -> StyleExemplar:
    """Ready for strokes; the network's features are none of them."""
    image, labels = resize_source(source, 256.0, face_roles())
    patches = make_patch_source(image, PatchPlaces.make(labels, face_roles().count), 1.0, seeded())
    return StyleExemplar(source, torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), patches)


def no_report(loss: float, preview: Tensor) -> None:
    pass


def test_strokes_come_nearer_to_the_artwork_and_leave_the_eyes(subject):
    art = drawn(grain(256, 2, 0.6, seed=1))
    cameras = place_cameras(subject.mesh, 256, 8, seeded())
    painted = paint_strokes(subject.start, subject, [with_patches(art)], cameras, 30, seeded(), no_report)
    face = subject.mesh.vertices[torch.unique(subject.mesh.faces[select_faces(subject.mesh, FACE_REGIONS)])]
    seen = rasterize(subject.mesh, view_camera(face, 5.0, 0.0, 256))
    places, source = find_patch_places(subject.labels, seen, shown_only=True), with_patches(art).patches

    def measure(texture: Tensor) -> float:
        return float(sliced_wasserstein_distances(shade(seen, texture, art.background), places, [source], seeded(2))[1])

    assert measure(painted) < 0.9 * measure(subject.start)
    eyes = subject.labels.map == EYES
    moved = (painted - subject.start).abs()
    # Bands of texels beside the eyes reach a little into them.
    assert moved[:, eyes].mean() < 0.2 * moved[:, subject.labels.map == SKIN].mean()


def test_views_that_show_nothing_tell_nothing(subject):
    """Of a small layer, some views may see only the head that hides it."""
    cameras = place_cameras(subject.mesh, 256, 2, seeded())
    beside = dataclasses.replace(cameras.near[1], center_px=(-1000.0, 128.0))
    views = dataclasses.replace(cameras, near=[cameras.near[0], beside], wide=[])
    painted = paint_strokes(
        subject.start, subject, [with_patches(drawn(grain(256, 2, 0.6)))], views, 6, seeded(), no_report
    )
    assert torch.isfinite(painted).all()
    assert not torch.equal(painted, subject.start)


def test_no_steps_no_strokes(subject):
    art = drawn(grain(256, 2, 0.6))
    cameras = place_cameras(subject.mesh, 256, 1, seeded())
    painted = paint_strokes(subject.start, subject, [with_patches(art)], cameras, 0, seeded(), no_report)
    assert painted is subject.start


def finish(texture: Tensor, subject: Subject, art: StyleSource) -> Tensor:
    return match_contrast(suppress_noise(texture, subject, [art]), subject, [art])


def measure_band(texture: Tensor, skin: Tensor, level: int) -> float:
    return float(build_pyramid(texture)[level][0].abs()[skin[:: 2**level, :: 2**level]].mean())


def test_crackle_goes_where_the_artwork_is_smooth_and_stays_where_it_is_rough(subject):
    crackled = (subject.start + grain(SIDE, 4, 0.2, seed=5) - 0.5).clamp(0, 1)
    skin = subject.labels.map == SKIN
    smooth, rough = (
        suppress_noise(crackled, subject, [drawn(grain(512, 4, amplitude, seed=1))]) for amplitude in (0.2, 0.9)
    )
    before, least, most = (measure_band(x - subject.start, skin, 2) for x in (crackled, smooth, rough))
    assert least < 0.45 * before
    assert most > 1.5 * least


@pytest.mark.parametrize(
    ("amplitude", "crackle_left", "start_left"),
    [(0.02, (0.0, 0.2), (0.0, 0.6)), (0.2, (0.0, 0.35), (0.7, 1.3)), (0.9, (0.8, 2.2), (0.8, 2.2))],
)
def test_of_crackle_and_start_as_much_is_left_as_the_artwork_is_rough(subject, amplitude, crackle_left, start_left):
    crackle = grain(SIDE, 4, 0.2, seed=5) - 0.5
    art = drawn(grain(256, 4, amplitude, seed=1))
    finished = finish((subject.start + crackle).clamp(0, 1), subject, art)
    band, *patterns = (build_pyramid(x)[2][0] for x in (finished, crackle, subject.start))
    cells = F.adaptive_avg_pool2d((subject.labels.map == SKIN)[None].float(), band.shape[-1])[0] > 0.5
    # Start and crackle have nothing in common: how much of each there is.
    left = [band[cells] @ pattern[cells] / pattern[cells].square().sum() for pattern in patterns]
    for found, (least, most) in zip(left, (crackle_left, start_left), strict=True):
        assert least < found < most


def test_broad_colors_are_kept(subject):
    tinted = (subject.start + torch.tensor([0.2, 0.0, -0.1])[:, None, None]).clamp(0, 1)
    held = finish(tinted, subject, drawn(grain(512, 4, 0.2, seed=1)))
    torch.testing.assert_close(held.mean((1, 2)), tinted.mean((1, 2)), atol=0.02, rtol=0)


@pytest.mark.parametrize(("amplitude", "expected"), [(0.02, 0.5), (0.26, 1.3), (0.9, 2.0)])
def test_contrast_goes_to_the_artworks_within_limits(subject, amplitude, expected):
    # One texel on the head is as wide as one pixel of an artwork of this size.
    matched = match_contrast(subject.start, subject, [drawn(grain(256, 4, amplitude, seed=1))])
    before, after = (measure_band(x, subject.labels.map == SKIN, 2) for x in (subject.start, matched))
    assert abs(after / before - expected) < 0.2 * expected


def test_several_artworks_give_the_mean_of_their_contrasts(subject):
    arts = [drawn(grain(256, 4, amplitude, seed=1)) for amplitude in (0.16, 0.3)]
    halves = [dataclasses.replace(art, weight=0.5) for art in arts]
    smooth, mixed, rough = (
        measure_band(match_contrast(subject.start, subject, given), subject.labels.map == SKIN, 2)
        for given in ([arts[0]], halves, [arts[1]])
    )
    assert mixed == pytest.approx((smooth + rough) / 2, rel=0.1)
    assert rough > 1.3 * smooth


def test_hair_over_the_forehead_does_not_change_the_scale(subject):
    art = drawn(grain(256, 4, 0.26, seed=1))
    art.labels[100:110, 80:176], art.labels[200:215, 110:146] = EYES, LIPS
    covered = dataclasses.replace(art, labels=art.labels.clone())
    covered.labels[8:90] = HAIR
    open_face, fringed = (
        measure_band(match_contrast(subject.start, subject, [x]), subject.labels.map == SKIN, 2) for x in (art, covered)
    )
    assert fringed == pytest.approx(open_face, rel=0.03)


def test_an_artworks_grain_makes_no_specks(subject):
    painted = F.interpolate(grain(64, 4, 0.05, seed=1)[None], (256, 256), mode="bicubic")[0]
    grainy = painted + 0.15 * (torch.rand(1, 256, 256, generator=seeded(2)) - 0.5)
    skin, everywhere = subject.labels.map == SKIN, torch.ones(256, 256, dtype=torch.bool)
    before, in_artwork = measure_band(subject.start, skin, 0), measure_band(grainy, everywhere, 0)
    after = measure_band(match_contrast(subject.start, subject, [drawn(grainy)]), skin, 0)
    assert in_artwork > 2 * before
    assert after < 1.3 * before


def test_contrast_is_that_of_the_skin_around_the_features(subject):
    art = drawn(grain(256, 4, 0.26, seed=1))
    art.labels[100:110, 80:176], art.labels[200:215, 110:146] = EYES, LIPS
    wrinkled = dataclasses.replace(art, image=art.image.clone())
    wrinkled.image[:, 8:48] = grain(256, 4, 0.9, seed=1)[:, 8:48]
    plain, other = (
        measure_band(match_contrast(subject.start, subject, [x]), subject.labels.map == SKIN, 2)
        for x in (art, wrinkled)
    )
    assert other == pytest.approx(plain, rel=0.03)


@pytest.mark.parametrize("side", [12, 24, 60])
def test_a_tiny_artwork_leaves_bands_that_it_cannot_show(subject, side):
    art = drawn(grain(64, 2, 0.9, seed=1)[:, :side, :side])
    matched = finish(subject.start, subject, art)
    finest, other = (build_pyramid(x)[0] for x in (matched, subject.start))
    inner = blur_mask((subject.labels.map == SKIN)[None].float(), 24)[0] == 1
    # Twice what it was would be a change of 1; folding lets a little through from coarser bands.
    assert (finest - other)[:, inner].abs().mean() < 0.4 * other[:, inner].abs().mean()


def test_an_artwork_without_skin_leaves_the_contrast(subject):
    crackled, art = grain(SIDE, 4, 0.4, seed=5), drawn(grain(256, 2, 0.9))
    bare = dataclasses.replace(art, labels=torch.full_like(art.labels, EYES))
    torch.testing.assert_close(suppress_noise(crackled, subject, [bare]), crackled, atol=1e-5, rtol=0)
    away = blur_mask(subject.labels.is_one_of(FEATURES)[None].float(), 4)[0] == 0
    assert away.float().mean() > 0.1
    matched = match_contrast(crackled, subject, [bare])
    torch.testing.assert_close(matched[:, away], crackled[:, away], atol=1e-5, rtol=0)


def test_colored_specks_go_where_the_artwork_has_none(subject):
    specks = grain(SIDE, 4, 0.2, seed=5)[:1] - 0.5
    speckled = (subject.start + specks * torch.tensor([1.0, -1.0, 0.0])[:, None, None]).clamp(0, 1)
    tempered = finish(speckled, subject, drawn(grain(512, 4, 0.2, seed=1)))

    def measure_hue(texture: Tensor) -> float:
        return measure_band((texture[:1] - texture[1:2]).expand(3, -1, -1), subject.labels.map == SKIN, 2)

    assert measure_hue(tempered) < 0.25 * measure_hue(speckled)


def test_hair_is_tempered_by_hair_and_skin_by_skin(subject):
    crackled = (subject.start + grain(SIDE, 4, 0.4, seed=5) - 0.5).clamp(0, 1)
    image = grain(512, 4, 0.02, seed=1)
    image[:, :256] = grain(512, 4, 0.9, seed=2)[:, :256]
    art = drawn(image)
    art.labels[:256] = torch.where(art.labels[:256] == SKIN, HAIR, art.labels[:256])
    labels = subject.labels.map.clone()
    labels[: SIDE // 2] = torch.where(labels[: SIDE // 2] == SKIN, HAIR, labels[: SIDE // 2])
    relabeled = TexelLabels.make(subject.mesh, labels, face_roles(), subject.labels.shown)
    tempered = finish(crackled, dataclasses.replace(subject, labels=relabeled), art)
    kept = {part: measure_band(tempered, labels == part, 2) for part in (HAIR, SKIN)}
    assert kept[HAIR] > 1.5 * kept[SKIN]


@pytest.mark.parametrize(("amplitude", "least", "most"), [(0.02, 0.99, 1.01), (0.9, 1.5, 2.3)])
def test_features_get_crisper_but_not_softer(subject, amplitude, least, most):
    art = drawn(grain(512, 4, amplitude, seed=1))
    art.labels[:] = LIPS
    lips = blur_mask((subject.labels.map != LIPS)[None].float(), 48)[0] == 0
    before, after = (measure_band(x, lips, 2) for x in (subject.start, match_contrast(subject.start, subject, [art])))
    assert least < after / before < most
