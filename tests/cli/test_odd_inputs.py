"""Odd input through the real command: the right exit code and words, no traceback, nothing half-written left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from forked_command import CANNOT_TRY, ForkedCommand
from odd_cases import CASES
from odd_inputs import PAGE, read_messages, run_case
from odd_runs import Case

pytestmark = pytest.mark.skipif(os.name == "nt", reason="forks a loaded process for every run")


@pytest.fixture(scope="module")
def command() -> Iterator[ForkedCommand]:
    with ForkedCommand() as started:
        yield started


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file below, hidden ones too; links and pipes by name only."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 2**27
        else b""
        for path in folder.rglob("*")
    }


QUICK = {
    "photo: CMYK JPEG; artwork: 16-bit gray PNG",
    "blank picture",
    "shuffled points (every third first)",
    "disk full while writing",
    "an earlier run killed while writing; a former result at OUT",
    "missing package file",
}
"""One of each kind. What is refused before anything is loaded is quick anyway."""


def is_slow(case: Case) -> bool:
    return case.fed not in QUICK and (case.exit_code != 2 or bool(case.environment))


def make_parameter(case: Case) -> object:
    return pytest.param(case, id=case.fed, marks=pytest.mark.slow if is_slow(case) else ())


def test_there_is_a_quick_case_of_every_kind() -> None:
    cases = [case for cases in CASES.values() for case in cases]
    assert {case.fed for case in cases} >= QUICK
    assert {case.exit_code for case in cases if not is_slow(case)} == {case.exit_code for case in cases}


@pytest.mark.parametrize("case", [make_parameter(case) for cases in CASES.values() for case in cases])
def test_odd_input(case: Case, command: ForkedCommand, tmp_path: Path) -> None:
    folder, scratch = tmp_path / "folder", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    before: dict[str, bytes] = {}

    def make_and_remember(where: Path) -> list[str]:
        arguments = case.make(where)
        before.update(read_tree(where))
        return arguments

    watched = Case(case.fed, make_and_remember, case.exit_code, case.words, case.surroundings, case.environment)
    ran = run_case(watched, folder, scratch, command)
    if ran.exit_code == CANNOT_TRY:
        pytest.skip("there is no right to mount a disk here")
    assert ran.exit_code == case.exit_code, ran.stderr
    assert "Traceback" not in ran.stderr
    said = "\n".join(read_messages(ran))
    assert [word for word in case.words if word not in said] == [], said
    after = read_tree(folder)
    if case.exit_code:
        assert after == before
        return
    added = after.keys() - before.keys()
    assert {Path(name).parts[0] for name in added} == {name for name in os.listdir(folder) if name not in before}
    record = json.loads(next(content for name, content in after.items() if name.endswith("run.json")))
    assert len(record["warnings"]) == len(read_messages(ran))
    assert {name.split("/", 1)[1] for name in added if "/" in name} >= set(record["files"])


def test_page_names_every_case() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    for case in (case for cases in CASES.values() for case in cases):
        row = next((row for row in rows if row.startswith(f"| {case.fed} |")), None)
        assert row, f"{case.fed}: run python benchmarks/odd_inputs.py"
        assert f"| {case.exit_code} |" in row or "not tried" in row
        assert [word for word in case.words if word not in row] == []


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["save-intermediates", "text"])
def test_points_of_a_large_picture_come_back(tmp_path: Path, orientation: int, kind: str) -> None:
    """Points on marks painted into the file are on the same marks of the loaded picture, however they are written."""
    import PIL.Image

    from portraitist.export.result_folder import _describe_landmarks, _write_json
    from portraitist.io.images import load_image
    from portraitist.io.landmark_files import read_landmarks_of_picture, write_landmarks
    from portraitist.types import Landmarks

    shown = PIL.Image.new("RGB", (3000, 4000))
    upright = torch.stack([torch.arange(68) % 8 * 300.0 + 400, torch.arange(68) // 8 * 400.0 + 200], dim=1)
    for x, y in upright.int().tolist():
        shown.paste((255, 255, 255), (x - 6, y - 6, x + 6, y + 6))
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    stored = shown.transpose(PIL.Image.Transpose.ROTATE_90) if orientation == 6 else shown
    stored.save(tmp_path / "large.png", exif=exif)
    loaded = load_image(tmp_path / "large.png")
    size = (loaded.shape[1], loaded.shape[2])
    assert size == (2048, 1536)
    if kind == "text":
        write_landmarks(tmp_path / "p.json", upright)
    else:
        points = upright * (2048 / 4000)
        _write_json(tmp_path / "p.json", _describe_landmarks(Landmarks(points=points, size=size)))
    read = read_landmarks_of_picture(tmp_path / "p.json", tmp_path / "large.png", size)
    assert (read - upright * (2048 / 4000)).abs().max() < 1e-2
    for x, y in read.int().tolist():
        assert loaded[:, y, x].min() > 0.9
