"""Opening MediaPipe's tasks: quietly, on the CPU, and closed before the interpreter goes away."""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from collections.abc import Iterator
from typing import Any

from portraitist.assets import asset_path


@contextlib.contextmanager
def native_log_silenced() -> Iterator[None]:
    """Keep the C++ log of MediaPipe off standard error: no environment variable or flag reaches it."""
    sys.stderr.flush()
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
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
