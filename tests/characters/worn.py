"""The two characters of ``tools/test_characters``, and one of them with another head on, made once."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portraitist.characters.figure import Figure, build_figure, read_figure
from portraitist.characters.paint import Paints
from portraitist.characters.portrait import Portrait, find_portrait
from portraitist.characters.replacing import Wearer, put_on
from portraitist.io.gltf_document import GltfDocument, read_gltf
from portraitist.landmarks.detection import detect_landmarks
from portraitist.models import Models
from portraitist.types import Head

FOLDER = Path(__file__).parent


def unpack(name: str, folder: Path) -> Path:
    """The GLB "realistic" or "toon" in ``folder``."""
    path = folder / f"{name}.glb"
    path.write_bytes(lzma.decompress((FOLDER / f"{name}.glb.xz").read_bytes()))
    return path


@dataclass(frozen=True)
class Worn:
    """``before`` and ``after``: as they stand. ``document``: what was written. ``head``: in head space."""

    wearer: Wearer
    portrait: Portrait
    document: GltfDocument
    after: Figure
    head: Head

    @property
    def before(self) -> Figure:
        return self.wearer.figure


def find_wearer(path: Path, models: Models) -> tuple[Wearer, Portrait]:
    figure = read_figure(path)
    paints = Paints(figure.document, path)
    portrait = find_portrait(figure, paints, models.detector)
    landmarks, _ = detect_landmarks(portrait.art, models.detector)
    # What the segmentation would say: of these characters, only hair is as dark.
    hair = (portrait.art.amax(0) < 0.4).numpy().astype(float)
    return Wearer(figure, paints, portrait.view, landmarks.points.numpy().astype(np.float64), hair), portrait


def wear(path: Path, head: Head, models: Models, *, keep_hair: bool = True, keep_neck: bool = True) -> Worn:
    """With ``head`` put on, written, and read again."""
    wearer, portrait = find_wearer(path, models)
    document, placed = put_on(wearer, head, keep_hair=keep_hair, keep_neck=keep_neck)
    written = path.with_name(f"worn_{path.name}")
    written.write_bytes(document.pack())
    again = read_gltf(written)
    return Worn(wearer, portrait, again, build_figure(again, written), placed)


def name_pieces(figure: Figure) -> list[str]:
    """The node of each piece."""
    return [figure.document.tree["nodes"][piece.node]["name"] for piece in figure.pieces]


def take_piece(figure: Figure, *names: str) -> np.ndarray:
    """Numbers of the pieces of nodes whose names begin so."""
    return np.array([n for n, name in enumerate(name_pieces(figure)) if name.startswith(names)])
