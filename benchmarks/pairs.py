"""The 32 prescribed pairs of photo and artwork on which quality is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Development pictures, beside the checkout; they may not be part of it."""

ANNOTATED = (
    *(f"artistic_faces/{number}.png" for number in ("000", "021", "061", "142", "151")),
    *(f"caricatures/{number}.jpg" for number in ("02", "13", "33")),
)
"""Artworks of the last eight pairs: their 68 points were set by hand."""

PAIR_COUNT = 24 + len(ANNOTATED)


@dataclass(frozen=True)
class Pair:
    """One job: paths of the pictures inside the data folder."""

    number: int
    photo: str
    art: str

    @property
    def annotated(self) -> bool:
        return self.art in ANNOTATED

    def __str__(self) -> str:
        return f"{self.number:02d} {Path(self.photo).stem} x {Path(self.art).parent.name[0]}:{Path(self.art).stem}"


def prescribed_pairs() -> list[Pair]:
    """Pairs 0..31: photo 11k mod 38 with artwork 7k mod 40 for k < 24, then with the annotated artworks."""
    arts = [f"art/a{7 * k % 40:02d}.jpg" for k in range(24)] + list(ANNOTATED)
    return [Pair(k, f"photos/p{11 * k % 38:02d}.jpg", art) for k, art in enumerate(arts)]


def spread_pairs(count: int) -> list[Pair]:
    """``count`` of the pairs, evenly over the list, so that annotated ones are among them. Always the same ones, and
    half as many are among them."""
    pairs = prescribed_pairs()
    if not 1 <= count <= len(pairs):
        raise ValueError(f"1 to {len(pairs)} pairs can be measured, not {count}")
    return [pairs[number] for number in sorted((i * len(pairs) // count + 2) % len(pairs) for i in range(count))]


def read_annotation(data: Path, art: str) -> Tensor:
    """The 68 hand-set points ``[68, 2]`` (x, y) px of an annotated artwork."""
    points, images = _read_annotations(data)
    return torch.from_numpy(points[images.index(art)])


@cache
def _read_annotations(data: Path) -> tuple[np.ndarray, list[str]]:
    with np.load(data / "landmarks" / "art68.npz") as file:
        return file["points"], file["image"].tolist()
