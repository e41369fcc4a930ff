"""Packages that npm installed for all."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path


@cache
def find_package(name: str) -> Path | None:
    """The folder of npm's global package ``name``, if there is one, and node."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    root = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=False).stdout.strip()
    return Path(root) / name if (Path(root) / name).is_dir() else None
