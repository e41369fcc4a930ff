"""What the command shows while it works: a bar on a terminal, plain lines in a log file."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from portraitist.cli.stopping import STOP

ShowStep = Callable[[str, int, int], None]
"""Called with stage, step and number of steps."""

SECONDS_BETWEEN_LINES = 5.0


@contextlib.contextmanager
def show_progress() -> Iterator[ShowStep]:
    """Progress on stderr. Log lines and Python warnings are kept back: what matters comes with the result."""
    logging.getLogger().addHandler(logging.NullHandler())
    console = Console(stderr=True)
    with warnings.catch_warnings(), _progress_bar(console) if console.is_terminal else _progress_lines() as display:
        warnings.simplefilter("ignore")

        def show(stage: str, step: int, steps: int) -> None:
            STOP.check()
            display(stage, step, steps)

        yield show


@contextlib.contextmanager
def collect_warnings() -> Iterator[list[str]]:
    """What the package logs as a warning meanwhile; the command reports it with the result."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("portraitist")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


@contextlib.contextmanager
def _progress_bar(console: Console) -> Iterator[ShowStep]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress:
        tasks = {}

        def show(stage: str, step: int, steps: int) -> None:
            if stage not in tasks:
                for earlier in progress.tasks:  # a stage ends when the next one speaks
                    progress.update(earlier.id, completed=earlier.total)
                tasks[stage] = progress.add_task(stage, total=steps)
            progress.update(tasks[stage], completed=step, total=steps)

        yield show


@contextlib.contextmanager
def _progress_lines() -> Iterator[ShowStep]:
    started = time.monotonic()
    stages: dict[str, float] = {}
    last_line = 0.0

    def show(stage: str, step: int, steps: int) -> None:
        nonlocal last_line
        now = time.monotonic()
        is_new = stage not in stages
        since = now - stages.setdefault(stage, now)
        if not is_new and (now - last_line < SECONDS_BETWEEN_LINES or step == 0):
            return
        last_line = now
        done = "" if is_new else f" {100 * step / steps:.0f} %, {since / step * (steps - step):.0f} s left"
        print(f"[{now - started:6.1f} s] {stage}{done}", file=sys.stderr, flush=True)

    yield show
