"""Result folders appear whole or not at all, and nothing that is not ours is ever replaced."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from portraitist.types import OutputError

RECORD_NAME = "run.json"
"""The file by which a folder is known as one of ours; its ``files`` lists all that was written beside it."""


def check_output(out: Path, overwrite: bool) -> None:
    """Make sure that a result can be written to ``out`` later; to be called before the long computation.

    Raises OutputError when ``out`` is a file, the current folder, not empty (with ``overwrite``: not a former result,
    or one to which something was added), or when nothing can be written where it is to go.
    """
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, but the result is a folder. Give another name to -o.")
    if out == Path.cwd().resolve() or out in Path.cwd().resolve().parents:
        raise OutputError(f"{out} is the folder you are in and cannot be replaced. Give -o the name of a new folder.")
    if out.exists() and any(out.iterdir()):
        _check_replaceable(out, overwrite)
    ancestor = _existing_ancestor(out)
    try:
        os.rmdir(tempfile.mkdtemp(prefix=f".{out.name}.", dir=ancestor))
    except OSError as error:
        raise OutputError(
            f"Cannot write into {ancestor}: {error.strerror}. Give -o a folder you may write to."
        ) from error


@contextlib.contextmanager
def new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A hidden folder to fill; it becomes ``out`` when the block ends well and is removed when it does not.

    A former result at ``out`` is put aside only when the new one is complete, and put back if the last step fails.
    """
    check_output(out, overwrite)
    out = out.resolve()
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=_existing_ancestor(out)))
    try:
        yield folder
        folder.chmod(0o777 & ~_umask())  # mkdtemp makes folders private
        _flush_to_disk(folder)
        check_output(out, overwrite)  # somebody may have put files there during the run
        out.parent.mkdir(parents=True, exist_ok=True)
        _swap_in(folder, out)
    except OSError as error:
        raise OutputError(f"Cannot write {out}: {error.strerror or error}. Nothing was changed there.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def list_files(folder: Path) -> list[str]:
    """All files below ``folder``, relative, without hidden ones (file browsers leave those behind)."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return sorted(path.as_posix() for path in paths if not path.name.startswith("."))


def _check_replaceable(out: Path, overwrite: bool) -> None:
    if not overwrite:
        raise OutputError(f"{out} is not empty. Give another folder to -o, or --overwrite to replace a former result.")
    try:
        ours = set(json.loads((out / RECORD_NAME).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(
            f"{out} is not a result of portraitist (no {RECORD_NAME} of ours in it), so --overwrite leaves it alone. "
            "Give another folder to -o."
        ) from None
    if added := sorted(set(list_files(out)) - ours):
        raise OutputError(
            f"{out} also holds {added[0]!r}, which is not from portraitist. Move it away to use --overwrite."
        )


def _swap_in(folder: Path, out: Path) -> None:
    former = folder.with_name(f"{folder.name}.former")
    try:
        if out.exists():
            out.rename(former)
        folder.rename(out)
    except BaseException:
        if former.exists() and not out.exists():
            former.rename(out)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _flush_to_disk(folder: Path) -> None:
    """So that after a power cut the renamed folder does not turn out to hold empty files."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def _existing_ancestor(path: Path) -> Path:
    """Where hidden folders are made: on the same disk as ``path``, without making its parents too early."""
    return next(parent for parent in path.parents if parent.exists())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
