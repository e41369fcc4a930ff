"""The metrics of reconstruction and unwrap: is the unstylized head this person, from every side?

    python benchmarks/rendered_faces.py             # once: ground truth, rendered
    python benchmarks/likeness.py                   # everything: a few minutes on two cores, then only what has changed
    python benchmarks/likeness.py --only rendered   # or photos, silhouette, video
    python benchmarks/likeness.py --only photos --sheet      # and every head from six sides, to be looked at
    python benchmarks/likeness.py --time            # seconds of fit and unwrap; on an idle machine

Needs the development pictures beside the checkout and `pip install -e .[benchmarks]`. What is measured how is said in
``likeness_rendered.py``, ``likeness_photos.py``, ``likeness_silhouette.py`` and ``likeness_videos.py``. Items are kept
in benchmarks/cache under the hash of the source; a complete run writes results/likeness.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kept_jobs import Job, read_entries, run_jobs
from likeness_jobs import cache_folder, measure_item
from pair_runs import ROOT, hash_source
from pairs import DEFAULT_DATA

RESULTS = ROOT / "benchmarks" / "results" / "likeness.json"
PARTS = ("rendered", "photos", "silhouette", "video")
TIMED_PHOTOS = ("p09", "p12", "p18", "p23", "p29")
SHEET_ROWS = 5


@dataclass(frozen=True)
class Summary:
    """One line of the table: ``value`` of ``how`` over the items of a part. ``most``, ``least``: the target, if any."""

    part: str
    meaning: str
    figure: str
    how: str
    most: float | None = None
    least: float | None = None
    digits: int = 2

    def compute(self, rows: dict[str, dict]) -> float:
        values = np.array([row[self.figure] for row in rows.values() if self.figure in row])
        if self.how == "share found":
            return sum("error" not in row for row in rows.values()) / len(rows)
        reduce = {
            "median": np.median, "mean": np.mean, "most": np.max, "least": np.min,
            "median size": lambda x: np.median(np.abs(x)),
        }  # fmt: skip
        return float(reduce[self.how](values))

    def target(self) -> str:
        if self.most is not None:
            return f"<= {self.most:g}"
        return f">= {self.least:g}" if self.least is not None else ""

    def is_met(self, value: float) -> bool:
        return not (self.most is not None and value > self.most) and not (self.least is not None and value < self.least)


SUMMARIES = (
    Summary("rendered", "faces found", "", "share found", least=0.95),
    Summary("rendered", "neutral skin error, mm: mean over vertices", "fit_skin_mean_mm", "median", most=2.5),
    Summary("rendered", "the same of the mean head", "mean_head_skin_mean_mm", "median"),
    Summary("rendered", "neutral skin error, mm: median over vertices", "fit_skin_median_mm", "median"),
    Summary("rendered", "the same of the mean head", "mean_head_skin_median_mm", "median"),
    Summary("rendered", "neutral face error, mm: mean over vertices", "fit_face_mean_mm", "median"),
    Summary("rendered", "the same of the mean head", "mean_head_face_mean_mm", "median"),
    Summary("rendered", "neutral face error, mm: median over vertices", "fit_face_median_mm", "median"),
    Summary("rendered", "the same of the mean head", "mean_head_face_median_mm", "median"),
    Summary("rendered", "face with its expression, mm", "fit_shown_face_mean_mm", "median"),
    Summary("rendered", "pose error, deg", "turn_deg", "median", most=4.0),
    Summary("rendered", "pose error of the surface, deg", "turn_shape_deg", "median"),
    Summary("rendered", "yaw error, deg", "yaw_off_deg", "median size"),
    Summary("rendered", "pitch error, deg", "pitch_off_deg", "median size"),
    Summary("rendered", "pitch bias, deg (> 0: fitted chin too high)", "pitch_off_deg", "median"),
    Summary("rendered", "error of the 52 weights, mean", "expression_weights", "median", digits=3),
    Summary("rendered", "detector off by (outer eye distances)", "detector_error", "median", digits=4),
    Summary("photos", "identity distance, front", "identity_front", "mean", most=0.27, digits=3),
    Summary("photos", "identity distance, front", "identity_front", "most", most=0.42, digits=3),
    Summary("photos", "identity distance, photo's pose", "identity_pose", "mean", most=0.13, digits=3),
    Summary("photos", "photo cut out along the face hull", "identity_cut_out", "mean", digits=3),
    Summary("photos", "hidden landmarks, rms (outer eye distances)", "hidden_rms", "mean", most=0.015, digits=4),
    Summary("photos", "hidden landmarks, median", "hidden_median", "mean", digits=4),
    Summary("photos", "hidden landmarks off the outline, rms", "hidden_inner_rms", "mean", digits=4),
    Summary("photos", "round trip in the face hull, dB", "psnr_db", "median", least=31.0, digits=1),
    Summary("photos", "share of texels from the photo", "texels_from_photo", "mean"),
    Summary("silhouette", "outline overlap, brows to chin", "outline_iou", "mean", least=0.93, digits=3),
    Summary("silhouette", "outline overlap, brows to chin", "outline_iou", "least", digits=3),
)


def main() -> None:
    options = parse_options()
    if not options.data.is_dir() and options.only != ["rendered"]:
        sys.exit(f"The development pictures are not at {options.data}. Give their folder with --data.")
    hash_source()  # remembered: what is measured now
    started, jobs = time.perf_counter(), {part: list_jobs(part, options.data) for part in options.only}
    run_jobs([job for part in jobs.values() for job in part], options.processes, measure_item)
    rows = {part: read_entries(part_jobs) for part, part_jobs in jobs.items()}
    video = {}
    if "video" in rows:
        from likeness_videos import compare_videos

        video = compare_videos(rows.pop("video"))
    lines = [(s, s.compute(rows[s.part])) for s in SUMMARIES if s.part in rows]
    print_table(lines, video, rows)
    if options.sheet:
        draw_sheets(jobs["photos"])
    seconds = time_reconstruction(options.data) if options.time else {}
    print(f"{time.perf_counter() - started:.0f} s; pictures are in {cache_folder().relative_to(ROOT)}")
    if hash_source.__wrapped__() != hash_source():
        print("The source was changed while it was measured, so no result is written.")
    elif set(options.only) == set(PARTS):
        write_results(lines, video, rows, seconds)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure reconstruction and unwrap.")
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure (default: all)")
    add("--processes", type=int, default=2, help="items at a time, one thread each (default: 2)")
    add("--data", type=Path, default=DEFAULT_DATA, help="folder of the development pictures")
    add("--sheet", action="store_true", help="draw all heads of the photos from six sides")
    add("--time", action="store_true", help="time fit and unwrap with two threads; on an idle machine")
    options = parser.parse_args()
    if options.sheet and "photos" not in options.only:
        parser.error("--sheet needs the part photos")
    return options


def list_jobs(part: str, data: Path) -> list[Job]:
    from likeness_silhouette import SHORT_HAIR
    from rendered_faces import load_faces

    folder = cache_folder() / part
    if part == "rendered":
        return [Job(part, f"{face.plan.number:02d}", face.picture, folder) for face in load_faces()]
    if part == "video":
        return [Job(part, path.stem, path, folder) for path in sorted((data / "video").glob("*.mp4"))]
    paths = sorted((data / "photos").glob("*.jpg"))
    return [Job(part, path.stem, path, folder) for path in paths if part == "photos" or path.stem in SHORT_HAIR]


def print_table(lines: list[tuple[Summary, float]], video: dict, rows: dict[str, dict]) -> None:
    """Every summary beside its target, misses starred; then the worst items of each target."""
    for summary, value in lines:
        star = " " if summary.is_met(value) else "*"
        print(
            f"{summary.part:<11}{summary.meaning:<46}{summary.how:<12}"
            f"{value:>8.{summary.digits}f}{star} {summary.target()}"
        )
    if video:
        figures = ", ".join(f"{name} {value:.3g}" for name, value in video.items() if name != "videos")
        print(f"video      neutral shapes: {figures}; target: auc >= 0.9")
        for row in video["videos"]:
            print("           ", ", ".join(f"{name} {value}" for name, value in row.items()))
    print("\nWorst five:")
    for summary, _ in lines:
        if (summary.most is not None or summary.least is not None) and summary.figure and summary.how != "most":
            part = {name: row[summary.figure] for name, row in rows[summary.part].items() if summary.figure in row}
            worst = sorted(part, key=lambda name: part[name], reverse=summary.most is not None)[:5]
            print(f"  {summary.meaning}: " + ", ".join(f"{name} {part[name]:.{summary.digits}f}" for name in worst))


def draw_sheets(jobs: list[Job]) -> None:
    """Pages of photo and head from six sides, into the cache."""
    from likeness_photos import SHEET_VIEWS
    from portraitist import load_image, save_image
    from portraitist.export.preview import Panel, draw_sheet

    rows = []
    for job in jobs:
        pictures = [(name, job.folder / f"{job.name}-{name}.jpg") for name in ("pose", *SHEET_VIEWS)]
        heads = [Panel(name, load_image(path)) for name, path in pictures if path.is_file()]
        rows.append([Panel(job.name, load_image(job.path)), *heads])
    for page, first in enumerate(range(0, len(rows), SHEET_ROWS)):
        path = jobs[0].folder.parent / f"sheet{page}.png"
        save_image(path, draw_sheet(rows[first : first + SHEET_ROWS], 2400))
        print(path.relative_to(ROOT))


def time_reconstruction(data: Path) -> dict[str, float]:
    """Seconds of fit and unwrap with two threads: the first head of a process, and the median of those after it."""
    import torch

    from portraitist import load_image
    from portraitist.landmarks.detection import detect_landmarks
    from portraitist.reconstruction.fitting import fit_head
    from portraitist.segmentation.person import segment_person
    from portraitist.unwrapping.gaze import pick_irises
    from portraitist.unwrapping.unwrap import unwrap_photo
    from reconstruction_runs import load_models, segment_bare_head

    model, detector, segmenter = load_models()
    torch.set_num_threads(2)
    seconds = []
    for name in TIMED_PHOTOS:
        photo = load_image(data / "photos" / f"{name}.jpg")
        landmarks, _ = detect_landmarks(photo, detector)
        person = segment_person(photo, landmarks, segmenter)
        start = time.perf_counter()
        fit = fit_head(landmarks, model)
        fitted = time.perf_counter()
        bare = segment_bare_head(photo, landmarks, fit, person)
        segmented = time.perf_counter()
        unwrap_photo(photo, fit, bare, model, irises=pick_irises(landmarks))
        seconds.append(time.perf_counter() - segmented + fitted - start)
    figures = {"first_s": seconds[0], "later_median_s": statistics.median(seconds[1:])}
    print("fit and unwrap:", ", ".join(f"{name} {value:.2f}" for name, value in figures.items()), "(target: < 3 s)")
    return figures


def write_results(
    lines: list[tuple[Summary, float]], video: dict, rows: dict[str, dict], seconds: dict[str, float]
) -> None:
    """``results/likeness.json``: summaries, then every item."""
    result = {
        "command": "python benchmarks/likeness.py",
        "source": hash_source(),
        "cores": os.cpu_count(),
        "summary": [
            {"part": s.part, "figure": s.meaning, "over items": s.how, "value": value, "target": s.target()}
            for s, value in lines
        ],
        "video": {name: value for name, value in video.items() if name != "videos"},
        "videos": video["videos"],
        **({"fit_and_unwrap": seconds} if seconds else {}),
        **{part: [{"item": name, **row} for name, row in items.items()] for part, items in rows.items()},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    print(f"Written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
