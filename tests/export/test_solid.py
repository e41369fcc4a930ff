"""A head as one closed body: what printers ask for, whatever the head."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree

from conftest import add_layers, make_head, make_layer, make_marked_head
from portraitist import InputError
from portraitist.export.solid import CELL_MM, Solid, build_solid, describe_doubts, turn_upright
from portraitist.mesh.carrying import pose_head
from portraitist.types import EXPRESSION_NAMES, REGIONS, Head

HEIGHT_MM = 40.0


def as_mesh(solid: Solid) -> trimesh.Trimesh:
    return trimesh.Trimesh(solid.vertices, solid.faces, process=False)


def assert_printable(solid: Solid, height_mm: float = HEIGHT_MM) -> None:
    mesh = as_mesh(solid)
    assert mesh.is_volume  # watertight, consistent, outwards
    assert mesh.body_count == 1
    assert np.isfinite(solid.vertices).all()
    low, high = mesh.bounds
    assert low[2] == pytest.approx(0, abs=1e-4)
    assert high[2] == pytest.approx(height_mm, abs=1e-3)
    assert low[:2] + high[:2] == pytest.approx(0, abs=1e-3)


@pytest.fixture(scope="module")
def marked() -> Head:
    return make_marked_head()


@pytest.fixture(scope="module")
def solid(marked: Head) -> Solid:
    return build_solid(marked, HEIGHT_MM)


def place_head(head: Head, solid: Solid, points: np.ndarray) -> np.ndarray:
    """Points of head space in the print, as far as its box tells."""
    turned, own = points[:, [0, 2, 1]] * [1, -1, 1], turn_upright(head.mesh)
    scale = np.ptp(solid.vertices[:, 2]) / np.ptp(own[:, 2])
    middle = (own.min(0) + own.max(0)) / 2
    return (turned - [*middle[:2], own[:, 2].min()]) * scale


def test_it_is_one_closed_body(solid: Solid):
    assert_printable(solid)
    assert solid.lost_mm3 < 1


def test_it_is_the_head(marked: Head, solid: Solid):
    """Every vertex of the skin's outside is on the body, no further than a cell and what smoothing takes away."""
    ears = np.isin(marked.mesh.regions.numpy(), [REGIONS.index(name) for name in ("ears", "scalp", "nose", "brows")])
    ids = np.unique(marked.mesh.faces.numpy()[ears])
    points = place_head(marked, solid, marked.mesh.vertices.numpy()[ids])
    distances, _ = cKDTree(solid.vertices).query(points)
    assert np.percentile(distances, 95) < 2 * CELL_MM
    assert distances.max() < 4 * CELL_MM


def test_it_looks_towards_minus_y(marked: Head, solid: Solid):
    noses = solid.vertices[solid.regions == REGIONS.index("nose")]
    assert noses[:, 1].max() < solid.vertices[:, 1].mean()
    assert abs(noses[:, 2].mean() - 0.5 * HEIGHT_MM) < 0.2 * HEIGHT_MM
    left_ear = marked.mesh.vertices[:, 0].argmax()  # +x is the sitter's own left there and here
    assert place_head(marked, solid, marked.mesh.vertices[left_ear].numpy()[None])[0, 0] > 0


def test_colors_are_those_of_the_texture(marked: Head):
    """Red is u: the color of the body next to each vertex of the head says where in the texture it is."""
    solid = build_solid(marked, 60.0)
    brows = np.unique(marked.mesh.faces.numpy()[marked.mesh.regions.numpy() == REGIONS.index("brows")])
    corners = {int(v): uv for v, uv in zip(marked.mesh.faces.ravel(), marked.mesh.uv_faces.ravel(), strict=True)}
    uvs = marked.mesh.uvs[[int(corners[int(vertex)]) for vertex in brows]].numpy()
    distances, nearest = cKDTree(solid.vertices).query(place_head(marked, solid, marked.mesh.vertices.numpy()[brows]))
    seen = solid.colors[nearest] / 255
    assert distances.max() < 1
    np.testing.assert_allclose(seen[:, :2], uvs, atol=0.02)


def test_shut_eyes_and_mouth_leave_no_hollow(marked: Head):
    """Neither a bubble, which would be a surface of its own, nor a tunnel: it is a ball with the ears' curls."""
    closed = pose_head(marked, torch.zeros(len(EXPRESSION_NAMES)))
    solid = build_solid(closed, HEIGHT_MM)
    mesh = as_mesh(solid)
    assert mesh.body_count == 1
    assert mesh.euler_number == 2
    assert "tongue" not in {REGIONS[region] for region in np.unique(solid.regions) if region >= 0}


def test_an_open_mouth_stays_open(marked: Head):
    weights = torch.zeros(len(EXPRESSION_NAMES))
    weights[EXPRESSION_NAMES.index("jawOpen")] = 1
    regions = np.unique(build_solid(pose_head(marked, weights), 60.0).regions)
    assert {REGIONS.index(name) for name in ("tongue", "teeth", "mouth_inside")} <= {*regions}


def test_a_flat_base_carries_it(marked: Head):
    solid = build_solid(marked, HEIGHT_MM, flat_base=True)
    assert_printable(solid)
    mesh = as_mesh(solid)
    base = mesh.area_faces[(mesh.triangles[..., 2] < CELL_MM / 2).all(1)].sum()
    bounds = np.ptp(mesh.vertices[:, :2], axis=0)
    assert 0.15 * bounds.prod() < base < bounds.prod()
    assert (as_mesh(build_solid(marked, HEIGHT_MM)).triangles[..., 2] < CELL_MM / 2).all(1).mean() < 0.005


def test_layers_belong_to_the_body(marked: Head):
    layered = add_layers(marked)
    solid = build_solid(layered, HEIGHT_MM)
    assert_printable(solid)
    assert {REGIONS.index("hair"), REGIONS.index("headwear")} <= {*np.unique(solid.regions)}


def test_hair_just_over_the_scalp_is_attached(marked: Head):
    """The gap under it is closed, since no print could hold it."""
    layer = make_layer(marked, "hair")
    lifted = layer.mesh.with_vertices(layer.mesh.vertices + torch.tensor([0.0, 0.002, 0.0]))
    solid = build_solid(dataclasses.replace(marked, layers=(dataclasses.replace(layer, mesh=lifted),)), HEIGHT_MM)
    assert_printable(solid)
    assert not any("Loose" in doubt for doubt in describe_doubts(solid))


def test_what_floats_is_left_out_and_told(marked: Head):
    layer = make_layer(marked, "hair")
    afar = layer.mesh.with_vertices(0.3 * layer.mesh.vertices + torch.tensor([0.3, 0.0, 0.0]))
    solid = build_solid(dataclasses.replace(marked, layers=(dataclasses.replace(layer, mesh=afar),)), HEIGHT_MM)
    assert_printable(solid)
    assert REGIONS.index("hair") not in solid.regions
    assert "Loose pieces" in describe_doubts(solid)[-1]
    assert not any("Loose" in doubt for doubt in describe_doubts(build_solid(marked, HEIGHT_MM)))


def test_thin_parts_are_told_with_their_millimeters(marked: Head, solid: Solid):
    """A brim of six millimeters on a head of three hundred."""
    layer = make_layer(marked, "headwear")
    low, high = (getattr(marked.mesh.vertices, name)(0) for name in ("amin", "amax"))
    middle, size = (low + high) / 2, high - low
    shape = layer.mesh.vertices - layer.mesh.vertices.mean(0)
    shape = shape / (shape.amax(0) - shape.amin(0))
    brim_m = 0.006
    brim = middle + shape * torch.tensor([1.6 * size[0], brim_m, 1.6 * size[2]])
    hat = dataclasses.replace(layer, mesh=layer.mesh.with_vertices(brim + torch.tensor([0.0, 0.3 * size[1], 0.0])))
    with_brim = build_solid(dataclasses.replace(marked, layers=(hat,)), HEIGHT_MM)
    (doubt,) = [doubt for doubt in describe_doubts(with_brim, 1.0) if "Thinner than 1 mm" in doubt]
    assert "headwear (0." in doubt
    assert "headwear" not in str(describe_doubts(solid, 1.0))


def test_a_wall_is_as_thick_as_it_is():
    """A ball is thinnest nowhere: from everywhere it is its diameter to the other side."""
    solid = build_solid(make_head(), 20.0)
    away = solid.vertices - [0, 0, 10]
    round_part = np.abs(away[:, 2]) < 5
    assert np.median(solid.thickness_mm[round_part]) == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_no_head_is_too_odd(seed: int):
    """Skin that passes through itself, folds, pieces everywhere."""
    generator = torch.Generator().manual_seed(seed)
    head = add_layers(make_marked_head(32))
    noise = torch.randn(head.mesh.vertices.shape, generator=generator) * 10 ** (-4 + 0.6 * seed)
    head = dataclasses.replace(head, mesh=head.mesh.with_vertices(head.mesh.vertices + noise))
    solid = build_solid(head, 15.0, flat_base=seed % 2 == 0)
    assert_printable(solid, 15.0)


@pytest.mark.parametrize("height", [0.0, -5.0, float("nan"), float("inf")])
def test_odd_heights_are_refused(height: float, head: Head):
    with pytest.raises(InputError, match="height above 0 mm"):
        build_solid(head, height)


def test_heads_without_size_are_refused(head: Head):
    for vertices in (torch.zeros_like(head.mesh.vertices), head.mesh.vertices / 0):
        with pytest.raises(InputError, match="finite size"):
            build_solid(dataclasses.replace(head, mesh=head.mesh.with_vertices(vertices)))
