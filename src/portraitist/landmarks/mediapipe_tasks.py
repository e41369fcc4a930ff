"""Opening MediaPipe's tasks: quietly, on the CPU, and closed before the interpreter goes away."""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from collections.abc import Iterator
from typing import Any

from portraitist.assets import asset_path
from portraitist.io.held_signals import HeldSignals


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


def open_task(owner: object, task: Any, options: Any, asset: str, **settings: Any) -> Any:
    """Create a MediaPipe vision task from a shipped model, to be closed together with ``owner``.

    ``task`` and ``options`` are MediaPipe's classes, ``settings`` are keyword arguments of ``options``. The model goes
    in as bytes because MediaPipe opens paths with non-ASCII letters wrongly on Windows. Raises AssetError when the
    model is missing or damaged.
    """
    from mediapipe.tasks.python import BaseOptions

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
