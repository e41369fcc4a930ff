"""What the likeness metrics measure on an item, and where it is kept."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kept_jobs import Job, name_folder

OWN_FILES = ("likeness_*.py", "reconstruction_runs.py", "rendered_*.py", "metrics/*.py")


@cache
def cache_folder() -> Path:
    """Belongs to this version of the product's reconstruction, of the yardstick and of the rendered set."""
    return name_folder("likeness", OWN_FILES)


def measure_item(job: Job) -> dict:
    """Figures of one item."""
    from likeness_photos import measure_photo
    from likeness_rendered import measure_rendered_face
    from likeness_silhouette import measure_outline
    from likeness_videos import fit_video
    from rendered_faces import load_faces

    if job.part == "rendered":
        return measure_rendered_face(load_faces()[int(job.name)])
    if job.part == "video":
        return fit_video(job.path)
    measure = measure_photo if job.part == "photos" else measure_outline
    return measure(job.path, job.folder)
