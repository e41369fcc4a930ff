"""Inside and outside on a grid, the surface between them, and openings closed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import trimesh

from portraitist.mesh.closing import close_openings
from portraitist.mesh.grid_lines import cut_grid
from portraitist.mesh.marching_cubes import CORNERS, march_cubes

SHAPE = (44, 34, 34)
CENTER = np.array([15.3, 16.2, 16.1])
RADIUS = 10.0
SHIFT = np.array([7, 1, 0.5])


@pytest.fixture(scope="module")
def ball() -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(3, RADIUS)
    ball.apply_translation(CENTER)
    return ball


def join(*meshes: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    whole = trimesh.util.concatenate(meshes)
    return np.asarray(whole.vertices), np.asarray(whole.faces)


def node_places() -> np.ndarray:
    return np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)


def test_a_node_is_inside_where_the_mesh_has_it(ball: trimesh.Trimesh):
    inside, _ = cut_grid(*join(ball), SHAPE)
    distance = np.linalg.norm(node_places() - CENTER, axis=-1)
    assert inside[distance < RADIUS - 0.2].all()
    assert not inside[distance > RADIUS].any()


def test_overlapping_pieces_are_united_without_inner_walls(ball: trimesh.Trimesh):
    other = ball.copy()
    other.apply_translation(SHIFT)
    inside, crossings = cut_grid(*join(ball, other), SHAPE)
    alone = [cut_grid(*join(mesh), SHAPE)[0] for mesh in (ball, other)]
    np.testing.assert_array_equal(inside, alone[0] | alone[1])
    for axis, crossed in enumerate(crossings):
        place = np.stack(np.unravel_index(crossed.edge, SHAPE), 1).astype(float)
        place[:, axis] += crossed.share
        nearest = np.minimum(*(np.linalg.norm(place - center, axis=1) for center in (CENTER, CENTER + SHIFT)))
        assert nearest.min() > RADIUS - 0.2


def test_what_is_turned_inside_out_within_a_body_leaves_it_whole(ball: trimesh.Trimesh):
    """As skin that passes through itself: it winds around the middle once more, or once less than twice."""
    small = ball.copy()
    small.apply_transform(trimesh.transformations.scale_matrix(0.5, CENTER))
    inverted = small.copy()
    inverted.invert()
    alone, _ = cut_grid(*join(ball), SHAPE)
    for pieces in ((ball, small), (ball, ball, inverted)):
        np.testing.assert_array_equal(cut_grid(*join(*pieces), SHAPE)[0], alone)
    hollow, _ = cut_grid(*join(ball, inverted), SHAPE)
    assert hollow.sum() < alone.sum()


def test_crossings_lie_on_their_triangles(ball: trimesh.Trimesh):
    vertices, faces = join(ball)
    inside, crossings = cut_grid(vertices, faces, SHAPE)
    for axis, crossed in enumerate(crossings):
        place = np.stack(np.unravel_index(crossed.edge, SHAPE), 1).astype(float)
        place[:, axis] += crossed.share
        on_triangle = (vertices[faces[crossed.face]] * crossed.weights[..., None]).sum(1)
        np.testing.assert_allclose(on_triangle, place, atol=1e-9)
        assert crossed.weights.min() > -1e-9
        changes = np.diff(inside.astype(int), axis=axis) != 0
        assert set(np.ravel_multi_index(np.nonzero(changes), SHAPE)) <= set(crossed.edge)


def test_nodes_and_edges_on_lines_of_the_grid_tear_nothing():
    """Every vertex is a node, and every edge lies on lines: all ties at once."""
    box = trimesh.creation.box(extents=[10, 10, 10])
    box.apply_translation([12, 12, 12])
    inside, _ = cut_grid(*join(box), (24, 24, 24))
    assert inside[8:17, 8:17, 8:17].all()
    assert inside.sum() <= 11**3


def make_surface(inside: np.ndarray) -> trimesh.Trimesh:
    """Vertices in the middles of edges."""
    edges, triangles, spokes = march_cubes(inside)
    points = []
    for axis, own in enumerate(edges):
        place = np.stack(np.unravel_index(own, inside.shape), 1).astype(float)
        place[:, axis] += 0.5
        points.append(place)
    rim = np.concatenate(points)
    middles = [rim[spokes[spokes[:, 0] == number, 1]].mean(0) for number in range(len(rim), triangles.max() + 1)]
    return trimesh.Trimesh(np.concatenate([rim, np.reshape(middles, (-1, 3))]), triangles, process=False)


@pytest.mark.parametrize("density", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_chance_grids_have_closed_surfaces_turned_outwards(density: float):
    inside = np.zeros((12, 13, 14), bool)
    inside[1:-1, 1:-1, 1:-1] = np.random.default_rng(0).random((10, 11, 12)) < density
    surface = make_surface(inside)
    assert surface.is_watertight
    assert surface.is_winding_consistent
    assert surface.is_volume
    assert 0.1 * inside.sum() < surface.volume < 1.5 * inside.sum()


def test_every_kind_of_cell_is_closed_by_its_neighbors():
    for kind in range(1, 256):
        inside = np.zeros((4, 4, 4), bool)
        inside[tuple(CORNERS[[kind >> n & 1 == 1 for n in range(8)]].T + 1)] = True
        assert make_surface(inside).is_volume, kind


def test_diagonal_neighbors_are_apart():
    inside = np.zeros((5, 5, 5), bool)
    inside[1, 1, 2] = inside[2, 2, 2] = True
    assert make_surface(inside).body_count == 2


def test_openings_are_closed(ball: trimesh.Trimesh):
    vertices, faces = join(ball)
    kept = np.abs(vertices[faces][..., 2].mean(1) - CENTER[2]) < 6
    closed = trimesh.Trimesh(*close_openings(vertices, faces[kept]), process=False)
    assert not trimesh.Trimesh(vertices, faces[kept]).is_watertight
    assert closed.is_watertight
    assert closed.is_winding_consistent
    assert 0.8 * ball.volume < closed.volume < ball.volume


def test_the_lowest_opening_goes_down_to_the_floor(ball: trimesh.Trimesh):
    vertices, faces = join(ball)
    kept = np.abs(vertices[faces][..., 2].mean(1) - CENTER[2]) < 6
    closed = trimesh.Trimesh(*close_openings(vertices, faces[kept], floor=-2.0), process=False)
    closed.remove_unreferenced_vertices()
    assert closed.is_watertight
    assert closed.is_winding_consistent
    base = closed.area_faces[(closed.triangles[..., 2] == -2.0).all(1)].sum()
    assert base == pytest.approx(np.pi * (RADIUS**2 - 6**2), rel=0.1)
    assert closed.vertices[:, 2].max() == pytest.approx(CENTER[2] + 6, abs=1)


def test_what_is_closed_stays_as_it_is(ball: trimesh.Trimesh):
    vertices, faces = join(ball)
    for floor in (None, 0.0):
        for got, expected in zip(close_openings(vertices, faces, floor), (vertices, faces), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_openings_that_meet_in_a_point_are_closed(ball: trimesh.Trimesh):
    """Two triangles at one vertex are missing: the rim goes through it twice."""
    vertices, faces = join(ball)
    around = np.flatnonzero((faces == 0).any(1))
    first, second = next(
        pair for pair in itertools.combinations(around, 2) if len({*faces[pair[0]]} & {*faces[pair[1]]}) == 1
    )
    closed = close_openings(vertices, np.delete(faces, [first, second], axis=0))
    edges = closed[1][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    there = sorted(map(tuple, edges.tolist()))
    assert there == sorted((b, a) for a, b in there)
