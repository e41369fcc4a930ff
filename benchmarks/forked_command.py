"""The real ``portraitist`` command many times over, with its imports paid for once (POSIX).

``ForkedCommand`` starts this file as a process that loads everything and then forks for each run: arguments, exit code,
signals, limits and output are those of a process of its own. Surroundings that are hard to come by are made there too:
a file-size limit, a disk that is full or read-only, and being killed at a chosen moment.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

CANNOT_TRY = 77
"""Exit code of a run whose surroundings cannot be made here (no right to mount)."""

SECONDS = 120
DISK = "disk"
"""Folder of the run over which the small or read-only disk is mounted."""


@dataclass(frozen=True)
class Ran:
    """``exit_code``: negative for a signal, as in ``subprocess``."""

    exit_code: int
    stdout: str
    stderr: str


class ForkedCommand:
    """Use as a context manager; ``run`` may be called as often as wanted."""

    def __enter__(self) -> ForkedCommand:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=SECONDS)

    def run(self, arguments: list[str], folder: Path, scratch: Path, surroundings: str = "") -> Ran:
        """Run in ``folder``; what is printed goes through files in ``scratch``. ``surroundings``: see ``enter``."""
        assert self._process.stdin
        assert self._process.stdout
        request = [arguments, str(folder), str(scratch), surroundings]
        print(json.dumps(request), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        printed = [(scratch / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
        return Ran(code, *printed)


def serve() -> None:
    """Load what the command loads, then fork a run for every line of standard input."""
    import embreex.mesh_construction  # noqa: F401
    import mediapipe.tasks.python.vision  # noqa: F401

    import portraitist.cli.main
    import portraitist.export.result_folder
    import portraitist.pipeline

    portraitist.export.result_folder.VIEW_SIZE_PX = 64  # rendering is not what is tried, and takes most of the time
    for line in sys.stdin:
        arguments, folder, scratch, surroundings = json.loads(line)
        child = os.fork()
        if child == 0:
            redirect(Path(scratch))
            os.chdir(folder)
            signal.alarm(SECONDS)  # a run that hangs is ended, and seen by its code
            enter(surroundings)
            end_run(portraitist.cli.main.main, arguments)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def end_run(main: Callable[[list[str]], NoReturn], arguments: list[str]) -> NoReturn:
    """Run ``main`` and leave with its exit code, without the second that the interpreter takes to tidy up."""
    try:
        main(arguments)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def redirect(scratch: Path) -> None:
    """Standard streams of a run: nothing to read, and files to write that no file-size limit of ours will meet."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)


def enter(surroundings: str) -> None:
    """Make the surroundings of this process: "" | "file limit" | "full disk" | "read-only disk" | "killed ..."."""
    if surroundings == "file limit":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    elif surroundings == "full disk":
        mount("size=300k", 0)
    elif surroundings == "read-only disk":
        mount("size=300k", 1)
    elif surroundings == "killed while writing":
        os.fsync = kill_this_process
    elif surroundings == "killed between the renames":
        rename, names = Path.rename, []

        def rename_once(self: Path, target: Path) -> Path:
            names.append(target)
            return rename(self, target) if len(names) == 1 else kill_this_process()

        Path.rename = rename_once
    elif surroundings:
        raise ValueError(surroundings)


def kill_this_process(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def mount(options: str, read_only: int) -> None:
    """Mount a tmpfs over DISK that this process alone sees; leave with CANNOT_TRY where that is not allowed."""
    new_mounts, new_user, private, recursive = 0x20000, 0x10000000, 1 << 18, 1 << 14
    libc = ctypes.CDLL(None, use_errno=True)
    steps = (
        lambda: libc.unshare(new_mounts) and libc.unshare(new_mounts | new_user),
        lambda: libc.mount(b"none", b"/", None, ctypes.c_ulong(private | recursive), None),
        lambda: libc.mount(b"none", DISK.encode(), b"tmpfs", ctypes.c_ulong(read_only), options.encode()),
    )
    if sys.platform != "linux" or any(step() != 0 for step in steps):
        os._exit(CANNOT_TRY)


if __name__ == "__main__":
    serve()
