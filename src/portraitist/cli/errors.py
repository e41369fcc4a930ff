"""How a run that did not succeed is told: one sentence on standard error, one JSON object if asked, an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback

from portraitist.cli.arguments import ArgumentError
from portraitist.cli.stopping import STOP
from portraitist.cli.streams import prepare_streams, print_json
from portraitist.errors import OutputError

DEBUG_VARIABLE = "PORTRAITIST_DEBUG"
# Exit codes; those of PortraitistErrors are their own.
UNEXPECTED = 1
USAGE = 2


def report_error(error: BaseException, arguments: list[str]) -> int:
    """Tell how the run of ``arguments`` ended; returns its exit code."""
    prepare_streams()  # the run may have been stopped before it did
    if STOP.number is None and isinstance(error, SystemExit):  # all is said
        return error.code if isinstance(error.code, int) else UNEXPECTED
    kind, message, exit_code = _describe(error)
    print(f"portraitist: {message}", file=sys.stderr)
    if any(len(argument) > 2 and "--json".startswith(argument) for argument in arguments):  # argparse knows --js too
        message = message.encode("utf-8", "backslashreplace").decode("utf-8")  # names of files need not be Unicode
        with contextlib.suppress(OutputError, SystemExit):  # standard error and the exit code have said it
            print_json({"error": {"type": kind, "message": message, "exit_code": exit_code}})
    return exit_code


def _describe(error: BaseException) -> tuple[str, str, int]:
    """Type, message and exit code."""
    kind = type(error).__name__
    # A library may have turned the interruption into an error of its own.
    if STOP.number is not None or isinstance(error, KeyboardInterrupt):
        return "Interrupted", STOP.describe(), STOP.exit_code()
    if isinstance(error, ArgumentError):
        return kind, str(error), USAGE
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    exit_code = getattr(error, "exit_code", None)
    if exit_code is not None:  # PortraitistError: says itself what to do
        return kind, str(error), exit_code
    message = f"Unexpected {kind}: {error}. Set {DEBUG_VARIABLE}=1 to see where; please report it."
    return kind, message, UNEXPECTED
