"""Opening MediaPipe's tasks: quietly, on the CPU, and closed before the interpreter goes away."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

from portraitist.assets import asset_path
from portraitist.io.held_signals import HeldSignals


@contextlib.contextmanager
def import_delayed(name: str) -> Iterator[None]:
    """Within the block, an import of this module costs nothing: it gives a stand-in that imports it once it is used."""
    if name in sys.modules:
        yield
        return
    stand_in = types.ModuleType(name)
    stand_in.__dict__["__getattr__"] = lambda attribute: getattr(importlib.import_module(name), attribute)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


@contextlib.contextmanager
def native_log_silenced() -> Iterator[None]:
    """Keep the C++ log of MediaPipe off standard error: no environment variable or flag reaches it."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no standard error, or one that takes nothing
        sys.stderr.flush()
    with HeldSignals() as held:  # one that comes on the way back must not leave us without standard error
        try:
            saved = os.dup(2)
        except OSError:  # closed: nothing to keep the log off
            saved = None
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 2)
            with held.let_through():
                yield
        finally:
            if saved is None:
                os.close(2)
            else:
                os.dup2(saved, 2)
                os.close(saved)
            if null != 2:
                os.close(null)


def open_task(owner: object, name: str, asset: str, **settings: Any) -> Any:
    """Create a MediaPipe vision task from a shipped model, to be closed together with ``owner``.

    ``name``: of MediaPipe's class; ``settings``: keyword arguments of its options. The model goes in as bytes because
    MediaPipe opens paths with non-ASCII letters wrongly on Windows. Raises AssetError when the model is missing or
    damaged.
    """
    with import_delayed("matplotlib.pyplot"):  # a third of a second, for drawings that nobody asks for
        from mediapipe.tasks.python import BaseOptions, vision

    task, options = getattr(vision, name), getattr(vision, f"{name}Options")
    base = BaseOptions(model_asset_buffer=asset_path(asset).read_bytes(), delegate=BaseOptions.Delegate.CPU)
    with native_log_silenced():
        opened = task.create_from_options(options(base_options=base, **settings))
    weakref.finalize(owner, close_task, opened)
    return opened


def close_task(task: Any) -> None:
    """Free a task. At interpreter exit its worker thread is gone already, and its own ``__del__`` would fail aloud."""
    try:
        task.close()
    except RuntimeError:
        task.close = lambda: None
