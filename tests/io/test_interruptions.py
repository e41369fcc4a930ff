"""A signal at any line of the code that puts results into place; what a replaced folder or file hands on."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

from conftest import make_head
from portraitist import save_head, save_image, write_glb, write_obj
from portraitist.errors import OutputError
from portraitist.export.turntable import encode_webp
from portraitist.io import output_file, output_folder
from portraitist.io.held_signals import HeldSignals
from portraitist.io.output_file import new_file
from portraitist.io.output_folder import new_folder

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and modes")
WATCHED = {output_folder.__file__, output_file.__file__}


@pytest.fixture(autouse=True)
def python_signals() -> Iterator[None]:
    """Ctrl-C as Python handles it, also where the tests run in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@contextlib.contextmanager
def signal_at_line(number: int) -> Iterator[list[int]]:
    """SIGINT when the ``number``-th line of the watched files runs; yields a list with one entry per line that ran."""
    lines: list[int] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            lines.append(frame.f_lineno)
            if len(lines) == number:
                signal.raise_signal(signal.SIGINT)
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(former)


def make_former(out: Path) -> None:
    out.mkdir(parents=True)
    (out / "head.glb").write_bytes(b"former")
    (out / "run.json").write_text(json.dumps({"files": ["head.glb", "run.json"]}))


def write_new(out: Path) -> None:
    with new_folder(out, overwrite=True) as folder:
        (folder / "run.json").write_text('{"files": ["run.json"]}')


def read_tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@posix
@pytest.mark.parametrize("is_former_there", [True, False])
def test_a_signal_at_any_line_leaves_a_whole_folder(tmp_path: Path, is_former_there: bool) -> None:
    before = {"deep", "deep/out", "deep/out/head.glb", "deep/out/run.json"} if is_former_there else set()
    after, number, ends = {"deep", "deep/out", "deep/out/run.json"}, 0, set()
    while True:
        number += 1
        place = tmp_path / str(number)
        place.mkdir()
        if is_former_there:
            make_former(place / "deep" / "out")
        stopped = False
        with signal_at_line(number) as lines:
            try:
                write_new(place / "deep" / "out")
            except KeyboardInterrupt:
                stopped = True
        if len(lines) < number:  # past the end
            break
        assert stopped, f"the signal of line {lines[-1]} was lost"
        tree = read_tree(place)
        assert tree in (before, after), f"a signal at line {lines[number - 1]}"
        ends.add(tree == after)
    assert number > 60
    assert ends == {True, False}


@posix
@pytest.mark.parametrize("is_former_there", [True, False])
def test_a_signal_at_any_line_leaves_a_whole_file(tmp_path: Path, is_former_there: bool) -> None:
    number, ends = 0, set()
    while True:
        number += 1
        path = tmp_path / f"{number}.bin"
        if is_former_there:
            path.write_bytes(b"former")
        with signal_at_line(number) as lines, contextlib.suppress(KeyboardInterrupt), new_file(path) as temporary:
            temporary.write_bytes(b"new")
        if len(lines) < number:
            break
        ends.add(path.read_bytes() if path.exists() else None)
        path.unlink(missing_ok=True)
        assert not list(tmp_path.iterdir()), f"a signal at line {lines[number - 1]}"
    assert number > 10
    assert ends == {b"new", b"former" if is_former_there else None}


@posix
def test_held_signals_come_at_the_end_and_only_the_first() -> None:
    order, former = [], signal.signal(signal.SIGTERM, lambda *_: order.append("terminated"))
    try:
        with HeldSignals() as held:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            order.append("held")
            with held.let_through():
                order.append("let through")
        order.append("end")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, former)
    assert order == ["held", "terminated", "let through", "end"]


@posix
def test_ignored_signals_stay_ignored() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with HeldSignals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_results_are_written_in_any_thread(tmp_path: Path) -> None:
    thread = threading.Thread(target=write_new, args=(tmp_path / "out",))
    thread.start()
    thread.join()
    assert read_tree(tmp_path) == {"out", "out/run.json"}


def read_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("mode", [0o750, 0o700, 0o2775])
@pytest.mark.parametrize("is_empty", [True, False])
def test_replaced_folder_hands_on_its_mode_and_group(tmp_path: Path, mode: int, is_empty: bool) -> None:
    out = tmp_path / "out"
    if is_empty:
        out.mkdir()
    else:
        make_former(out)
    other = next((group for group in os.getgroups() if group != out.stat().st_gid), out.stat().st_gid)
    os.chown(out, -1, other)
    out.chmod(mode)
    write_new(out)
    assert read_tree(tmp_path) == {"out", "out/run.json"}
    assert (read_mode(out), out.stat().st_gid) == (mode, other)


WRITERS: dict[str, Callable[[Path], None]] = {
    "head.safetensors": lambda path: save_head(path, make_head()),
    "head.glb": lambda path: write_glb(path, make_head()),
    "head.obj": lambda path: write_obj(path, make_head()),
    "picture.png": lambda path: save_image(path, torch.zeros(3, 40, 40)),
    "turn.webp": lambda path: write_animation(path),
}


def write_animation(path: Path) -> None:
    with new_file(path) as temporary:
        encode_webp(temporary, [make_head().texture.mul(255).byte().permute(1, 2, 0).numpy()] * 2)


@posix
@pytest.mark.parametrize("name", WRITERS)
def test_replaced_file_hands_on_its_mode_and_a_new_one_obeys_the_umask(tmp_path: Path, name: str) -> None:
    path, umask = tmp_path / name, os.umask(0o027)
    try:
        WRITERS[name](path)
        assert read_mode(path) == 0o640
        for mode in (0o600, 0o444, 0o664):
            path.chmod(mode)
            WRITERS[name](path)
            assert read_mode(path) == mode
    finally:
        os.umask(umask)


@posix
def test_private_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.touch(mode=0o600)
    with new_file(path) as temporary:
        temporary.write_bytes(b"new")
        assert read_mode(temporary) == 0o600


def test_picture_that_fails_half_way_leaves_the_former_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"former")

    def fail(to: Path, data: bytes) -> None:
        to.open("wb").write(data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError, match="No space left"):
        save_image(path, torch.zeros(3, 40, 40))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("picture.png", b"former")]
