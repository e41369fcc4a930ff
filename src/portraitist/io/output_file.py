"""Single files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from portraitist.errors import OutputError
from portraitist.io.held_signals import HeldSignals


def check_output_file(path: Path, overwrite: bool, option: str = "-o") -> None:
    """Make sure that ``path``, given with ``option``, can be written later; to be called before the long computation.
    Raises OutputError."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder. Give {option} the name of a file.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already. Give another name to {option}, or --overwrite to replace it.")
    try:
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror}. Give {option} a folder you may write to.") from error


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A hidden file beside ``path`` to write; it becomes ``path`` when the block ends well.

    A former file at ``path`` survives any failure and hands on its mode and group, and nothing half-written stays. A
    signal acts in the block or when all is in its place, not between. Raises OutputError for what the system refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with HeldSignals() as held:
        try:
            if path.exists():
                temporary.touch(mode=0o600)  # what the former file kept private is never open to others
            with held.let_through():
                yield temporary
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())  # a power cut must not leave an empty file under the final name
            if path.exists():
                copy_access(path, temporary)
            temporary.replace(path)
        except OSError as error:
            cause = error.strerror or error
            raise OutputError(f"{path} cannot be written: {cause}. Choose a folder you may write to.") from error
        finally:
            with contextlib.suppress(OSError):  # gone already, or never made
                temporary.unlink()


def copy_access(former: Path, new: Path) -> None:
    """Give ``new`` the mode and group of what it is to replace, as far as the system lets us."""
    access = former.stat()
    with contextlib.suppress(OSError, AttributeError):  # not one of our groups; Windows has none
        os.chown(new, -1, access.st_gid)
    with contextlib.suppress(OSError):  # some disks have no modes
        new.chmod(stat.S_IMODE(access.st_mode))
