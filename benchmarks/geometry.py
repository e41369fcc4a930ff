"""Shape style alone: eight sitters by twelve artworks at five strengths.

    python benchmarks/geometry.py [--translator network|direct|FILE] [--sheet FOLDER]

Measures flipped triangles, how far heads go, what a photo given as the artwork does, and times; writes
``results/geometry.json``. ``--sheet`` draws landmark sets and untextured heads (``geometry_sheets.py``).
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage

from geometry_sheets import deform, draw_sheets
from metrics.shape import measure_flipped_share
from pairs import DEFAULT_DATA
from portraitist import load_image
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.translation import (
    GeometryConfig,
    NetworkTranslator,
    ShapeExemplar,
    Translator,
    make_translator,
    measure_displacement,
    measure_shape,
    translate_landmarks,
)
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.types import HeadFit, Landmarks
from portraitist.unwrapping.unwrap import make_content

PHOTOS = ("p00", "p02", "p06", "p11", "p14", "p19", "p24", "p37")
DETECTED = ("art/a09", "art/a26", "art/a29", "art/a31", "art/a33", "art/a36")
ANNOTATED = (
    *(f"artistic_faces/{number}.png" for number in ("000", "040", "090")),
    *(f"caricatures/{number}.jpg" for number in ("02", "13", "33")),
)
MEASURED = (1.0, 2.0)
RESULTS = Path(__file__).parent / "results" / "geometry.json"
REPEATS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure and draw the shape style alone.")
    parser.add_argument("--translator", default="network", help="network, direct or a file (default: network)")
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="also draw the heads there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_head_model()
    translator = make_translator(options.translator, model)
    fits = {name: fit_photo_file(DEFAULT_DATA / "photos" / f"{name}.jpg", model) for name in PHOTOS}
    heads = {name: make_content(fit, torch.zeros(3, 4, 4), model) for name, (_, fit) in fits.items()}
    exemplars = read_exemplars(model, translator)
    rows = {f"strength {s:g}": measure_strength(s, fits, heads, exemplars, model, translator) for s in MEASURED}
    photos = [measure_shape(landmarks, fit, model, translator) for landmarks, fit in fits.values()]
    record = {
        "translator": options.translator,
        "strengths": rows,
        "photo as artwork": measure_photos(photos, fits, model, translator),
        "milliseconds": time_steps(fits, heads, exemplars, model, translator),
    }
    print(json.dumps(record, indent=1))
    if options.translator == "network":
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    if options.sheet:
        options.sheet.mkdir(parents=True, exist_ok=True)
        draw_sheets(options.sheet, fits, heads, exemplars, model, translator)


def fit_photo_file(path: Path, model: HeadModel) -> tuple[Landmarks, HeadFit]:
    landmarks, _ = detect_landmarks(load_image(path), LandmarkDetector(), what="photo")
    return landmarks, fit_head(landmarks, model)


def read_exemplars(model: HeadModel, translator: Translator) -> dict[str, ShapeExemplar]:
    """Six artworks as the detector sees them, six with points set by hand."""
    exemplars = {}
    for name in DETECTED:
        landmarks, _ = detect_landmarks(load_image(DEFAULT_DATA / f"{name}.jpg"), LandmarkDetector(), what="art")
        exemplars[name] = measure_shape(landmarks, fit_head(landmarks, model), model, translator)
    with np.load(DEFAULT_DATA / "landmarks" / "art68.npz") as file:
        points, names = file["points"], file["image"].tolist()
    for wanted in ANNOTATED:
        row = names.index(wanted)
        with PillowImage.open(DEFAULT_DATA / names[row]) as picture:
            landmarks = Landmarks(torch.from_numpy(points[row]).float(), (picture.height, picture.width))
        exemplars[wanted] = measure_shape(landmarks, fit_head(landmarks, model), model, translator)
    return exemplars


def measure_strength(
    strength: float, fits: dict, heads: dict, exemplars: dict, model: HeadModel, translator: Translator
) -> dict[str, float]:
    """Over all sitters and artworks: triangles turned over on the neutral head, and movement in eye distances."""
    flips, moves = [], []
    for (name, (_, fit)), exemplar in itertools.product(fits.items(), exemplars.values()):
        config = GeometryConfig(strength=strength)
        after = deform(fit, heads[name], exemplar, model, translator, config)
        faces, regions = after.mesh.faces, after.mesh.regions
        flips.append(100 * measure_flipped_share(heads[name].neutral, after.neutral, faces, regions))
        moves.append(measure_displacement(fit, after.landmarks68.positions(after.mesh.vertices, faces), model))
    return {
        "flipped % (mean)": statistics.mean(flips),
        "flipped % (most)": max(flips),
        "heads with a flip": float(np.mean(np.array(flips) > 0)),
        "moved, eye distances (median)": statistics.median(moves),
        "moved, eye distances (most)": max(moves),
    }


def measure_photos(
    photos: list[ShapeExemplar], fits: dict, model: HeadModel, translator: Translator
) -> dict[str, float]:
    """Movement when another sitter's photo is the artwork, root mean square in eye distances; wanted below 0.03."""
    moves = []
    for row, (_, fit) in enumerate(fits.values()):
        for other, exemplar in enumerate(photos):
            if other != row:
                targets = translate_landmarks(fit, [exemplar], model, translator)
                moves.append(measure_displacement(fit, targets, model))
    return {"mean": statistics.mean(moves), "most": max(moves)}


def time_steps(fits: dict, heads: dict, exemplars: dict, model: HeadModel, translator: Translator) -> dict[str, float]:
    """Medians of processor time on one thread, everything factored and warm; other programs do not count."""
    (_, fit), head, exemplar = next(iter(fits.values())), next(iter(heads.values())), list(exemplars.values())[-1]
    config = GeometryConfig()
    deformer = build_deformer(model, config.stiffness)
    targets = translate_landmarks(fit, [exemplar], model, translator, config)
    moved = targets - head.landmarks68.positions(head.mesh.vertices, head.mesh.faces)
    steps = {
        "translate 68 landmarks": lambda: translate_landmarks(fit, [exemplar], model, translator, config),
        "slider step: handle matrix to vertices": lambda: deformer.displace(head.neutral, moved),
        "deform the head, 52 expressions carried": lambda: deform_to_landmarks(head, targets, deformer),
    }
    if isinstance(translator, NetworkTranslator):
        content = torch.zeros(68, 2)
        steps["network alone"] = lambda: translator.move(content, [exemplar])
    return {name: 1000 * statistics.median(_time(step) for _ in range(REPEATS)) for name, step in steps.items()}


def _time(step) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


if __name__ == "__main__":
    main()
