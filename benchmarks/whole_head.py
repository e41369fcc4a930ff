"""Heads with hair and hats, unstylized: 38 portraits and 17 photos of hair and headwear.

    python benchmarks/whole_head.py                 # minutes on two cores, then only what has changed
    python benchmarks/whole_head.py --sheet OUT     # and every head from all sides, six to a sheet

Needs the development pictures beside the checkout and `pip install -e .[benchmarks]`. What is measured how is said in
``whole_head_photos.py``. Photos are kept in benchmarks/cache under the hash of the source; results/whole_head.json has
the figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from kept_jobs import PIPELINE_PARTS, Job, name_folder, read_entries, run_jobs
from pair_runs import ROOT, hash_source
from pairs import DEFAULT_DATA
from portraitist import load_image, save_image
from portraitist.export.preview import Panel, draw_sheet
from whole_head_photos import SHEET_VIEWS, measure_whole_head

RESULTS = ROOT / "benchmarks" / "results" / "whole_head.json"
OWN_FILES = (
    "whole_head_photos.py", "drawn_heads.py", "likeness_photos.py", "reconstruction_runs.py", "metrics/*.py",
)  # fmt: skip
SETS = ("photos", "hair")
WORST = 5
HEADS_PER_SHEET, SHEET_PX = 6, 3400


@dataclass(frozen=True)
class Figure:
    """One line of the table. ``target``: of the mean over the set ``photos``. ``most``: a high value is bad."""

    meaning: str
    most: bool = False
    target: str = ""
    digits: int = 3


FIGURES = {
    "overlap": Figure("overlap with the person, above the chin"),
    "identity_pose": Figure("identity distance, photo's pose", most=True, target="<= 0.12"),
    "identity_front": Figure("identity distance, front", most=True, target="<= 0.18"),
    "psnr_db": Figure("round trip in the face hull, dB", target=">= 32", digits=1),
    "seconds": Figure("seconds of reconstruct(), one thread", most=True, digits=1),
}


def main() -> None:
    options = parse_options()
    if not options.data.is_dir():
        sys.exit(f"The development pictures are not at {options.data}. Give their folder with --data.")
    hash_source()  # remembered: what is measured now
    kept = name_folder("whole_head", OWN_FILES, PIPELINE_PARTS)
    jobs = {
        name: [Job(name, path.stem, path, kept) for path in sorted((options.data / name).glob("*.jpg"))]
        for name in SETS
    }
    every = [job for of_set in jobs.values() for job in of_set]
    run_jobs(every, options.processes, measure_item)
    record = {
        "command": "python benchmarks/whole_head.py",
        "source": hash_source(),
        **summarize({name: read_entries(of_set) for name, of_set in jobs.items()}),
    }
    print(json.dumps(record, indent=1))
    if options.sheet:
        draw_sheets(options.sheet, every)
    if hash_source.__wrapped__() != hash_source():
        sys.exit("The source was changed while it was measured, so no result is written.")
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(RESULTS.relative_to(ROOT))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--processes", type=int, default=2, help="photos at a time, one thread each (default: 2)")
    add("--data", type=Path, default=DEFAULT_DATA, help="folder of the development pictures")
    add("--sheet", type=Path, metavar="OUT", help="folder for the sheets")
    return parser.parse_args()


def measure_item(job: Job) -> dict:
    return measure_whole_head(job.path, job.folder)


def summarize(sets: dict[str, dict[str, dict]]) -> dict:
    """Means over each set beside the target of the first one, and the worst of all; then every photo."""
    every = {name: row for rows in sets.values() for name, row in rows.items()}
    means = {}
    for name, figure in FIGURES.items():
        line: dict[str, float | str] = {
            f"{of_set} ({len(rows)})": statistics.mean(row[name] for row in rows.values() if name in row)
            for of_set, rows in sets.items()
        }
        values = {photo: row[name] for photo, row in every.items() if name in row}
        worst = sorted(values, key=lambda photo: values[photo], reverse=figure.most)[:WORST]
        line["target"] = figure.target
        line["worst"] = ", ".join(f"{photo} {values[photo]:.{figure.digits}f}" for photo in worst)
        means[figure.meaning] = line
    return {"means": means, "every photo": [{"photo": photo, **row} for photo, row in every.items()]}


def draw_sheets(folder: Path, jobs: list[Job]) -> None:
    """Pages of photo and head from all sides, labeled with the photo's name."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for job in jobs:
        pictures = [(name, job.folder / f"{job.name}-{name}.jpg") for name in SHEET_VIEWS]
        heads = [Panel(f"{job.name} {name}", load_image(path)) for name, path in pictures if path.is_file()]
        rows.append([Panel(job.name, load_image(job.path)), *heads])
    for page, first in enumerate(range(0, len(rows), HEADS_PER_SHEET)):
        path = folder / f"sheet{page}.png"
        save_image(path, draw_sheet(rows[first : first + HEADS_PER_SHEET], SHEET_PX))
        print(path)


if __name__ == "__main__":
    main()
