"""Result folders appear whole or not at all, and nothing that is not ours is ever replaced."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from portraitist import __version__
from portraitist.errors import OutputError
from portraitist.io.held_signals import HeldSignals
from portraitist.io.output_file import copy_access

log = logging.getLogger(__name__)

RECORD_NAME = "run.json"
"""The file by which a folder is known as one of ours; its ``files`` lists all that was written beside it."""

# In a hidden work folder.
NEW = "result.new"  # the result being written
FORMER = "result.former"  # the one it replaces
LOCK = "lock"  # held while its run lives


def check_output(out: Path, overwrite: bool) -> None:
    """Make sure that a result can be written to ``out`` later; to be called before the long computation.

    A former result that a killed run had put aside is put back first. Raises OutputError when ``out`` is a file, the
    current folder, not empty (with ``overwrite``: not a former result, or one to which something was added), or when
    nothing can be written where it is to go.
    """
    out = _resolve(out)
    try:
        with HeldSignals():
            clean_up_killed_runs(out)
            _check_free(out, overwrite)
            _try_writing(out)
    except OSError as error:
        raise _cannot_write(out, error) from error


@contextlib.contextmanager
def new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A hidden folder to fill; it becomes ``out`` when the block ends well and is removed when it does not.

    A former result at ``out`` is put aside only when the new one is complete, and put back if the last step fails. A
    signal acts in the block or when all is in its place, not between. What a killed run leaves behind is put right by
    the next one (``clean_up_killed_runs``). A folder that is replaced hands on its mode and group.
    """
    check_output(out, overwrite)
    out = _resolve(out)
    made: list[Path] = []
    with HeldSignals() as held:
        try:
            made = _make_parents(out)
            with _work_folder(out) as work:
                folder = work / NEW
                folder.mkdir()
                with held.let_through():
                    yield folder
                    _flush_to_disk(folder)
                _check_free(out, overwrite)  # somebody may have put files there during the run
                _swap_in(folder, work / FORMER, out)
        except OSError as error:
            raise _cannot_write(out, error) from error
        except OutputError as error:
            if isinstance(error.__cause__, OSError):  # names a file in the hidden folder
                raise _cannot_write(out, error.__cause__) from error
            raise
        finally:
            for parent in made:
                with contextlib.suppress(OSError):  # not empty: the result is in it
                    parent.rmdir()


def clean_up_killed_runs(out: Path) -> None:
    """Remove the hidden folders of runs that were killed while writing ``out``; put back the result they put aside."""
    for work in sorted(out.parent.glob(f"{_work_prefix(out)}*")):
        if not (work / LOCK).exists():  # just made, or not one of ours
            continue
        with contextlib.suppress(OSError), FileLock(work / LOCK).acquire(blocking=False) as lock:  # Timeout: it lives
            if (work / FORMER).exists() and not out.exists():
                (work / FORMER).rename(out)
                log.warning("A killed run had put the former result aside; it is back at %s.", out)
            lock.release()  # Windows does not remove open files
            shutil.rmtree(work)


def list_files(folder: Path) -> list[str]:
    """All files below ``folder``, relative, without hidden ones (file browsers leave those behind)."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return sorted(path.as_posix() for path in paths if not path.name.startswith("."))


def write_record(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``run.json`` into a folder that holds all else, and return what it says: ``facts``, which are JSON values,
    and the list of all files, by which `check_output` knows a former result."""
    record = {"portraitist": __version__, **facts, "files": sorted([*list_files(folder), RECORD_NAME])}
    (folder / RECORD_NAME).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return record


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


def _resolve(out: Path) -> Path:
    try:
        return out.resolve()
    except (OSError, RuntimeError) as error:  # the current folder was removed; symbolic links in a circle
        raise OutputError(f"{out} is nowhere ({error}). Give -o the name of a new folder.") from error


def _check_free(out: Path, overwrite: bool) -> None:
    """Refuse to write over anything but, with ``overwrite``, a former result."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, but the result is a folder. Give another name to -o.")
    if out == Path.cwd().resolve() or out in Path.cwd().resolve().parents:
        raise OutputError(f"{out} is the folder you are in and cannot be replaced. Give -o the name of a new folder.")
    if out.exists() and any(out.iterdir()):
        _check_replaceable(out, overwrite)


def _try_writing(out: Path) -> None:
    """Make a folder of the very name ``out`` has, where that is possible without a trace."""
    ancestor = next(parent for parent in out.parents if parent.exists())
    probe = Path(tempfile.mkdtemp(prefix=".portraitist-", dir=ancestor))
    try:
        for part in out.relative_to(ancestor).parts:  # too long, or not allowed on this disk
            (probe / part).mkdir()
            (probe / part).rmdir()
    finally:
        probe.rmdir()


def _cannot_write(out: Path, error: OSError) -> OutputError:
    cure = {
        errno.ENOSPC: "Free some space, or give -o a folder on another disk.",
        errno.EDQUOT: "Free some space, or give -o a folder on another disk.",
        errno.ENAMETOOLONG: "Give -o a shorter name.",
    }.get(error.errno or 0, "Give -o a folder you may write to.")
    return OutputError(f"Cannot write into {out}: {error.strerror or error}. Nothing was changed there. {cure}")


def _make_parents(out: Path) -> list[Path]:
    """Make the folders above ``out``; returns those that were missing, innermost first."""
    missing = [parent for parent in out.parents if not parent.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _work_prefix(out: Path) -> str:
    """Hidden, told apart by the name of ``out``, and short whatever that is."""
    return f".portraitist-{hashlib.sha256(os.fsencode(out.name)).hexdigest()[:12]}-"


@contextlib.contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside ``out``, on the same disk, held by a lock as long as this process lives."""
    work = Path(tempfile.mkdtemp(prefix=_work_prefix(out), dir=out.parent))
    lock = FileLock(work / LOCK)  # the system lets go of it when the process ends, however
    try:
        with contextlib.suppress(OSError):  # some network disks have no locks, and then nobody cleans up either
            lock.acquire(blocking=False)
        yield work
    finally:
        lock.release()
        if out.exists() or not (work / FORMER).exists():  # else it could not be put back: the next run tries again
            shutil.rmtree(work, ignore_errors=True)


def _swap_in(folder: Path, former: Path, out: Path) -> None:
    try:
        if out.exists():
            copy_access(out, folder)
            out.rename(former)
        folder.rename(out)
    except BaseException:
        if former.exists() and not out.exists():
            former.rename(out)
        raise


def _flush_to_disk(folder: Path) -> None:
    """So that after a power cut the renamed folder does not turn out to hold empty files."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
