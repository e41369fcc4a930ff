"""Same seed, same number of threads: the same bytes, whatever else is different about the two processes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.cbook import get_sample_data

from conftest import make_quick_config
from portraitist import Models, Result, stylize
from portraitist.assets import asset_path
from portraitist.io.output_folder import list_files
from portraitist.types import Image

PHOTO = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))
MEASURED = {"seconds", "peak_memory_mb"}
"""Entries of ``run.json`` that say how this very run went."""

SURROUNDINGS = {
    "here": {"PYTHONHASHSEED": "1", "TZ": "UTC", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    "elsewhere": {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
}


def run_product(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    options = ["--preset", "draft", "--texture-size", "128", "--seed", "3", "--threads", "2", "--save-intermediates"]
    command = [
        sys.executable,
        "-m",
        "portraitist",
        "stylize",
        str(PHOTO),
        str(asset_path("exemplars/brush.jpg")),
    ]
    return subprocess.run(
        [*command, "-o", "out", *options],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=280,
    )


def read_record(out: Path) -> dict[str, Any]:
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record.keys() > MEASURED
    return {name: value for name, value in record.items() if name not in MEASURED}


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path: Path):
    for name, environment in SURROUNDINGS.items():  # one by one: each wants two threads
        done = run_product(tmp_path / name, environment)
        assert done.returncode == 0, done.stderr
    first, second = (tmp_path / name / "out" for name in SURROUNDINGS)
    files = list_files(first)
    assert files == list_files(second)
    different = [name for name in files if (first / name).read_bytes() != (second / name).read_bytes()]
    assert different == ["run.json"]
    record = read_record(first)
    assert record == read_record(second)
    assert (record["threads"], record["seed"]) == (2, 3)


def test_another_seed_gives_another_texture_on_the_same_shape(
    quick_result: Result, hopper: Image, brush: Image, models: Models
):
    other = stylize(hopper, brush, models, dataclasses.replace(make_quick_config(), seed=1)).stylized
    assert torch.equal(other.mesh.vertices, quick_result.stylized.mesh.vertices)
    assert not torch.equal(other.texture, quick_result.stylized.texture)
