"""Single files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from portraitist.errors import OutputError


def check_output_file(path: Path, overwrite: bool) -> None:
    """Make sure that ``path`` can be written later; to be called before the long computation. Raises OutputError."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder. Give -o the name of a file.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already. Give another name to -o, or --overwrite to replace it.")
    try:
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror}. Give -o a folder you may write to.") from error


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A hidden file beside ``path`` to write; it becomes ``path`` when the block ends well.

    A former file at ``path`` survives any failure, and nothing half-written stays. Raises OutputError for what the
    system refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # a power cut must not leave an empty file under the final name
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Choose a folder you may write to.") from error
    finally:
        with contextlib.suppress(OSError):  # gone already, or never made
            temporary.unlink()
