"""What killed runs leave behind is put right by the next one; runs that live are left alone. (Rest: test_results.py)"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from portraitist.errors import OutputError
from portraitist.io.output_folder import check_output, new_folder

RUN = """
import os, signal, sys, time
from pathlib import Path
from portraitist.io import output_folder

def stop(*_, **__):
    print("stopped", flush=True)
    time.sleep(60)

moment = sys.argv[1]
rename, calls = Path.rename, []
if moment == "between the renames":
    Path.rename = lambda self, target: stop() if calls else (calls.append(1), rename(self, target))
if moment == "after the swap":
    output_folder.shutil.rmtree = stop
with output_folder.new_folder(Path("deep/out"), overwrite=True) as folder:
    (folder / "run.json").write_text('{"files": ["run.json"]}')
    if moment == "while writing":
        stop()
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A former result."""
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    (out / "head.glb").write_bytes(b"former")
    (out / "run.json").write_text(json.dumps({"files": ["head.glb", "run.json"]}))
    return out


def start_run(folder: Path, moment: str) -> subprocess.Popen[str]:
    """A run that stands still at ``moment``."""
    process = subprocess.Popen([sys.executable, "-c", RUN, moment], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "stopped\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("moment", ["while writing", "between the renames", "after the swap"])
def test_next_run_puts_right_what_a_killed_one_left(out: Path, tmp_path: Path, moment: str) -> None:
    kill(start_run(tmp_path, moment))
    assert len(names(out.parent) - {"out"}) == 1
    assert out.exists() == (moment != "between the renames")
    with pytest.raises(OutputError, match="not empty"):
        check_output(out, overwrite=False)
    assert names(out.parent) == {"out"}
    assert names(out) == ({"run.json"} if moment == "after the swap" else {"run.json", "head.glb"})


def test_killed_run_is_replaced_when_asked(out: Path, tmp_path: Path) -> None:
    kill(start_run(tmp_path, "between the renames"))
    with new_folder(out, overwrite=True) as folder:
        (folder / "new").touch()
    assert names(out.parent) == {"out"}
    assert names(out) == {"new"}


def test_run_that_lives_is_left_alone(out: Path, tmp_path: Path) -> None:
    process = start_run(tmp_path, "while writing")
    try:
        check_output(out, overwrite=True)
        assert len(names(out.parent) - {"out"}) == 1
    finally:
        kill(process)
    check_output(out, overwrite=True)
    assert names(out.parent) == {"out"}


def test_other_results_and_folders_are_left_alone(out: Path, tmp_path: Path) -> None:
    (out.parent / ".portraitist-0123456789ab-foreign").mkdir()
    (out.parent / ".portraitist").mkdir()
    kill(start_run(tmp_path, "while writing"))
    check_output(out.with_name("other"), overwrite=False)
    assert len(names(out.parent)) == 4
    check_output(out, overwrite=True)
    assert names(out.parent) == {"out", ".portraitist", ".portraitist-0123456789ab-foreign"}


def test_former_result_that_cannot_be_put_back_is_kept_for_the_next_run(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def fail_after_first(self: Path, target: Path) -> Path:
        if self != out:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail_after_first)
        with pytest.raises(OutputError, match="Input/output error"), new_folder(out, overwrite=True):
            pass
    assert not out.exists()
    with pytest.raises(OutputError, match="not empty"):
        check_output(out, overwrite=False)
    assert (out / "head.glb").read_bytes() == b"former"
    assert names(out.parent) == {"out"}


@pytest.mark.parametrize(
    ("number", "cure"), [(errno.ENOSPC, "Free some space"), (errno.EROFS, "folder you may write to")]
)
def test_failed_write_names_the_place_and_the_cure(tmp_path: Path, number: int, cure: str) -> None:
    """Also when the writer of one file has said something about the hidden folder."""
    for error in (OSError(number, os.strerror(number)), OutputError("hidden")):
        with pytest.raises(OutputError, match=cure) as raised, new_folder(tmp_path / "deep" / "out", overwrite=False):
            raise error from OSError(number, os.strerror(number))
        assert f"{tmp_path / 'deep' / 'out'}: {os.strerror(number)}" in str(raised.value)
    assert not names(tmp_path)


def test_names_that_no_folder_can_have(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="shorter name"):
        check_output(tmp_path / ("x" * 300), overwrite=False)
    with new_folder(tmp_path / ("x" * 255), overwrite=False) as folder:
        (folder / "a").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OutputError, match="-o"):
        check_output(tmp_path / "loop" / "out", overwrite=False)
    assert names(tmp_path) == {"x" * 255, "loop"}
