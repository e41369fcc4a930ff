"""The bust of a photo: closed, on the neck's own border, in the clothes' colors all around."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import trimesh

from bust.drawn_bust import RED, SIZE_PX, crop_below, draw_bust
from hair.drawn_hair import SKIN
from portraitist.bust.draping import drape_layers
from portraitist.bust.following import follow_head
from portraitist.bust.torso_model import load_torso_model
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.cameras import head_camera
from portraitist.rendering.layers import rasterize_parts
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import render
from portraitist.types import Head, Layer, Mesh


def close_to(picture: torch.Tensor, color: torch.Tensor, mask: torch.Tensor) -> float:
    """Share of the masked pixels that have the color."""
    near = (picture - color[:, None, None]).abs().amax(0) < 0.08
    return (near & mask).sum().item() / mask.sum().item()


def list_layer(bust: Layer) -> trimesh.Trimesh:
    return trimesh.Trimesh(bust.mesh.vertices.numpy(), bust.mesh.faces.numpy(), process=True)


@pytest.mark.parametrize("neckline", [-0.16, -0.25])  # a collar; bare shoulders' beginning
def test_a_bust_is_a_closed_solid(neckline):
    bust = draw_bust(neckline).bust.head.layers[-1]
    solid = list_layer(bust)
    assert bust.name == "bust"
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert 0.005 < solid.volume < 0.06  # cubic meters


def test_bare_skin_begins_at_the_necks_own_vertices():
    drawn, torso = draw_bust(-0.25), load_torso_model()
    columns = len(torso.mean_ring)
    rows = drawn.bust.head.layers[-1].mesh.vertices[: columns * len(drawn.body)].reshape(-1, columns, 3)
    front = columns // 2
    ring = drawn.fit.mesh.vertices[torch.tensor(torso.ring)]
    assert torch.allclose(
        rows[torso.ring_row, front - 9 : front + 12 : 3], ring[front // 3 - 3 : front // 3 + 4], atol=1e-6
    )


def test_a_collar_lies_over_the_neck_and_bare_skin_hides_nothing():
    covered, bare = draw_bust(-0.16), draw_bust(-0.25)
    for drawn, worn in ((covered, True), (bare, False)):
        head = drawn.bust.head
        own, rest = rasterize_parts([head.mesh, head.layers[-1].mesh], drawn.fit.camera)
        throat = drawn.fit.camera.project(torch.tensor([[0.0, -0.18, 0.0]]))[0].long()
        assert bool(rest.mask[throat[1], throat[0]]) == worn
        assert bool(own.mask[throat[1], throat[0]]) != worn


def test_the_outline_is_the_photos():
    drawn = draw_bust()
    head = drawn.bust.head
    shown = torch.stack([part.mask for part in rasterize_parts([head.mesh, head.layers[-1].mesh], drawn.fit.camera)])
    rows = slice(0, int(SIZE_PX[0] * 0.9))
    a, b = shown.any(0)[rows], drawn.person[rows] > 0.5
    assert (a & b).sum() / (a | b).sum() > 0.96  # cloth is thicker than the drawn body, which has none


def test_clothes_have_their_color_all_around():
    head = draw_bust().bust.head
    bust = head.layers[-1].mesh
    for yaw in (0.0, 40.0, 180.0):
        camera = head_camera(head, yaw, 0.0, 160)
        seen = rasterize_parts([head.mesh, bust], camera)[1]
        places = (bust.vertices[bust.faces[seen.face_ids.clamp(min=0)]] * seen.barycentrics[..., None]).sum(-2)
        assert close_to(render(head, camera), RED, seen.mask & (places[..., 1] < -0.24)) > 0.95, yaw


def test_without_clothes_shoulders_are_bare():
    drawn = crop_below(draw_bust(), 195)  # the chin's height
    assert drawn.cloth.sum() == 0
    head = drawn.bust.head
    camera = head_camera(head, 0.0, 0.0, 160)
    seen = rasterize_parts([head.mesh, head.layers[-1].mesh], camera)[1]
    assert close_to(render(head, camera), SKIN, seen.mask) > 0.95
    assert float(drawn.bust.bare.min()) == 1


def stretch(content: Head) -> Head:
    """Exaggerated: the neck thinner and higher than it was."""
    vertices = content.mesh.vertices * torch.tensor([0.8, 1.1, 0.9]) + torch.tensor([0.0, 0.02, 0.01])
    return dataclasses.replace(content, mesh=content.mesh.with_vertices(vertices), layers=())


def test_the_bust_follows_a_stylized_head():
    drawn, torso = draw_bust(-0.25), load_torso_model()
    before = drawn.bust.head.layers[-1]
    content = dataclasses.replace(drawn.bust.head, layers=())
    stylized = follow_head(before, content, stretch(content))
    after = stylized.layers[-1]
    assert torch.equal(after.original, before.original)
    columns = len(torso.mean_ring)
    ring = after.mesh.vertices[: columns * len(drawn.body)].reshape(-1, columns, 3)[torso.ring_row]
    front = columns // 2
    own = stylized.mesh.vertices[torch.tensor(torso.ring)]
    assert torch.allclose(ring[front - 9 : front + 12 : 3], own[front // 3 - 3 : front // 3 + 4], atol=1e-5)
    wide = [np.ptp(layer.mesh.vertices[:, 0].numpy()) for layer in (before, after)]
    assert wide[1] / wide[0] == pytest.approx(0.82, abs=0.05)
    assert list_layer(after).is_watertight
    same = follow_head(before, content, content).layers[-1]
    assert torch.allclose(same.mesh.vertices, before.mesh.vertices, atol=1e-6)


def hang_curtain(depth: float) -> Layer:
    """A sheet of hair before or in the chest."""
    x, y = torch.meshgrid(torch.linspace(-0.12, 0.12, 25), torch.linspace(-0.35, -0.22, 25), indexing="ij")
    vertices = torch.stack([x, y, torch.full_like(x, depth)], -1).reshape(-1, 3)
    ids = torch.arange(625).reshape(25, 25)
    a, b, c, d = ids[:-1, :-1], ids[1:, :-1], ids[:-1, 1:], ids[1:, 1:]
    faces = torch.cat([torch.stack([a, b, d], -1).reshape(-1, 3), torch.stack([a, d, c], -1).reshape(-1, 3)])
    mesh = Mesh(vertices, faces, vertices[:, :2], faces, torch.full((len(faces),), 12))
    return Layer("hair", mesh, torch.zeros(3, 4, 4), vertices)


def test_long_hair_lies_on_the_clothes_and_looks_as_it_did():
    head = draw_bust().bust.head
    curtain = hang_curtain(-0.06)
    (draped,) = drape_layers([curtain], head.layers[-1].mesh)
    assert torch.allclose(draped.mesh.vertices[:, :2], curtain.mesh.vertices[:, :2])
    camera = head_camera(head, 0.0, 0.0, 200)
    alone = rasterize(curtain.mesh, camera).mask
    seen = [rasterize_parts([head.layers[-1].mesh, x.mesh], camera)[1].mask for x in (curtain, draped)]
    assert (seen[0] & alone).sum() < 0.7 * alone.sum()
    assert (seen[1] & alone).sum() > 0.98 * alone.sum()
    (still,) = drape_layers([hang_curtain(0.2)], head.layers[-1].mesh)
    assert torch.equal(still.mesh.vertices, hang_curtain(0.2).mesh.vertices)


def test_model_and_photo_agree_on_the_ring():
    assert len(load_torso_model().ring) * 3 == load_torso_model().mean.shape[1]
    assert load_head_model().mean.shape[1] == 3
