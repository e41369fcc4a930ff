"""A run that is asked to stop: once, at any moment, and with true words about what was written."""

from __future__ import annotations

import signal

from portraitist.io.held_signals import STOP_SIGNALS

TYPE_CHECKING = False  # that of typing takes 10 ms, in which a signal would still show a traceback
if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType


class Stop:
    """The first signal that asks to stop is raised as KeyboardInterrupt wherever the run is.

    Later ones are ignored: what is tidied up then is tidied up whole.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.is_over = False
        """Nothing is left to be stopped."""
        self._expected: tuple[Path, object] | None = None

    def listen(self) -> None:
        """From now on. A signal that is ignored stays so: ``nohup`` and background jobs ask for that."""
        self.number, self.is_over, self._expected = None, False, None
        for number in STOP_SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._take)

    def check(self) -> None:
        """Raise again what was raised in a place that lets nothing through, such as a destructor."""
        if self.number is not None:
            raise KeyboardInterrupt

    def expect(self, output: Path) -> None:
        """From now on the new result may come to ``output`` at any moment."""
        self._expected = output, _identify(output)

    def exit_code(self) -> int:
        """As shells have it."""
        return 128 + (self.number or signal.SIGINT)

    def describe(self) -> str:
        """One sentence or two about what was written."""
        if self._expected:
            output, before = self._expected
            if _identify(output) not in (None, before):
                return f"Stopped. The result was complete already: it is at {output.resolve()}."
        return "Stopped. Nothing was written."

    def _take(self, number: int, _: FrameType | None) -> None:
        if self.number is None and not self.is_over:
            self.number = number
            raise KeyboardInterrupt


STOP = Stop()
"""One for the process, as signals are."""


def _identify(output: Path) -> tuple[int, int] | None:
    """Tells the folder or file that is there now from another that takes its place."""
    try:
        status = output.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
