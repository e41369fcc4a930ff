"""Light and shade of an artwork on the head: on the same side, where it belongs, and without the artwork's lines."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from conftest import make_parts, map_head
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import shade
from portraitist.rendering.uv_layout import mark_texels
from portraitist.segmentation.artwork import label_artwork
from portraitist.segmentation.parts import EYES, HAIR, SKIN, UNLABELED, label_faces
from portraitist.segmentation.texels import mark_face_texels
from portraitist.texture.exemplar import crop_exemplar
from portraitist.texture.label_colors import match_colors, match_tones, preserve_colors, share_palettes
from portraitist.texture.labels import TexelLabels, face_roles
from portraitist.texture.shading_transfer import transfer_shading, unwrap_shading
from portraitist.texture.views import Subject, render_front_view

SIZE, MIDDLE = 256, 0.025  # texels; meters from the nose that count as neither side


@pytest.fixture(scope="module")
def subject(model):
    """The mean head in one color; a light skin, dark eyes."""
    mesh = model.template
    ids = mark_texels(mesh, SIZE)
    labels = torch.where(ids >= 0, label_faces(mesh)[ids.clamp(min=0)], UNLABELED)
    texture = torch.where(labels == EYES, 0.2, 0.6).expand(3, SIZE, SIZE).clone()
    return Subject(mesh, texture, texture, TexelLabels.make(mesh, labels, face_roles(), mark_face_texels(mesh, SIZE)))


def paint_side(subject, model, yaw_deg: float = 0.0):
    """The head's own picture with one half of it in the dark, as an artwork that has light."""
    camera = view_camera(subject.mesh.vertices, yaw_deg, 0.0, 300)
    seen = rasterize(subject.mesh, camera)
    points = camera.project(model.landmarks68.positions(subject.mesh.vertices, subject.mesh.faces))
    labels = label_artwork(make_parts(map_head(subject.mesh, seen)), subject.mesh, seen, points)
    art = shade(seen, torch.where(find_across(subject) < 0, 0.4, 1.0) * subject.content, torch.ones(3))
    return crop_exemplar(art, labels, shading=unwrap_shading(art, labels, subject.mesh, seen))


def find_across(subject):
    """How far right each texel lies on the head."""
    return subject.mesh.vertices[subject.mesh.faces].mean(1)[:, 0][mark_texels(subject.mesh, SIZE).clamp(min=0)]


def measure_halves(subject, texture) -> tuple[float, float]:
    """Mean of the face's skin left and right of the nose, as the front view has it."""
    across, face = find_across(subject), mark_face_texels(subject.mesh, SIZE) & (subject.labels.map == SKIN)
    return tuple(texture[:, face & side].mean().item() for side in (across < -MIDDLE, across > MIDDLE))


@pytest.mark.parametrize("yaw_deg", [0.0, 25.0])
def test_shade_comes_on_the_side_where_the_artwork_has_it(subject, model, yaw_deg):
    source = paint_side(subject, model, yaw_deg)
    lit = transfer_shading(subject.content, subject, [source])
    left, right = measure_halves(subject, lit)
    assert left == pytest.approx(0.6 * 0.4, abs=0.08)
    assert right == pytest.approx(0.6, abs=0.05)
    middle = lit[:, subject.labels.map == EYES] - subject.content[:, subject.labels.map == EYES]
    assert middle.abs().mean() < 0.02  # eyes keep their light


def test_light_has_no_lines(subject, model):
    source = paint_side(subject, model)
    light = source.shading.clone()
    light[:3] += 0.4 * (torch.rand(light[:3].shape, generator=torch.Generator().manual_seed(0)) - 0.5)
    noisy = transfer_shading(subject.content, subject, [dataclasses.replace(source, shading=light)])
    smooth = transfer_shading(subject.content, subject, [source])
    assert (noisy - smooth)[:, mark_face_texels(subject.mesh, SIZE)].abs().mean() < 0.02


def test_without_light_nothing_changes(subject, model):
    source = paint_side(subject, model)
    dark = dataclasses.replace(source, shading=None)
    assert torch.equal(transfer_shading(subject.content, subject, [dark]), subject.content)
    unseen = dataclasses.replace(source, shading=torch.zeros_like(source.shading))
    assert torch.equal(transfer_shading(subject.content, subject, [unseen]), subject.content)
    generator = torch.Generator().manual_seed(0)
    front = render_front_view(subject.mesh, subject.content, subject.labels)
    assert preserve_colors([source], front, generator)[0].shading is None


def test_light_is_mixed_by_weight(subject, model):
    source = paint_side(subject, model)
    even = crop_exemplar(source.image, source.labels, shading=read_own_light(subject, model))
    mixed = transfer_shading(
        subject.content, subject, [dataclasses.replace(source, weight=0.5), dataclasses.replace(even, weight=0.5)]
    )
    whole = transfer_shading(subject.content, subject, [source])
    assert measure_halves(subject, mixed)[0] == pytest.approx((0.6 + measure_halves(subject, whole)[0]) / 2, abs=0.03)


def read_own_light(subject, model):
    camera = view_camera(subject.mesh.vertices, 0.0, 0.0, 300)
    points = camera.project(model.landmarks68.positions(subject.mesh.vertices, subject.mesh.faces))
    seen = rasterize(subject.mesh, camera)
    art = shade(seen, subject.content, torch.ones(3))
    labels = label_artwork(make_parts(map_head(subject.mesh, seen)), subject.mesh, seen, points)
    return unwrap_shading(art, labels, subject.mesh, seen)


def test_tones_are_matched_and_lines_stay(subject):
    generator = torch.Generator().manual_seed(0)
    lines = 0.1 * (torch.rand(3, SIZE, SIZE, generator=generator) - 0.5)
    texture = subject.content + lines
    art = torch.rand(3, 64, 64, generator=generator) * 0.2 + torch.tensor([0.5, 0.3, 0.2])[:, None, None]
    labels = torch.full((64, 64), SKIN)
    labels[:8] = HAIR
    front = render_front_view(subject.mesh, texture, subject.labels)
    shares = share_palettes(texture, subject.labels.map)
    recolored = match_colors(texture, subject.labels.map, shares, front, [crop_exemplar(art, labels)], generator)
    matched = match_tones(texture, recolored)
    face = mark_face_texels(subject.mesh, SIZE) & (subject.labels.map == SKIN)
    assert (matched[:, face].mean(1) - art.mean((1, 2))).abs().max() < 0.05

    def fine(image):
        return image - F.avg_pool2d(image[None], 9, stride=1, padding=4)[0]

    change = fine(matched) - fine(texture)
    assert change[:, face].std() < 0.1 * fine(texture)[:, face].std()


def test_a_front_shows_the_face_only(subject):
    texture = torch.zeros(3, SIZE, SIZE)
    face = mark_face_texels(subject.mesh, SIZE)
    texture[0][face] = 1.0
    texture[1][~face & (subject.labels.map == SKIN)] = 1.0  # scalp, neck and ears
    front = render_front_view(subject.mesh, texture, subject.labels)
    shown = front.image[:, front.labels == SKIN]
    assert shown[0].mean() > 0.97
    assert shown[1].mean() < 0.03
