"""Signals that stop a run wait while files change places."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What asks a process to end and lets it clean up. Windows has no SIGHUP."""


class HeldSignals:
    """A block that no Python signal handler interrupts: the first signal that comes meanwhile is delivered at its end.

    Signals that are ignored stay ignored, and those that end the process without asking Python still do. Only the main
    thread is ever interrupted, so that elsewhere there is nothing to hold.
    """

    def __enter__(self) -> HeldSignals:
        self._arrived: list[int] = []
        self._handlers = {}
        self._hold()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._release()

    @contextlib.contextmanager
    def let_through(self) -> Iterator[None]:
        """Within the block, signals act at once: for the long part in the middle."""
        try:
            self._release()
            yield
        finally:
            self._hold()

    def _hold(self) -> None:
        for number in STOP_SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                with contextlib.suppress(ValueError):  # not in the main thread
                    signal.signal(number, self._remember)
                    self._handlers[number] = handler

    def _release(self) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())
        if self._arrived:
            number, self._arrived = self._arrived[0], []
            signal.raise_signal(number)

    def _remember(self, number: int, _: FrameType | None) -> None:
        self._arrived.append(number)
