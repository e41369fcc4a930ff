"""Khronos' own validator (npm's global `gltf-validator`) on a GLB."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "validate_glb.js"


@cache
def find_modules() -> str | None:
    """The folder of npm's global modules, if the validator is among them."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    root = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=False).stdout.strip()
    return root if (Path(root) / "gltf-validator").is_dir() else None


needs_validator = pytest.mark.skipif(
    find_modules() is None, reason="npm's global gltf-validator is not installed: GLBs are NOT validated"
)


def assert_valid(glb: Path) -> None:
    """No error and no warning."""
    environment = os.environ | {"NODE_PATH": find_modules() or ""}
    command = ["node", str(SCRIPT), str(glb)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
