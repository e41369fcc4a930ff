"""OBJ, MTL and PNG belong together and say the same as the head."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image as PillowImage

from conftest import add_layers
from portraitist.errors import OutputError
from portraitist.export.obj import list_obj_files, write_obj
from portraitist.export.provenance import Provenance
from portraitist.types import Head


@pytest.fixture
def folder(head: Head, tmp_path: Path) -> Path:
    write_obj(tmp_path / "head.obj", head)
    return tmp_path


def read_rows(folder: Path, keyword: str) -> list[list[str]]:
    lines = (folder / "head.obj").read_text().splitlines()
    return [line.split()[1:] for line in lines if line.split()[0] == keyword]


def test_vertices_keep_number_order_and_place(folder: Path, head: Head):
    np.testing.assert_allclose(np.array(read_rows(folder, "v"), float), head.mesh.vertices.numpy(), atol=1e-6)


def test_corners_point_to_their_vertex_and_uv_with_v_up(folder: Path, head: Head):
    corners = np.array([[corner.split("/") for corner in row] for row in read_rows(folder, "f")], int) - 1
    np.testing.assert_array_equal(corners[..., 0], head.mesh.faces.numpy())
    uvs = np.array(read_rows(folder, "vt"), float)[corners[..., 1]]
    expected = head.mesh.uvs[head.mesh.uv_faces].numpy() * [1, -1] + [0, 1]
    np.testing.assert_allclose(uvs, expected, atol=1e-6)


def test_files_name_each_other_relatively(folder: Path, head: Head):
    assert read_rows(folder, "mtllib") == [["head.mtl"]]
    material = (folder / "head.mtl").read_text().splitlines()
    assert "map_Kd head.png" in material
    assert f"newmtl {read_rows(folder, 'usemtl')[0][0]}" in material
    pixels = np.asarray(PillowImage.open(folder / "head.png"))
    np.testing.assert_allclose(pixels / 255, head.texture.permute(1, 2, 0).numpy(), atol=0.5 / 255 + 1e-6)


def test_trimesh_finds_the_texture(folder: Path, head: Head):
    mesh = trimesh.load(folder / "head.obj", force="mesh")
    assert len(mesh.faces) == len(head.mesh.faces)
    assert mesh.visual.material.image.size == (head.texture.shape[2], head.texture.shape[1])


def test_layers_are_objects_with_materials_and_textures_of_their_own(head: Head, tmp_path: Path):
    layered = add_layers(head)
    write_obj(tmp_path / "head.obj", layered)
    assert [row[0] for row in read_rows(tmp_path, "o")] == ["head", "hair", "headwear"]
    assert [row[0] for row in read_rows(tmp_path, "usemtl")] == ["painting", "hair", "headwear"]
    textures = {"head.png": head.texture, **{f"head_{layer.name}.png": layer.texture for layer in layered.layers}}
    assert {path.name for path in tmp_path.iterdir()} == {"head.obj", "head.mtl", *textures}
    material = (tmp_path / "head.mtl").read_text()
    assert [line.split()[1] for line in material.splitlines() if line.startswith("map_Kd")] == [*textures]
    for name, texture in textures.items():
        pixels = np.asarray(PillowImage.open(tmp_path / name))
        np.testing.assert_allclose(pixels / 255, texture.permute(1, 2, 0).numpy(), atol=0.5 / 255 + 1e-6)


def test_numbers_count_on_from_object_to_object(head: Head, tmp_path: Path):
    layered = add_layers(head)
    write_obj(tmp_path / "head.obj", layered)
    vertices, uvs = (np.array(read_rows(tmp_path, keyword), float) for keyword in ("v", "vt"))
    corners = np.array([[corner.split("/") for corner in row] for row in read_rows(tmp_path, "f")], int) - 1
    meshes = [layered.mesh, *(layer.mesh for layer in layered.layers)]
    expected = np.concatenate([mesh.vertices[mesh.faces].numpy() for mesh in meshes])
    np.testing.assert_allclose(vertices[corners[..., 0]], expected, atol=1e-6)
    expected = np.concatenate([mesh.uvs[mesh.uv_faces].numpy() for mesh in meshes])
    np.testing.assert_allclose(uvs[corners[..., 1]], expected * [1, -1] + [0, 1], atol=1e-6)


def test_texture_can_have_another_name(head: Head, tmp_path: Path):
    write_obj(tmp_path / "head.obj", head, texture_name="texture.png")
    assert "map_Kd texture.png" in (tmp_path / "head.mtl").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"head.obj", "head.mtl", "texture.png"}
    write_obj(tmp_path / "head.obj", add_layers(head), texture_name="texture.png")
    assert (tmp_path / "texture_hair.png").exists()


def test_path_may_be_text_and_errors_are_ours(head: Head, tmp_path: Path):
    write_obj(f"{tmp_path}/head.obj", head)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match="cannot be written"):
        write_obj(tmp_path / "absent" / "head.obj", head)
    assert {path.name for path in tmp_path.iterdir()} == before == {"head.obj", "head.mtl", "head.png"}


def test_vertex_colors_are_those_of_the_texture(head: Head, tmp_path: Path):
    """Red is u, green v: each vertex has the mean of the UVs that it has."""
    centers = (torch.arange(64) + 0.5) / 64
    v, u = torch.meshgrid(centers, centers, indexing="ij")
    ramp = dataclasses.replace(head, texture=torch.stack([u, v, 0 * u]))
    write_obj(tmp_path / "head.obj", ramp, vertex_colors=True)
    rows = np.array(read_rows(tmp_path, "v"), float)
    np.testing.assert_allclose(rows[:, :3], head.mesh.vertices, atol=1e-6)
    pairs = {*zip(head.mesh.faces.flatten().tolist(), head.mesh.uv_faces.flatten().tolist(), strict=True)}
    for vertex, color in enumerate(rows[:, 3:]):
        own = [head.mesh.uvs[uv].tolist() for number, uv in pairs if number == vertex]
        np.testing.assert_allclose(color, [*np.mean(own, axis=0), 0], atol=1e-3)
    assert len({*map(tuple, rows[:, 3:])}) > 50


def test_provenance_stands_in_comments_and_names_have_no_spaces(head: Head, tmp_path: Path):
    layered = add_layers(head)
    write_obj(tmp_path / "head.obj", layered, provenance=Provenance("Ada", "CC0"))
    named_things = [["o"], ["usemtl"], ["newmtl"], ["mtllib"], ["map_Kd"]]
    for name in ("head.obj", "head.mtl"):
        lines = (tmp_path / name).read_text().splitlines()
        assert {"# author: Ada", "# source_license: CC0", "# synthetic: true"} <= {*lines}
        named = [line for line in lines if line.split()[:1] in named_things]
        assert named
        assert all(len(line.split()) == 2 for line in named)
    assert sorted(tmp_path.iterdir()) == sorted(list_obj_files(tmp_path / "head.obj", layered))
