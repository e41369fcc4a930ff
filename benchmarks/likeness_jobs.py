"""Running the yardstick's items in worker processes, each kept under the hash of what it came from."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pair_runs import CACHE, hash_source

PRODUCT_PARTS = ("io", "mesh", "rendering", "landmarks", "segmentation", "reconstruction", "unwrapping", "hair")
OWN_FILES = ("likeness_*.py", "reconstruction_runs.py", "rendered_*.py", "metrics/*.py")


@dataclass(frozen=True)
class Job:
    """One item: a rendered face (by number), a photo, or a video. ``part`` says what is measured on it. ``folder``: of
    the part's figures and pictures; told by the parent, for the source may change while workers start."""

    part: str
    name: str
    path: Path
    folder: Path

    @property
    def entry(self) -> Path:
        return self.folder / f"{self.name}.json"


@cache
def cache_folder() -> Path:
    """Belongs to this version of the product's reconstruction, of the yardstick and of the rendered set."""
    digest = hashlib.sha256(hash_source(parts=PRODUCT_PARTS).encode())
    here = Path(__file__).parent
    for path in sorted(path for pattern in OWN_FILES for path in here.glob(pattern)):
        digest.update(path.read_bytes())
    return CACHE / f"likeness-{digest.hexdigest()[:10]}"


def run_jobs(jobs: list[Job], processes: int) -> None:
    """Measure what has no entry yet, ``processes`` at a time with one thread each."""
    missing = [job for job in jobs if not job.entry.is_file()]
    context = multiprocessing.get_context("spawn")  # nobody may fork after making a landmarker
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = {pool.submit(run_job, job): job for job in missing}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                job = futures[future]
                print(f"{done} of {len(missing)}: {job.part} {job.name}", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def run_job(job: Job) -> None:
    """Measure one item and write its entry."""
    from likeness_photos import measure_photo
    from likeness_rendered import measure_rendered_face
    from likeness_silhouette import measure_outline
    from likeness_videos import fit_video
    from rendered_faces import load_faces

    job.folder.mkdir(parents=True, exist_ok=True)
    if job.part == "rendered":
        figures = measure_rendered_face(load_faces()[int(job.name)])
    elif job.part == "video":
        figures = fit_video(job.path)
    else:
        measure = measure_photo if job.part == "photos" else measure_outline
        figures = measure(job.path, job.folder)
    unfinished = job.entry.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(figures, indent=1))
    unfinished.replace(job.entry)


def read_entries(jobs: list[Job]) -> dict[str, dict]:
    """Figures by item."""
    return {job.name: json.loads(job.entry.read_text()) for job in jobs}
