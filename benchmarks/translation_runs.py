"""Jobs of ``translation.py``: one system trained on one fold, and what it makes of the people and artworks held out."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "training"))  # scripts, not a package

from dataset import RealFaces, TrainingSet, assign_folds, build_training_set, read_real_faces  # noqa: E402
from networks import build_judge  # noqa: E402
from portraitist.assets import asset_path  # noqa: E402
from portraitist.geometry.shape_space import ShapeSpace  # noqa: E402
from portraitist.geometry.translation_network import TrainedTranslator, load_translator  # noqa: E402
from systems import OURS, Translation, adam, count_classes, step  # noqa: E402
from trainer import SIZE, SYSTEMS, draw_batch  # noqa: E402
from translation_sheets import measure_sheet_photos  # noqa: E402

CACHE = Path(__file__).parent / "cache"
CONTENTS, CLASSIFIER_STEPS = 100, 3000
UNLEARNED = ("copy of the exemplar", "direct transfer", "linear separation")
PRODUCT_PARTS = ("shape_space", "landmark_network")
PACKAGED = "ours, clean data"
"""The translator in the package, which saw none of these faces: only evaluated, the same network on every fold."""


@cache
def load_real(data: Path) -> RealFaces:
    torch.set_num_threads(1)
    return read_real_faces(data)


@cache
def prepare_fold(data: Path, fold: int) -> tuple[TrainingSet, RealFaces, RealFaces]:
    """Training set, and the faces that it was made of and those that it was not."""
    real = load_real(data)
    normal, art = assign_folds(real.normal.groups), assign_folds(real.art.groups)
    seen = RealFaces(real.mean, real.normal.take(normal != fold), real.art.take(art != fold))
    held_out = RealFaces(real.mean, real.normal.take(normal == fold), real.art.take(art == fold))
    return build_training_set(seen, data, seed=fold), seen, held_out


def pick_contents(held_out: RealFaces, fold: int) -> np.ndarray:
    weights = held_out.normal.weights / held_out.normal.weights.sum()
    rows = np.random.default_rng(fold).choice(len(weights), CONTENTS, replace=False, p=weights)
    return held_out.normal.deviations[rows].reshape(CONTENTS, -1)


def run_fold(job: tuple[Path, str, int, int]) -> Path:
    """Train one system on one fold, or keep what an earlier run has found; translations go to a file.

    The photos of the picture sheet are translated beside the contents, and count in no figure.
    """
    data, name, fold, steps = job
    torch.set_num_threads(1)
    made = steps if name != PACKAGED else hash_files([asset_path("translator.safetensors")])
    kept = CACHE / f"translation-{hash_training()}" / f"{name.replace(' ', '-')}-{fold}-{made}.npz"
    if kept.is_file():
        return kept
    training, seen, held_out = prepare_fold(data, fold)
    contents, styles = pick_contents(held_out, fold), held_out.art.deviations.reshape(len(held_out.art.groups), -1)
    both = np.concatenate([contents, measure_sheet_photos(data)])
    began, extra = time.perf_counter(), {}
    if name in UNLEARNED:
        shapes = translate_unlearned(name, both, styles, seen)
    else:
        system = load_packaged() if name == PACKAGED else SYSTEMS[name](training, steps, fold)
        space = load_packaged().trained.space if name == PACKAGED else training.space
        shapes, extra = translate_all(system, space, both, styles)
    seconds = time.perf_counter() - began
    shapes, photos = shapes[:, :CONTENTS], shapes[:, CONTENTS:]
    judged = judge_classes(data, fold, shapes, styles)
    kept.parent.mkdir(parents=True, exist_ok=True)
    about = {"seconds": seconds, "explained": training.explained, "class": judged, **extra}
    arrays = {"shapes": shapes.astype(np.float32), "photos": photos.astype(np.float32)}
    artworks = {"styles": styles, "artworks": held_out.art.groups}
    np.savez_compressed(kept, **arrays, contents=contents, **artworks, about=json.dumps(about))
    return kept


class Packaged(Translation):
    """A translator file in the shape of a trained system, by its moves alone: the product adds them to the
    artwork's own deviation, as far as they are special for the sitter. Its classifier and judge are not used."""

    def __init__(self, trained: TrainedTranslator) -> None:
        super().__init__(trained.network, 1, OURS)
        self.trained = trained

    @torch.no_grad()
    def translate(self, normal: torch.Tensor, art: torch.Tensor) -> torch.Tensor:
        return normal + self.trained.move(normal, self.network.style_code(art))


@cache
def load_packaged() -> Packaged:
    return Packaged(load_translator(asset_path("translator.safetensors")))


def translate_unlearned(name: str, contents: np.ndarray, styles: np.ndarray, seen: RealFaces) -> np.ndarray:
    """``linear separation``: what of an artwork is style, if normal faces and styles were Gaussian and added up."""
    if name == "copy of the exemplar":
        return np.broadcast_to(styles[:, None], (len(styles), *contents.shape))
    if name == "linear separation":
        normal = seen.normal.deviations.reshape(len(seen.normal.deviations), -1)
        art = seen.art.deviations.reshape(len(seen.art.deviations), -1)
        both = art.T @ art / len(art)
        of_normal = np.cov(normal.T, aweights=seen.normal.weights)
        sizes, axes = np.linalg.eigh(both - of_normal)
        of_style = (axes * sizes.clip(0)) @ axes.T  # no style has a negative variance
        styles = styles @ np.linalg.solve(of_style + of_normal + 1e-6 * np.eye(len(both)), of_style)
    return contents + styles[:, None]


def translate_all(system, space: ShapeSpace, contents: np.ndarray, styles: np.ndarray) -> tuple[np.ndarray, dict]:
    """Every content by every style. What lies outside the components is the content's own. The figures are of the
    first ``CONTENTS``."""
    normal, art = (space.encode(torch.from_numpy(rows).float().view(-1, 68, 2)) for rows in (contents, styles))
    own = torch.from_numpy(contents).float() - space.decode(normal).flatten(1)
    coded = torch.stack([system.translate(normal, style.expand_as(normal)) for style in art])
    shapes = space.decode(coded).flatten(2) + own
    extra = {"photo_move": _move_by_photos(system, space, normal[:CONTENTS])}
    if isinstance(system, Translation):
        extra |= _compare_codes(system, normal[:CONTENTS], art, coded[:, :CONTENTS])
    return shapes.numpy(), extra


def _move_by_photos(system, space: ShapeSpace, normal: torch.Tensor) -> float:
    """Root mean square over points, in eye distances, of what a photo given as the artwork moves a face by."""
    moves = []
    for style in normal[:30]:
        moved = system.translate(normal, style.expand_as(normal)) - system.translate(normal, normal)
        moves.append(space.decode(moved).square().sum(-1).mean(-1).sqrt().mean())
    return float(torch.stack(moves).mean())


@torch.no_grad()
def _compare_codes(system: Translation, normal: torch.Tensor, art: torch.Tensor, coded: torch.Tensor) -> dict:
    """Distance of a translation's codes from those that went in, against the mean distance between two of these."""
    network, flat = system.network, coded.flatten(0, 1)
    content, style = network.encode_normal(normal), network.style_code(art)
    contents = network.encode_content(flat).view(*coded.shape[:2], -1) - content
    styles = network.style_code(flat).view(*coded.shape[:2], -1) - style[:, None]
    rebuilt = network.decode_normal(content) - normal
    return {
        "content_code_error": float(contents.norm(dim=2).mean() / torch.pdist(content).mean()),
        "style_code_error": float(styles.norm(dim=2).mean() / torch.pdist(style).mean()),
        "auto_encoder_error": float(rebuilt.abs().sum() / normal.abs().sum()),
    }


def judge_classes(data: Path, fold: int, shapes: np.ndarray, styles: np.ndarray) -> float:
    """Share of translations that a classifier trained apart puts into the class that it puts their exemplar into."""
    classifier, space = train_classifier(data, fold)
    with torch.no_grad():
        wanted = classifier(space.encode(torch.from_numpy(styles).float().view(-1, 68, 2))).argmax(1)
        flat = torch.from_numpy(np.ascontiguousarray(shapes)).float().view(-1, 68, 2)
        found = classifier(space.encode(flat)).argmax(1).view(len(styles), -1)
    return float((found == wanted[:, None]).float().mean())


@cache
def train_classifier(data: Path, fold: int) -> tuple[torch.nn.Module, ShapeSpace]:
    training, _, _ = prepare_fold(data, fold)
    torch.manual_seed(1000 + fold)
    classifier = build_judge(SIZE, count_classes(training.classes))
    optimizer, generator = adam(classifier), torch.Generator().manual_seed(1000 + fold)
    for _ in range(CLASSIFIER_STEPS):
        _, art, classes = draw_batch(training, generator)
        step(optimizer, F.cross_entropy(classifier(art), classes))
    return classifier, training.space


@cache
def hash_training() -> str:
    """Of what a trained system and its translations depend on, in code."""
    parts = ("frontal_shapes", "dataset", "growth", "networks", "systems", "trainer")
    sources = [Path(__file__), *(ROOT / "training" / f"{name}.py" for name in parts)]
    return hash_files(sources + [ROOT / "src/portraitist/geometry" / f"{name}.py" for name in PRODUCT_PARTS])


def hash_files(paths: list[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:10]
