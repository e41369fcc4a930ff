"""Whole-process time and memory of the embedded example, start of Python to written folder: python benchmarks/speed.py

Run it on an idle machine. Writes results/speed.json: per preset the median, minimum and maximum over the runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "speed.json"


def run_demo(preset: str, out: Path) -> dict[str, float]:
    """Seconds of the process as a whole and of each stage, and its peak memory, of one run."""
    command = [sys.executable, "-m", "portraitist", "demo", "--preset", preset, "-o", str(out)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    record = json.loads((out / "run.json").read_text())
    stages = {f"{stage}_s": seconds for stage, seconds in record["seconds"].items()}
    return {"wall_s": wall, **stages, "peak_memory_mb": record["peak_memory_mb"]}


def summarize(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "median": round(statistics.median(run[name] for run in runs), 2),
            "min": round(min(run[name] for run in runs), 2),
            "max": round(max(run[name] for run in runs), 2),
        }
        for name in runs[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["draft", "standard"])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    result = {"command": "python benchmarks/speed.py", "cores": os.cpu_count(), "platform": platform.platform()}
    for preset in options.presets:
        runs = []
        for _ in range(options.runs):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(run_demo(preset, Path(folder) / "out"))
            print(preset, {name: round(value, 2) for name, value in runs[-1].items()}, flush=True)
        result[preset] = summarize(runs)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
