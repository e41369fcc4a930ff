"""Train the landmark translator from the raw files.

    python training/train.py clean OUT.safetensors       what the package holds; no research-only data
    python training/train.py research OUT.safetensors    on the annotated faces and artworks of the development data

Stopped runs go on where they were. The result depends on the seed, the number of threads (one) and the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from clean_shapes import PUBLIC_DOMAIN, build_clean_set
from dataset import TrainingSet, build_training_set, read_real_faces
from frontal_shapes import CACHE
from portraitist.geometry.translation_network import TrainedTranslator, save_translator
from systems import OURS, TranslationWeights
from trainer import SIZE, train_translation

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
# Of stage 2. The paper's 800 epochs of 6,838 faces in batches of 68 are 80,000. On made-up styles long training makes
# the codes of other styles worse.
STEPS = {"clean": 8000, "research": 80000}
WEIGHTS = {
    # Classes of made-up styles mean less, and what tells one made-up face from another is all there is of the person.
    "clean": replace(OURS, content=4.0, classes=1.0, anchor=0.2),
    "research": OURS,
}
PHOTO_SHARE, PHOTO_PAIRS = 0.87, 2000
CARDS = {
    "clean": {
        "data": "normal faces drawn from the CC0 head model; exaggeration models; detections on "
        f"{len(PUBLIC_DOMAIN)} public-domain paintings and on this project's exemplars",
        "use": "any, as the package",
        "limits": "knows styles only as its authors imagined them and as old masters painted",
    },
    "research": {
        "data": "68-point annotations of 300-W, AFLW2000-3D, AFW, YouTube Faces, Artistic-Faces and of a "
        "caricature set; five-point annotations of WebCaricature",
        "use": "research only, as most of these sets",
        "limits": "168 annotated artworks; the rest of the art set is grown from them",
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the landmark translator.")
    parser.add_argument("kind", choices=CARDS)
    parser.add_argument("output", type=Path, help="file for the translator")
    parser.add_argument("--steps", type=int, help=f"of the second stage (default: {STEPS})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the development data")
    options = parser.parse_args()
    steps = options.steps or STEPS[options.kind]
    data = options.data if options.data.is_dir() else None
    if data is None and options.kind == "research":
        sys.exit(f"No development data at {options.data}; its landmark files are needed.")
    if data is None:
        print(f"No development data at {options.data}: training without the public-domain paintings.")
    torch.set_num_threads(1)  # two are slower on networks as small as these
    began = time.perf_counter()
    training = prepare(options.kind, data, options.seed)
    print(
        f"{len(training.normal)} normal, {len(training.art)} art shapes, {100 * training.explained:.2f} % of variance"
    )
    weights = WEIGHTS[options.kind]
    checkpoints = CACHE / f"{options.kind}-{steps}-{options.seed}-{hash_run(training, weights)}"
    system = train_translation(training, SIZE, weights, steps, options.seed, checkpoints, _print_losses)
    card = {"name": options.kind, **CARDS[options.kind], "steps": steps, "seed": options.seed}
    trained = TrainedTranslator(training.space, system.network, 1.0, card)
    trained = replace(trained, gain=PHOTO_SHARE / measure_photo_share(trained, training, options.seed))
    save_translator(options.output, trained)
    print(f"{options.output}: {options.output.stat().st_size >> 10} KiB after {time.perf_counter() - began:.0f} s")


def hash_run(training: TrainingSet, weights: TranslationWeights) -> str:
    """Of everything that a run to be continued must have in common with the one that stopped."""
    key = hashlib.sha256(repr((SIZE, weights)).encode())
    for tensor in (training.normal, training.normal_weights, training.art, training.classes):
        key.update(tensor.numpy().tobytes())
    return key.hexdigest()[:10]


@torch.no_grad()
def measure_photo_share(trained: TrainedTranslator, data: TrainingSet, seed: int) -> float:
    """How far normal faces as artworks move other normal faces, over how far they deviate themselves.

    The farther a network reaches, the stronger are styles, and the more a photo given as the artwork moves the sitter:
    ``gain`` is set so that this share is ``PHOTO_SHARE``.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.multinomial(data.normal_weights, 2 * PHOTO_PAIRS, replacement=True, generator=generator)
    sitters, photos = data.normal[rows].chunk(2)
    moved = trained.move(sitters, trained.network.style_code(photos))
    return float((moved.square().sum(1).mean() / photos.square().sum(1).mean()).sqrt())


def prepare(kind: str, data: Path | None, seed: int) -> TrainingSet:
    if kind == "clean":
        return build_clean_set(data, seed)
    assert data is not None
    return build_training_set(read_real_faces(data), data, seed)


def _print_losses(stage: str, step: int, steps: int, losses: dict[str, float]) -> None:
    print(
        f"{stage} {step:6} of {steps}: " + ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items()), flush=True
    )


if __name__ == "__main__":
    main()
