"""Running the product on a pair, once: everything the yardstick needs is kept under the hash of what it came from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mean_face import frontalize_fit
from pairs import Pair, read_annotation
from portraitist.errors import PortraitistError
from portraitist.types import Landmarks, Result
from rounded_vgg import load_rounded_vgg

if TYPE_CHECKING:
    from portraitist import Config

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "benchmarks" / "cache"
VIEW_PX = 512
"""Size of all views; the face in it is larger than the height at which style is measured."""
WITHOUT_INFLUENCE = ("cli", "apps", "studio", "batch")
"""Parts of the package that the pipeline cannot import (imports go one way), so a change there keeps the cache."""


@dataclass(frozen=True)
class Job:
    """What a worker process is told. ``folder``: the entry, which does not exist before the job is done."""

    pair: Pair
    data: Path
    config: Config
    folder: Path
    threads: int
    rounded: bool = False
    """Whether the network computes as in bfloat16."""


def entry_folder(pair: Pair, data: Path, config: Config, source: str, *, rounded: bool = False) -> Path:
    """Where the pair's run belongs: the name holds the hash of pictures and config, then that of the source."""
    pictures = [hashlib.sha256((data / path).read_bytes()).hexdigest() for path in (pair.photo, pair.art)]
    asked = json.dumps([pair.photo, pair.art, pictures, dataclasses.asdict(config)], sort_keys=True, default=str)
    asked += "bfloat16" * rounded
    return CACHE / f"{pair.number:02d}-{hashlib.sha256(asked.encode()).hexdigest()[:10]}-{source}"


def find_any_source(folder: Path) -> Path:
    """The newest finished entry for the same pictures and config, whatever source made it; else ``folder`` itself."""
    stem = folder.name.rsplit("-", 1)[0]
    records = sorted(CACHE.glob(f"{stem}-*/run.json"), key=lambda path: path.stat().st_mtime)
    return records[-1].parent if records else folder


@cache
def hash_source(*, parts: tuple[str, ...] = ()) -> str:
    """Hash of everything in the package that can change a result; assets count by their recorded hashes.

    ``parts``: only these top-level folders of the package, with ``types.py`` and the assets.
    """
    package = ROOT / "src" / "portraitist"
    digest = hashlib.sha256()
    for path in sorted([*package.rglob("*.py"), package / "assets" / "manifest.json"]):
        top = path.relative_to(package).parts[0]
        wanted = top in (*parts, "types.py", "assets") if parts else top not in WITHOUT_INFLUENCE
        if wanted:
            digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:10]


def run_pair(job: Job) -> str | None:
    """Stylize one pair and write its entry. Returns the traceback of a defect; a user-level error is a result instead.

    Meant to be the only job of its process, so that the peak memory is the pair's own.
    """
    from artworks import find_artist, load_refiner_without
    from portraitist import Models, load_image, stylize
    from portraitist.export.result_folder import describe_run

    torch.set_num_threads(job.threads)
    source = hash_source()
    folder = job.folder.with_name(f"{job.folder.name.rsplit('-', 1)[0]}-{source}")
    inputs = {"photo": job.data / job.pair.photo, "art": job.data / job.pair.art}
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        models = Models.load("cpu")
        models = dataclasses.replace(models, refiner=load_refiner_without(find_artist(job.pair.art)))
        if job.rounded:
            models = dataclasses.replace(models, vgg=load_rounded_vgg())
        result = stylize(load_image(inputs["photo"]), load_image(inputs["art"]), models, job.config)
        record = describe_run(result, job.config, inputs, "cpu", str(models.vgg.dtype))
        _save_pictures(result, unfinished)
        np.savez_compressed(unfinished / "shapes.npz", **_collect_shapes(result, models, job))
    except PortraitistError as error:
        record = {"error": f"{type(error).__name__}: {error}"}
    except Exception:
        shutil.rmtree(unfinished)
        return traceback.format_exc()
    (unfinished / "run.json").write_text(json.dumps(record, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)
    if folder != job.folder:
        return f"The source was changed after the start, so this run counts for {source}. Look at it with --reuse."
    return None


def _save_pictures(result: Result, folder: Path) -> None:
    from portraitist.export.result_folder import draw_preview, render_named_views
    from portraitist.io.images import save_image
    from portraitist.rendering.cameras import head_camera
    from portraitist.rendering.sampling import render

    content, stylized = result.content, result.stylized
    views = render_named_views(stylized)
    pose_camera = result.photo_fit.camera.resized(VIEW_PX / max(result.photo_fit.camera.size))
    content_front = render(content, head_camera(content, 0.0, 0.0, VIEW_PX))
    pictures = {
        **views,
        "content_front": content_front,
        "content_pose": render(content, pose_camera),
        "preview": draw_preview(result, views, content_front),
    }
    for name, picture in pictures.items():
        save_image(folder / f"{name}.png", picture)


def _collect_shapes(result: Result, models, job: Job) -> dict[str, np.ndarray]:
    """Meshes and landmarks as ``measure_pair`` reads them; the frontal ones ``[68, 2]`` in meters, y up."""
    from portraitist.landmarks.detection import detect_landmarks
    from portraitist.reconstruction.fitting import fit_head
    from portraitist.rendering.cameras import view_camera

    content, stylized = result.content, result.stylized
    art_landmarks, art_fit = result.art_landmarks, result.art_fit
    cropped_to, _ = detect_landmarks(result.art, models.detector)  # alike in all versions, so that figures compare
    if job.pair.annotated:  # the product used the detector like any user; the truth is what people annotated
        art_landmarks = Landmarks(points=read_annotation(job.data, job.pair.art), size=art_landmarks.size)
        art_fit = fit_head(art_landmarks, models.head)
    before, after = (h.landmarks68.positions(h.mesh.vertices, h.mesh.faces) for h in (content, stylized))
    shapes = {
        "content_vertices": content.mesh.vertices,
        "stylized_vertices": stylized.mesh.vertices,
        "faces": content.mesh.faces,
        "regions": content.mesh.regions,
        "content_frontal": before[:, :2],
        "stylized_frontal": after[:, :2],
        "art_frontal": frontalize_fit(art_landmarks, art_fit, models.head),
        "art_frontal_expressive": frontalize_fit(art_landmarks, art_fit, models.head, keep_expression=True),
        "photo_points_px": result.photo_landmarks.points,
        "art_points_px": cropped_to.points,
        "front_points_px": view_camera(stylized.mesh.vertices, 0.0, 0.0, VIEW_PX).project(after),
    }
    return {name: tensor.cpu().numpy() for name, tensor in shapes.items()}
