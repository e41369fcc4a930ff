"""The chart: rays that leave the head on its surface, row below row, and close around it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import KDTree

from portraitist.hair.chart import CAP_ROWS, COLUMNS, HANGING_ROWS, HairChart, make_chart
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel

LOWEST = -0.25


@pytest.fixture(scope="module")
def chart(model: HeadModel) -> HairChart:
    return make_chart(model.mean.double().numpy(), LOWEST, model)


def measure_distances(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """To the nearest triangle that a point lies above or below; infinite where there is none."""
    a, b, c = corners.transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1)
    kept = areas > 1e-12
    a, b, c, normals = a[kept], b[kept], c[kept], (normals / areas[:, None].clip(1e-12))[kept]
    nearest = []
    for point in points:
        heights = ((point - a) * normals).sum(1)
        feet = point - heights[:, None] * normals
        sides = ((a, b), (b, c), (c, a))
        inside = np.all([(np.cross(q - p, feet - p) * normals).sum(1) > -1e-9 for p, q in sides], axis=0)
        nearest.append(np.abs(heights[inside]).min(initial=np.inf))
    return np.array(nearest)


def test_rays_leave_the_head_on_its_surface(chart: HairChart, model: HeadModel) -> None:
    places, vertices = chart.place(chart.skull), model.mean.double().numpy()
    skin = vertices[model.faces[model.face_mask("outer_skin") & ~model.face_mask("ears")].numpy()]
    scalp = vertices[model.faces[model.face_mask("scalp")].numpy()]
    assert measure_distances(places[chart.scalp][::7], scalp).max() < 2e-5
    face = np.abs(chart.azimuths) < 1.0  # no ears there
    assert (
        measure_distances(places[5:CAP_ROWS, face].reshape(-1, 3)[::7], skin) < 2e-5
    ).mean() > 0.95  # eyes are holes
    assert (chart.head >= chart.skull).all()
    ears = (chart.head > chart.skull + 0.003).any(0)
    assert set(np.sign(chart.azimuths[ears])) == {-1.0, 1.0}  # they stand out on both sides,
    assert (np.abs(chart.azimuths[ears]) > 0.6).all()  # not in the face


def test_scalp_is_up_and_behind(chart: HairChart) -> None:
    assert chart.scalp[:5].all()
    front, back = COLUMNS // 2, 0
    assert not chart.scalp[CAP_ROWS:, front].any()
    assert chart.scalp[CAP_ROWS, back]
    assert not chart.scalp[-1].any()


def test_hair_grows_on_temples_sideburns_and_behind_the_ears(chart: HairChart, model: HeadModel) -> None:
    """Not on the cheeks, the forehead, or the neck below the nape."""
    places = chart.place(chart.skull)
    assert (chart.growing | ~chart.scalp).all()

    def grows(y: float, z: float) -> list[bool]:
        sides = [np.linalg.norm(places - [sign * 0.07, y, z], axis=2).argmin() for sign in (-1, 1)]
        return [bool(chart.growing.ravel()[side]) for side in sides]

    for y, z in ((0.045, -0.03), (0.0, -0.048), (-0.03, -0.115)):  # temple, sideburn, behind the ear
        assert grows(y, z) == [True, True]
    for y, z in ((-0.04, -0.03), (0.0, -0.01), (-0.08, -0.09)):  # cheek, beside the eye, neck below the ear
        assert grows(y, z) == [False, False]
    front = np.abs(chart.azimuths) < 0.4
    forehead = (places[..., 1] > 0.03) & (places[..., 1] < 0.07) & front
    assert forehead.any()
    assert not chart.growing[forehead].any()


def test_a_neck_does_not_stand_out_of_what_falls_over_it(chart: HairChart, model: HeadModel) -> None:
    places = chart.place(chart.clear)
    neck = model.mean[model.vertex_ids("neck")].double().numpy()
    below = places[CAP_ROWS:]
    tree = KDTree(np.column_stack([np.sin(np.tile(chart.azimuths, len(below))), below[..., 1].ravel() * 10,
                                   np.cos(np.tile(chart.azimuths, len(below)))]))  # fmt: skip
    axis = chart.origins[0, 0]
    across = np.hypot(neck[:, 0] - axis[0], neck[:, 2] - axis[2])
    angle = np.arctan2(neck[:, 0] - axis[0], neck[:, 2] - axis[2])
    _, nearest = tree.query(np.column_stack([np.sin(angle), neck[:, 1] * 10, np.cos(angle)]))
    assert (chart.clear[CAP_ROWS:].ravel()[nearest] > across - 1e-6).all()
    assert (chart.clear >= chart.skull).all()
    assert (chart.clear[-1, nearest % COLUMNS] > across - 1e-6).all()  # what falls over it falls on


def test_rows_go_down_and_columns_once_around(chart: HairChart) -> None:
    assert chart.skull.shape == (CAP_ROWS + HANGING_ROWS, COLUMNS)
    assert (np.diff(chart.place(chart.skull)[..., 1], axis=0) < 0).all()
    assert np.allclose(chart.place(chart.skull)[-1, :, 1], LOWEST)
    assert np.allclose(np.linalg.norm(chart.directions, axis=-1), 1)
    assert (np.diff(chart.azimuths) > 0).all()
    front, left = (np.abs(chart.azimuths - angle).argmin() for angle in (0.0, np.pi / 2))
    assert np.allclose(chart.directions[-1, front], [0, 0, 1])
    assert np.allclose(chart.directions[-1, left], [1, 0, 0])
    assert np.allclose(chart.directions[-1, 0], [0, 0, -1])


def test_triangles_close_around_and_face_outwards(chart: HairChart) -> None:
    faces = chart.faces
    edges = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    assert len(np.unique(edges, axis=0)) == len(edges)  # never twice in one direction
    codes = set(map(tuple, edges))
    open_edges = np.array([edge for edge in edges if (edge[1], edge[0]) not in codes])
    rows = open_edges // COLUMNS
    assert len(open_edges) == 2 * COLUMNS
    assert set(rows.ravel()) == {0, CAP_ROWS + HANGING_ROWS - 1}
    places = chart.place(chart.skull)
    assert np.ptp(places[0], axis=0).max() < 1e-3  # the crown is a point
    normals = vertex_normals(places.reshape(-1, 3), faces).reshape(places.shape)
    assert (normals * chart.directions).sum(-1)[1:].min() > 0


def test_a_head_of_another_size_has_a_chart_of_its_size(chart: HairChart, model: HeadModel) -> None:
    large = make_chart(1.2 * model.mean.double().numpy(), 1.2 * LOWEST, model)
    assert np.allclose(large.skull, 1.2 * chart.skull, atol=2e-5)
    assert np.array_equal(large.scalp, chart.scalp)
