"""The yardstick: likeness, style, shape, flipped triangles, time and memory on 32 prescribed pairs.

    python benchmarks/quality.py                    # all pairs: hours the first time, then only what has changed
    python benchmarks/quality.py --pairs 8          # every day

Runs are kept in benchmarks/cache under the hash of pictures, config and the package's source; an interrupted run is
resumed. Needs the development pictures beside the checkout and `pip install -e .[benchmarks]`. What each figure means
is said in ``metrics/``. Means are over the pairs that got through; pairs that ended in an error are listed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import multiprocessing
import os
import shlex
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pair_figures import FIGURES, read_figures
from pair_runs import ROOT, Job, entry_folder, find_any_source, hash_source, run_pair
from pairs import DEFAULT_DATA, PAIR_COUNT, Pair, spread_pairs
from portraitist import Config

RESULTS = ROOT / "benchmarks" / "results" / "quality.json"


def main() -> None:
    options = parse_options()
    if not options.data.is_dir():
        sys.exit(f"The development pictures are not at {options.data}. Give their folder with --data.")
    config = make_config(options)
    folders = {
        pair: entry_folder(pair, options.data, config, hash_source(), rounded=options.bfloat16)
        for pair in spread_pairs(options.pairs)
    }
    if options.reuse:
        folders = {pair: find_any_source(folder) for pair, folder in folders.items()}
    defects = run_missing(folders, config, options)
    rows = {pair: read_figures(pair, folder, options.data) for pair, folder in folders.items() if folder.is_dir()}
    rows |= {pair: {"error": f"broke: {trace.strip().splitlines()[-1]}"} for pair, trace in defects.items()}
    rows = dict(sorted(rows.items(), key=lambda item: item[0].number))
    means = {name: mean_of(rows, name) for name in FIGURES}
    print_table(rows, means)
    for pair, trace in defects.items():
        print(f"\n{pair}\n{trace}")
    if options.reuse:
        print("Runs of other source versions were accepted (--reuse), so no result is written.")
    elif options.pairs == PAIR_COUNT and not options.bfloat16 and any("error" not in row for row in rows.values()):
        write_results(rows, means, next(folders[pair] for pair, row in rows.items() if "error" not in row))
    sys.exit(1 if defects else 0)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_config_options(parser)
    parser.add_argument("--processes", type=int, default=1, help="pairs at a time; they share the cores (default: 1)")
    parser.add_argument("--reuse", action="store_true", help="accept runs of other source versions, for looking only")
    return parser.parse_args()


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Which pairs and which config; the same options for the runs and for the sheets of them."""
    add = parser.add_argument
    add("--pairs", type=int, default=PAIR_COUNT, help="how many, spread over the list (default: all 32)")
    add("--bfloat16", action="store_true", help="the network rounded as in bfloat16, on any processor")
    add("--preset", choices=("draft", "standard", "best", "paper"), default="standard")
    add("--geometry", type=float, default=1.0, help="geometry strength 0..2 (default: 1)")
    add("--texture", type=float, default=1.0, help="texture strength 0..1 (default: 1)")
    add("--data", type=Path, default=DEFAULT_DATA, help="folder of the development pictures")


def make_config(options: argparse.Namespace) -> Config:
    config: Config = getattr(Config, options.preset)()
    return dataclasses.replace(
        config,
        geometry=dataclasses.replace(config.geometry, strength=options.geometry),
        texture=dataclasses.replace(config.texture, strength=options.texture),
    )


def run_missing(folders: dict[Pair, Path], config: Config, options: argparse.Namespace) -> dict[Pair, str]:
    """Run the pairs that have no entry yet. Returns the tracebacks of those that broke; they leave no entry."""
    threads = max(1, (os.cpu_count() or 1) // options.processes)
    missing = {pair: folder for pair, folder in folders.items() if not folder.is_dir()}
    jobs = [Job(pair, options.data, config, folder, threads, options.bfloat16) for pair, folder in missing.items()]
    started = time.perf_counter()
    defects = {}
    pool = ThreadPoolExecutor(options.processes)
    try:
        futures = {pool.submit(run_in_own_process, job): job.pair for job in jobs}
        for done, future in enumerate(as_completed(futures), start=1):
            pair, trace = futures[future], future.result()
            if trace:
                defects[pair] = trace
            minutes_left = (time.perf_counter() - started) / 60 * (len(jobs) - done) / done
            print(f"{pair}: {'BROKE' if trace else 'done'}, {minutes_left:.0f} min left", file=sys.stderr, flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    return defects


def run_in_own_process(job: Job) -> str | None:
    """``run_pair`` where its peak memory is its own, and where a crash takes nothing else down.

    Spawned, not forked: nobody may fork after making a landmarker.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(run_pair, job).result()
        except BrokenProcessPool as error:
            return f"the process died: {error}"


def mean_of(rows: dict[Pair, dict], name: str) -> float:
    values = [row[name] for row in rows.values() if row.get(name) is not None]
    return sum(values) / len(values) if values else math.nan


def print_table(rows: dict[Pair, dict], means: dict[str, float]) -> None:
    """One line per pair, then means and targets; a mean that misses its target is starred."""

    def line(label: str, cells: list[str]) -> str:
        return f"{label:<22}" + "".join(f"{cell:>9}" for cell in cells)

    print(line("pair", [figure.head for figure in FIGURES.values()]))
    for pair, row in rows.items():
        numbers = [f"{row[name]:.{figure.digits}f}" for name, figure in FIGURES.items()] if "error" not in row else []
        print(line(str(pair), numbers) if numbers else f"{pair!s:<22}  {row['error']}")
    marked = [
        f"{means[name]:.{figure.digits}f}{' ' if figure.is_met(means[name]) else '*'}"
        for name, figure in FIGURES.items()
    ]
    print(line(f"mean of {sum('error' not in row for row in rows.values())}", marked))
    print(line("target", [figure.target() + " " for figure in FIGURES.values()]))
    for stage in sorted({stage for row in rows.values() for stage in row.get("seconds_per_stage", {})}):
        seconds = [row["seconds_per_stage"].get(stage, 0.0) for row in rows.values() if "error" not in row]
        print(f"  {stage}: {sum(seconds) / len(seconds):.2f} s, at most {max(seconds):.2f} s")


def write_results(rows: dict[Pair, dict], means: dict[str, float], entry: Path) -> None:
    """``results/quality.json``; versions and machine come from the record of one of the runs."""
    record = json.loads((entry / "run.json").read_text())
    arguments = sys.argv[1:]
    if "--data" in arguments:  # where the pictures lie is this machine's own
        place = arguments.index("--data")
        arguments = arguments[:place] + arguments[place + 2 :]
    result = {
        "command": shlex.join(["python", "benchmarks/quality.py", *arguments]),
        "config": record["config"],
        "source": hash_source(),
        "versions": record["versions"],
        "machine": {"platform": record["platform"], "cores": os.cpu_count(), "threads": record["threads"]},
        "figures": {name: {"meaning": f.meaning, "target": f.target()} for name, f in FIGURES.items()},
        "means": means,
        "pairs": [{"number": pair.number, "photo": pair.photo, "art": pair.art, **row} for pair, row in rows.items()],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    print(f"Written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
