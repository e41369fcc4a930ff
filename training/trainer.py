"""One training loop for every system: seeded batches, checkpoints, and going on where an earlier run stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dataset import TrainingSet
from portraitist.geometry.translation_network import LandmarkNetwork, NetworkSize
from systems import (
    DRIT,
    MUNIT,
    OURS,
    PAPER,
    AutoEncoder,
    CycleGAN,
    Translation,
    TranslationWeights,
    count_classes,
)

BATCH = 68  # Sec. 4.1
CHECKPOINT_SECONDS = 60.0
STAGE_1_SHARE = 0.25  # of stage 2's steps: one loss without an adversary settles sooner

Report = Callable[[str, int, int, dict[str, float]], None]
"""Stage, step, steps, mean losses since the last report."""


def train_stage(
    name: str,
    system: Any,
    data: TrainingSet,
    steps: int,
    generator: torch.Generator,
    checkpoint: Path | None = None,
    report: Report | None = None,
) -> None:
    """Do ``steps`` steps of ``system`` in place. With a ``checkpoint`` file, go on from it, and keep it up to date."""
    start = 0
    if checkpoint is not None and checkpoint.is_file():
        start = _restore(checkpoint, system, generator)
    sums: dict[str, Tensor] = {}
    since, saved = start, time.monotonic()
    for step in range(start, steps):
        losses = system.train_step(*draw_batch(data, generator))
        for key, loss in losses.items():
            sums[key] = sums.get(key, torch.zeros(())) + loss
        done = step + 1
        if report and (done % 1000 == 0 or done == steps):
            report(name, done, steps, {key: float(total) / (done - since) for key, total in sums.items()})
            sums, since = {}, done
        if checkpoint is not None and (time.monotonic() - saved > CHECKPOINT_SECONDS or done == steps):
            _keep(checkpoint, system, generator, done)
            saved = time.monotonic()


def draw_batch(data: TrainingSet, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Normal faces by their weights, artworks and their classes alike."""
    normal = torch.multinomial(data.normal_weights, BATCH, replacement=True, generator=generator)
    art = torch.randint(len(data.art), (BATCH,), generator=generator)
    return data.normal[normal], data.art[art], data.classes[art]


def _keep(path: Path, system: Any, generator: torch.Generator, step: int) -> None:
    state = {
        "step": step,
        "system": system.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in system.optimizers.items()},
        "random": torch.get_rng_state(),
        "batches": generator.get_state(),
    }
    unfinished = path.with_suffix(".tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, unfinished)
    unfinished.replace(path)


def _restore(path: Path, system: Any, generator: torch.Generator) -> int:
    state = torch.load(path, weights_only=True)
    system.load_state_dict(state["system"])
    for name, optimizer in system.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    torch.set_rng_state(state["random"])
    generator.set_state(state["batches"])
    return state["step"]


def train_translation(
    data: TrainingSet,
    size: NetworkSize,
    weights: TranslationWeights,
    steps: int,
    seed: int,
    checkpoints: Path | None = None,
    report: Report | None = None,
) -> Translation:
    """Stage 1, then stage 2 with stage 1 frozen. ``steps``: of stage 2."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = LandmarkNetwork(size)
    first = checkpoints / "stage1.pt" if checkpoints else None
    second = checkpoints / "stage2.pt" if checkpoints else None
    train_stage("stage 1", AutoEncoder(network), data, round(STAGE_1_SHARE * steps), generator, first, report)
    system = Translation(network, count_classes(data.classes), weights)
    train_stage("stage 2", system, data, steps, generator, second, report)
    return system


PLAIN = NetworkSize(residual=False)
SIZE = NetworkSize()
WITHOUT_CLASSES = replace(OURS, classes=0.0)
SYSTEMS: dict[str, Callable[[TrainingSet, int, int], Any]] = {
    "CycleGAN": lambda data, steps, seed: _train_rival(CycleGAN, data, steps, seed),
    "MUNIT": lambda data, steps, seed: _train_rival(MUNIT, data, steps, seed),
    "DRIT++": lambda data, steps, seed: _train_rival(DRIT, data, steps, seed),
    "paper, plain layers": lambda data, steps, seed: train_translation(data, PLAIN, PAPER, steps, seed),
    "paper": lambda data, steps, seed: train_translation(data, SIZE, PAPER, steps, seed),
    "ours without class loss": lambda data, steps, seed: train_translation(data, SIZE, WITHOUT_CLASSES, steps, seed),
    "ours": lambda data, steps, seed: train_translation(data, SIZE, OURS, steps, seed),
}
"""Rows of the table that are trained: name to a function of training set, steps and seed."""


def _train_rival(kind: Callable[[NetworkSize], nn.Module], data: TrainingSet, steps: int, seed: int) -> nn.Module:
    """The same number of steps in all as both stages of ours together."""
    torch.manual_seed(seed)
    system = kind(SIZE)
    total = round((1 + STAGE_1_SHARE) * steps)
    train_stage("training", system, data, total, torch.Generator().manual_seed(seed))
    return system
