"""Measuring items in worker processes, each kept under the hash of what it came from."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from pair_runs import CACHE, hash_source

PRODUCT_PARTS = ("io", "mesh", "rendering", "landmarks", "segmentation", "reconstruction", "unwrapping", "hair")
"""Parts of the package that a reconstruction comes from, called step by step."""

PIPELINE_PARTS = (*PRODUCT_PARTS, "pipeline.py", "config.py", "models.py", "vgg.py", "devices.py")
"""The same, called as ``pipeline.reconstruct``."""


@dataclass(frozen=True)
class Job:
    """One item: a rendered face (by number), a photo, a series or a video. ``part`` says what is measured on it.
    ``folder``: of the part's figures and pictures; told by the parent, for the source may change while workers
    start."""

    part: str
    name: str
    path: Path
    folder: Path

    @property
    def entry(self) -> Path:
        return self.folder / f"{self.name}.json"


def name_folder(benchmark: str, own_files: tuple[str, ...], product_parts: tuple[str, ...] = PRODUCT_PARTS) -> Path:
    """Where the benchmark's items belong: the hash of these parts of the package and of these files is in the name."""
    digest = hashlib.sha256(hash_source(parts=product_parts).encode())
    here = Path(__file__).parent
    for path in sorted(path for pattern in own_files for path in here.glob(pattern)):
        digest.update(path.read_bytes())
    return CACHE / f"{benchmark}-{digest.hexdigest()[:10]}"


def run_jobs(jobs: list[Job], processes: int, measure: Callable[[Job], dict]) -> None:
    """Measure what has no entry yet, ``processes`` at a time with one thread each."""
    missing = [job for job in jobs if not job.entry.is_file()]
    context = multiprocessing.get_context("spawn")  # nobody may fork after making a landmarker
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = {pool.submit(run_job, job, measure): job for job in missing}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                job = futures[future]
                print(f"{done} of {len(missing)}: {job.part} {job.name}", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def run_job(job: Job, measure: Callable[[Job], dict]) -> None:
    """Measure one item and write its entry."""
    job.folder.mkdir(parents=True, exist_ok=True)
    unfinished = job.entry.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(measure(job), indent=1))
    unfinished.replace(job.entry)


def read_entries(jobs: list[Job]) -> dict[str, dict]:
    """Figures by item."""
    return {job.name: json.loads(job.entry.read_text()) for job in jobs}
