"""The 168 annotated artworks, each read by the product and by hand, and the sitters that they are given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import nn

from pair_runs import CACHE, hash_source
from portraitist import load_image
from portraitist.errors import NoFaceError
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.refinement import LandmarkRefiner, load_refiner
from portraitist.types import Image, Landmarks
from portraitist.vgg import VGG, load_vgg

FIELDS = ("points", "dense", "expressions", "confidence")  # of landmarks, kept in files
PER_ARTIST = 10
"""Paintings are numbered by artist: 000..009 are the first one's."""
NETWORKS = 4
"""Each never saw the artists whose number leaves its own as the remainder (``training/artworks/learn.py``)."""


@dataclass(frozen=True)
class AnnotatedArtwork:
    """``name``: path in the data folder. ``by_hand``: the annotation. ``read``: what the product sees, None when it
    finds no face."""

    name: str
    by_hand: Landmarks
    read: Landmarks | None

    @property
    def is_painting(self) -> bool:
        return find_artist(self.name) is not None


def read_artwork(picture: Image, fold: int | None, detector: LandmarkDetector) -> Landmarks:
    """The points that the product reads from an artwork: the only place where a benchmark reads one.

    ``fold``: the artist of an annotated painting. What was learnt from annotated paintings must not have seen this
    artist's; None is what never saw a caricature, for all other pictures.
    """
    found = detect_landmarks(picture, detector, what="art")[0]
    return load_refiner_without(fold).refine(picture, found, _load_vgg())


@cache
def load_refiner_without(artist: int | None) -> LandmarkRefiner:
    """The shipped one, or that of its networks which never saw this artist. The nine numbers of its fusion, the normal
    reading and the size are of all paintings."""
    whole = load_refiner()
    if artist is None:
        return whole
    return replace(whole, networks=nn.ModuleList([whole.networks[artist % NETWORKS]]))


@cache
def _load_vgg() -> VGG:
    return load_vgg(dtype=torch.float32)


def read_annotated_artworks(data: Path) -> list[AnnotatedArtwork]:
    """All of them, paintings first, in the order of the annotation file."""
    with np.load(data / "landmarks" / "art68.npz") as file:
        points, names = torch.from_numpy(file["points"]).float(), file["image"].tolist()
    read = _read_pictures(
        "artworks",
        [data / name for name in names],
        lambda picture, path, detector: read_artwork(picture, find_artist(f"{path.parent.name}/{path.name}"), detector),
    )
    artworks = []
    for name, by_hand, seen in zip(names, points, read, strict=True):
        with PillowImage.open(data / name) as picture:
            artworks.append(AnnotatedArtwork(name, Landmarks(by_hand, (picture.height, picture.width)), seen))
    return artworks


def read_sitters(data: Path) -> dict[str, Landmarks]:
    """The development photos as the product reads photos."""
    return _read_photos(data, "photos", lambda picture, _, detector: detect_landmarks(picture, detector)[0])


def read_photos_as_artworks(data: Path) -> dict[str, Landmarks]:
    """The same pictures as the product reads artworks."""
    return _read_photos(data, "photos-as-artworks", lambda picture, _, detector: read_artwork(picture, None, detector))


def _read_photos(data: Path, kind: str, read: Callable) -> dict[str, Landmarks]:
    paths = sorted((data / "photos").glob("*.jpg"))
    found = _read_pictures(kind, paths, read)
    return {path.stem: landmarks for path, landmarks in zip(paths, found, strict=True) if landmarks}


def find_artist(name: str) -> int | None:
    """Number of an annotated painting's artist; None for other pictures."""
    path = Path(name)
    return int(path.stem) // PER_ARTIST if path.parent.name == "artistic_faces" else None


def _read_pictures(kind: str, paths: list[Path], read: Callable) -> list[Landmarks | None]:
    """Landmarks of many pictures, kept until the reading of pictures or this file changes."""
    source = (
        hash_source(parts=("io", "landmarks", "vgg.py")) + hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:6]
    )
    kept = CACHE / f"read-{kind}-{source}.npz"
    if not kept.is_file():
        detector, arrays = LandmarkDetector(), {}
        for row, path in enumerate(paths):
            try:
                found = read(load_image(path), path, detector)
            except NoFaceError:
                continue
            fields = {name: getattr(found, name) for name in FIELDS}
            arrays |= {f"{row}-{name}": value.numpy() for name, value in fields.items() if value is not None}
            arrays[f"{row}-size"] = np.array(found.size)
        CACHE.mkdir(exist_ok=True)
        np.savez_compressed(kept, **arrays)
    with np.load(kept) as file:
        arrays = dict(file)
    return [_unpack(arrays, row) for row in range(len(paths))]


def _unpack(arrays: dict[str, np.ndarray], row: int) -> Landmarks | None:
    if f"{row}-points" not in arrays:
        return None
    height, width = arrays[f"{row}-size"].tolist()
    kept = {name: torch.from_numpy(arrays[f"{row}-{name}"]) for name in FIELDS if f"{row}-{name}" in arrays}
    return Landmarks(size=(height, width), **kept)
