"""Several artworks and looks in one file: each choice is whole, and none is half of one and half of another."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest
import torch

from conftest import add_layers, make_head
from export.gltf_validator import assert_valid, needs_validator
from export.read_glb import read_accessor, read_image
from portraitist import InputError
from portraitist.export.glb import GlbForm, write_glb
from portraitist.export.variants import INSIDE, OUTLINE_WIDTH_M, VARIANTS
from portraitist.io.glb_file import read_glb
from portraitist.types import REGIONS, Head

LOOKS = ("unlit", "lit", "toon")


@pytest.fixture(scope="module")
def layered() -> Head:
    return add_layers(make_head())


@pytest.fixture(scope="module")
def other(layered: Head) -> Head:
    """The same sitter after another artwork: wider, of other colors."""
    wider = torch.tensor([1.2, 1.0, 1.0])
    layers = [
        dataclasses.replace(each, mesh=each.mesh.with_vertices(each.mesh.vertices * wider), texture=1 - each.texture)
        for each in layered.layers
    ]
    mesh = layered.mesh.with_vertices(layered.mesh.vertices * wider)
    return dataclasses.replace(layered, mesh=mesh, texture=1 - layered.texture, layers=tuple(layers))


@pytest.fixture(scope="module")
def glb(layered: Head, other: Head, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("variants") / "head.glb"
    write_glb(path, layered, GlbForm(looks=LOOKS), name="oil", styles={"ink": other})
    return path


def find_material(file: gl.GLTF2, primitive: gl.Primitive, variant: str) -> gl.Material:
    names = [each["name"] for each in file.extensions[VARIANTS]["variants"]]
    mappings = primitive.extensions[VARIANTS]["mappings"]
    (number,) = [each["material"] for each in mappings if names.index(variant) in each["variants"]]
    return file.materials[number]


def test_every_variant_is_whole(glb: Path, layered: Head, other: Head):
    file = gl.GLTF2().load(str(glb))
    heads = {"oil": layered, "ink": other}
    expected = [f"{style}_{look}" for style in heads for look in LOOKS]
    assert [each["name"] for each in file.extensions[VARIANTS]["variants"]] == expected
    for variant in expected:
        style, look = variant.split("_")
        textures = [heads[style].texture, *(layer.texture for layer in heads[style].layers)]
        for mesh, texture in zip(file.meshes, textures, strict=True):
            painting, outline = (find_material(file, primitive, variant) for primitive in mesh.primitives)
            assert ("KHR_materials_unlit" in (painting.extensions or {})) == (look != "lit")
            source = file.textures[painting.pbrMetallicRoughness.baseColorTexture.index].source
            np.testing.assert_allclose(read_image(file, source), texture.permute(1, 2, 0), atol=0.5 / 255 + 1e-6)
            assert outline.name == ("Outline" if look == "toon" else "No_outline")
            assert outline.alphaMode == ("OPAQUE" if look == "toon" else "MASK")


def test_what_is_shown_first_is_the_first_variant(glb: Path):
    file = gl.GLTF2().load(str(glb))
    for mesh in file.meshes:
        for primitive in mesh.primitives:
            shown = file.materials[primitive.material]
            assert shown == find_material(file, primitive, "oil_unlit")


def test_other_shapes_are_morphs(glb: Path, layered: Head, other: Head):
    """At the default weights and the shape at 1 the vertices are those of the other head, layers included."""
    file, parts = gl.GLTF2().load(str(glb)), read_glb(glb)
    for name, mesh, new in zip(("Head", "Hair", "Headwear"), file.meshes, (other, *other.layers), strict=True):
        part = parts[name]
        weights = dict(zip(mesh.extras["targetNames"], mesh.weights, strict=True))
        assert [*weights][-1] == "shape_ink"
        shape = part.positions + sum(weight * part.morphs[each] for each, weight in weights.items())
        corners = shape[part.triangles] + part.morphs["shape_ink"][part.triangles]
        np.testing.assert_allclose(corners, new.mesh.vertices[new.mesh.faces], atol=1e-5)


def test_the_outline_is_inside_out_and_a_little_larger(glb: Path, layered: Head):
    file = gl.GLTF2().load(str(glb))
    for mesh in file.meshes:
        painting, hull = mesh.primitives
        inner, outer = (read_accessor(file, each.attributes.POSITION) for each in (painting, hull))
        np.testing.assert_allclose(np.linalg.norm(outer - inner, axis=1), OUTLINE_WIDTH_M, rtol=1e-3)
        corners, turned = (read_accessor(file, each.indices).reshape(-1, 3) for each in (painting, hull))
        np.testing.assert_array_equal(turned[:, ::-1], corners)
        assert hull.targets == painting.targets
        assert not file.materials[hull.material].doubleSided


def test_nothing_inside_the_head_has_an_outline(layered: Head, tmp_path: Path):
    regions = layered.mesh.regions.clone()
    regions[: len(INSIDE)] = torch.tensor([REGIONS.index(name) for name in INSIDE])
    head = dataclasses.replace(layered, mesh=dataclasses.replace(layered.mesh, regions=regions))
    write_glb(tmp_path / "head.glb", head, GlbForm(looks=("toon",)))
    file = gl.GLTF2().load(str(tmp_path / "head.glb"))
    painting, hull = (read_accessor(file, each.indices).reshape(-1, 3) for each in file.meshes[0].primitives)
    np.testing.assert_array_equal(hull[:, ::-1], painting[len(INSIDE) :])
    assert VARIANTS not in file.extensionsUsed


def test_several_styles_in_one_look_go_by_their_names_alone(layered: Head, other: Head, tmp_path: Path):
    write_glb(tmp_path / "head.glb", layered, GlbForm(), name="oil", styles={"ink": other})
    file = gl.GLTF2().load(str(tmp_path / "head.glb"))
    assert [each["name"] for each in file.extensions[VARIANTS]["variants"]] == ["oil", "ink"]
    write_glb(tmp_path / "head.glb", layered, GlbForm(looks=("lit", "unlit")))
    file = gl.GLTF2().load(str(tmp_path / "head.glb"))
    assert [each["name"] for each in file.extensions[VARIANTS]["variants"]] == ["lit", "unlit"]


@needs_validator
@pytest.mark.parametrize("form", [GlbForm(looks=LOOKS), GlbForm(skinned=True, dense=True), GlbForm(quantized=True)])
def test_khronos_finds_nothing(form: GlbForm, layered: Head, other: Head, tmp_path: Path):
    write_glb(tmp_path / "head.glb", layered, form, styles={"ink": other, "pen": other})
    assert_valid(tmp_path / "head.glb")


def test_styles_of_other_sitters_are_refused(layered: Head, head: Head, tmp_path: Path):
    cut = dataclasses.replace(layered.mesh, faces=layered.mesh.faces.flip(0))
    for name, style, reason in (
        ("ink", head, r"other layers \(none\)"),
        ("ink", dataclasses.replace(layered, mesh=cut), "head of the style 'ink' has another topology"),
        ("painting", layered, "Two styles"),
    ):
        with pytest.raises(InputError, match=reason):
            write_glb(tmp_path / "head.glb", layered, styles={name: style})
    assert not list(tmp_path.iterdir())
