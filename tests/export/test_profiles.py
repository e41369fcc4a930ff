"""Each profile writes what it says, and nothing that it does not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pygltflib as gl
import pytest

from conftest import add_layers, make_head
from export.gltf_validator import assert_valid, needs_validator
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import Provenance
from portraitist.types import Head

SIGNED = Provenance("Ada", "CC0")


@pytest.fixture(scope="module")
def layered() -> Head:
    return add_layers(make_head())


def write(name: str, head: Head, folder: Path, **options: object) -> Path:
    profile = PROFILES[name]
    path = folder / f"head{profile.suffix}"
    if "height_mm" in profile.takes:
        options |= {"height_mm": 15.0}
    profile.write(path, head, provenance=SIGNED, **options)
    listed = [path, *profile.list_files(path, head, **options)]
    assert sorted(folder.iterdir()) == sorted(listed)
    return path


@pytest.mark.parametrize("name", PROFILES)
def test_each_writes_the_files_that_it_lists_and_signs_them(name: str, layered: Head, tmp_path: Path):
    path = write(name, layered, tmp_path)
    content = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as package:
            content = b"".join(map(package.read, package.namelist()))
    assert b"Ada" in content


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.suffix == ".glb"])
def test_each_takes_its_options(name: str, layered: Head, tmp_path: Path):
    assert {"looks", "styles", "visemes", "morph_normals"} <= {*PROFILES[name].takes}
    options = {"looks": ("toon", "lit"), "styles": {"ink": layered}, "visemes": True, "morph_normals": True}
    file = gl.GLTF2().load(str(write(name, layered, tmp_path, **options)))
    assert "viseme_aa" in file.meshes[0].extras["targetNames"]
    assert file.meshes[0].primitives[0].targets[0]["NORMAL"] is not None
    assert "KHR_materials_variants" in file.extensionsUsed


def test_what_each_program_gets(layered: Head, tmp_path: Path):
    facts = {}
    for name in ("web", "blender", "unity", "unreal"):
        (tmp_path / name).mkdir()
        file = gl.GLTF2().load(str(write(name, layered, tmp_path / name)))
        facts[name] = {
            "bones": len(file.skins),
            "sparse": any(accessor.sparse for accessor in file.accessors),
            "unlit": "KHR_materials_unlit" in file.extensionsUsed,
            "quantized": "KHR_mesh_quantization" in file.extensionsUsed,
            "beside": sum(image.uri is not None for image in file.images),
        }
    engine = {"bones": 1, "sparse": False, "unlit": True, "quantized": False, "beside": 0}
    assert facts == {
        "web": {"bones": 0, "sparse": True, "unlit": True, "quantized": True, "beside": 0},
        "blender": {"bones": 0, "sparse": True, "unlit": False, "quantized": False, "beside": 3},
        "unity": engine,
        "unreal": engine,
    }


@needs_validator
@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.suffix == ".glb"])
def test_khronos_finds_nothing(name: str, layered: Head, tmp_path: Path):
    assert_valid(write(name, layered, tmp_path))
