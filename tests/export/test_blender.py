"""Blender imports the GLB as it is meant: a movable, painted, upright head and its layers, in meters, like ours."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from scipy.spatial import cKDTree

from conftest import add_layers, assert_same_picture, make_marked_head
from export.blender import needs_blender, run_blender
from portraitist import head_camera, render, write_glb
from portraitist.export.gltf_parts import ORIGINAL_SHAPE
from portraitist.io.images import image_from_pil
from portraitist.mesh.carrying import pose_head
from portraitist.types import EXPRESSION_NAMES, Camera, Head, Image

UNTESTED = "its import of the GLB is NOT tested"
SIZE_PX = 256
SHAPES = {"default": None, "jawOpen": {"jawOpen": 1.0}, "original": None}

pytestmark = needs_blender(UNTESTED)


class Imported(NamedTuple):
    """What Blender made of the head, and its pictures over white."""

    head: Head
    camera: Camera
    report: dict[str, Any]
    pictures: dict[str, Image]


def expected_head(head: Head, shape: str) -> Head:
    """The head in that shape; its layers go with it."""
    if shape == "jawOpen":
        return pose_head(head, torch.eye(len(EXPRESSION_NAMES))[EXPRESSION_NAMES.index("jawOpen")])
    if shape == "default":
        return head
    layers = tuple(dataclasses.replace(layer, mesh=layer.mesh.with_vertices(layer.original)) for layer in head.layers)
    return dataclasses.replace(head, mesh=head.mesh.with_vertices(head.original), layers=layers)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """One Blender process for all tests: half turned, so that mirrored and turned heads do not look alike."""
    folder = tmp_path_factory.mktemp("blender")
    head = add_layers(make_marked_head())
    write_glb(folder / "head.glb", head)
    camera = head_camera(head, 35.0, 10.0, SIZE_PX)
    own_weights = dict(zip(EXPRESSION_NAMES, head.expression.tolist(), strict=True))
    job = {
        "size_px": SIZE_PX,
        "width_m": SIZE_PX / camera.scale_px,
        "camera_to_head": camera_to_head(camera),
        "shapes": SHAPES | {"original": own_weights | {ORIGINAL_SHAPE: 1.0}},
    }
    (folder / "job.json").write_text(json.dumps(job))
    files = [folder / "head.glb", folder / "job.json", folder]
    run_blender("blender_script.py", *files, untested=UNTESTED)
    pictures = {shape: read_over_white(folder / f"{shape}.png") for shape in SHAPES}
    return Imported(head, camera, json.loads((folder / "report.json").read_text()), pictures)


def camera_to_head(camera: Camera) -> list[list[float]]:
    """4 x 4 pose of our camera, a meter in front of the head, for programs whose cameras have a place."""
    x_px, y_px = camera.center_px
    middle = torch.tensor([SIZE_PX / 2 - x_px, y_px - SIZE_PX / 2, camera.scale_px]) / camera.scale_px
    pose = torch.eye(4)
    pose[:3, :3] = camera.rotation.T
    pose[:3, 3] = camera.rotation.T @ middle
    return pose.tolist()


def read_over_white(path: Path) -> Image:
    picture = PillowImage.open(path)
    assert picture.mode == "RGBA"
    return image_from_pil(
        PillowImage.alpha_composite(PillowImage.new("RGBA", picture.size, "white"), picture).convert("RGB")
    )


def test_objects_with_every_shape_key_by_name(imported: Imported):
    report = imported.report
    assert report["parents"] == {"Head": None, "Hair": "Head", "Headwear": "Head"}
    for part in ("Head", "Hair", "Headwear"):
        assert report["shape_keys"][part] == ["Basis", *EXPRESSION_NAMES, ORIGINAL_SHAPE]
        np.testing.assert_allclose(report["values"][part], [0, *imported.head.expression.tolist(), 0], atol=1e-6)
    assert report["materials"] == {"Head": ["Painting"], "Hair": ["Hair"], "Headwear": ["Headwear"]}


def test_textures_are_inside_the_file(imported: Imported):
    assert sorted(imported.report["images"]) == [[16, 16], [24, 24], [256, 256]]


@pytest.mark.parametrize("part", ["Head", "Hair", "Headwear"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shape_keys_move_the_parts_in_metres(imported: Imported, shape: str, part: str):
    """Blender has z up: (x, y, z) of ours is (x, -z, y) there. Vertices at seams are doubled, so sets are compared."""
    got = torch.tensor(imported.report["positions"][shape][part]).reshape(-1, 3)
    head = expected_head(imported.head, shape)
    mesh = {"Head": head.mesh, **{layer.name.capitalize(): layer.mesh for layer in head.layers}}[part]
    expected = mesh.vertices[:, [0, 2, 1]] * torch.tensor([1.0, -1.0, 1.0])
    assert imported.report["unit_scale"] == 1
    np.testing.assert_allclose(got.amin(0), expected.amin(0), atol=1e-5)
    np.testing.assert_allclose(got.amax(0), expected.amax(0), atol=1e-5)
    assert cKDTree(expected).query(got)[0].max() < 1e-5
    assert cKDTree(got).query(expected)[0].max() < 1e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_it_looks_like_our_own_picture(imported: Imported, shape: str):
    """Cycles averages 32 random rays per pixel in linear light, we four in the texture's own: edges differ a little."""
    expected = render(expected_head(imported.head, shape), imported.camera)
    got = imported.pictures[shape]
    assert_same_picture(got, expected, tight=6 / 255, different=0.08)
    assert (got - expected).abs().mean() < 0.01
