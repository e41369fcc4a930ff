"""`portraitist image` on prescribed pairs: likeness, style, border of the face, shape, expressions, time.

    python benchmarks/image_style.py                           # 16 pairs
    python benchmarks/image_style.py --pairs 8 --expressions   # and five expressions on each: six paintings a pair
    python benchmarks/image_style.py --pairs 4 --preset draft --sheet sheet.png

Heads are kept in benchmarks/cache, and pictures beside the checkout are needed, as for ``quality.py``. Style and
likeness stand beside those of the head's front view (quality.py's figures). Times are those of `paint_image`: the
picture without its head.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from artworks import find_artist, load_refiner_without
from metrics.face_crop import crop_face
from metrics.identity import compare_embeddings, embed_face
from metrics.style import compare_style
from pair_runs import CACHE, ROOT, VIEW_PX, hash_source
from pairs import DEFAULT_DATA, Pair, spread_pairs
from portraitist import (
    EXPRESSION_NAMES,
    Exemplar,
    Head,
    ImageConfig,
    ImageResult,
    Models,
    PortraitistError,
    Sitter,
    detect_landmarks,
    load_head,
    load_image,
    paint_image,
    reconstruct,
    render_view,
    save_head,
    save_image,
    study_artwork,
    transfer_geometry,
    transfer_texture,
    view_camera,
)
from portraitist.apps.image_painting import resize_picture
from portraitist.export.preview import Panel, draw_sheet
from portraitist.io.images import image_to_uint8

RESULTS = ROOT / "benchmarks" / "results"
EXPRESSIONS = {
    "jawOpen": {"jawOpen": 0.8},
    "smile": {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8},
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "mouthPucker": {"mouthPucker": 0.8},
    "browInnerUp": {"browInnerUp": 0.8},
}
BAND_PX = 4  # half the width of the band along the face's border, of a picture of 512 px
FIGURES = {
    "identity": "identity distance, photo to picture",
    "identity_front": "the same, to the head's front view",
    "style_vgg": "style ratio on VGG16 features",
    "style_vgg_front": "the same of the head's front view",
    "style_network_free": "style ratio on colors and edges",
    "style_network_free_front": "the same of the head's front view",
    "border": "gradient across the face's border, to that beside it",
    "border_photo": "the same in the moved photo",
    "points": "detected points off the translated ones, % of the eye distance",
    "points_photo": "the same in the moved photo",
    "least_area": "smallest determinant of the warp",
    "seconds": "seconds in paint_image",
}


def main() -> None:
    options = parse_options()
    if not options.data.is_dir():
        sys.exit(f"The development pictures are not at {options.data}. Give their folder with --data.")
    config = dataclasses.replace(getattr(ImageConfig, options.preset)(), size_px=options.size)
    rows, sheets = {}, []
    for pair in spread_pairs(options.pairs):
        try:
            row, panels = measure_pair(pair, config, options)
        except PortraitistError as error:
            row, panels = {"error": f"{type(error).__name__}: {error}"}, []
        rows[str(pair)] = row
        sheets += [panels] if panels else []
        print(pair, json.dumps(row), flush=True)
        if options.sheet and sheets:
            save_image(options.sheet, draw_sheet(sheets))
        if options.write:
            write_result(rows, options)
    for name, value in find_means(rows).items():
        print(f"{FIGURES.get(name, name):<64}{value:8.3f}")


def write_result(rows: dict[str, dict], options: argparse.Namespace) -> None:
    """After every pair, so that a run that is stopped keeps what it has."""
    command = f"python benchmarks/image_style.py --pairs {options.pairs} --size {options.size}"
    command += f" --preset {options.preset}" + " --expressions" * options.expressions
    result = {"command": command, "source": hash_source(), "means": find_means(rows), "pairs": rows}
    name = "image_expressions" if options.expressions else "image_style"
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--pairs", type=int, default=16, help="how many, spread over the list (default: 16)")
    add("--preset", choices=("draft", "standard"), default="standard")
    add("--size", type=int, default=768, help="longer side, pixels (default: 768)")
    add("--expressions", action="store_true", help="also paint and detect five expressions")
    add("--sheet", type=Path, help="PNG with photo, artwork, moved photo, picture and front view of every pair")
    add("--data", type=Path, default=DEFAULT_DATA, help="folder of the development pictures")
    add("--write", action="store_true", help="write benchmarks/results/image_style.json or image_expressions.json")
    return parser.parse_args()


def measure_pair(pair: Pair, config: ImageConfig, options: argparse.Namespace) -> tuple[dict, list[Panel]]:
    models = Models.load("cpu")
    models = dataclasses.replace(models, refiner=load_refiner_without(find_artist(pair.art)))
    photo, art = load_image(options.data / pair.photo), load_image(options.data / pair.art)
    sitter, exemplar = reconstruct(photo, models, config.head), study_artwork(art, models, config.head)
    head = make_head(pair, sitter, exemplar, models, config, options.preset)
    started = time.perf_counter()
    result = paint_image(sitter, exemplar, head, models, config)
    seconds = time.perf_counter() - started
    camera = view_camera(head.mesh.vertices, 0.0, 0.0, VIEW_PX)
    front = render_view(head.mesh, head.texture, camera, torch.ones(3))
    front_points = camera.project(head.landmarks68.positions(head.mesh.vertices, head.mesh.faces))
    row = {
        **measure_look(result.image, result.targets_px, sitter, exemplar, models, ""),
        **measure_look(front, front_points, sitter, exemplar, models, "_front"),
        "border": measure_border(result.image, result.face),
        "border_photo": measure_border(result.warped, result.face),
        "points": measure_points(result.image, result.targets_px, models),
        "points_photo": measure_points(result.warped, result.targets_px, models),
        "least_area": float(result.warp.areas.min()),
        "seconds": seconds,
    }
    panels = [
        Panel("photo", photo),
        Panel("artwork", art),
        Panel("moved", result.warped),
        Panel("picture", result.image),
    ]
    panels.append(Panel("front view", front))
    if options.expressions:
        row = {}
        calm = dict.fromkeys(EXPRESSION_NAMES, 0.0)  # a smile of the photo's own would hide what is asked for
        before = read_scores(paint_image(sitter, exemplar, head, models, config, expression=calm), models)
        for name, asked in EXPRESSIONS.items():
            changed = paint_image(sitter, exemplar, head, models, config, expression=calm | asked)
            after = read_scores(changed, models)
            for kind, scores in (("", before), ("_asked", after)):
                row[f"{name}{kind}"] = statistics.mean(scores[EXPRESSION_NAMES.index(action)] for action in asked)
            panels.append(Panel(name, changed.image))
    return row, panels


def make_head(pair: Pair, sitter: Sitter, exemplar: Exemplar, models: Models, config: ImageConfig, preset: str) -> Head:
    """The guiding head, made once per version of the source."""
    path = CACHE / f"image-{pair.number:02d}-{preset}-{hash_source()}.safetensors"
    if not path.is_file():
        CACHE.mkdir(exist_ok=True)
        geometry = transfer_geometry(sitter, [exemplar], models, config.head)
        save_head(path, transfer_texture(geometry.head, sitter, [exemplar], models, config.head))
    return load_head(path)


def measure_look(
    picture: Tensor, points: Tensor, sitter: Sitter, exemplar: Exemplar, models: Models, suffix: str
) -> dict[str, float]:
    """Likeness and style as quality.py has them."""
    person, seen = (embed_face(image_to_uint8(image)) for image in (sitter.photo, picture))
    art_points = detect_landmarks(exemplar.art, models.detector)[0].points  # alike in all versions
    ratios = compare_style(
        crop_face(picture, points),
        crop_face(sitter.photo, sitter.landmarks.points),
        crop_face(exemplar.art, art_points),
    )
    return {
        f"identity{suffix}": compare_embeddings(person, seen),
        f"style_vgg{suffix}": ratios.vgg,
        f"style_network_free{suffix}": ratios.network_free,
    }


def measure_border(picture: Tensor, face: Tensor) -> float:
    """Mean gradient of lightness across the border of ``face`` [h, w], by that in the bands on both sides of it."""
    height, width = picture.shape[1:]
    size = (round(512 * height / max(height, width)), round(512 * width / max(height, width)))
    small, mask = (resize_picture(each, size).numpy() for each in (picture, face[None]))
    inside = (mask[0] > 0.5).astype(np.uint8)
    away = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    across = np.stack(np.gradient(cv2.GaussianBlur(away, (0, 0), 3)))
    across /= np.maximum(np.linalg.norm(across, axis=0), 1e-6)
    gradient = np.abs((np.stack(np.gradient(cv2.GaussianBlur(small.mean(0), (0, 0), 1))) * across).sum(0))
    border, beside = np.abs(away) < BAND_PX, (np.abs(away) >= BAND_PX) & (np.abs(away) < 4 * BAND_PX)
    return float(gradient[border].mean() / max(gradient[beside].mean(), 1e-6))


def measure_points(picture: Tensor, targets: Tensor, models: Models) -> float:
    """How far the detector's points are from the translated ones; NaN when it finds no face."""
    try:
        found = detect_landmarks(picture, models.detector)[0].points
    except PortraitistError:
        return float("nan")
    return float(100 * (found - targets).norm(dim=1).mean() / (targets[36] - targets[45]).norm())


def read_scores(result: ImageResult, models: Models) -> list[float]:
    """The detector's 52 scores; 0 where it finds no face."""
    try:
        scores = detect_landmarks(result.image, models.detector)[0].expressions
    except PortraitistError:
        scores = None
    return [0.0] * len(EXPRESSION_NAMES) if scores is None else scores.tolist()


def find_means(rows: dict[str, dict]) -> dict[str, float]:
    names = {name for row in rows.values() for name in row if name != "error"}
    ordered = [name for name in FIGURES if name in names] + sorted(names - FIGURES.keys())
    return {
        name: statistics.fmean(row[name] for row in rows.values() if name in row and row[name] == row[name])
        for name in ordered
    }


if __name__ == "__main__":
    main()
