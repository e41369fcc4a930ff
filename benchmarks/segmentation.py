"""How well the parts of pictures are told apart: python benchmarks/segmentation.py [--sheets FOLDER]

Intersection over union with labels made by hand: of FASSEG (``parsing`` in the development data), which never enter
what is trained, and with polygons drawn for this (``masks/``). Writes results/segmentation.json; with --sheets also
pictures of all that was measured, to be looked at.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
import torch
from jaxtyping import Bool, UInt8

from metrics.pictures import measure_overlap
from portraitist import load_image, load_vgg, save_image
from portraitist.export.preview import Panel, draw_sheet
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.reconstruction.silhouette import fit_photo
from portraitist.segmentation.person import PersonSegmenter, segment_person
from portraitist.segmentation.picture import (
    PART_NAMES,
    PictureParts,
    PictureSegmenter,
    load_picture_segmenter,
    segment_picture,
)
from portraitist.types import Image, Landmarks
from portraitist.vgg import VGG

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training" / "segmentation"))  # scripts, not a package

from drawn_labels import draw_labels  # noqa: E402

DATA = HERE.parents[1] / "shared" / "data"
RESULTS = HERE / "results" / "segmentation.json"
YAWS = ("+000", "+030", "-030")
FASSEG_SKIN, FASSEG_HAIR = (1, 3, 4, 5), 2
BROW_WIDTH = 0.22  # outer eye distances: around the landmarks of a brow, where the labels' hair is not counted
COLORS = (
    (40, 40, 40),
    (230, 180, 150),
    (220, 30, 30),
    (150, 80, 0),
    (30, 60, 230),
    (0, 220, 220),
    (30, 160, 60),
    (220, 0, 220),
)
PER_ROW, PER_PAGE = 9, 54  # pictures of a sheet, three of each case


@dataclass(frozen=True)
class Case:
    """A picture with its truth: ``labels`` of FASSEG beside it, or polygons."""

    group: str
    name: str
    path: Path


def list_cases() -> list[Case]:
    cases = [Case("frontal", path.stem, path) for path in sorted((DATA / "parsing/frontal").glob("*.jpg"))]
    for yaw in YAWS:
        group = f"turned {abs(int(yaw))}"
        cases += [
            Case(group, path.parent.name + yaw, path) for path in sorted(DATA.glob(f"parsing/turned/*/{yaw}.jpg"))
        ]
    for kind in ("hair", "art"):
        names = json.loads((HERE / "masks" / f"{kind}.json").read_text())
        cases += [Case(kind, name, DATA / kind / f"{name}.jpg") for name in names]
    return cases


@cache
def load_models() -> tuple[HeadModel, LandmarkDetector, PersonSegmenter, PictureSegmenter, VGG]:
    """Once per process, which works with one thread so that several do not wait for one another."""
    torch.set_num_threads(1)
    return load_head_model(), LandmarkDetector(), PersonSegmenter(), load_picture_segmenter(), load_vgg()


def measure(case: Case) -> tuple[dict[str, float | str], list[Image]]:
    """Figures of one picture, and what there is to see."""
    model, detector, people, segmenter, vgg = load_models()
    image = load_image(case.path)
    landmarks = detect_landmarks(image, detector)[0]
    person = segment_person(image, landmarks, people)
    fit = fit_head(landmarks, model) if case.group == "art" else fit_photo(landmarks, person, model)
    start = time.process_time()
    parts = segment_picture(image, landmarks, fit.mesh, fit.camera, person, segmenter, vgg)
    row: dict[str, float | str] = {"group": case.group, "name": case.name, "seconds": time.process_time() - start}
    truth, counts = read_truth(case, landmarks)
    for name, (said, right) in compare(case, parts, truth).items():
        if right.any() or said.any():
            row[name] = round(float(measure_overlap(said & counts, right & counts)), 4)
    return row, draw(image, parts.labels().byte().numpy(), truth)


def read_truth(case: Case, landmarks: Landmarks) -> tuple[UInt8[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Truth as indices into `PART_NAMES`, and which pixels count. FASSEG's hair contains the brows, which the landmarks
    take out."""
    if case.group in ("hair", "art"):
        polygons = json.loads((HERE / "masks" / f"{case.group}.json").read_text())[case.name]
        return draw_labels(polygons, landmarks.size), np.ones(landmarks.size, bool)
    labels = cv2.imread(str(case.path.with_suffix(".png")), cv2.IMREAD_GRAYSCALE)
    truth = np.zeros(labels.shape, np.uint8)
    truth[np.isin(labels, FASSEG_SKIN)] = PART_NAMES.index("skin")
    truth[labels == FASSEG_HAIR] = PART_NAMES.index("hair")
    return truth, ~((labels == FASSEG_HAIR) & draw_brows(landmarks))


def draw_brows(landmarks: Landmarks) -> Bool[np.ndarray, "h w"]:
    points = landmarks.points.numpy()
    width = max(1, round(BROW_WIDTH * float(np.linalg.norm(points[36] - points[45]))))
    canvas = np.zeros(landmarks.size, np.uint8)
    for brow in (points[17:22], points[22:27]):
        cv2.polylines(canvas, [np.round(brow - 0.5).astype(np.int32)], False, 1, width)
    return canvas > 0


def compare(
    case: Case, parts: PictureParts, truth: UInt8[np.ndarray, "h w"]
) -> dict[str, tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]]:
    """What is said and what is true, by part. FASSEG labels beards and glasses as skin, and knows no clothes."""
    said = parts.labels().numpy()

    def find(labels: np.ndarray, *names: str) -> Bool[np.ndarray, "h w"]:
        return np.isin(labels, [PART_NAMES.index(name) for name in names])

    if case.group in ("hair", "art"):
        return {name: (find(said, name), find(truth, name)) for name in ("hair", "skin", "headwear")}
    return {
        "hair": (find(said, "hair"), find(truth, "hair")),
        "skin": (find(said, "skin", "beard", "glasses"), find(truth, "skin")),
    }


def draw(image: Image, said: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"]) -> list[Image]:
    """The picture, and what was said and what is true laid over it."""
    pixels, colors = image_to_uint8(image), np.array(COLORS)
    laid = [0.5 * pixels + 0.5 * colors[labels] for labels in (said, truth)]
    return [image, *(torch.from_numpy(over).permute(2, 0, 1).float() / 255 for over in laid)]


def summarize(rows: list[dict[str, float | str]]) -> dict[str, dict[str, float]]:
    """Means over the pictures of each group."""
    summary = {}
    for group in dict.fromkeys(str(row["group"]) for row in rows):
        of_group = [row for row in rows if row["group"] == group]
        names = [name for name in ("hair", "skin", "headwear", "seconds") if any(name in row for row in of_group)]
        figures = {name: mean(float(row[name]) for row in of_group if name in row) for name in names}
        summary[group] = {"pictures": len(of_group)} | {name: round(figure, 3) for name, figure in figures.items()}
    return summary


def write_sheets(folder: Path, rows: list[dict[str, float | str]], pictures: list[list[Image]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for group in dict.fromkeys(str(row["group"]) for row in rows):
        panels = []
        for row, drawn in zip(rows, pictures, strict=True):
            if row["group"] == group:
                figures = f"hair {row.get('hair', 1.0):.2f}", f"skin {row.get('skin', 1.0):.2f}"
                panels += map(Panel, (str(row["name"]), *figures), drawn)
        for first in range(0, len(panels), PER_PAGE):
            page = panels[first : first + PER_PAGE]
            lines = [page[start : start + PER_ROW] for start in range(0, len(page), PER_ROW)]
            save_image(folder / f"{group.replace(' ', '')}-{first // PER_PAGE}.png", draw_sheet(lines, 2000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheets", type=Path, metavar="FOLDER", help="where to draw what was seen")
    parser.add_argument("--processes", type=int, default=2, help="pictures at a time, one thread each (default: 2)")
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        rows, pictures = zip(*pool.map(measure, list_cases()), strict=True)
    rows = list(rows)
    RESULTS.write_text(json.dumps({"summary": summarize(rows), "pictures": rows}, indent=1) + "\n")
    print(json.dumps(summarize(rows), indent=1))
    if options.sheets:
        write_sheets(options.sheets, rows, list(pictures))


if __name__ == "__main__":
    main()
