"""Blender in the background, for tests of what it makes of a file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

BLENDER = shutil.which("blender")


def needs_blender(untested: str) -> list[pytest.MarkDecorator]:
    """Marks of slow tests. ``untested``: what is said where there is no Blender."""
    missing = pytest.mark.skipif(BLENDER is None, reason=f"Blender is not installed: {untested}")
    return [pytest.mark.slow, missing]


def run_blender(script: str, *files: Path, untested: str, timeout: float = 180) -> None:
    """Run a script beside this file inside Blender. ``timeout``: seconds. Skips where its Python has no numpy."""
    path = Path(__file__).with_name(script)
    command = [str(BLENDER), "-b", "--factory-startup", "--python-exit-code", "1", "--python", str(path), "--"]
    run = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=timeout, check=False)
    if "No module named 'numpy'" in run.stdout + run.stderr:
        pytest.skip(f"Blender's own Python has no numpy (Debian: python3-numpy): {untested}")
    assert run.returncode == 0, run.stdout + run.stderr
