"""How well heads stand and move on bodies, measured on the written files: python benchmarks/character.py HEAD...

HEAD: head.safetensors of results. Each is put on four bodies and written for the web (quantized). With ``--write`` the
figures go to results/character.json. Slide, loop and knees are those of `metrics/gltf_motion.py`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import KDTree

from metrics.gltf_motion import MovingGlb, measure_knees, measure_loop, measure_seam, measure_slide
from portraitist import BodyShape, CharacterConfig, Head, Models, load_head, stylize_character
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import UNSIGNED
from portraitist.io.glb_file import GlbPart, read_glb
from portraitist.rendering.sampling import sample_bilinear
from speed import describe_processor

RESULTS = Path(__file__).parent / "results" / "character.json"
SHAPES = {
    "average": BodyShape(),
    "child": BodyShape(age=7.0, sex=1.0),
    "stout": BodyShape(sex=0.0, weight=88.0),
    "large head": BodyShape(head_scale=1.5),
}
FILES = ("web", "blender", "unity", "vrm", "usd", "obj")
COLOR_PX = 128  # side to which textures are scaled down before colors are compared
SEAM_M = 1e-4  # vertices of head and body that are not further apart are one


def measure(head: Head, folder: Path) -> dict[str, Any]:
    """Figures of one person."""
    path = folder / "person.glb"
    PROFILES["web"].write(path, head, provenance=UNSIGNED)
    glb = MovingGlb(path)
    slides = {clip: measure_slide(glb, clip, "Clothes") for clip in glb.clips}
    seams = [measure_seam(glb, clip) for clip in glb.clips]
    across, beside = compare_colors(read_glb(path))
    return {
        "walk_m_per_s": glb.find_speed("walk"),
        "walk_slide_mm": 1e3 * slides["walk"][0],
        "standing_slide_mm": 1e3 * max(slide for clip, (slide, _) in slides.items() if clip != "walk"),
        "depth_mm": 1e3 * max(depth for _, depth in slides.values()),
        "loop_mm": 1e3 * max(measure_loop(glb, clip) for clip in glb.clips),
        "knee_deg_per_s": max(measure_knees(glb, clip) for clip in glb.clips),
        "seam_mm": 1e3 * max(gap for gap, _, _ in seams),
        "seam_normals_deg": max(angle for _, angle, _ in seams),
        "seam_color": across,
        "skin_color": beside,
    }


def compare_colors(parts: dict[str, GlbPart]) -> tuple[float, float]:
    """Mean color differences (sRGB 0..1) between head and body where they meet, and along the edges of the skin that
    begin there, for comparison."""
    head, body = parts["Head"], parts["Body"]
    own, others = (_sample(part) for part in (head, body))
    apart, nearest = KDTree(head.positions).query(body.positions)
    met = np.flatnonzero(apart < SEAM_M)
    across = np.linalg.norm(own[np.asarray(nearest)[met]] - others[met], axis=1)
    beside = []
    for part, colors, seam in ((head, own, np.asarray(nearest)[met]), (body, others, met)):
        edges = part.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        leaving = edges[np.isin(edges, seam).sum(1) == 1]
        beside.append(np.linalg.norm(colors[leaving[:, 0]] - colors[leaving[:, 1]], axis=1))
    return float(across.mean()), float(np.concatenate(beside).mean())


def _sample(part: GlbPart) -> np.ndarray:
    """Colors at the vertices, without single strokes."""
    assert part.texture is not None
    stroke_free = F.adaptive_avg_pool2d(part.texture, COLOR_PX)
    return sample_bilinear(stroke_free, torch.from_numpy(part.uvs).float()).T.numpy()


def measure_files(head: Head, folder: Path) -> dict[str, dict[str, float]]:
    """Megabytes and seconds of each program's files."""
    rows = {}
    for name in FILES:
        path = folder / f"file{PROFILES[name].suffix}"
        start = time.perf_counter()
        PROFILES[name].write(path, head, provenance=UNSIGNED)
        seconds = time.perf_counter() - start
        sizes = [each.stat().st_size for each in (path, *PROFILES[name].list_files(path, head))]
        rows[name] = {"mb": sum(sizes) / 1e6, "seconds": seconds}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("heads", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    models = Models.load("cpu")
    results: dict[str, Any] = {"processor": describe_processor(), "people": {}, "files": {}}
    for number, path in enumerate(arguments.heads, 1):
        for name, shape in SHAPES.items():
            start = time.process_time()
            person = stylize_character(load_head(path), models, CharacterConfig(shape))
            seconds = time.process_time() - start
            with tempfile.TemporaryDirectory() as folder:
                row = {"build_s": seconds} | measure(person, Path(folder))
            results["people"][f"head {number}, {name}"] = row
            print(path.stem, name, json.dumps({key: round(value, 4) for key, value in row.items()}), flush=True)
            if arguments.write:
                RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        person = stylize_character(load_head(arguments.heads[0]), models)
        results["files"] = measure_files(person, Path(folder))
    print(json.dumps(results["files"], indent=1))
    if arguments.write:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
