"""Standard streams that are closed, full, absent, unread or of another encoding: the result stays, and no clutter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from portraitist.landmarks.mediapipe_tasks import native_log_silenced

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
QUICK_COMMAND = Path(__file__).with_name("quick_command.py")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
COMMANDS = {
    "stylize": ["stylize", "me.jpg", "art.jpg", "-o", "out"],
    "stylize --json": ["stylize", "me.jpg", "art.jpg", "-o", "out", "--json"],
    "demo": ["demo", "-o", "out"],
    "turntable": ["turntable", "head.safetensors", "-o", "out"],
    "sheet": ["sheet", "head.safetensors", "-o", "out"],
}
ERRORS = {
    "damaged picture": ["stylize", "damaged.jpg", "art.jpg", "-o", "out", "--json"],
    "damaged head": ["turntable", "damaged.jpg", "-o", "out"],
    "no such style": ["demo", "--style", "oil", "--json"],
    "no command": [],
}
PLACES = {
    "output closed": ">&-",
    "output full": ">/dev/full",
    "output unread": "",
    "errors closed": "2>&-",
    "errors full": "2>/dev/full",
    "all closed": "<&- >&- 2>&-",
    "all full": ">/dev/full 2>/dev/full",
    "all unread": "",
    "input closed": "<&-",
}


def run_in_shell(
    arguments: list[str], place: str, folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the quick command with its streams as ``place`` has it; ``unread``: a pipe whose reader is gone."""
    for name in ("me.jpg", "art.jpg", "head.safetensors"):
        (folder / name).touch()
    (folder / "damaged.jpg").write_text("damaged")
    (folder / "bug.jpg").write_text("bug")
    program = ["sh", "-c", f'exec "$@" {PLACES.get(place, "")}', "sh", sys.executable, str(QUICK_COMMAND), *arguments]
    ends = os.pipe() if "unread" in place else ()
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if ends:
        streams |= dict.fromkeys(("stdout", "stderr") if "all" in place else ("stdout",), ends[1])
        os.close(ends[0])
    try:
        return subprocess.run(
            program,
            cwd=folder,
            env=os.environ | environment,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
            **streams,
        )
    finally:
        for end in ends[1:]:
            os.close(end)


def assert_no_clutter(ran: subprocess.CompletedProcess[str]) -> None:
    for clutter in ("Traceback", "Exception ignored", "report it", "Errno"):
        assert clutter not in (ran.stdout or "") + (ran.stderr or "")


QUICK = {"stylize", "stylize --json", "damaged picture", "no command"}


def each(names: Iterable[str]) -> list[object]:
    """Parameters; what takes the same way as a quick one, or needs another package, is slow."""
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


ANYWHERE = [pytest.param(place, marks=FULL if "/dev/full" in PLACES[place] else ()) for place in PLACES]


def expect_code(place: str) -> int:
    """Of a run without an error of its own."""
    return 141 if "unread" in place else 5 if PLACES[place].startswith(">/dev/full") else 0


@pytest.mark.parametrize("place", ANYWHERE)
@pytest.mark.parametrize("command", each(COMMANDS))
def test_result_stays_wherever_the_words_go(command: str, place: str, tmp_path: Path) -> None:
    ran = run_in_shell(COMMANDS[command], place, tmp_path)
    assert_no_clutter(ran)
    assert (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))
    assert ran.returncode == expect_code(place), ran.stderr
    if place == "output full":
        last = ran.stderr.splitlines()[-1]
        assert last.startswith(f"portraitist: The result is complete, at {(tmp_path / 'out').resolve()}. ")
        assert "No space left on device" in last
    if place.startswith("errors"):
        assert json.loads(ran.stdout) if "--json" in command else "Written to" in ran.stdout
        assert "loading" not in ran.stdout


@pytest.mark.parametrize("place", ANYWHERE)
@pytest.mark.parametrize("command", each(ERRORS))
def test_errors_keep_their_exit_code_wherever_the_words_go(command: str, place: str, tmp_path: Path) -> None:
    ran = run_in_shell(ERRORS[command], place, tmp_path)
    assert_no_clutter(ran)
    assert ran.returncode == 2
    assert not (tmp_path / "out").exists()
    if place.startswith("errors") and "--json" in ERRORS[command]:
        assert json.loads(ran.stdout)["error"]["exit_code"] == 2


@pytest.mark.parametrize("place", ANYWHERE)
@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_wherever_it_goes(argument: str, place: str, tmp_path: Path) -> None:
    ran = run_in_shell([argument], place, tmp_path)
    assert_no_clutter(ran)
    assert ran.returncode == expect_code(place)


@pytest.mark.parametrize("host", ["no streams", "closed streams", "streams of its own"])
@pytest.mark.parametrize("command", each([*COMMANDS, *ERRORS]))
def test_hosts_that_give_python_no_streams(host: str, command: str, tmp_path: Path) -> None:
    ran = run_in_shell((COMMANDS | ERRORS)[command], "", tmp_path, HOST=host)
    assert ran.returncode == (0 if command in COMMANDS else 2)
    assert not ran.stdout + ran.stderr
    assert (tmp_path / "out").exists() == (command in COMMANDS)


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
@pytest.mark.parametrize("name", ["é ö.jpg".encode(), b"\xff.jpg", "\N{GRINNING FACE}.jpg".encode()])
def test_json_in_any_encoding(environment: dict[str, str], name: bytes, tmp_path: Path) -> None:
    for content, exit_code in ((b"", 0), (b"damaged", 2)):
        photo = os.fsdecode(name)
        (tmp_path / photo).write_bytes(content)
        ran = run_in_shell(
            ["stylize", photo, "art.jpg", "-o", "out", "--json", "--overwrite"], "", tmp_path, **environment
        )
        assert ran.returncode == exit_code, ran.stderr
        assert ran.stdout.isascii()
        assert len(ran.stdout.splitlines()) == 1
        said = json.loads(ran.stdout)
        if exit_code:
            assert said["error"]["message"].endswith(".jpg is damaged.")
            assert said["error"]["message"].encode("utf-8")  # no halves of surrogate pairs


@pytest.mark.parametrize("place", ["errors closed", "all unread", pytest.param("errors full", marks=FULL)])
def test_progress_bar_on_a_terminal_that_is_gone(place: str, tmp_path: Path) -> None:
    ran = run_in_shell(COMMANDS["stylize"], place, tmp_path, FORCE_COLOR="1")
    assert ran.returncode == expect_code(place)
    assert (tmp_path / "out").exists()


def test_abbreviated_json_option_reports_errors_too(tmp_path: Path) -> None:
    ran = run_in_shell(["stylize", "damaged.jpg", "art.jpg", "-o", "out", "--js"], "", tmp_path)
    assert json.loads(ran.stdout)["error"]["type"] == "InputError"


def test_bug_is_still_to_be_reported(tmp_path: Path) -> None:
    ran = run_in_shell(["stylize", "bug.jpg", "art.jpg", "-o", "out", "--json"], "", tmp_path)
    assert ran.returncode == 1
    assert "please report it" in json.loads(ran.stdout)["error"]["message"]
    ran = run_in_shell(["stylize", "bug.jpg", "art.jpg", "-o", "out"], "", tmp_path, PORTRAITIST_DEBUG="1")
    assert "in load_image" in ran.stderr


SILENCING = """
import os, sys
from portraitist.landmarks.mediapipe_tasks import native_log_silenced
{setup}
before = sorted(os.listdir("/dev/fd"))
with native_log_silenced():
    if sys.argv[1:]:
        os.write(2, b"native log")
sys.exit(sorted(os.listdir("/dev/fd")) != before)
"""


@pytest.mark.parametrize("setup", ["", "os.close(2)", "sys.stderr = None", "sys.stderr.close()"])
def test_native_log_is_silenced_on_any_host(setup: str) -> None:
    command = [sys.executable, "-c", SILENCING.format(setup=setup), "write"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_what_is_said_after_a_silenced_log_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    with native_log_silenced():
        os.write(2, b"not heard")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
