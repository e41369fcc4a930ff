"""The mesh of a layer: closed, turned outwards, cut exactly where it ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from hair.drawn_hair import BUSHY, SHORT, draw_head
from portraitist.hair.blending import find_outer_side
from portraitist.hair.surface import clip_triangles, cut_layer
from portraitist.types import REGIONS, Layer

DRAWN = [(SHORT, 0.0, None), (SHORT, 25.0, None), (BUSHY, 0.0, 0.07)]
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


@pytest.fixture(params=DRAWN, ids=["short", "turned", "hat"])
def layers(request: pytest.FixtureRequest) -> tuple[Layer, ...]:
    return draw_head(*request.param).layers


def measure_areas(values: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Signed, in the plane."""
    a, b, c = values[faces].transpose(1, 0, 2)
    (x, y), (u, v) = (b - a).T, (c - a).T
    return (x * v - y * u) / 2


def test_layers_are_closed_and_turned_outwards(layers: tuple[Layer, ...]) -> None:
    for layer in layers:
        mesh = trimesh.Trimesh(layer.mesh.vertices.numpy(), layer.mesh.faces.numpy(), process=False)
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        assert mesh.volume > 1e-5
        edges = np.sort(mesh.edges, axis=1)
        _, counts = np.unique(edges, axis=0, return_counts=True)
        assert (counts == 2).all()
        assert len(mesh.split(only_watertight=False)) == 1
        assert set(np.unique(layer.mesh.faces)) == set(range(len(layer.mesh.vertices)))


def test_regions_and_uvs_are_a_layers(layers: tuple[Layer, ...]) -> None:
    for layer in layers:
        mesh = layer.mesh
        assert (mesh.regions == REGIONS.index(layer.name)).all()
        assert mesh.faces.shape == mesh.uv_faces.shape
        assert mesh.uvs.min() >= 0
        assert mesh.uvs.max() <= 1
        corners = mesh.uvs[mesh.uv_faces]
        assert (corners[..., 0].amax(1) - corners[..., 0].amin(1)).max() < 0.05  # no triangle goes back around
        assert set(mesh.uv_faces.unique().tolist()) == set(range(len(mesh.uvs)))
        assert layer.original is mesh.vertices


def test_uvs_say_where_on_the_head_a_point_is(layers: tuple[Layer, ...]) -> None:
    """u goes once around from the middle of the back, by the sitter's right ear, and v downwards."""
    mesh = layers[0].mesh
    x, y, z = mesh.vertices[mesh.faces].mean(1).T
    u, v = mesh.uvs[mesh.uv_faces].mean(1).T
    assert (x[(u > 0.2) & (u < 0.3)] < 0).all()
    assert (x[(u > 0.7) & (u < 0.8)] > 0).all()
    below = v > 0.2
    assert z[below & ((u < 0.05) | (u > 0.95))].max() < -0.1
    assert np.corrcoef(v.numpy(), y.numpy())[0, 1] < -0.8


def test_sides_of_what_hangs_free_look_like_what_lies_beside_them() -> None:
    """Not like streaks of the border's texels."""
    drawn = draw_head(BUSHY)
    mesh = drawn.layers[0].mesh
    outer, _ = find_outer_side(mesh)
    sides = slice(2 * len(outer.faces), None)
    corners, uvs = mesh.vertices[mesh.faces][sides].reshape(-1, 3), mesh.uvs[mesh.uv_faces][sides].reshape(-1, 2)
    off_head = torch.cdist(corners, drawn.fit.mesh.vertices).amin(1).reshape(-1, 3).amax(1).numpy() > 0.015
    areas = np.abs(measure_areas(uvs.numpy(), np.arange(len(uvs)).reshape(-1, 3)))
    assert off_head.sum() > 100
    assert (areas[off_head] > 1e-6).mean() > 0.9


def test_the_inner_side_follows_the_outer_without_a_jump() -> None:
    chart = draw_head(SHORT).shell.chart
    last = chart.place_inner_side(chart.skull, -0.002)
    for thickness in np.linspace(0.0005, 0.03, 60):
        inner = chart.place_inner_side(chart.skull + thickness, -0.002)
        assert np.linalg.norm(inner - last, axis=-1).max() < 0.004
        last = inner


def test_the_inner_side_lies_under_the_skin_and_the_outer_over_it() -> None:
    drawn = draw_head(SHORT)
    shell, vertices = drawn.shell, drawn.layers[0].mesh.vertices.numpy()
    middle = np.array([0.0, shell.chart.origins[0, 0, 1], shell.chart.origins[0, 0, 2]])
    upper = vertices[vertices[:, 1] > middle[1] + 0.02]
    reach = np.linalg.norm(upper - middle, axis=1)
    inner, outer = shell.chart.skull.min(), shell.radii.max()
    assert reach.min() > inner - 0.013
    assert reach.max() < outer + 1e-3


def test_where_nothing_is_covered_there_is_no_mesh() -> None:
    drawn = draw_head(SHORT)
    shell = drawn.shell
    nothing = np.zeros_like(shell.radii)
    assert cut_layer(shell.chart, shell.radii, nothing, nothing, "hair", drawn.fit) is None
    assert cut_layer(shell.chart, shell.radii, nothing + 0.8, nothing + 0.9, "hair", drawn.fit) is None


def test_only_the_largest_piece_is_kept() -> None:
    drawn = draw_head(SHORT)
    shell = drawn.shell
    share, nothing = np.zeros_like(shell.radii), np.zeros_like(shell.radii)
    share[:15] = 1.0
    whole = cut_layer(shell.chart, shell.radii, share, nothing, "hair", drawn.fit)
    share[40:43, 40:43] = 1.0  # hangs on nothing
    again = cut_layer(shell.chart, shell.radii, share, nothing, "hair", drawn.fit)
    assert whole is not None
    assert again is not None
    assert whole.vertices.shape == again.vertices.shape


@pytest.mark.parametrize(
    ("level", "area"),
    [
        ([-0.3, 0.7, 0.7, -0.3], 0.7),  # x > 0.3
        ([0.3, -0.7, -0.7, 0.3], 0.3),  # x < 0.3
        ([-1.5, -0.5, 0.5, -0.5], 0.125),  # x + y > 1.5
        ([1.5, 0.5, -0.5, 0.5], 0.875),  # x + y < 1.5
        ([-0.25, -0.25, 0.75, 0.75], 0.75),  # y > 0.25
    ],
)
def test_clipped_squares_have_their_exact_area(level: list[float], area: float) -> None:
    values, faces = clip_triangles(HALVES, SQUARE, np.array(level))
    areas = measure_areas(values, faces)
    assert areas.sum() == pytest.approx(area, abs=1e-9)
    assert (areas > 0).all()  # triangles keep their sense
    assert len(np.unique(values, axis=0)) == len(values)  # neighbors share the new vertices
    assert set(np.unique(faces)) == set(range(len(values)))


def test_clipping_keeps_all_or_nothing() -> None:
    values, faces = clip_triangles(HALVES, SQUARE, np.ones(4))
    assert np.array_equal(values[faces], SQUARE[HALVES])
    values, faces = clip_triangles(HALVES, SQUARE, -np.ones(4))
    assert len(faces) == 0


def test_a_border_through_vertices_leaves_no_slivers_open() -> None:
    """The level is exactly zero along the diagonal: one half, whichever."""
    values, faces = clip_triangles(HALVES, SQUARE, np.array([0.0, -1.0, 0.0, 1.0]))
    assert measure_areas(values, faces).sum() == pytest.approx(0.5, abs=1e-4)
