"""The side of a head against the truth: 14 series of a person photographed from -90 to +90 degrees, labeled by hand.

    python benchmarks/turned.py                     # minutes on two cores, then only what has changed
    python benchmarks/turned.py --sheet OUT         # and a sheet of every series, to be looked at

The head and its layers come from the frontal photo alone. How they are laid over the labels is said in
``turned_series.py``. Needs the development pictures beside the checkout. Series are kept in benchmarks/cache under the
hash of the source; results/turned.json has the figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from kept_jobs import PIPELINE_PARTS, Job, name_folder, read_entries, run_jobs
from pair_runs import ROOT, hash_source
from pairs import DEFAULT_DATA
from portraitist import load_image, save_image
from portraitist.export.preview import Panel, draw_sheet
from turned_series import FIGURES, YAWS_DEG, measure_series

RESULTS = ROOT / "benchmarks" / "results" / "turned.json"
OWN_FILES = ("turned_series.py", "drawn_heads.py", "reconstruction_runs.py", "metrics/silhouettes.py")
TURNS_DEG = (0, 30, 60, 90)
TARGETS = {"overlap": 0.94, "hair covered": 0.95, "hair overlap": 0.8}  # at least, of the means
SHEET_PX = 2400


def main() -> None:
    options = parse_options()
    folder = options.data / "parsing" / "turned"
    if not folder.is_dir():
        sys.exit(f"The development pictures are not at {folder}. Give their folder with --data.")
    hash_source()  # remembered: what is measured now
    kept = name_folder("turned", OWN_FILES, PIPELINE_PARTS)
    jobs = [Job("turned", path.name, path, kept) for path in sorted(folder.iterdir())]
    run_jobs(jobs, options.processes, measure_item)
    rows = read_entries(jobs)
    record = {"command": "python benchmarks/turned.py", "source": hash_source(), **summarize(rows)}
    print(json.dumps(record, indent=1))
    if options.sheet:
        draw_sheets(options.sheet, jobs)
    if hash_source.__wrapped__() != hash_source():
        sys.exit("The source was changed while it was measured, so no result is written.")
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(RESULTS.relative_to(ROOT))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--processes", type=int, default=2, help="series at a time, one thread each (default: 2)")
    add("--data", type=Path, default=DEFAULT_DATA, help="folder of the development pictures")
    add("--sheet", type=Path, metavar="OUT", help="folder for a sheet of every series")
    return parser.parse_args()


def measure_item(job: Job) -> dict:
    return measure_series(job.path, job.folder)


def summarize(series: dict[str, dict]) -> dict:
    """Means by turn beside their targets and the worst series; then every series. A head that could not be made counts
    0 everywhere."""
    rows = {name: {figure: _average_by_turn(views, figure) for figure in FIGURES} for name, views in series.items()}
    means = {}
    for figure in FIGURES:
        by_turn = {str(turn): statistics.mean(row[figure][turn] for row in rows.values()) for turn in TURNS_DEG}
        of_series = {name: statistics.mean(row[figure].values()) for name, row in rows.items()}
        worst = min(of_series, key=lambda name: of_series[name])
        means[figure] = {
            **by_turn,
            "mean": statistics.mean(by_turn.values()),
            "target": f">= {TARGETS[figure]:g}",
            "worst series": f"{worst}: {of_series[worst]:.3f}",
        }
    listed = [
        {"series": name, **{f"{figure}, {turn}": row[figure][turn] for figure in FIGURES for turn in TURNS_DEG}}
        for name, row in rows.items()
    ]
    return {"means": means, "every series": listed}


def _average_by_turn(views: dict, figure: str) -> dict[int, float]:
    """By size of the yaw: over both sides."""
    nothing = dict.fromkeys(FIGURES, 0.0)
    of_view = {yaw: views.get(f"{yaw:+04d}", nothing)[figure] for yaw in YAWS_DEG}
    return {turn: statistics.mean(value for yaw, value in of_view.items() if abs(yaw) == turn) for turn in TURNS_DEG}


def draw_sheets(folder: Path, jobs: list[Job]) -> None:
    """One of every series: above the photos with the outlines of labels (green), of the hair in them (yellow) and of
    the drawn head (red), below the head."""
    folder.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        views = read_entries([job])[job.name]
        rows = [
            [
                Panel(_describe(views, yaw) if kind == "photo" else f"{yaw:+d}", load_image(path))
                for yaw in YAWS_DEG
                if (path := job.folder / f"{job.name}{yaw:+04d}-{kind}.jpg").is_file()
            ]
            for kind in ("photo", "head")
        ]
        if all(rows):
            save_image(folder / f"{job.name}.png", draw_sheet(rows, SHEET_PX))
            print(folder / f"{job.name}.png")


def _describe(views: dict, yaw: int) -> str:
    return " / ".join(f"{views[f'{yaw:+04d}'][figure]:.2f}" for figure in FIGURES)


if __name__ == "__main__":
    main()
