"""The landmark translation network against its rivals (Table 1 of the paper, and more) on people and artworks held out.

    python benchmarks/translation.py [--steps N] [--processes N]

Trains every system of ``training/trainer.py`` on each of eight folds and writes ``results/translation.json``. With few
art faces the distances are noisy, so they are pooled over folds and compared by a paired bootstrap; and copying the
exemplar wins the distance by construction, since it shows the real faces themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "training"))  # scripts, not a package

from dataset import FOLDS, RealFaces, TrainingSet, assign_folds, build_training_set, read_real_faces  # noqa: E402
from networks import build_judge  # noqa: E402
from systems import Translation, adam, count_classes, step  # noqa: E402
from trainer import SIZE, SYSTEMS, draw_batch  # noqa: E402
from translation_alignment import measure_alignments  # noqa: E402
from translation_figures import (  # noqa: E402
    PERCENT,
    Translated,
    bootstrap_frechet,
    find_components,
    frechet_distance,
    measure_diversity,
    retrieve_contents,
    retrieve_styles,
    style_transfer,
)

DATA = ROOT.parent / "shared" / "data"
CACHE = Path(__file__).parent / "cache"
RESULTS = Path(__file__).parent / "results" / "translation.json"
CONTENTS, CLASSIFIER_STEPS, DRAWS = 100, 3000, 200
PAPER_FID = {"CycleGAN": 49.4, "MUNIT": 43.8, "DRIT++": 32.4, "ours without class loss": 30.8, "ours": 23.6}
UNLEARNED = ("copy of the exemplar", "direct transfer", "linear separation")


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
    """Train one system on one fold, or keep what an earlier run has found; translations go to a file."""
    data, name, fold, steps = job
    torch.set_num_threads(1)
    kept = CACHE / f"translation-{hash_training()}" / f"{name.replace(' ', '-')}-{fold}-{steps}.npz"
    if kept.is_file():
        return kept
    training, seen, held_out = prepare_fold(data, fold)
    contents, styles = pick_contents(held_out, fold), held_out.art.deviations.reshape(len(held_out.art.groups), -1)
    began, extra = time.perf_counter(), {}
    if name in UNLEARNED:
        shapes = translate_unlearned(name, contents, styles, seen)
    else:
        system = SYSTEMS[name](training, steps, fold)
        shapes, extra = translate_all(system, training, contents, styles)
    judged = judge_classes(training, shapes, styles, fold)
    kept.parent.mkdir(parents=True, exist_ok=True)
    about = {"seconds": time.perf_counter() - began, "explained": training.explained, "class": judged, **extra}
    np.savez_compressed(
        kept, shapes=shapes.astype(np.float32), contents=contents, styles=styles, about=json.dumps(about)
    )
    return kept


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


def translate_all(system, training: TrainingSet, contents: np.ndarray, styles: np.ndarray) -> tuple[np.ndarray, dict]:
    """Every content by every style. What lies outside the components is the content's own."""
    space = training.space
    normal, art = (space.encode(torch.from_numpy(rows).float().view(-1, 68, 2)) for rows in (contents, styles))
    own = torch.from_numpy(contents).float() - space.decode(normal).flatten(1)
    coded = torch.stack([system.translate(normal, style.expand_as(normal)) for style in art])
    shapes = space.decode(coded).flatten(2) + own
    extra = {"photo_move": _move_by_photos(system, training, normal)}
    if isinstance(system, Translation):
        extra |= _compare_codes(system, normal, art, coded)
    return shapes.numpy(), extra


def _move_by_photos(system, training: TrainingSet, normal: torch.Tensor) -> float:
    """Root mean square over points, in eye distances, of what a photo given as the artwork moves a face by."""
    moves = []
    for style in normal[:30]:
        moved = system.translate(normal, style.expand_as(normal)) - system.translate(normal, normal)
        moves.append(training.space.decode(moved).square().sum(-1).mean(-1).sqrt().mean())
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


def judge_classes(training: TrainingSet, shapes: np.ndarray, styles: np.ndarray, fold: int) -> float:
    """Share of translations that a classifier trained apart puts into the class that it puts their exemplar into."""
    torch.manual_seed(1000 + fold)
    classifier = build_judge(SIZE, count_classes(training.classes))
    optimizer, generator = adam(classifier), torch.Generator().manual_seed(1000 + fold)
    for _ in range(CLASSIFIER_STEPS):
        _, art, classes = draw_batch(training, generator)
        step(optimizer, F.cross_entropy(classifier(art), classes))
    space = training.space
    with torch.no_grad():
        wanted = classifier(space.encode(torch.from_numpy(styles).float().view(-1, 68, 2))).argmax(1)
        flat = torch.from_numpy(np.ascontiguousarray(shapes)).float().view(-1, 68, 2)
        found = classifier(space.encode(flat)).argmax(1).view(len(styles), -1)
    return float((found == wanted[:, None]).float().mean())


@cache
def hash_training() -> str:
    """Of what a trained system depends on, in code."""
    parts = ("frontal_shapes", "dataset", "growth", "networks", "systems", "trainer")
    sources = [Path(__file__), *(ROOT / "training" / f"{name}.py" for name in parts)]
    sources += [ROOT / "src/portraitist/geometry" / name for name in ("shape_space.py", "landmark_network.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:10]


def read_rows(files: dict[str, list[Path]]) -> dict[str, dict]:
    """Figures of every system: means over folds, and distances pooled over them."""
    rows, pooled = {}, {}
    real = components = None
    for name, paths in files.items():
        results, abouts = [], []
        for path in paths:
            with np.load(path) as file:
                results.append(Translated(file["shapes"].astype(float), file["contents"], file["styles"]))
                abouts.append(json.loads(str(file["about"])))
        if components is None:
            real = np.concatenate([result.styles for result in results])
            components = find_components(real, np.concatenate([result.contents for result in results]))
        pooled[name] = PERCENT * np.concatenate([result.shapes @ components for result in results])
        transfer = [style_transfer(result) for result in results]
        rows[name] = {
            "style_retrieval": float(np.mean([retrieve_styles(result) for result in results])),
            "content_retrieval": float(np.mean([retrieve_contents(result) for result in results])),
            "cosine": float(np.mean([cosine.mean() for cosine, _ in transfer])),
            "gain": float(np.median(np.concatenate([gain.ravel() for _, gain in transfer]))),
            "diversity": float(np.mean([measure_diversity(result) for result in results])),
            "class_accuracy": float(np.mean([about["class"] for about in abouts])),
            "seconds": float(np.mean([about["seconds"] for about in abouts])),
        }
        for key in ("photo_move", "content_code_error", "style_code_error", "auto_encoder_error"):
            if key in abouts[0]:
                rows[name][key] = float(np.mean([about[key] for about in abouts]))
    assert real is not None
    real = PERCENT * real @ components
    draws = bootstrap_frechet(pooled, real, DRAWS)
    for name, shapes in pooled.items():
        rows[name]["fid"] = frechet_distance(shapes.reshape(-1, shapes.shape[-1]), real)
        rows[name]["fid_low"], rows[name]["fid_high"] = np.quantile(draws[name], [0.025, 0.975]).tolist()
        if name != "ours":
            behind = draws[name] - draws["ours"]
            rows[name]["behind_ours_low"], rows[name]["behind_ours_high"] = np.quantile(behind, [0.025, 0.975]).tolist()
        if name in PAPER_FID:
            rows[name]["fid_in_paper"] = PAPER_FID[name]
    return rows


def print_table(rows: dict[str, dict]) -> None:
    print(f"{'':24}   FID  (95 %)          behind ours   style  content  cosine  gain  class  diverse  photo")
    for name, row in rows.items():
        behind = f"{row['behind_ours_low']:6.0f}..{row['behind_ours_high']:<6.0f}" if "behind_ours_low" in row else ""
        print(
            f"{name:24} {row['fid']:5.0f}  ({row['fid_low']:.0f}..{row['fid_high']:.0f})".ljust(47)
            + f"{behind:14}  {row['style_retrieval']:.2f}   {row['content_retrieval']:.2f}    {row['cosine']:.2f}"
            f"   {row['gain']:.2f}  {row['class_accuracy']:.2f}   {row['diversity']:.2f}"
            + (f"    {row['photo_move']:.3f}" if "photo_move" in row else "")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare landmark translation systems.")
    parser.add_argument("--steps", type=int, default=10000, help="of the second stage (default: 10000)")
    parser.add_argument("--processes", type=int, default=2, help="systems trained at a time, one thread each")
    parser.add_argument("--folds", type=int, default=FOLDS, help=f"how many of the {FOLDS} folds (default: all)")
    parser.add_argument("--only", nargs="+", help="names of rows (default: all)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the development data")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"No development data at {options.data}; this benchmark needs its landmark files.")
    load_real(options.data)  # fitted once, before the workers ask for it
    names = [*UNLEARNED, *SYSTEMS] if not options.only else options.only
    jobs = [(options.data, name, fold, options.steps) for fold in range(options.folds) for name in names]
    files: dict[str, list[Path]] = {name: [] for name in names}
    with get_context("spawn").Pool(options.processes) as pool:
        for done, path in enumerate(pool.imap(run_fold, jobs), 1):
            files[jobs[done - 1][1]].append(path)
            print(f"{done} of {len(jobs)}: {path.stem}", flush=True)
    rows = read_rows(files)
    print_table(rows)
    if not options.only:
        record = {
            "command": " ".join(["python benchmarks/translation.py", *sys.argv[1:]]),
            "steps": options.steps,
            "folds": options.folds,
            "rows": rows,
            "alignment": measure_alignments(options.data),
        }
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
