"""The figures of one finished run, from its pictures and shapes alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mean_face import measure_mean_face
from metrics.face_crop import crop_face
from metrics.identity import compare_embeddings, embed_face
from metrics.shape import measure_flipped_share, measure_shape_transfer
from metrics.style import compare_style
from pair_runs import CACHE, hash_source
from pairs import Pair
from portraitist import load_image
from portraitist.io.images import image_to_uint8
from portraitist.reconstruction.head_model import load_head_model


@dataclass(frozen=True)
class Figure:
    """One column of the table. ``most``, ``least``: the target of the mean over all pairs, where there is one."""

    meaning: str
    head: str
    digits: int = 3
    most: float | None = None
    least: float | None = None

    def target(self) -> str:
        if self.most is not None:
            return f"<={self.most:g}"
        return f">={self.least:g}" if self.least is not None else ""

    def is_met(self, value: float) -> bool:
        return not (self.most is not None and value > self.most) and not (self.least is not None and value < self.least)


FIGURES = {
    "identity_content": Figure("identity distance, photo to unstylized front view", "id cont", most=0.33),
    "identity_stylized": Figure("identity distance, photo to stylized front view", "id styl", most=0.50),
    "identity_pose": Figure("identity distance, photo to unstylized head in the photo's pose", "id pose"),
    "style_vgg": Figure("style ratio on VGG16 features", "vgg", most=0.52),
    "style_network_free": Figure("style ratio on colors and edges", "no net", most=0.36),
    "shape_cosine": Figure("shape cosine", "cosine", least=0.7),
    "shape_gain": Figure("shape gain", "gain", least=0.7),
    "shape_cosine_expressive": Figure("shape cosine with the artwork's expression left in", "cos+exp"),
    "flipped_percent": Figure("flipped skin triangles, %", "flip %", most=0.2),
    "seconds": Figure("seconds in stylize()", "s", digits=1, most=240),
    "peak_memory_mb": Figure("peak memory, MB", "MB", digits=0, most=3072),
}
"""Targets of the main job, of shape style and of texture style. Identity of a head in which no face is found is 1.0."""


def read_figures(pair: Pair, folder: Path, data: Path) -> dict:
    """Figures of one finished run, or its ``error``; measured once per version of the metrics."""
    record = json.loads((folder / "run.json").read_text())
    if "error" in record:
        return {"error": record["error"]}
    measured = folder / f"figures-{_hash_metrics()}.json"
    if not measured.is_file():
        measured.write_text(json.dumps(measure_figures(pair, folder, data), indent=1))
    return {
        **json.loads(measured.read_text()),
        "seconds": sum(record["seconds"].values()),
        "peak_memory_mb": record["peak_memory_mb"],
        "seconds_per_stage": record["seconds"],
        "warnings": record["warnings"],
    }


def measure_figures(pair: Pair, folder: Path, data: Path) -> dict[str, float]:
    """All figures that come from pictures and shapes; those of ``FIGURES`` without time and memory."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # short operations: more threads would wait for one another
    try:
        with np.load(folder / "shapes.npz") as file:
            shapes = {name: torch.from_numpy(array) for name, array in file.items()}
        photo = load_image(data / pair.photo)
        return {
            **_measure_identity(photo, folder),
            **_measure_style(photo, load_image(data / pair.art), folder, shapes),
            **_measure_shape(shapes, load_mean_face(data, pair.annotated)),
        }
    finally:
        torch.set_num_threads(threads)


def _measure_identity(photo: Tensor, folder: Path) -> dict[str, float]:
    person = embed_face(image_to_uint8(photo))
    views = {"content": "content_front", "stylized": "front", "pose": "content_pose"}
    return {
        f"identity_{name}": compare_embeddings(person, embed_face(image_to_uint8(load_image(folder / f"{view}.png"))))
        for name, view in views.items()
    }


def _measure_style(photo: Tensor, art: Tensor, folder: Path, shapes: dict[str, Tensor]) -> dict[str, float]:
    ratios = compare_style(
        crop_face(load_image(folder / "front.png"), shapes["front_points_px"]),
        crop_face(photo, shapes["photo_points_px"]),
        crop_face(art, shapes["art_points_px"]),
    )
    return {"style_vgg": ratios.vgg, "style_network_free": ratios.network_free}


def _measure_shape(shapes: dict[str, Tensor], mean: Tensor) -> dict[str, float]:
    heads = shapes["content_frontal"], shapes["stylized_frontal"]
    meshes = shapes["content_vertices"], shapes["stylized_vertices"], shapes["faces"], shapes["regions"]
    transfer = measure_shape_transfer(*heads, shapes["art_frontal"], mean)
    expressive = measure_shape_transfer(*heads, shapes["art_frontal_expressive"], mean)
    return {
        "shape_cosine": transfer.cosine,
        "shape_gain": transfer.gain,
        "shape_cosine_expressive": expressive.cosine,
        "flipped_percent": 100 * measure_flipped_share(*meshes),
    }


@cache
def load_mean_face(data: Path, annotated: bool) -> Tensor:
    """The mean normal face ``[68, 2]``; measured again only after landmarks, fitting or the head model have changed."""
    source = hash_source(parts=("mesh", "landmarks", "reconstruction"))
    path = CACHE / f"mean-{'annotated' if annotated else 'detected'}-{source}.npy"
    if not path.is_file():
        CACHE.mkdir(exist_ok=True)
        np.save(path, measure_mean_face(data, load_head_model(), annotated=annotated).numpy())
    return torch.from_numpy(np.load(path))


@cache
def _hash_metrics() -> str:
    folder = Path(__file__).parent
    sources = [*sorted((folder / "metrics").glob("*.py")), folder / "mean_face.py", folder / "pair_figures.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:10]
