"""A head and its layers in one view: who is in front, in which colors, and that nothing is cut off."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import trimesh

from conftest import add_layers, make_head, make_layer, make_marked_head
from portraitist.rendering.cameras import NAMED_VIEWS, head_camera, view_camera
from portraitist.rendering.layers import list_parts, rasterize_parts
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import render, render_cutout, render_view, shade, shade_parts
from portraitist.types import Camera, Head, Layer

VIEWS = [*NAMED_VIEWS.values(), (180.0, 0.0), (75.0, 30.0)]


@pytest.fixture(scope="module")
def layered() -> Head:
    return add_layers(make_marked_head())


def plain_colors(head: Head) -> Head:
    """Green skin, red hair, blue headwear."""
    green, red, blue = (torch.eye(3)[i][:, None, None].expand(3, 8, 8) for i in (1, 0, 2))
    hair, headwear = head.layers
    layers = (dataclasses.replace(hair, texture=red), dataclasses.replace(headwear, texture=blue))
    return dataclasses.replace(head, texture=green, layers=layers)


def measure_depth(part, seen, camera: Camera) -> torch.Tensor:
    """Depth in meters of what is seen, minus infinity beside it."""
    corners = camera.depth(part.vertices)[part.faces[seen.face_ids.clamp(min=0)]]
    return torch.where(seen.mask, (corners * seen.barycentrics).sum(-1), -torch.inf)


def test_the_layers_of_these_tests_are_closed_and_turned_outwards(layered: Head):
    for layer in layered.layers:
        mesh = trimesh.Trimesh(layer.mesh.vertices.numpy(), layer.mesh.faces.numpy(), process=False)
        assert mesh.is_watertight
        assert mesh.volume > 1e-4


@pytest.mark.parametrize("angles", VIEWS)
def test_each_pixel_shows_the_part_that_is_nearest_when_each_is_seen_alone(layered: Head, angles: tuple[float, float]):
    camera = head_camera(layered, *angles, 96)
    meshes = [mesh for mesh, _ in list_parts(layered)]
    together, alone = rasterize_parts(meshes, camera), [rasterize(mesh, camera) for mesh in meshes]
    masks = torch.stack([seen.mask for seen in together])
    assert torch.equal(masks.sum(0), torch.stack([seen.mask for seen in alone]).any(0).long())
    assert masks.sum((1, 2)).min() > 20
    depths = torch.stack([measure_depth(*part, camera) for part in zip(meshes, alone, strict=True)])
    nearest, second = depths.sort(0, descending=True).values[:2]
    clear = (nearest - second > 1e-5) & masks.any(0)
    assert torch.equal(masks.int().argmax(0)[clear], depths.argmax(0)[clear])
    for seen, own in zip(together, alone, strict=True):
        for name in ("face_ids", "barycentrics", "uv", "uv_footprint"):
            torch.testing.assert_close(getattr(seen, name)[seen.mask], getattr(own, name)[seen.mask], atol=1e-3, rtol=0)
            assert not getattr(seen, name)[~seen.mask].clamp(min=0).any()
        assert (seen.face_ids[~seen.mask] == -1).all()


@pytest.mark.parametrize("angles", VIEWS)
def test_where_surfaces_coincide_the_later_is_seen(layered: Head, angles: tuple[float, float]):
    camera, mesh = view_camera(layered.mesh.vertices, *angles, 200), layered.mesh
    first, second = rasterize_parts([mesh, mesh], camera)
    assert second.mask.sum() > 9000
    assert first.mask.sum() == 0


def test_one_mesh_is_seen_as_alone(head: Head):
    camera = view_camera(head.mesh.vertices, 20.0, 10.0, 64)
    (seen,), alone = rasterize_parts([head.mesh], camera), rasterize(head.mesh, camera)
    assert all(torch.equal(value, getattr(alone, name)) for name, value in vars(seen).items())
    assert torch.equal(render(head, camera), render_view(head.mesh, head.texture, camera, torch.ones(3)))


def test_each_part_has_the_colors_of_its_own_texture(layered: Head):
    colored = plain_colors(layered)
    camera = head_camera(colored, 0.0, 0.0, 96)
    picture, ground = render(colored, camera, torch.zeros(3), supersample=1), torch.zeros(3)
    seen = rasterize_parts([mesh for mesh, _ in list_parts(colored)], camera)
    for channel, part in zip((1, 0, 2), seen, strict=True):
        torch.testing.assert_close(picture[:, part.mask].T, torch.eye(3)[channel].expand(int(part.mask.sum()), 3))
    beside = ~torch.stack([part.mask for part in seen]).any(0)
    assert torch.equal(picture[:, beside], ground[:, None].expand(-1, int(beside.sum())))


def test_gradients_reach_every_texture(layered: Head):
    seen = rasterize_parts([mesh for mesh, _ in list_parts(layered)], head_camera(layered, 0.0, 0.0, 64))
    textures = [torch.rand(3, 8, 8, requires_grad=True) for _ in seen]
    shade_parts(seen, textures, torch.ones(3)).sum().backward()
    for texture, part in zip(textures, seen, strict=True):
        alone = texture.detach().clone().requires_grad_()
        shade(part, alone, torch.ones(3)).sum().backward()
        assert torch.equal(texture.grad, alone.grad)
        assert texture.grad.sum() > 0


@pytest.mark.parametrize("angles", VIEWS)
def test_long_hair_is_not_cut_off(layered: Head, angles: tuple[float, float]):
    hair = layered.layers[0]
    stretched = hair.mesh.vertices * torch.tensor([1.0, 3.0, 1.0])
    long = Layer("hair", hair.mesh.with_vertices(stretched), hair.texture, stretched)
    camera = head_camera(dataclasses.replace(layered, layers=(long,)), *angles, 128)
    for vertices in (stretched, layered.mesh.vertices):
        pixels = camera.project(vertices)
        assert pixels.min() >= 0
        assert pixels.max() <= 128


def test_a_bare_head_is_framed_as_its_vertices_are():
    head = make_head()
    ours, theirs = head_camera(head, 20.0, 5.0, 64, margin=1.2), view_camera(head.mesh.vertices, 20.0, 5.0, 64, 1.2)
    assert torch.equal(ours.rotation, theirs.rotation)
    assert (ours.scale_px, ours.center_px, ours.size) == (theirs.scale_px, theirs.center_px, theirs.size)
    assert (
        head_camera(dataclasses.replace(head, layers=(make_layer(head),)), 20.0, 5.0, 64).scale_px < ours.scale_px * 1.2
    )


def test_a_cutout_over_a_ground_is_the_picture_on_that_ground(layered: Head):
    camera = head_camera(layered, 20.0, 5.0, 48)
    cutout = render_cutout(layered, camera, supersample=2)
    for ground in (torch.ones(3), torch.tensor([0.2, 0.5, 0.9])):
        over = cutout[:3] * cutout[3:] + ground[:, None, None] * (1 - cutout[3:])
        torch.testing.assert_close(over, render(layered, camera, ground, supersample=2), atol=1e-5, rtol=0)


def test_a_cutout_has_no_fringe(layered: Head):
    """Of a head in one color, the outline has that color, however little of a pixel it covers."""
    red = torch.tensor([0.8, 0.1, 0.1])[:, None, None].expand(3, 8, 8)
    layers = tuple(dataclasses.replace(layer, texture=red) for layer in layered.layers)
    head = dataclasses.replace(layered, texture=red, layers=layers)
    cutout = render_cutout(head, head_camera(head, 20.0, 5.0, 48), supersample=4)
    outline = (cutout[3] > 0) & (cutout[3] < 1)
    assert outline.sum() > 60
    assert len(cutout[3][outline].unique()) > 8  # smooth
    torch.testing.assert_close(cutout[:3, cutout[3] > 0], red[:, :1, 0].expand(3, int((cutout[3] > 0).sum())))
    assert not cutout[:, cutout[3] == 0].any()
