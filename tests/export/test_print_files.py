"""STL, 3MF and PLY hold the same body, and programs of printers take them as they are."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import trimesh

from conftest import make_marked_head
from portraitist import OutputError
from portraitist.export.print_files import CORE, MATERIALS, write_3mf, write_ply, write_stl
from portraitist.export.provenance import Provenance
from portraitist.export.solid import Solid, build_solid
from portraitist.rendering.ray_casting import cast_rays

HEIGHT_MM = 40.0
SIGNED = Provenance('Ann & "Ben" <Özil>', "CC BY 4.0", "2026-11-30")


@pytest.fixture(scope="module")
def solid() -> Solid:
    return build_solid(make_marked_head(), HEIGHT_MM, flat_base=True)


def read_3mf(path: Path) -> tuple[ElementTree.Element, np.ndarray, np.ndarray, np.ndarray]:
    """The model, vertices, triangles, and the colors of their corners 0..255."""
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        assert package.namelist()[0] == "[Content_Types].xml"
        target = re.search(r'Target="/([^"]+)"', package.read("_rels/.rels").decode())
        assert target is not None
        model = ElementTree.fromstring(package.read(target[1]))
    core, materials = f"{{{CORE}}}", f"{{{MATERIALS}}}"
    points = [[float(v.attrib[axis]) for axis in "xyz"] for v in model.iter(f"{core}vertex")]
    triangles = [t.attrib for t in model.iter(f"{core}triangle")]
    faces = [[int(t[key]) for key in ("v1", "v2", "v3")] for t in triangles]
    colors = np.array([[*bytes.fromhex(c.attrib["color"][1:])] for c in model.iter(f"{materials}color")])
    (group,) = model.iter(f"{materials}colorgroup")
    assert {t["pid"] for t in triangles} == {group.attrib["id"]}
    corners = colors[[[int(t[key]) for key in ("p1", "p2", "p3")] for t in triangles]]
    return model, np.array(points), np.array(faces), corners


def test_stl_is_closed_and_true_to_a_hundredth_of_a_millimeter(solid: Solid, tmp_path: Path):
    write_stl(tmp_path / "head.stl", solid)
    data = (tmp_path / "head.stl").read_bytes()
    assert len(data) == 84 + 50 * int.from_bytes(data[80:84], "little")
    assert b"Portraitist" in data[:80]
    assert b"mm" in data[:80]
    assert not data.startswith(b"solid")
    mesh = trimesh.load_mesh(tmp_path / "head.stl")
    assert mesh.is_volume
    assert mesh.body_count == 1
    assert np.ptp(mesh.vertices[:, 2]) == pytest.approx(HEIGHT_MM, abs=0.02)
    whole = trimesh.Trimesh(solid.vertices, solid.faces, process=False)
    assert mesh.volume == pytest.approx(whole.volume, rel=1e-3)
    assert len(mesh.faces) < len(solid.faces) / 2
    start_mm = 0.05
    normals = whole.vertex_normals
    ids, _, distances = cast_rays(mesh.triangles, solid.vertices + start_mm * normals, -normals)
    assert (ids >= 0).mean() > 0.999
    assert np.percentile(np.abs(distances[ids >= 0] - start_mm), 99) < 0.015


def test_normals_in_the_stl_are_those_of_its_triangles(solid: Solid, tmp_path: Path):
    write_stl(tmp_path / "head.stl", solid)
    data = (tmp_path / "head.stl").read_bytes()[84:]
    records = np.frombuffer(data, [("numbers", "<f4", 12), ("attribute", "<u2")])
    normal, a, b, c = records["numbers"].reshape(-1, 4, 3).swapaxes(0, 1)
    cross = np.cross(b - a, c - a)
    assert ((cross * normal).sum(1) >= 0.99 * np.linalg.norm(cross, axis=1)).all()


def test_ply_has_the_body_and_its_colors(solid: Solid, tmp_path: Path):
    write_ply(tmp_path / "head.ply", solid, SIGNED)
    mesh = trimesh.load_mesh(tmp_path / "head.ply", process=False)
    assert mesh.is_volume
    np.testing.assert_array_equal(mesh.vertices, solid.vertices)
    np.testing.assert_array_equal(mesh.faces, solid.faces)
    np.testing.assert_array_equal(mesh.visual.vertex_colors[:, :3], solid.colors)
    header = (tmp_path / "head.ply").read_bytes().split(b"end_header")[0].decode()
    for line in ("units: mm", "synthetic: True", f"author: {SIGNED.author}", "date: 2026-11-30"):
        assert f"comment {line}\n" in header


def test_3mf_has_the_body_and_its_colors(solid: Solid, tmp_path: Path):
    write_3mf(tmp_path / "head.3mf", solid, SIGNED)
    model, points, faces, corners = read_3mf(tmp_path / "head.3mf")
    assert model.attrib["unit"] == "millimeter"
    np.testing.assert_allclose(points, solid.vertices, atol=1e-4)
    np.testing.assert_array_equal(faces, solid.faces)
    np.testing.assert_array_equal(corners, solid.colors[solid.faces])
    assert trimesh.Trimesh(points, faces, process=False).is_volume
    metadata = {m.attrib["name"]: m.text for m in model.iter(f"{{{CORE}}}metadata")}
    assert metadata["Designer"] == SIGNED.author
    assert metadata["LicenseTerms"] == "CC BY 4.0"
    assert metadata["CreationDate"] == "2026-11-30"
    assert "Synthetic" in metadata["Description"]
    (item,) = model.iter(f"{{{CORE}}}item")
    (thing,) = model.iter(f"{{{CORE}}}object")
    assert item.attrib["objectid"] == thing.attrib["id"]


@pytest.mark.parametrize(("suffix", "write"), [("stl", write_stl), ("3mf", write_3mf), ("ply", write_ply)])
def test_same_bytes_each_time_and_nothing_half_written(
    suffix: str, write: Callable[[Path, Solid], None], solid: Solid, tmp_path: Path
):
    names = [tmp_path / f"{number}.{suffix}" for number in range(2)]
    for name in names:
        write(name, solid)
    assert names[0].read_bytes() == names[1].read_bytes()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "absent" / f"head.{suffix}", solid)
    assert sorted(tmp_path.iterdir()) == names


@pytest.mark.skipif(shutil.which("admesh") is None, reason="admesh is not installed: STL is NOT checked by it")
def test_admesh_finds_nothing_to_mend(solid: Solid, tmp_path: Path):
    write_stl(tmp_path / "head.stl", solid)
    report = subprocess.run(["admesh", tmp_path / "head.stl"], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^([A-Z][^:\n]*?) *: +(\d+)", report, re.MULTILINE))
    assert found["Number of parts"] == "1"
    for problem in (
        "Total disconnected facets", "Degenerate facets", "Edges fixed", "Facets removed", "Facets reversed",
        "Backwards edges", "Normals fixed"
    ):  # fmt: skip
        assert found[problem] == "0", problem


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prusa-slicer") is None, reason="PrusaSlicer is not installed: it is NOT tried")
@pytest.mark.parametrize(("suffix", "write"), [("stl", write_stl), ("3mf", write_3mf)])
def test_prusa_slicer_takes_it(suffix: str, write: Callable[[Path, Solid], None], solid: Solid, tmp_path: Path):
    write(tmp_path / f"head.{suffix}", solid)
    command = ["prusa-slicer", "--info", f"head.{suffix}"]
    report = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^(\w+) = +(\S+)$", report, re.MULTILINE))
    assert found["manifold"] == "yes"
    assert found["number_of_parts"] == "1"
    assert float(found["size_z"]) == pytest.approx(HEIGHT_MM, abs=0.02)
