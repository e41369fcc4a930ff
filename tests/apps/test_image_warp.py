"""The photo moves with the head: exact where points are known, without folds elsewhere, still at its border."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from portraitist.apps.image_warp import SAME_DEPTH, MovingHead, PictureWarp, warp_with_head
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import Camera, LandmarkEmbedding

SIZE = (224, 288)  # not square, not a multiple of the grid


def exaggerate(vertices: Tensor) -> Tensor:
    """A caricature: cheeks and jaw drawn in to two fifths, the nose twice as large, the forehead wider."""
    x, y, z = vertices.unbind(1)
    low = torch.sigmoid((y.mean() - y) / 0.03)
    narrow = 1.25 - 0.85 * low
    nose = torch.exp(-((x / 0.03) ** 2) - ((y - y.mean()) / 0.04) ** 2)
    return torch.stack([x * narrow * (1 + nose), y - 0.02 * nose - 0.03 * low, z + 0.03 * nose], 1)


@pytest.fixture(scope="module", params=[0.0, 25.0], ids=["front", "turned"])
def taken(request, model: HeadModel) -> tuple[MovingHead, Camera]:
    view = view_camera(model.mean, request.param, 4.0, 200)
    x, y = view.center_px
    camera = Camera(view.rotation, view.scale_px, (x + 40, y + 12), SIZE)
    after = model.template.with_vertices(exaggerate(model.mean))
    return MovingHead(model.template, after, model.landmarks68), camera


@pytest.fixture(scope="module")
def warp(taken) -> PictureWarp:
    return warp_with_head(*taken, SIZE)


def find_seen(head: MovingHead, camera: Camera) -> Tensor:
    """Which landmarks are clearly seen all the way."""
    seen = torch.ones(68, dtype=torch.bool)
    for step in range(9):
        mesh = head.at(step / 8)
        fragments = rasterize(mesh, camera)
        depths = torch.full(SIZE, -torch.inf)
        shown = LandmarkEmbedding(fragments.face_ids[fragments.mask], fragments.barycentrics[fragments.mask])
        depths[fragments.mask] = camera.depth(shown.positions(mesh.vertices, mesh.faces))
        places = head.landmarks.positions(mesh.vertices, mesh.faces)
        columns, rows = camera.project(places).long().unbind(1)
        seen &= camera.depth(places) > depths[rows, columns] - SAME_DEPTH / 3
    return seen


def test_landmarks_that_are_seen_are_met(taken, warp):
    head, camera = taken
    before, after = (
        camera.project(head.landmarks.positions(mesh.vertices, mesh.faces)) for mesh in (head.before, head.after)
    )
    seen = find_seen(head, camera)
    assert seen.sum() >= 40
    off = (warp.trace_back(after) - before).norm(dim=1)[seen]
    assert off.quantile(0.9) < 0.01
    assert off.max() < 0.3  # at outlines the warp's coarser view decides what is seen
    assert (after - before).norm(dim=1).max() > 8  # they had far to go


def test_nothing_folds(warp):
    assert warp.areas.min() > 0.02


def test_the_border_stays(warp):
    height, width = SIZE
    along = torch.linspace(0, 1, 50)
    edges = [torch.stack([along * width, torch.full_like(along, y)], 1) for y in (0.0, float(height))]
    edges += [torch.stack([torch.full_like(along, x), along * height], 1) for x in (0.0, float(width))]
    for edge in edges:
        torch.testing.assert_close(warp.trace_back(edge), edge, atol=0.02, rtol=0)


def test_a_head_that_the_border_cuts_off_does_not_fold(model):
    """Nothing moves at the border, though the head there should."""
    view = view_camera(model.mean, 15.0, 0.0, 260)
    x, y = view.center_px
    camera = Camera(view.rotation, view.scale_px, (x - 60, y - 70), SIZE)
    after = model.template.with_vertices(exaggerate(model.mean))
    areas = warp_with_head(MovingHead(model.template, after, model.landmarks68), camera, SIZE).areas
    assert areas.min() > 0.01


def test_a_head_that_does_not_move_leaves_the_picture_as_it_is(taken):
    head, camera = taken
    picture = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))
    still = warp_with_head(MovingHead(head.before, head.before, head.landmarks), camera, SIZE)
    assert still.apply(picture) is picture


def test_what_shrinks_is_averaged(warp):
    """Stripes of one pixel in narrowed cheeks are gray, not other stripes."""
    stripes = (torch.arange(SIZE[1]) % 2).float().expand(3, *SIZE).contiguous()
    moved = warp.apply(stripes)
    areas = warp.areas
    assert (areas > 1.7).sum() > 500
    assert (moved[0][areas > 1.7] - 0.5).abs().mean() < 0.3
    assert (moved[0, 0] - stripes[0, 0]).abs().mean() < 0.05  # others stay sharp


def test_free_regions_pull_nothing(taken):
    """With another expression, lips are rendered: what they do is not asked of the photo."""
    head, camera = taken
    lips = torch.unique(head.before.faces[head.before.regions == 1])
    vertices = head.before.vertices.clone()
    vertices[lips, 1] -= 0.004
    moved = MovingHead(head.before, head.before.with_vertices(vertices), head.landmarks)
    bound, free = warp_with_head(moved, camera, SIZE), warp_with_head(moved, camera, SIZE, ("lips",))
    places = camera.project(vertices[lips])
    assert (free.trace_back(places) - places).norm(dim=1).mean() < (bound.trace_back(places) - places).norm(
        dim=1
    ).mean()
