"""Parts of the face on heads and in artworks, colors and patches by part, and the closed seam."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from conftest import make_parts, map_head
from portraitist.errors import InputError
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.seams import close_seams, find_seams, measure_seams
from portraitist.rendering.uv_layout import extend_islands, mark_texels
from portraitist.segmentation.artwork import apply_style_mask, label_artwork
from portraitist.segmentation.parts import BROWS, EYES, HAIR, LABELS, LIPS, MOUTH, SKIN, UNLABELED, label_penalties
from portraitist.segmentation.picture import PART_NAMES, PictureParts
from portraitist.segmentation.texels import label_texels
from portraitist.texture.color_transfer import limit_chroma, transfer_colors
from portraitist.texture.exemplar import StyleSource, crop_exemplar
from portraitist.texture.label_colors import (
    limit_label_chroma,
    match_colors,
    preserve_colors,
    share_palettes,
    spread_strengths,
)
from portraitist.texture.labels import LabelStrengths, face_roles
from portraitist.texture.patches import PatchPlaces, make_patch_source, sliced_wasserstein_distances
from portraitist.types import REGIONS
from portraitist.unwrapping.delighting import delight_artwork

PART_HAIR = PART_NAMES.index("hair")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def match_own_colors(texture, labels, front, exemplars):
    return match_colors(texture, labels, share_palettes(texture, labels), front, exemplars, seeded())


@pytest.fixture(scope="module")
def drawn(model):
    """The mean head from the front: mesh, what is seen of it, its 68 points, and which part each pixel shows."""
    mesh = model.template
    camera = view_camera(mesh.vertices, 0.0, 0.0, 300)
    points = camera.project(model.landmarks68.positions(mesh.vertices, mesh.faces))
    seen = rasterize(mesh, camera)
    return mesh, seen, points, map_head(mesh, seen)


def test_features_are_where_the_landmarks_are(drawn):
    mesh, seen, points, shown = drawn
    moved = points.clone()
    moved[48:] += torch.tensor([0.0, 8.0])  # a mouth drawn lower than the fitted head has it
    labels = label_artwork(make_parts(shown), mesh, seen, moved)
    lips = torch.nonzero(labels == LIPS)
    assert abs(lips[:, 0].float().mean() - moved[48:60, 1].mean()) < 3
    eye = points[36:42].mean(0)
    assert labels[int(eye[1]), int(eye[0])] == EYES
    assert not (labels == MOUTH).any()  # shut
    assert labels[0, 0] == UNLABELED


def test_an_open_mouth_has_an_inside(drawn):
    mesh, seen, points, shown = drawn
    opened = points.clone()
    opened[[65, 66, 67, 55, 56, 57, 58, 59], 1] += 15
    assert (label_artwork(make_parts(shown), mesh, seen, opened) == MOUTH).sum() > 50


def test_a_fringe_is_hair_and_so_are_the_brows_under_it(drawn):
    mesh, seen, points, shown = drawn
    before = label_artwork(make_parts(shown), mesh, seen, points)
    below, nose = int(points[17:27, 1].max()) + 9, int(points[27, 0])
    covered = shown.clone()
    covered[points[17:27, 1].min().int() - 20 : below, nose:] = PART_HAIR
    after = label_artwork(make_parts(covered), mesh, seen, points)
    assert (before[:, nose:] == BROWS).sum() > 20
    assert not (after[:, nose:] == BROWS).any()
    assert torch.equal(after == HAIR, covered == PART_HAIR)
    assert torch.equal(after[:, :nose], before[:, :nose])


def test_hair_beside_the_cheek_is_no_skin(drawn):
    mesh, seen, points, shown = drawn
    edge, rows = int(points[16, 0]), slice(int(points[27, 1]), int(points[48, 1]))
    covered = shown.clone()
    covered[:, edge - 18 :] = PART_HAIR
    before, after = (label_artwork(make_parts(x), mesh, seen, points)[rows, : edge + 1] for x in (shown, covered))
    assert (before[:, edge - 12 :] == SKIN).sum() > 50
    assert (after[:, edge - 12 :] == SKIN).sum() == 0
    assert (after[:, edge - 12 :] == HAIR).sum() > 50
    assert torch.equal(after[:, : edge - 30], before[:, : edge - 30])


def test_ground_above_a_low_skull_is_no_head(drawn):
    """A caricature's skull: the fitted one is higher, and what it covers there is paper."""
    mesh, seen, points, shown = drawn
    hair = torch.nonzero(shown == PART_HAIR)[:, 0]
    top = int(hair.min() + 0.3 * (hair.max() - hair.min()))
    low = shown.clone()
    low[:top] = 0
    assert (label_artwork(make_parts(shown), mesh, seen, points)[:top] == HAIR).sum() > 500
    labels = label_artwork(make_parts(low), mesh, seen, points)
    assert (labels[:top] == UNLABELED).all()
    assert (labels[top:] == HAIR).sum() > 500


def test_hair_that_stands_out_from_the_fitted_head_is_found(drawn):
    mesh, seen, points, shown = drawn
    bushy = shown.clone()
    bushy[20 : int(points[8, 1]), 40:260][bushy[20 : int(points[8, 1]), 40:260] == 0] = PART_HAIR
    labels = label_artwork(make_parts(bushy), mesh, seen, points)
    assert (labels[~seen.mask] == HAIR).sum() > 5000
    assert torch.equal(labels == HAIR, bushy == PART_HAIR)


def test_what_is_held_before_the_face_is_no_part_of_it(drawn):
    mesh, seen, points, shown = drawn
    mouth = slice(int(points[48:60, 1].min()) - 5, int(points[48:60, 1].max()) + 5)
    for name in ("other", "clothes", "headwear", "background"):
        covered = shown.clone()
        covered[mouth] = PART_NAMES.index(name)
        labels = label_artwork(make_parts(covered), mesh, seen, points)
        assert (labels[mouth] == UNLABELED).all()
        assert not (labels == LIPS).any()
        assert (labels == EYES).any()


def test_bare_skin_beside_the_head_is_not_the_heads(drawn):
    """Shoulders and hands are no skin to learn a face's style from; a beard is."""
    mesh, seen, points, shown = drawn
    everywhere = torch.where(shown == PART_HAIR, PART_HAIR, PART_NAMES.index("skin"))
    labels = label_artwork(make_parts(everywhere), mesh, seen, points)
    features = (labels >= 0) & ~((labels == SKIN) | (labels == HAIR))
    assert (labels[~seen.mask & ~features] == UNLABELED).all()
    bearded = torch.where(shown == PART_NAMES.index("skin"), PART_NAMES.index("beard"), shown)
    assert torch.equal(label_artwork(make_parts(bearded), mesh, seen, points), labels)


def test_the_largest_share_of_a_pixel_is_its_part(drawn):
    mesh, seen, points, shown = drawn
    parts = make_parts(shown)
    soft = PictureParts(0.6 * parts.shares + 0.4 * parts.shares.roll(1, 0))
    labels = label_artwork(parts, mesh, seen, points)
    assert torch.equal(label_artwork(soft, mesh, seen, points), labels)


def test_a_heads_own_texels_are_bare(drawn):
    """Whatever its texture is: hair is a layer of its own."""
    mesh, size = drawn[0], 256
    labels, face_ids = label_texels(mesh, size), mark_texels(mesh, size)
    regions = mesh.regions[face_ids.clamp(min=0)]
    assert torch.equal(labels == UNLABELED, face_ids < 0)
    assert not (labels == HAIR).any()
    assert (labels[(face_ids >= 0) & (regions == REGIONS.index("scalp"))] == SKIN).all()
    assert (labels[(face_ids >= 0) & (regions == REGIONS.index("lips"))] == LIPS).all()
    hair = dataclasses.replace(mesh, regions=torch.full_like(mesh.regions, REGIONS.index("hair")))
    assert (label_texels(hair, size)[face_ids >= 0] == HAIR).all()


def test_hairlines_in_the_artworks_hues_keep_their_light_and_dark(drawn):
    mesh, size = drawn[0], 256
    scalp, face_ids = mesh.regions == REGIONS.index("scalp"), mark_texels(mesh, size)
    hairy = (face_ids >= 0) & scalp[face_ids.clamp(min=0)]
    streaks = 0.3 * torch.rand(size, size, generator=seeded())
    texture = torch.where(hairy, 0.05 + streaks, 0.8).expand(3, size, size)
    labels = torch.where(face_ids >= 0, torch.where(hairy, HAIR, SKIN), UNLABELED)
    exemplar = StyleSource(texture, labels, torch.zeros(3), 1.0)
    limited = limit_label_chroma(texture, labels, [exemplar], seeded())
    assert (limited - texture)[:, face_ids >= 0].abs().max() < 0.02


def test_what_cannot_be_seen_does_not_count():
    size = 64
    labels = torch.full((size, size), LIPS)
    texture = torch.where(torch.arange(size) < size // 2, 0.7, 0.1).expand(3, size, size)
    texture = (texture + 0.05 * torch.rand(size, size, generator=seeded())).clamp(0, 1)
    art = torch.tensor([0.8, 0.2, 0.3])[:, None, None] + 0.2 * torch.rand(size, size, generator=seeded(1))
    portrait = crop_exemplar(texture[:, :, : size // 2], labels[:, : size // 2])
    recolored = match_own_colors(texture, labels, portrait, [crop_exemplar(art.clamp(0, 1), labels)])
    assert (recolored[:, :, : size // 2].mean((1, 2)) - art.mean((1, 2))).abs().max() < 0.02


def test_a_style_mask_says_where_style_is(drawn):
    labels = torch.full((10, 10), UNLABELED)
    labels[:5] = LIPS
    mask = torch.zeros(10, 10)
    mask[3:8] = 1.0
    masked = apply_style_mask(labels, mask)
    assert (masked[3:5] == LIPS).all()
    assert (masked[5:8] == SKIN).all()
    assert (masked[:3] == UNLABELED).all()
    with pytest.raises(InputError, match="5 x 4 pixels, the artwork 10 x 10"):
        apply_style_mask(labels, torch.ones(4, 5))
    with pytest.raises(InputError, match="black all over"):
        apply_style_mask(labels, torch.zeros(10, 10))


def test_only_like_parts_are_free():
    costs = label_penalties()
    assert (costs.diagonal() == 0).all()
    assert torch.equal(costs, costs.T)
    assert costs[LIPS, SKIN] == 1
    assert 0 < costs[LABELS.index("nose"), SKIN] < 0.5


def test_hues_of_a_gray_drawing_stay_gray():
    gray = torch.rand(500, 1, generator=seeded()).expand(500, 3)
    specks = (gray + 0.2 * torch.randn(500, 3, generator=seeded(1))).clamp(0, 1)
    kept = limit_chroma(specks, gray)
    assert (kept - kept.mean(1, keepdim=True)).abs().max() < 0.02
    colorful = torch.rand(500, 3, generator=seeded(2))
    torch.testing.assert_close(limit_chroma(colorful * 0.5 + 0.25, colorful), colorful * 0.5 + 0.25, atol=0.1, rtol=0)


def test_uniform_hair_is_not_torn_apart():
    hair = 0.1 + 0.01 * torch.rand(1000, 1, generator=seeded()).expand(1000, 3)
    scribbles = (torch.rand(1000, 1, generator=seeded(1)) > 0.5).float().expand(1000, 3)
    assert transfer_colors(hair, hair, scribbles).std() < 0.1


def striped(width: int) -> torch.Tensor:
    return ((torch.arange(64) // width) % 2).float().expand(3, 64, 64).clone()


def test_patches_tell_stripes_apart_that_have_the_same_colors():
    labels = torch.full((64, 64), SKIN)
    places = PatchPlaces.make(labels, face_roles().count)
    source = make_patch_source(striped(2), places, 1.0, seeded())
    same = sliced_wasserstein_distances(striped(2), places, [source], seeded(1))
    other = sliced_wasserstein_distances(striped(8), places, [source], seeded(1))
    assert other[0] < 0.02  # the same colors, equally often
    assert other[1] > 3 * same[1]
    hidden = PatchPlaces.make(torch.full_like(labels, HAIR), face_roles().count)
    assert sliced_wasserstein_distances(striped(8), hidden, [source], seeded(1))[1] == 0


def test_the_outline_of_a_head_is_no_stroke():
    labels = torch.full((64, 64), UNLABELED)
    labels[16:48, 16:48] = SKIN
    places = PatchPlaces.make(labels, face_roles().count)
    plain = torch.full((3, 64, 64), 0.5)
    source = make_patch_source(plain, places, 1.0, seeded())
    for ground in (0.0, 1.0):
        picture = torch.where(labels == SKIN, plain, ground)
        assert sliced_wasserstein_distances(picture, places, [source], seeded(1))[1] < 1e-6


def test_a_part_that_the_artwork_does_not_show_is_left_alone():
    labels = torch.full((64, 64), SKIN)
    labels[24:40, 24:40] = MOUTH
    picture = torch.rand(3, 64, 64, generator=seeded()).requires_grad_()
    source = make_patch_source(
        striped(4), PatchPlaces.make(torch.full_like(labels, SKIN), face_roles().count), 1.0, seeded()
    )
    tone, strokes = sliced_wasserstein_distances(
        picture, PatchPlaces.make(labels, face_roles().count), [source], seeded(1)
    )
    (tone + strokes).backward()
    assert picture.grad is not None
    assert picture.grad[:, labels == MOUTH].abs().max() == 0
    assert picture.grad[:, labels == SKIN].abs().max() > 0


def test_patches_are_compared_within_their_part():
    labels = torch.full((64, 64), SKIN)
    labels[32:] = HAIR
    places = PatchPlaces.make(labels, face_roles().count)
    light_skin = torch.where(labels == SKIN, 0.9, 0.1).expand(3, -1, -1)
    source = make_patch_source(light_skin, places, 1.0, seeded())
    swapped = sliced_wasserstein_distances(1 - light_skin, places, [source], seeded(1))
    assert swapped[0] > 10 * sliced_wasserstein_distances(light_skin, places, [source], seeded(1))[0]


def test_the_seam_of_the_skin_is_closed(drawn):
    mesh = drawn[0]
    size = 256
    texture = 0.3 + 0.2 * torch.rand(3, size, size, generator=seeded())
    texture[:, :, size // 2 :] += 0.3
    seams = find_seams(mesh, size, largest_island_only=True)
    gap = measure_seams(texture, seams)
    texture[:, mark_texels(mesh, size) < 0] = 0.0  # what lies beyond the seam does not count
    texture[:, :, size // 2 :][:, mark_texels(mesh, size)[:, size // 2 :] < 0] = 1.0
    closed = close_seams(texture, seams)
    assert measure_seams(closed, seams) < 0.3 * gap
    untouched = (closed - extend_islands(mesh, texture)).abs().amax(0) == 0
    assert untouched.float().mean() > 0.5


def test_part_strengths_are_soft_and_local():
    labels = torch.full((256, 256), SKIN)
    labels[:128] = HAIR
    strengths = spread_strengths(labels, LabelStrengths(hair=0.0))
    assert strengths[:100].max() == 0
    assert strengths[150:].min() == 1
    assert 0.2 < strengths[128].mean() < 0.8


def test_kept_colors_are_the_sitters():
    red = torch.tensor([0.8, 0.1, 0.1])[:, None, None] * torch.rand(1, 40, 40, generator=seeded())
    blue = torch.tensor([0.1, 0.1, 0.8])[:, None, None] * torch.rand(1, 40, 40, generator=seeded(1))
    labels = torch.full((40, 40), SKIN)
    (kept,) = preserve_colors([crop_exemplar(red, labels)], crop_exemplar(blue, labels), seeded())
    assert isinstance(kept, StyleSource)
    assert kept.image[2].mean() > 3 * kept.image[0].mean()


def test_painted_shade_is_evened_out(drawn):
    mesh, seen, points, shown = drawn
    camera = view_camera(mesh.vertices, 0.0, 0.0, 300)
    side = torch.linspace(0.2, 1.0, 300).expand(3, 300, 300)
    labels = label_artwork(make_parts(shown), mesh, seen, points)
    evened = delight_artwork(side, labels, mesh, camera, seen, 1.0)
    skin = labels == SKIN
    assert evened[0, skin].std() < 0.6 * side[0, skin].std()
    assert torch.equal(evened[:, labels == UNLABELED][:, :100], side[:, labels == UNLABELED][:, :100])
    assert torch.equal(delight_artwork(side, labels, mesh, camera, seen, 0.0), side)
