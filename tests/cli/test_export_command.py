"""`portraitist export` and `import`: a head goes out to a program and comes back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gl
import pytest
import torch
import trimesh

from body.people import make_person
from cli import test_cli
from cli.test_cli import assert_refused
from conftest import add_layers, make_head, make_marked_head
from portraitist import load_head, save_head, write_glb
from portraitist.export.profiles import PROFILES
from portraitist.types import Head

Run = Callable[..., Any]
run_here = test_cli.run_here


@pytest.fixture
def layered() -> Head:
    head = add_layers(make_head())
    return dataclasses.replace(head, texture=(255 * head.texture).round() / 255)


@pytest.fixture
def folder(layered: Head, tmp_path: Path) -> Path:
    """Two results of one sitter."""
    for name, texture in (("oil", layered.texture), ("pen and ink", 1 - layered.texture)):
        (tmp_path / name).mkdir()
        save_head(tmp_path / name / "head.safetensors", dataclasses.replace(layered, texture=texture))
    return tmp_path


def list_files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("program", PROFILES)
def test_each_program_gets_its_file(program: str, run_here: Run, folder: Path, layered: Head):
    profile = PROFILES[program]
    small = ("--height", "15") if "height_mm" in profile.takes else ()
    ran = run_here("export", "oil/head.safetensors", "--for", program, *small, folder=folder)
    assert ran.returncode == 0, ran.stderr
    path = Path(f"head_{program}{profile.suffix}")
    beside = {each.name for each in profile.list_files(path, layered)}
    assert list_files(folder) == {path.name, *beside}
    assert all(name in ran.stdout for name in (path.name, *beside))
    assert {each.name for each in (folder / "oil").iterdir()} == {"head.safetensors"}


def test_options_reach_the_file(run_here: Run, folder: Path):
    ran = run_here(
        *("export", "oil/head.safetensors", "--for", "web", "-o", "all.glb", "--visemes", "--looks", "toon,lit"),
        *("--style", "pen and ink/head.safetensors", "--author", "Ada", "--license", "CC0", "--date", "2026-11-30"),
        folder=folder,
    )
    assert ran.returncode == 0, ran.stderr
    file = gl.GLTF2().load(str(folder / "all.glb"))
    assert file.asset.extras["date"] == "2026-11-30"
    assert file.asset.copyright == "Ada, sources: CC0"
    assert {"viseme_aa", "shape_pen_and_ink"} <= {*file.meshes[0].extras["targetNames"]}
    variants = [each["name"] for each in file.extensions["KHR_materials_variants"]["variants"]]
    assert variants == ["oil_toon", "oil_lit", "pen_and_ink_toon", "pen_and_ink_lit"]


def test_bones_are_called_as_asked(run_here: Run, folder: Path):
    save_head(folder / "person.safetensors", make_person())
    ran = run_here(
        *("export", "person.safetensors", "--for", "web", "--bones", "mixamo", "-o", "person.glb"), folder=folder
    )
    assert ran.returncode == 0, ran.stderr
    file = gl.GLTF2().load(str(folder / "person.glb"))
    assert "mixamorig:LeftForeArm" in {node.name for node in file.nodes}
    assert [clip.name for clip in file.animations] == ["idle", "walk", "wave", "head_turn"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--for", "web", "--bones", "mixamo"), ("--bones", "none", "portraitist character")),
        (("--for", "vrm", "--bones", "mixamo"), ("--bones means nothing for vrm",)),
        (("--for", "unity", "--bones", "biped"), ("biped",)),
    ],
)
def test_bones_that_are_not_there_are_refused(
    run_here: Run, folder: Path, arguments: tuple[str, ...], said: tuple[str, ...]
):
    before = list_files(folder)
    ran = run_here("export", "oil/head.safetensors", *arguments, folder=folder)
    assert_refused(ran, 2, *said)
    assert list_files(folder) == before


def test_a_print_is_as_high_as_asked(run_here: Run, folder: Path):
    head = "oil/head.safetensors"
    ran = run_here("export", head, "--for", "print", "--height", "20", "--flat-base", "-o", "out.ply", folder=folder)
    assert ran.returncode == 0, ran.stderr
    body = trimesh.load_mesh(folder / "out.ply")
    assert body.is_volume
    assert np.ptp(body.vertices[:, 2]) == pytest.approx(20, abs=1e-3)


def test_what_may_break_in_print_is_told(run_here: Run, folder: Path):
    save_head(folder / "thin.safetensors", make_marked_head(32))
    options = ("--height", "30", "--thinnest", "0.9", "-o", "out.stl")
    ran = run_here("export", "thin.safetensors", "--for", "print", *options, folder=folder)
    assert ran.returncode == 0, ran.stderr
    assert "Note: Thinner than 0.9 mm in print: " in ran.stderr
    assert "ears (0." in ran.stderr


def test_an_avatar_has_the_terms_asked_for(run_here: Run, folder: Path):
    options = ("--terms", "everyone", "--license-url", "https://example.org", "--author", "Ada", "-o", "ada.vrm")
    ran = run_here("export", "oil/head.safetensors", "--for", "vrm", *options, folder=folder)
    assert ran.returncode == 0, ran.stderr
    meta = gl.GLTF2().load_binary(str(folder / "ada.vrm")).extensions["VRMC_vrm"]["meta"]
    assert (meta["name"], meta["authors"], meta["avatarPermission"]) == ("ada", ["Ada"], "everyone")
    assert meta["otherLicenseUrl"] == "https://example.org"


def test_what_cannot_be_exported_is_refused(run_here: Run, folder: Path, layered: Head):
    head = "oil/head.safetensors"
    (folder / "text.safetensors").write_text("no head")
    (folder / "there.glb").write_text("mine")
    (folder / "other.mtl").write_text("mine")
    save_head(folder / "bare.safetensors", dataclasses.replace(layered, layers=()))
    before = list_files(folder)
    for arguments, exit_code, word in (
        (("text.safetensors", "--for", "web"), 2, "head.safetensors"),
        ((head, "--for", "web", "-o", "there.glb"), 5, "--overwrite"),
        ((head, "--for", "web", "-o", "absent/head.glb"), 5, "Cannot write"),
        ((head, "--for", "obj", "-o", "other.obj"), 5, "other.mtl"),
        ((head, "--for", "web", "--author", " "), 2, "one line"),
        ((head, "--for", "web", "--date", "today"), 2, "YYYY-MM-DD"),
        ((head, "--for", "web", "--style", "bare.safetensors"), 2, "other layers"),
        ((head, "--for", "web", "--style", head), 2, "Two styles"),
        ((head, "--for", "web", *2 * ("--style", "pen and ink/head.safetensors")), 2, "called 'pen_and_ink'"),
        ((head, "--for", "web", "--height", "50"), 2, "--height means nothing for web"),
        ((head, "--for", "print", "--height", "0"), 2, "10 to 2000"),
        ((head, "--for", "print", "-o", "head.glb"), 2, ".3mf or .stl or .ply"),
        ((head, "--for", "vrm", "--terms", "nobody"), 2, "author"),
    ):
        assert_refused(run_here("export", *arguments, folder=folder), exit_code, word)
    assert list_files(folder) == before
    assert (folder / "there.glb").read_text() == "mine"


def test_an_edited_file_becomes_a_head_again(run_here: Run, folder: Path, layered: Head):
    painted = dataclasses.replace(layered, texture=torch.rand(3, 64, 64), layers=layered.layers[:1])
    write_glb(folder / "edited.glb", painted)
    ran = run_here("import", "edited.glb", "oil/head.safetensors", "-o", "new.safetensors", folder=folder)
    assert ran.returncode == 0, ran.stderr
    assert "edited.glb has no Headwear" in ran.stderr
    new = load_head(folder / "new.safetensors")
    assert (new.texture - painted.texture).abs().max() <= 0.51 / 255
    assert torch.equal(new.mesh.vertices, layered.mesh.vertices)


def test_what_cannot_be_imported_is_refused(run_here: Run, folder: Path, layered: Head):
    write_glb(folder / "edited.glb", layered)
    fewer = dataclasses.replace(
        layered.mesh, faces=layered.mesh.faces[1:], uv_faces=layered.mesh.uv_faces[1:], regions=layered.mesh.regions[1:]
    )
    write_glb(folder / "cut.glb", dataclasses.replace(layered, mesh=fewer))
    (folder / "text.glb").write_text("no GLB")
    (folder / "there.safetensors").write_text("mine")
    before = list_files(folder)
    for file, head, out, exit_code, word in (
        ("text.glb", "oil/head.safetensors", "new.safetensors", 2, "no usable GLB"),
        ("cut.glb", "oil/head.safetensors", "new.safetensors", 2, "topology"),
        ("edited.glb", "there.safetensors", "new.safetensors", 2, "head.safetensors"),
        ("edited.glb", "oil/head.safetensors", "there.safetensors", 5, "--overwrite"),
    ):
        assert_refused(run_here("import", file, head, "-o", out, folder=folder), exit_code, word)
    assert list_files(folder) == before
