"""Entry point of the command. Imports little before it listens to signals, so that it can be stopped at any moment."""

from __future__ import annotations

import sys

from portraitist.cli.stopping import STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the ``portraitist`` command: ends the process with 0 or the error's exit code.

    128 + number for a signal, as shells have it; that includes 141 when nobody reads standard output anymore.
    """
    try:
        STOP.listen()
        from portraitist.cli.commands import run_command

        run_command(arguments)
        STOP.is_over = True
        exit_code = 0
    except BaseException as error:
        STOP.is_over = True  # before anything is called: the interpreter hands out signals at calls
        from portraitist.cli.errors import report_error

        exit_code = report_error(error, sys.argv[1:] if arguments is None else arguments)
    sys.exit(exit_code)


def run_process() -> NoReturn:
    """`main`, then the end of the process at once: taking Python and PyTorch apart would need most of a second."""
    try:
        main()
    except SystemExit as end:
        import contextlib
        import os

        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
