"""How many faces are found, how exactly and how fast: python benchmarks/detection.py

A face counts as found when the mean distance of its 68 points from the hand-set ones is below 20 % of the outer eye
distance. Medians are over all pictures of a set; a face that is not found counts as infinitely far. The row "plain" is
MediaPipe's detector on the picture as it is, largest face. Pictures without hand-set points are only counted.
Needs the development pictures (../shared/data) and writes results/detection.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.errors import NoFaceError
from portraitist.io.images import image_to_uint8, load_image
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.ibug68 import dense_to_ibug68
from portraitist.landmarks.views import View
from portraitist.types import Image

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
RESULTS = Path(__file__).parent / "results" / "detection.json"
FOUND = 0.2
SETS = {"artistic_faces": "*.png", "caricatures": "*.jpg", "art": "*.jpg", "photos": "*.jpg"}

Points = Float[Tensor, "68 2"]
Finder = Callable[[Image, LandmarkDetector], "Points | None"]


def find_plain(image: Image, detector: LandmarkDetector) -> Points | None:
    """One call of MediaPipe on the untouched picture."""
    faces = detector.detect(View(image_to_uint8(image), np.eye(2, 3)))
    largest = max(faces, key=lambda face: face.eye_distance, default=None)
    return dense_to_ibug68(torch.from_numpy(largest.points).float()) if largest else None


def find_with_search(image: Image, detector: LandmarkDetector) -> Points | None:
    """What the product does."""
    try:
        return detect_landmarks(image, detector)[0].points
    except NoFaceError:
        return None


def read_annotations() -> dict[str, Points]:
    """Hand-set points by path inside the data folder."""
    table = np.load(DATA / "landmarks" / "art68.npz")
    return {str(name): torch.from_numpy(points) for name, points in zip(table["image"], table["points"], strict=True)}


def measure_error(points: Points, annotated: Points) -> float:
    """Mean distance over the outer eye distance."""
    eyes = (annotated[36] - annotated[45]).norm()
    return float((points - annotated).norm(dim=1).mean() / eyes)


def measure_set(
    name: str, find: Finder, detector: LandmarkDetector, annotations: dict[str, Points]
) -> dict[str, float]:
    """Counts, median error and seconds per picture of one set."""
    errors, seconds, detected = [], [], 0
    paths = sorted((DATA / name).glob(SETS[name]))
    for path in paths:
        image = load_image(path)
        start = time.perf_counter()
        points = find(image, detector)
        seconds.append(time.perf_counter() - start)
        detected += points is not None
        annotated = annotations.get(f"{name}/{path.name}")
        if annotated is not None:
            errors.append(np.inf if points is None else measure_error(points, annotated))
    row = {"pictures": len(paths), "detected": detected, "seconds_median": round(float(np.median(seconds)), 3)}
    row["seconds_max"] = round(max(seconds), 3)
    if errors:
        row["found"] = int(np.sum(np.array(errors) < FOUND))
        row["error_median"] = round(float(np.median(errors)), 4)
    return row


def main() -> None:
    if not DATA.is_dir():
        print(f"SKIPPED: the development pictures are not at {DATA}")
        return
    detector, annotations = LandmarkDetector(), read_annotations()
    results: dict[str, dict[str, dict[str, float]]] = {}
    for label, find in (("plain", find_plain), ("with search and close-ups", find_with_search)):
        results[label] = {}
        for name in SETS:
            row = results[label][name] = measure_set(name, find, detector, annotations)
            print(f"{label:26} {name:15}", *(f"{key} {value}" for key, value in row.items()), sep="  ")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
