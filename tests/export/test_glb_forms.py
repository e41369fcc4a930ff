"""Each form of the GLB holds the same head, in the way that some program asks for, and Khronos' validator agrees."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pygltflib as gl
import pytest

from conftest import add_layers, make_head
from export.gltf_validator import assert_valid, needs_validator
from export.read_glb import read_accessor, read_image
from portraitist.export.combinations import COMBINATIONS, VISEMES
from portraitist.export.glb import GlbForm, list_texture_files, write_glb
from portraitist.export.gltf_parts import ORIGINAL_SHAPE
from portraitist.io.glb_file import GlbPart, read_glb
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import EXPRESSION_NAMES, Head

FORMS = {
    "plain": GlbForm(),
    "dense": GlbForm(dense=True),
    "quantized": GlbForm(quantized=True),
    "small": GlbForm(small_textures=True),
    "beside": GlbForm(textures_beside=True),
    "normals": GlbForm(morph_normals=True),
    "visemes": GlbForm(visemes=True),
    "skinned": GlbForm(skinned=True),
    "lit": GlbForm(looks=("lit",)),
    "toon": GlbForm(looks=("toon",)),
    "looks": GlbForm(quantized=True, visemes=True, looks=("lit", "toon", "unlit")),
}


@pytest.fixture(scope="module")
def layered() -> Head:
    return add_layers(make_head())


@pytest.fixture(scope="module")
def plain(layered: Head, tmp_path_factory: pytest.TempPathFactory) -> dict[str, GlbPart]:
    path = tmp_path_factory.mktemp("plain") / "head.glb"
    write_glb(path, layered)
    return read_glb(path)


def write(path: Path, head: Head, form: GlbForm, **more: object) -> gl.GLTF2:
    write_glb(path, head, form, **more)
    return gl.GLTF2().load(str(path))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_holds_the_same_head(name: str, layered: Head, plain: dict[str, GlbPart], tmp_path: Path):
    """Within the steps of 16-bit numbers where these are used; the names are ARKit's, all else comes behind."""
    file = write(tmp_path / "head.glb", layered, FORMS[name])
    parts, reach = read_glb(tmp_path / "head.glb"), 0.2
    step = reach / 32767 if FORMS[name].quantized else 1e-6
    assert parts.keys() >= plain.keys() == {"Head", "Hair", "Headwear"}
    for part, expected in plain.items():
        np.testing.assert_allclose(parts[part].positions, expected.positions, atol=step)
        np.testing.assert_allclose(parts[part].uvs, expected.uvs, atol=1e-5)
        np.testing.assert_array_equal(parts[part].triangles, expected.triangles)
        names = [*parts[part].morphs]
        assert names[:53] == [*EXPRESSION_NAMES, ORIGINAL_SHAPE]
        assert names[53:] == ([*COMBINATIONS] if FORMS[name].visemes else [])
        for morph in names[:53]:
            np.testing.assert_allclose(parts[part].morphs[morph], expected.morphs[morph], atol=step)
    for mesh in file.meshes:
        np.testing.assert_allclose(mesh.weights, [*layered.expression.tolist(), *[0] * (len(names) - 52)], atol=1e-7)


@needs_validator
@pytest.mark.parametrize("name", FORMS)
def test_khronos_finds_nothing(name: str, layered: Head, tmp_path: Path):
    write_glb(tmp_path / "head.glb", layered, FORMS[name])
    assert_valid(tmp_path / "head.glb")


@needs_validator
def test_khronos_finds_what_is_wrong(layered: Head, tmp_path: Path):
    write_glb(tmp_path / "head.glb", layered)
    data = (tmp_path / "head.glb").read_bytes()
    (tmp_path / "head.glb").write_bytes(data.replace(b'"VEC3"', b'"VEC2"', 1))
    with pytest.raises(AssertionError, match="errors"):
        assert_valid(tmp_path / "head.glb")


def test_dense_targets_are_whole(layered: Head, tmp_path: Path):
    file = write(tmp_path / "head.glb", layered, GlbForm(dense=True))
    assert not any(accessor.sparse for accessor in file.accessors)
    assert any(accessor.sparse for accessor in write(tmp_path / "plain.glb", layered, GlbForm()).accessors)


def test_quantized_is_smaller_and_says_so(layered: Head, tmp_path: Path):
    file = write(tmp_path / "head.glb", layered, GlbForm(quantized=True))
    write_glb(tmp_path / "plain.glb", layered)
    assert (tmp_path / "head.glb").stat().st_size < 0.8 * (tmp_path / "plain.glb").stat().st_size
    assert file.extensionsRequired == ["KHR_mesh_quantization"]
    assert file.nodes[0].scale is not None
    assert file.nodes[0].translation is None  # who turns the head turns it about its origin
    assert not any(node.scale for node in file.nodes[1:])  # they hang on the head


def test_small_textures_are_jpegs_where_these_are_smaller(head: Head, tmp_path: Path):
    smooth = dataclasses.replace(head, texture=head.texture.mean(dim=(1, 2), keepdim=True).expand(3, 32, 32).clone())
    kinds = {}
    for name, each in (("noise", head), ("one color", smooth)):
        kinds[name] = write(tmp_path / "head.glb", each, GlbForm(small_textures=True)).images[0].mimeType
    assert kinds == {"noise": "image/jpeg", "one color": "image/png"}


def test_textures_beside_are_named_after_the_file(layered: Head, tmp_path: Path):
    path = tmp_path / "my head.glb"
    file = write(path, layered, GlbForm(textures_beside=True), styles={"ink": layered})
    listed = list_texture_files(path, layered, {"ink": layered})
    assert {each.name for each in tmp_path.iterdir()} == {path.name, *(each.name for each in listed)}
    assert len(listed) == 6
    assert not any(image.bufferView for image in file.images)
    assert file.images[0].uri == "my%20head_Painting.png"
    got = read_glb(path)["Headwear"].texture
    assert got is not None
    np.testing.assert_allclose(got, layered.layers[1].texture, atol=0.5 / 255 + 1e-6)


def test_morph_normals_lead_to_the_normals_of_the_moved_shape(head: Head, tmp_path: Path):
    file = write(tmp_path / "head.glb", head, GlbForm(morph_normals=True))
    (primitive,) = file.meshes[0].primitives
    corners = read_accessor(file, primitive.indices).reshape(-1)
    jaw = EXPRESSION_NAMES.index("jawOpen")
    got = read_accessor(file, primitive.attributes.NORMAL) + read_accessor(file, primitive.targets[jaw]["NORMAL"])
    moved = (head.neutral + head.expression_deltas[jaw]).numpy()
    expected = vertex_normals(moved, head.mesh.faces.numpy())[head.mesh.faces.reshape(-1).numpy()]
    np.testing.assert_allclose(got[corners], expected, atol=1e-5)
    assert np.abs(read_accessor(file, primitive.targets[jaw]["NORMAL"])).max() > 0.01


def test_combinations_are_those_of_the_blendshapes(layered: Head, tmp_path: Path):
    write_glb(tmp_path / "head.glb", layered, GlbForm(visemes=True))
    for part in read_glb(tmp_path / "head.glb").values():
        for name, weights in COMBINATIONS.items():
            expected = sum((weight * part.morphs[each] for each, weight in weights.items()), 0 * part.positions)
            np.testing.assert_allclose(part.morphs[name], expected, atol=1e-6)


def test_the_visemes_are_those_of_oculus():
    sounds = ["sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U"]
    assert [*VISEMES] == [f"viseme_{sound}" for sound in sounds]
    assert {each for weights in COMBINATIONS.values() for each in weights} <= {*EXPRESSION_NAMES}
    assert len({tuple(sorted(weights.items())) for weights in COMBINATIONS.values()}) == len(COMBINATIONS)


def test_unlit_and_lit_are_never_together_in_one_look(layered: Head, tmp_path: Path):
    for look in ("unlit", "lit", "toon"):
        file = write(tmp_path / "head.glb", layered, GlbForm(looks=(look,)))
        unlit = {"KHR_materials_unlit" in (material.extensions or {}) for material in file.materials}
        assert unlit == {look != "lit"}
        assert ("KHR_materials_unlit" in file.extensionsUsed) == (look != "lit")


def test_forms_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match="skinned"):
        GlbForm(quantized=True, skinned=True)
    with pytest.raises(ValueError, match="PNG"):
        GlbForm(small_textures=True, textures_beside=True)


def test_the_png_is_the_texture_in_every_form(layered: Head, tmp_path: Path):
    file = write(tmp_path / "head.glb", layered, GlbForm(quantized=True, looks=("lit",)))
    np.testing.assert_allclose(read_image(file, 1), layered.layers[0].texture.permute(1, 2, 0), atol=0.5 / 255 + 1e-6)
