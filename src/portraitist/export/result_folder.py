"""One run's result folder: written whole or not at all, with a record of how it was made."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from portraitist import __version__
from portraitist.assets import asset_hashes
from portraitist.export.glb import write_glb
from portraitist.export.neck_joint import has_bust
from portraitist.export.obj import write_obj
from portraitist.export.preview import Panel, draw_landmarks, draw_sheet, mark_landmarks
from portraitist.export.print_files import write_stl
from portraitist.export.solid import build_solid
from portraitist.export.turntable import encode_mp4, encode_webp, render_turn
from portraitist.io.head_file import save_head
from portraitist.io.images import save_image
from portraitist.io.output_folder import new_folder, write_record
from portraitist.rendering.cameras import NAMED_VIEWS, head_camera
from portraitist.rendering.sampling import render_all
from portraitist.types import EXPRESSION_NAMES, Head, HeadFit, Image, Landmarks, ProgressCallback, Result

VIEW_SIZE_PX = 512
BUST_HEIGHT_MM = 150.0  # of a print, if nothing else is asked for
BUST_YAWS_DEG = (-40.0, 0.0, 40.0, 180.0)
PACKAGES = ("torch", "mediapipe", "numpy", "scipy", "embreex", "pillow", "av")


def write_result(
    result: Result,
    out: Path,
    *,
    config: Any,
    inputs: Mapping[str, Path],
    device: str,
    precision: str,
    overwrite: bool = False,
    save_intermediates: bool = False,
    turntable: bool = False,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Write everything a user gets into folder ``out``; return what ``run.json`` says.

    ``head.glb``, ``head.obj`` + ``.mtl`` + ``.png``, ``head.safetensors`` (for ``load_head``), ``preview.png``,
    ``views/*.png`` (512 px, white ground) and ``run.json``; of a head on a bust also ``head.stl``, one watertight body
    150 mm high; with ``save_intermediates`` also ``content/`` (the unstylized head) and ``intermediates/``; with
    ``turntable`` also ``turntable.mp4`` and ``.webp``, reported to ``progress``. The folder appears when it is
    complete; until then, and after any failure, what was at ``out`` before is untouched.

    ``config``: the (nested) dataclass the run was made with. ``inputs``: what each file given by the user was for, and
    where it is. ``device``, ``precision``: what the network computed on, and in. Raises OutputError as ``check_output``
    does, and when the disk is full.
    """
    with new_folder(out, overwrite) as folder, FileWriter() as writer:
        writer.start(write_glb, folder / "head.glb", result.stylized)
        if has_bust(result.stylized):
            writer.start(_write_solid, folder / "head.stl", result.stylized)
        writer.start(write_obj, folder / "head.obj", result.stylized)
        writer.start(save_head, folder / "head.safetensors", result.stylized)
        views = render_named_views(result.stylized)
        writer.start(_write_views, folder / "views", views)
        content_views = _render_views(result.content, NAMED_VIEWS if save_intermediates else ("front",))
        writer.start(save_image, folder / "preview.png", draw_preview(result, views, content_views["front"]))
        if save_intermediates:
            writer.start(_write_content, folder / "content", result.content, content_views)
            writer.start(_write_intermediates, folder / "intermediates", result)
        if turntable:
            frames = render_turn(result.stylized, progress)
            writer.start(encode_mp4, folder / "turntable.mp4", frames)
            writer.start(encode_webp, folder / "turntable.webp", frames)
        writer.finish()
        return write_record(folder, describe_run(result, config, inputs, device, precision))


def draw_preview(result: Result, views: Mapping[str, Image], content_front: Image) -> Image:
    """One sheet: photo and artwork with the points that were read, unstylized head, texture; below them the stylized
    head at -30, 0 and +30 degrees, with a bust at -40, 0, +40 and from behind."""
    inputs = [
        Panel("photo", mark_landmarks(result.photo, result.photo_landmarks)),
        Panel("artwork", mark_landmarks(result.art, result.art_landmarks)),
        Panel("unstylized head", content_front),
        Panel("stylized texture", result.stylized.texture),
    ]
    if has_bust(result.stylized):
        turned = {f"bust, {yaw:.0f}°": head_camera(result.stylized, yaw, 0.0, VIEW_SIZE_PX) for yaw in BUST_YAWS_DEG}
        pictures = render_all(result.stylized, [*turned.values()])
        return draw_sheet([inputs, [Panel(label, image) for label, image in zip(turned, pictures, strict=True)]])
    turned = [("left", "-30°"), ("front", "0°"), ("right", "+30°")]
    return draw_sheet([inputs, [Panel(f"stylized head, {label}", views[name]) for name, label in turned]])


def render_named_views(head: Head) -> dict[str, Image]:
    """The five published views (``NAMED_VIEWS``), 512 px, on white."""
    return _render_views(head, NAMED_VIEWS)


class FileWriter:
    """Writes files one after the other in a thread of its own, since packing pictures takes as long as drawing them."""

    def __enter__(self) -> FileWriter:
        self._executor, self._jobs = ThreadPoolExecutor(1), []
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def start(self, write: Callable[..., None], *arguments: Any) -> None:
        self._jobs.append(self._executor.submit(write, *arguments))

    def finish(self) -> None:
        """Wait for all files. Raises what the first of them that failed raised."""
        for job in self._jobs:
            job.result()


def describe_run(
    result: Result, config: Any, inputs: Mapping[str, Path], device: str, precision: str
) -> dict[str, Any]:
    """What is needed to judge a run and to repeat it, as JSON values."""
    facts = {
        "seed": config.seed,
        "device": device,
        "precision": precision,
        "seconds": result.seconds,
        "quality": result.quality,
        "warnings": result.warnings,
    }
    return describe_making(config, inputs, facts)


def describe_making(config: Any, inputs: Mapping[str, Path], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What any run was made with and of, and ``facts`` about it, as JSON values."""
    return _to_json(
        {
            "config": dataclasses.asdict(config),
            "inputs": {
                role: {"name": os.fsencode(path.name).decode("utf-8", "backslashreplace"), "sha256": _hash_file(path)}
                for role, path in inputs.items()
            },
            **facts,
            "threads": torch.get_num_threads(),
            "peak_memory_mb": _peak_memory_mb(),
            "versions": {
                "portraitist": __version__,
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in PACKAGES},
            },
            "platform": platform.platform(),
            "assets": asset_hashes(),
        }
    )


def _render_views(head: Head, names: Iterable[str]) -> dict[str, Image]:
    cameras = {name: head_camera(head, *NAMED_VIEWS[name], VIEW_SIZE_PX) for name in names}
    return dict(zip(cameras, render_all(head, list(cameras.values())), strict=True))


def _write_views(folder: Path, views: Mapping[str, Image]) -> None:
    folder.mkdir()
    for name, image in views.items():
        save_image(folder / f"{name}.png", image)


def _write_solid(path: Path, head: Head) -> None:
    write_stl(path, build_solid(head, BUST_HEIGHT_MM))


def _write_content(folder: Path, head: Head, views: Mapping[str, Image]) -> None:
    folder.mkdir()
    write_obj(folder / "head.obj", head, texture_name="texture.png")
    save_head(folder / "head.safetensors", head)
    _write_views(folder / "views", views)


def _write_intermediates(folder: Path, result: Result) -> None:
    folder.mkdir()
    pictures = {
        "photo": (result.photo, result.photo_landmarks, result.photo_fit),
        "art": (result.art, result.art_landmarks, result.art_fit),
    }
    for name, (image, landmarks, fit) in pictures.items():
        _write_json(folder / f"{name}_landmarks.json", _describe_landmarks(landmarks))
        save_image(folder / f"{name}_landmarks.png", draw_landmarks(image, landmarks))
        _write_json(folder / f"{name}_fit.json", _describe_fit(fit))
    save_image(folder / "person_mask.png", result.person_mask.expand(3, -1, -1))
    _write_json(folder / "target_landmarks.json", {"points": result.target_landmarks})


def _describe_landmarks(landmarks: Landmarks) -> dict[str, Any]:
    """Has the ``points`` key of a landmark file, so it can be corrected by hand and given back to the command."""
    return {
        "points": landmarks.points,
        "size": landmarks.size,
        "dense": landmarks.dense,
        "confidence": landmarks.confidence,
        "expressions": _name_expressions(landmarks.expressions) if landmarks.expressions is not None else None,
    }


def _describe_fit(fit: HeadFit) -> dict[str, Any]:
    return {
        "identity": fit.identity,
        "expression": _name_expressions(fit.expression),
        "camera": dataclasses.asdict(fit.camera),
        "residual_px": fit.residual_px,
        "residual_relative": fit.residual_relative,
    }


def _name_expressions(weights: torch.Tensor) -> dict[str, float]:
    return dict(zip(EXPRESSION_NAMES, weights.tolist(), strict=True))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(_to_json(value), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _to_json(value: Any) -> Any:
    """Plain JSON values; numbers that JSON does not have (nan, inf) become null."""
    if isinstance(value, torch.Tensor):
        return _to_json(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")  # names of files need not be Unicode


def _hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _peak_memory_mb() -> float | None:
    """Largest resident size of this process so far, or None where the system does not tell (Windows)."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
