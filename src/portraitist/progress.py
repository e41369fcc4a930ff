"""Which stage a run is in, and how long each took."""

from __future__ import annotations

import time

from portraitist.types import Progress, ProgressCallback


class StageClock:
    """Passes progress on, and times the stages that it names."""

    def __init__(self, progress: ProgressCallback | None) -> None:
        self.progress, self.seconds = progress, {}
        self._stage: str | None = None

    def report(self, progress: Progress) -> None:
        """What a stage reports: a new name is a new stage."""
        if progress.stage != self._stage:
            self.stop()
            self._stage, self._since = progress.stage, time.perf_counter()
        if self.progress:
            self.progress(progress)

    def start(self, stage: str) -> None:
        self.report(Progress(stage, 0, 1))

    def stop(self) -> None:
        if self._stage:
            self.seconds[self._stage] = time.perf_counter() - self._since
            self._stage = None
