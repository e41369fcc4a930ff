"""What is written shows the same picture when another library has read it: shape, morph targets, UVs, texture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
import torch
import trimesh

from conftest import add_layers, assert_same_picture, make_marked_head
from export.read_glb import read_accessor
from portraitist import (
    head_camera,
    load_head,
    rasterize_parts,
    render,
    render_view,
    save_head,
    shade_parts,
    view_camera,
    write_glb,
    write_obj,
)
from portraitist.io.images import image_from_pil
from portraitist.mesh.carrying import pose_head
from portraitist.types import EXPRESSION_NAMES, Camera, Head, Image, Mesh

YAWS_DEG = (0.0, 40.0, 180.0)
TIGHT = 1.5 / 255
"""A texture in 8 bits and coordinates in other digits: hardly more than rounding."""

DIFFERENT = 0.002
"""Fraction of pixels that may show another face, where rays graze edges."""


@pytest.fixture(scope="module")
def marked_head() -> Head:
    return make_marked_head()


def look(vertices: torch.Tensor, yaw_deg: float) -> Camera:
    return view_camera(vertices, yaw_deg, 10.0, 240)


def draw(mesh: Mesh, texture: Image, camera: Camera) -> Image:
    return render_view(mesh, texture, camera, torch.ones(3), supersample=1)


def draw_ours(head: Head, vertices: torch.Tensor, camera: Camera) -> Image:
    return draw(head.mesh.with_vertices(vertices), head.texture, camera)


def read_with_trimesh(path: Path) -> tuple[Mesh, Image]:
    """trimesh has v up whatever the format, and keeps the material's texture as a Pillow picture."""
    (part,) = read_parts_with_trimesh(path)
    return part


def read_parts_with_trimesh(path: Path) -> list[tuple[Mesh, Image]]:
    return [convert_from_trimesh(read) for read in trimesh.load_scene(path, process=False).dump()]


def convert_from_trimesh(read: trimesh.Trimesh) -> tuple[Mesh, Image]:
    uvs = torch.tensor(np.asarray(read.visual.uv), dtype=torch.float32) * torch.tensor([1.0, -1.0])
    faces = torch.tensor(np.asarray(read.faces), dtype=torch.int64)
    vertices = torch.tensor(np.asarray(read.vertices), dtype=torch.float32)
    material = read.visual.material
    texture = getattr(material, "baseColorTexture", None) or material.image
    regions = torch.zeros(len(faces), dtype=torch.int64)
    return Mesh(vertices, faces, uvs + torch.tensor([0.0, 1.0]), faces, regions), image_from_pil(texture.convert("RGB"))


def read_targets(path: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Default weights and offsets by name (trimesh leaves morph targets out)."""
    file = gl.GLTF2().load(str(path))
    mesh = file.meshes[0]
    targets = [torch.from_numpy(read_accessor(file, target["POSITION"])) for target in mesh.primitives[0].targets]
    return mesh.weights, dict(zip(mesh.extras["targetNames"], targets, strict=True))


@pytest.mark.parametrize("yaw_deg", YAWS_DEG)
def test_obj_shows_the_same_picture(marked_head: Head, yaw_deg: float, tmp_path: Path):
    write_obj(tmp_path / "head.obj", marked_head)
    mesh, texture = read_with_trimesh(tmp_path / "head.obj")
    camera = look(marked_head.mesh.vertices, yaw_deg)
    expected = draw_ours(marked_head, marked_head.mesh.vertices, camera)
    assert_same_picture(draw(mesh, texture, camera), expected, TIGHT, DIFFERENT)


@pytest.mark.parametrize("yaw_deg", YAWS_DEG)
@pytest.mark.parametrize("shape", ["base", "default", "jawOpen", "originalShape"])
def test_glb_shows_the_same_picture(marked_head: Head, shape: str, yaw_deg: float, tmp_path: Path):
    write_glb(tmp_path / "head.glb", marked_head)
    mesh, texture = read_with_trimesh(tmp_path / "head.glb")
    weights, targets = read_targets(tmp_path / "head.glb")
    default = torch.stack([weight * offset for weight, offset in zip(weights, targets.values(), strict=True)]).sum(0)
    jaw = marked_head.expression_deltas[EXPRESSION_NAMES.index("jawOpen")]
    offsets, expected_vertices = {
        "base": (torch.zeros_like(default), marked_head.neutral),
        "default": (default, marked_head.mesh.vertices),
        "jawOpen": (targets["jawOpen"], marked_head.neutral + jaw),
        "originalShape": (default + targets["originalShape"], marked_head.original),
    }[shape]
    camera = look(marked_head.mesh.vertices, yaw_deg)
    got = draw(mesh.with_vertices(mesh.vertices + offsets), texture, camera)
    assert_same_picture(got, draw_ours(marked_head, expected_vertices, camera), TIGHT, DIFFERENT)


@pytest.mark.parametrize("suffix", ["obj", "glb"])
def test_layers_show_the_same_picture(marked_head: Head, suffix: str, tmp_path: Path):
    layered = add_layers(marked_head)
    path = tmp_path / f"head.{suffix}"
    {"obj": write_obj, "glb": write_glb}[suffix](path, layered)
    parts = read_parts_with_trimesh(path)
    expected = layered if suffix == "obj" else pose_head(layered, torch.zeros(len(EXPRESSION_NAMES)))
    camera = head_camera(layered, 40.0, 10.0, 240)
    seen = rasterize_parts([mesh for mesh, _ in parts], camera)
    got = shade_parts(seen, [texture for _, texture in parts], torch.ones(3))
    assert len(parts) == 3
    assert_same_picture(got, render(expected, camera, supersample=1), TIGHT, DIFFERENT)


def test_saved_head_shows_the_very_same_picture(marked_head: Head, tmp_path: Path):
    save_head(tmp_path / "head", marked_head)
    loaded = load_head(tmp_path / "head")
    camera = look(marked_head.mesh.vertices, 40.0)
    ours, theirs = (draw_ours(head, head.mesh.vertices, camera) for head in (marked_head, loaded))
    assert torch.equal(ours, theirs)


def test_the_comparison_sees_a_flipped_texture_and_a_mirrored_head(marked_head: Head):
    camera = look(marked_head.mesh.vertices, 0.0)
    expected = draw_ours(marked_head, marked_head.mesh.vertices, camera)
    flipped = dataclasses.replace(marked_head, texture=marked_head.texture.flip(1))
    mirrored = marked_head.mesh.vertices * torch.tensor([-1.0, 1.0, 1.0])
    for got in (draw_ours(flipped, flipped.mesh.vertices, camera), draw_ours(marked_head, mirrored, camera)):
        with pytest.raises(AssertionError, match="pixels differ"):
            assert_same_picture(got, expected, TIGHT, 0.1)
