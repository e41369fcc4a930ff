"""The GLB holds what the head holds, to the last digit, and in the form that viewers expect."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
import torch
import trimesh

from conftest import add_layers
from export.read_glb import read_accessor, read_image
from portraitist.errors import OutputError
from portraitist.export import gltf_materials
from portraitist.export.glb import ORIGINAL_SHAPE, write_glb
from portraitist.mesh.carrying import pose_head
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import EXPRESSION_NAMES, Head


@pytest.fixture
def glb(head: Head, tmp_path: Path) -> gl.GLTF2:
    write_glb(tmp_path / "head.glb", head)
    return gl.GLTF2().load(str(tmp_path / "head.glb"))


def read_corners(file: gl.GLTF2) -> tuple[np.ndarray, gl.Primitive]:
    primitive = file.meshes[0].primitives[0]
    return read_accessor(file, primitive.indices).reshape(-1), primitive


def test_base_and_default_weights_give_the_rendered_shape(glb: gl.GLTF2, head: Head):
    corners, primitive = read_corners(glb)
    shape = read_accessor(glb, primitive.attributes.POSITION).astype(np.float64)
    for weight, target in zip(glb.meshes[0].weights, primitive.targets, strict=True):
        shape += weight * read_accessor(glb, target["POSITION"])
    expected = head.mesh.vertices[head.mesh.faces.reshape(-1)].numpy()
    np.testing.assert_allclose(shape[corners], expected, atol=1e-6)


def test_original_shape_target_undoes_the_exaggeration(glb: gl.GLTF2, head: Head):
    corners, primitive = read_corners(glb)
    assert glb.meshes[0].extras["targetNames"][-1] == ORIGINAL_SHAPE
    assert glb.meshes[0].weights[-1] == 0
    offsets = read_accessor(glb, primitive.targets[-1]["POSITION"])[corners]
    expected = (head.original - head.mesh.vertices)[head.mesh.faces.reshape(-1)].numpy()
    np.testing.assert_allclose(offsets, expected, atol=1e-7)


def test_targets_carry_the_arkit_names_in_order(glb: gl.GLTF2, head: Head):
    names = glb.meshes[0].extras["targetNames"]
    assert names == [*EXPRESSION_NAMES, ORIGINAL_SHAPE]
    corners, primitive = read_corners(glb)
    jaw = names.index("jawOpen")
    offsets = read_accessor(glb, primitive.targets[jaw]["POSITION"])[corners]
    np.testing.assert_allclose(offsets, head.expression_deltas[jaw][head.mesh.faces.reshape(-1)].numpy(), atol=1e-6)


def test_uvs_keep_their_origin_at_the_top_left(glb: gl.GLTF2, head: Head):
    corners, primitive = read_corners(glb)
    uvs = read_accessor(glb, primitive.attributes.TEXCOORD_0)[corners]
    np.testing.assert_array_equal(uvs, head.mesh.uvs[head.mesh.uv_faces.reshape(-1)].numpy())


def test_vertices_are_doubled_at_the_seam_only(glb: gl.GLTF2, head: Head):
    pairs = {*zip(head.mesh.faces.reshape(-1).tolist(), head.mesh.uv_faces.reshape(-1).tolist(), strict=True)}
    assert glb.accessors[glb.meshes[0].primitives[0].attributes.POSITION].count == len(pairs) < len(head.mesh.uvs) + 1


def test_normals_are_unit_outward_and_equal_on_both_sides_of_the_seam(glb: gl.GLTF2, head: Head):
    corners, primitive = read_corners(glb)
    normals = read_accessor(glb, primitive.attributes.NORMAL)[corners]
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    vertex_ids = head.mesh.faces.reshape(-1).numpy()
    assert ((normals * head.neutral[vertex_ids].numpy()).sum(1) > 0).all()
    first = np.zeros((len(head.neutral), 3), np.float32)
    first[vertex_ids] = normals
    np.testing.assert_array_equal(normals, first[vertex_ids])


def test_vertex_normals_of_one_triangle():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]], np.float32)
    normals = vertex_normals(vertices, np.array([[0, 2, 1]]))
    np.testing.assert_array_equal(normals, [[0, 0, -1], [0, 0, -1], [0, 0, -1], [0, 0, 1]])


def test_material_is_unlit_and_the_png_is_the_texture(glb: gl.GLTF2, head: Head):
    assert glb.extensionsUsed == ["KHR_materials_unlit"]
    assert glb.materials[0].extensions == {"KHR_materials_unlit": {}}
    assert glb.images[0].mimeType == "image/png"
    np.testing.assert_allclose(read_image(glb, 0), head.texture.permute(1, 2, 0).numpy(), atol=0.5 / 255 + 1e-6)


def test_very_large_texture_is_embedded_as_jpeg(head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gltf_materials, "LARGEST_PNG_BYTES", 100)
    write_glb(tmp_path / "head.glb", head)
    assert gl.GLTF2().load(str(tmp_path / "head.glb")).images[0].mimeType == "image/jpeg"


def test_bounds_hold_the_values_and_views_are_aligned(glb: gl.GLTF2):
    primitive = glb.meshes[0].primitives[0]
    for index in [primitive.attributes.POSITION, *(target["POSITION"] for target in primitive.targets)]:
        values = read_accessor(glb, index)
        np.testing.assert_array_equal(glb.accessors[index].min, values.min(0))
        np.testing.assert_array_equal(glb.accessors[index].max, values.max(0))
    assert all(view.byteOffset % 4 == 0 for view in glb.bufferViews)


def test_local_actions_are_stored_sparsely(glb: gl.GLTF2):
    targets = glb.meshes[0].primitives[0].targets
    sparse = [glb.accessors[target["POSITION"]].sparse for target in targets]
    assert all(sparse[:-1])
    assert sparse[-1] is None
    assert sparse[EXPRESSION_NAMES.index("tongueOut")].count == 1  # moves nothing, still well-formed


@pytest.fixture
def layered(head: Head) -> Head:
    return add_layers(head)


@pytest.fixture
def layered_glb(layered: Head, tmp_path: Path) -> gl.GLTF2:
    write_glb(tmp_path / "layered.glb", layered)
    return gl.GLTF2().load(str(tmp_path / "layered.glb"))


def test_layers_are_named_nodes_below_the_head(layered_glb: gl.GLTF2):
    assert [node.name for node in layered_glb.nodes] == ["Head", "Hair", "Headwear"]
    assert layered_glb.nodes[0].children == [1, 2]
    assert layered_glb.scenes[0].nodes == [0]
    assert [layered_glb.meshes[node.mesh].name for node in layered_glb.nodes] == ["Head", "Hair", "Headwear"]


def test_layers_have_the_targets_and_weights_of_the_head(layered_glb: gl.GLTF2, layered: Head):
    for mesh, layer in zip(layered_glb.meshes[1:], layered.layers, strict=True):
        (primitive,) = mesh.primitives
        corners, vertex_ids = read_accessor(layered_glb, primitive.indices).reshape(-1), layer.mesh.faces.reshape(-1)
        assert (mesh.extras, mesh.weights) == (layered_glb.meshes[0].extras, layered_glb.meshes[0].weights)
        shape = read_accessor(layered_glb, primitive.attributes.POSITION).astype(np.float64)
        for weight, target in zip(mesh.weights, primitive.targets, strict=True):
            shape += weight * read_accessor(layered_glb, target["POSITION"])
        offsets = read_accessor(layered_glb, primitive.targets[-1]["POSITION"])[corners]
        uvs = read_accessor(layered_glb, primitive.attributes.TEXCOORD_0)[corners]
        np.testing.assert_allclose(shape[corners], layer.mesh.vertices[vertex_ids].numpy(), atol=1e-6)
        np.testing.assert_allclose(shape[corners] + offsets, layer.original[vertex_ids].numpy(), atol=1e-6)
        np.testing.assert_array_equal(uvs, layer.mesh.uvs[layer.mesh.uv_faces.reshape(-1)].numpy())


def test_layers_follow_every_expression(layered_glb: gl.GLTF2, layered: Head):
    """As they do when the head is posed for a picture."""
    weights = torch.rand(len(EXPRESSION_NAMES), generator=torch.Generator().manual_seed(1))
    for mesh, layer in zip(layered_glb.meshes[1:], pose_head(layered, weights).layers, strict=True):
        (primitive,) = mesh.primitives
        shape = read_accessor(layered_glb, primitive.attributes.POSITION).astype(np.float64)
        for weight, target in zip(weights.tolist(), primitive.targets[:-1], strict=True):
            shape += weight * read_accessor(layered_glb, target["POSITION"])
        corners = read_accessor(layered_glb, primitive.indices).reshape(-1)
        np.testing.assert_allclose(shape[corners], layer.mesh.vertices[layer.mesh.faces.reshape(-1)], atol=1e-5)


def test_each_part_has_an_unlit_material_and_a_texture_of_its_own(layered_glb: gl.GLTF2, layered: Head):
    textures = [layered.texture, *(layer.texture for layer in layered.layers)]
    used = [mesh.primitives[0].material for mesh in layered_glb.meshes]
    assert [layered_glb.materials[number].name for number in used] == ["Painting", "Hair", "Headwear"]
    for number, texture in zip(used, textures, strict=True):
        material = layered_glb.materials[number]
        assert material.extensions == {"KHR_materials_unlit": {}}
        source = layered_glb.textures[material.pbrMetallicRoughness.baseColorTexture.index].source
        np.testing.assert_allclose(read_image(layered_glb, source), texture.permute(1, 2, 0), atol=0.5 / 255 + 1e-6)


def test_layers_change_nothing_about_the_head(layered_glb: gl.GLTF2, glb: gl.GLTF2):
    ours, theirs = layered_glb.meshes[0], glb.meshes[0]
    assert (ours.weights, ours.extras) == (theirs.weights, theirs.extras)
    for mine, other in zip(ours.primitives[0].targets, theirs.primitives[0].targets, strict=True):
        np.testing.assert_array_equal(
            read_accessor(layered_glb, mine["POSITION"]), read_accessor(glb, other["POSITION"])
        )


def test_content_head_opens_in_trimesh(content_head: Head, tmp_path: Path):
    write_glb(tmp_path / "head.glb", content_head)
    mesh = trimesh.load(tmp_path / "head.glb", force="mesh", process=False)
    assert len(mesh.faces) == len(content_head.mesh.faces)
    np.testing.assert_allclose(mesh.bounds[1], content_head.neutral.amax(0).numpy(), atol=1e-6)


def test_same_head_gives_the_same_bytes(head: Head, tmp_path: Path):
    for name in "ab":
        write_glb(tmp_path / name, dataclasses.replace(head, texture=torch.clone(head.texture)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_path_may_be_text_and_errors_are_ours(head: Head, tmp_path: Path):
    write_glb(f"{tmp_path}/head.glb", head)
    with pytest.raises(OutputError, match="cannot be written"):
        write_glb(tmp_path / "head.glb" / "below a file", head)
    assert [path.name for path in tmp_path.iterdir()] == ["head.glb"]
