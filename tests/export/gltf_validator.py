"""Khronos' own validator (npm's global `gltf-validator`) on a GLB."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from export.npm import find_package

SCRIPT = Path(__file__).parents[2] / ".ci" / "validate_glb.js"
VALIDATOR = find_package("gltf-validator")


needs_validator = pytest.mark.skipif(
    VALIDATOR is None, reason="npm's global gltf-validator is not installed: GLBs are NOT validated"
)


def assert_valid(glb: Path) -> None:
    """No error and no warning."""
    assert VALIDATOR is not None
    environment = os.environ | {"NODE_PATH": str(VALIDATOR.parent)}
    command = ["node", str(SCRIPT), str(glb)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
