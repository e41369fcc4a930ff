"""The standard streams of any host: absent, closed, full, without a reader, in another encoding."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
from typing import Any

NO_READER = 141  # 128 + SIGPIPE, by which other commands end then


class _Unfailing:
    """A stream to which nothing important is written: what it does not take is lost, and the run goes on."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare_streams() -> None:
    """Let the rest of the command print as if every host had standard streams. May be called again.

    A stream that the host did not give goes nowhere. Without that, ``print`` to an absent standard error would go to
    standard output, and the first file opened would take a free descriptor: native logs would be written into it.
    """
    with contextlib.suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or getattr(stream, "closed", False):
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (as long as the process)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
    if not isinstance(sys.stderr, _Unfailing):
        sys.stderr = _Unfailing(sys.stderr)


def print_out(text: str, done: str = "") -> None:
    """Print ``text`` to standard output, at once.

    Ends the process quietly when nobody reads it anymore. Raises OutputError when it cannot be written, with ``done``,
    what was achieved all the same, before the cause.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BaseException as error:
        _give_up_stdout()
        if isinstance(error, ConnectionError) or (os.name == "nt" and getattr(error, "errno", 0) == errno.EINVAL):
            sys.exit(NO_READER)
        if not isinstance(error, OSError):  # stopped while it waited for a reader
            raise
        from portraitist.errors import OutputError

        cause = error.strerror or error
        raise OutputError(f"{done}Standard output cannot be written: {cause}. Send it somewhere else.") from error


def print_json(value: Any, done: str = "") -> None:
    """Print ``value`` on one line, in ASCII: whatever the encoding, it is valid. Errors as in ``print_out``."""
    print_out(f"{json.dumps(value)}\n", done)


def _give_up_stdout() -> None:
    """What is still held back goes nowhere: Python would try, and complain, again at its end."""
    with contextlib.suppress(OSError, ValueError):  # of a host of its own, without a descriptor
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
