"""A run that is stopped, at any moment: one sentence, the right code, nothing half-written, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from portraitist.io.held_signals import STOP_SIGNALS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
QUICK_COMMAND = Path(__file__).with_name("quick_command.py")
NOTHING, COMPLETE = "Stopped. Nothing was written.", "Stopped. The result was complete already: it is at "
ENDS = {
    "loading": NOTHING,
    "computing": NOTHING,
    "swallowed": NOTHING,
    "writing": NOTHING,
    "put aside": COMPLETE,
    "put into place": COMPLETE,
    "tidying up": COMPLETE,
    "written": COMPLETE,
}
"""What is said after a signal at each moment. One that comes between the renames waits until both are done."""


def run_quickly(
    arguments: list[str], folder: Path, handlers: dict[int, signal.Handlers] | None = None, **environment: object
) -> subprocess.CompletedProcess[str]:
    """The quick command, with signals handled as in a terminal but for ``handlers``."""

    def handle() -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, (handlers or {}).get(number, signal.SIG_DFL))

    for name in ("me.jpg", "art.jpg", "head.safetensors"):
        (folder / name).touch()
    return subprocess.run(
        [sys.executable, str(QUICK_COMMAND), *arguments],
        cwd=folder,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        preexec_fn=handle,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def make_former(folder: Path) -> Path:
    out = folder / "deep" / "out"
    out.mkdir(parents=True)
    (out / "head.glb").write_bytes(b"former")
    (out / "run.json").write_text('{"files": ["head.glb", "run.json"]}')
    return out


def list_hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


STYLIZE = ["stylize", "me.jpg", "art.jpg", "-o", "deep/out", "--overwrite", "--json"]


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("moment", ENDS)
def test_signal_at_any_moment(moment: str, number: signal.Signals, tmp_path: Path) -> None:
    out = make_former(tmp_path)
    ran = run_quickly(STYLIZE, tmp_path, STOP_AT=moment, STOP_WITH=int(number))
    assert ran.returncode == 128 + number
    error = json.loads(ran.stdout)["error"]
    assert (error["type"], error["exit_code"]) == ("Interrupted", 128 + number)
    assert error["message"] == ENDS[moment] + (f"{out.resolve()}." if ENDS[moment] == COMPLETE else "")
    assert ran.stderr.splitlines()[-1] == f"portraitist: {error['message']}"
    if moment != "swallowed":  # Python itself tells of what it has swallowed
        assert "Traceback" not in ran.stderr
    assert {path.name for path in out.iterdir()} == {"run.json"} | (
        {"head.glb"} if error["message"] == NOTHING else set()
    )
    assert not list_hidden(tmp_path)


@pytest.mark.parametrize("moment", ["loading", "writing", "written"])
def test_signal_while_a_turntable_is_made(moment: str, tmp_path: Path) -> None:
    (tmp_path / "turn.mp4").write_bytes(b"former")
    arguments = ["turntable", "head.safetensors", "-o", "turn.mp4", "--overwrite"]
    ran = run_quickly(arguments, tmp_path, STOP_AT=moment, STOP_WITH=int(signal.SIGTERM))
    assert ran.returncode == 143
    assert ENDS[moment] in ran.stderr
    assert (tmp_path / "turn.mp4").read_bytes() == (b"former" if ENDS[moment] == NOTHING else b"turntable")
    assert not list_hidden(tmp_path)


@pytest.mark.parametrize("moment", ["loading", "computing", "writing", "written"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["sheet", "head.safetensors", "-o", "out"],
        ["image", "me.jpg", "art.jpg", "-o", "out.png"],
        ["reenact", "head.safetensors", "me.jpg", "-o", "out"],
        ["export", "head.safetensors", "--for", "web", "-o", "out.glb"],
        ["import", "me.jpg", "head.safetensors", "-o", "out.safetensors"],
        ["bust", "me.jpg", "art.jpg", "-o", "out"],
        ["character", "head.safetensors", "-o", "out"],
        ["replace-face", "me.jpg", "head.safetensors", "-o", "out"],
    ],
)
def test_signal_while_another_command_runs(arguments: list[str], moment: str, tmp_path: Path) -> None:
    if arguments[0] in ("sheet", "export", "import") and moment == "computing":
        moment = "writing"  # they compute while they write
    ran = run_quickly(arguments, tmp_path, STOP_AT=moment, STOP_WITH=int(signal.SIGINT))
    assert ran.returncode == 130
    assert ENDS[moment] in ran.stderr
    assert (tmp_path / arguments[-1]).exists() == (ENDS[moment] != NOTHING)
    assert not list_hidden(tmp_path)


def test_result_put_back_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    """A former run was killed between the renames; this one puts its former result back, and is stopped then."""
    out = make_former(tmp_path)
    ran = run_quickly(STYLIZE, tmp_path, STOP_AT="put aside", STOP_WITH=int(signal.SIGKILL))
    assert ran.returncode == -signal.SIGKILL
    assert not out.exists()
    ran = run_quickly(STYLIZE, tmp_path, STOP_AT="computing", STOP_WITH=int(signal.SIGINT))
    assert json.loads(ran.stdout)["error"]["message"] == NOTHING
    assert {path.name for path in out.iterdir()} == {"run.json", "head.glb"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_ignored_signals_are_left_ignored(number: signal.Signals, tmp_path: Path) -> None:
    """As by ``nohup``, and in the background of a script."""
    ran = run_quickly(STYLIZE, tmp_path, {number: signal.SIG_IGN}, STOP_AT="computing", STOP_WITH=int(number))
    assert ran.returncode == 0
    assert (tmp_path / "deep" / "out").exists()


IMPORTING = """
import os, signal, sys
def stop(event, arguments):
    if event == "import" and arguments[0] == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
from portraitist.cli.main import main
sys.addaudithook(stop)
main(sys.argv[2:])
"""
EARLY = ["portraitist.cli.commands", "argparse", "portraitist.cli.streams", "portraitist.cli.terminal", "rich.console"]
LATE = ["numpy", "torch", "torch._C", "scipy", "cv2", "mediapipe", "portraitist.pipeline"]


@pytest.mark.parametrize("module", [*EARLY, *(pytest.param(name, marks=pytest.mark.slow) for name in LATE)])
def test_interruption_while_anything_is_imported(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORTING, module, "demo", "--preset", "draft", "-o", "deep/out"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 130, ran.stderr
    assert ran.stderr.splitlines()[-1] == f"portraitist: {NOTHING}"
    assert "Traceback" not in ran.stderr
    assert not list(tmp_path.iterdir())


def test_little_is_imported_before_signals_are_listened_to() -> None:
    """What the entry point waits for is time in which Ctrl-C shows a traceback."""
    program = "import sys; before = {*sys.modules}; import portraitist.cli.main; print(*sys.modules.keys() - before)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"typing", "argparse", "dataclasses", "inspect", "json", "pathlib", "logging"} & {*ran.stdout.split()}


@pytest.mark.slow
def test_signal_at_any_line_of_the_command(tmp_path: Path) -> None:
    number, line, ends = signal.SIGTERM, 0, set()
    while True:
        line += 5  # all of them would take minutes; all were tried when this was written
        folder = tmp_path / str(line)
        folder.mkdir()
        out = make_former(folder)
        ran = run_quickly(STYLIZE, folder, STOP_AT=line, STOP_WITH=int(number))
        assert "Traceback" not in ran.stderr, f"line {line}: {ran.stderr}"
        assert not list_hidden(folder)
        files = {path.name for path in out.iterdir()}
        if ran.returncode == 0:  # too late to be stopped
            assert files == {"run.json"}
            assert "error" not in json.loads(ran.stdout)
            break
        assert ran.returncode == 128 + number, f"line {line}: {ran.stderr}"
        ends.add(NOTHING if NOTHING in ran.stderr else COMPLETE)
        assert files == ({"run.json", "head.glb"} if NOTHING in ran.stderr else {"run.json"})
    assert line > 50
    assert ends == {NOTHING, COMPLETE}
