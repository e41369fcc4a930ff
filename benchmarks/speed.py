"""Whole-process time and memory of the embedded example, start of Python to written folder: python benchmarks/speed.py

Run it on an idle machine. Writes results/speed.json: per preset the median, minimum and maximum over the runs.

    python benchmarks/speed.py --before ../older-checkout    # runs of both take turns
    python benchmarks/speed.py --float32                     # the network in float32, too, where it would be bfloat16
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "speed.json"
SOURCE = Path(__file__).parents[1] / "src"
# Older checkouts have only main().
COMMAND = ["-c", "import portraitist.cli.main as command; getattr(command, 'run_process', command.main)()"]
END = "import os; os._exit(0)"  # as the command ends
START = {
    "portraitist --help": [*COMMAND, "--help"],
    "import portraitist": ["-c", f"import portraitist; {END}"],
    "import torch": ["-c", f"import torch; {END}"],
    "import torch, end as Python does": ["-c", "import torch"],
    "from portraitist import stylize, write_result": ["-c", f"from portraitist import stylize, write_result; {END}"],
    "Models.load()": ["-c", f"from portraitist import Models, write_result; Models.load('cpu'); {END}"],
}


def describe_processor() -> dict[str, str]:
    """Its name, and what PyTorch makes of it."""
    import torch

    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if x.startswith("model name")] if info.exists() else []
    tests = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}
    units = [unit for unit, test in tests.items() if getattr(torch.cpu, test, lambda: False)()]
    return {
        "processor": names[0].split(":")[1].strip() if names else platform.processor(),
        "capability": ", ".join([torch.backends.cpu.get_cpu_capability(), *units]),
    }


def run_python(arguments: list[str], source: Path, environment: dict[str, str]) -> tuple[float, str]:
    """Seconds of a whole process, and what it said on standard error."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(source)} | environment,
    )
    return time.perf_counter() - start, done.stderr


def run_demo(preset: str, source: Path, environment: dict[str, str]) -> dict[str, float]:
    """Seconds of the process as a whole, of each stage and of all that is no stage, and its peak memory, of one run."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        arguments = [*COMMAND, "demo", "--preset", preset, "-o", str(out)]
        wall, said = run_python(arguments, source, environment)
        record = json.loads((out / "run.json").read_text())
    stages = {f"{stage}_s": seconds for stage, seconds in record["seconds"].items()}
    loading = float(re.search(r"\[ *([0-9.]+) s\] landmarks", said)[1])
    writing = wall - sum(stages.values()) - loading
    more = {"loading_s": loading, "writing_s": writing, "no_stage_s": loading + writing}
    return {"wall_s": wall, **stages, **more, "peak_memory_mb": record["peak_memory_mb"]}


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
    parser.add_argument("--before", type=Path, help="an older checkout, run in turns with this one")
    parser.add_argument("--float32", action="store_true", help="also without bfloat16")
    options = parser.parse_args()
    variants = {"": (SOURCE, {})}
    if options.before:
        variants["before"] = (options.before / "src", {})
    if options.float32:
        variants["float32"] = (SOURCE, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"})
    result: dict[str, Any] = {"cores": os.cpu_count(), "platform": platform.platform(), **describe_processor()}
    result["start"] = {
        name: summarize([{"wall_s": run_python(arguments, SOURCE, {})[0]} for _ in range(options.runs + 2)])["wall_s"]
        for name, arguments in START.items()
    }
    print(result, flush=True)
    for preset in options.presets:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
        for _ in range(options.runs):
            for name, variant in variants.items():
                runs[name].append(run_demo(preset, *variant))
                print(preset, name, {key: round(value, 2) for key, value in runs[name][-1].items()}, flush=True)
        result |= {" ".join([preset, name]).strip(): summarize(x) for name, x in runs.items()}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
