"""Write src/portraitist/assets/artwork_landmarks.safetensors: python training/artworks/learn.py FOLDER [--processes N]

FOLDER is that of ``make_pictures.py``; features and networks are kept there too, so that a stopped run goes on. Four
networks, each without the artists of one fold: together they are the reader; alone, each reads paintings that it never
saw, and the errors of these readings are what the fusion is learnt from. About an hour on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from deformed_faces import find_mean_face
from error_models import find_size, finish, take_off_expression
from jaxtyping import Float
from make_pictures import DATA, PHOTOS, align, find_sources
from principal_components import learn_projections
from safetensors.torch import load_file, save_file
from torch import nn

from portraitist import load_image
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.point_network import COMPONENTS, PointNetwork
from portraitist.landmarks.point_network import SIDE_PX as VIEW_PX
from portraitist.landmarks.refinement import (
    WINDOW,
    WINDOW_MIDDLE,
    ErrorModel,
    LandmarkRefiner,
    pack_refiner,
)
from portraitist.landmarks.views import ViewRenderer
from portraitist.reconstruction.head_model import load_head_model
from portraitist.types import Image, Landmarks
from portraitist.vgg import LayerProjections, load_vgg

ASSET = Path(__file__).resolve().parents[2] / "src" / "portraitist" / "assets" / "artwork_landmarks.safetensors"
FOLDS = 4  # artists by their number modulo this
SIZE, TURN, SHIFT = 0.12, 0.08, 0.1  # how views are varied: logarithm, radians, eye distances
OUTLINE_SEEN = (0.0, 0.8)  # of its deviation from a normal face's around the same features
SAMPLED_PICTURES = 150  # for principal components
EPOCHS, BATCH, RATE, DECAY, WARM_UP = 10, 16, 1.5e-3, 1e-2, 0.15
SOFT_PX = 0.5  # errors below count less
LOGARITHMS = (-3.0, 4.0)  # of expected errors
OFFSET_PX = 20.0  # of the photos' scheme, per unit of its parameters


def learn(folder: Path, processes: int) -> None:
    parts = sorted(folder.glob("made*.npz"))
    if not (folder / "projections.safetensors").is_file():
        save_file(
            learn_projections(sample_views(parts[0]), COMPONENTS).state_dict(), folder / "projections.safetensors"
        )
    with get_context("spawn").Pool(processes) as pool:
        pool.map(partial(read_features, folder), [part.stem for part in parts])
        pool.map(partial(train_network, folder), range(FOLDS), chunksize=1)
    refiner = fuse(folder)
    save_file(pack_refiner(refiner), ASSET)
    print("size", refiner.size, refiner.detector_error, refiner.network_error)


def load_projections(folder: Path) -> LayerProjections:
    projections = LayerProjections(COMPONENTS)
    projections.load_state_dict(load_file(folder / "projections.safetensors"))
    return projections


def draw_view(picture: np.ndarray, points: Float[np.ndarray, "68 2"], rng: np.random.Generator):
    """The face as the product would show it to the network, less exactly; and its points there.

    The product puts the view where the detector sees the face: its features are where they are, nearly, but the outline
    where a normal face would have it around them.
    """
    mean = find_mean_face()[:, :2]
    linear, shift = align(points[17:], mean[17:])
    detected = points @ linear.T + shift
    detected[:17] = mean[:17] + rng.uniform(*OUTLINE_SEEN) * (detected[:17] - mean[:17])
    to_mean, moved = align(detected, mean)
    linear, shift = to_mean @ linear, to_mean @ shift + moved
    size, turn = np.exp(rng.normal(0, SIZE)), rng.normal(0, TURN)
    moved = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    center = np.linalg.solve(linear, np.array(WINDOW_MIDDLE) + rng.normal(0, SHIFT, 2) - shift)
    view = ViewRenderer(picture).render(moved @ linear * VIEW_PX / WINDOW, center, side=VIEW_PX)
    return torch.from_numpy(view.pixels).permute(2, 0, 1) / 255, points @ view.matrix[:, :2].T + view.matrix[:, 2]


def sample_views(part: Path) -> Iterator[Image]:
    """Views for principal components."""
    with np.load(part) as file:
        rows = np.linspace(0, len(file["pictures"]) - 1, SAMPLED_PICTURES).astype(int)
        pictures, points = file["pictures"][rows], file["points"][rows].astype(float)
    rng = np.random.default_rng(0)
    for picture, place in zip(pictures, points, strict=True):
        yield draw_view(picture, place, rng)[0]


def read_features(folder: Path, part: str) -> None:
    """Projected feature maps of one view of every made picture, kept in half precision."""
    kept = folder / f"features-{part}.pt"
    if kept.is_file():
        return
    torch.set_num_threads(1)
    vgg, projections, rng = load_vgg(dtype=torch.float32), load_projections(folder), np.random.default_rng(50)
    with np.load(folder / f"{part}.npz") as file:
        pictures, points, artists = file["pictures"], file["points"].astype(float), file["artists"]
    maps, places = [[] for _ in COMPONENTS], []
    for number, (picture, place) in enumerate(zip(pictures, points, strict=True)):
        view, seen = draw_view(picture, place, rng)
        for of_layer, projected in zip(maps, projections(view, vgg), strict=True):
            of_layer.append(projected[0].half())
        places.append(torch.from_numpy(seen).float())
        if number % 200 == 0:
            print(part, number, len(pictures), flush=True)
    stacked = [torch.stack(of_layer) for of_layer in maps]
    torch.save({"maps": stacked, "points": torch.stack(places), "artists": torch.from_numpy(artists)}, kept)


def train_network(folder: Path, fold: int) -> None:
    """Laplace likelihood of the points, without the fold's artists.

    Detector and annotators place some points elsewhere. The photos' points are the detector's, so theirs are allowed a
    constant offset, which is learnt and thrown away: the network speaks the annotators' scheme.
    """
    kept = folder / f"network{fold}.safetensors"
    if kept.is_file():
        return
    torch.set_num_threads(1)
    torch.manual_seed(fold)
    loaded = [torch.load(path, weights_only=True) for path in sorted(folder.glob("features-*.pt"))]
    maps = [torch.cat(layer) for layer in zip(*(part["maps"] for part in loaded), strict=True)]
    points, artists = (torch.cat([part[name] for part in loaded]) for name in ("points", "artists"))
    rows = torch.nonzero((artists < 0) | (artists % FOLDS != fold))[:, 0]
    is_photo = (artists < 0).float()[:, None, None]
    network, offset = PointNetwork(), torch.zeros(68, 2, requires_grad=True)
    groups = [{"params": network.parameters(), "weight_decay": DECAY}, {"params": [offset], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, RATE)
    batches = len(rows) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * batches, pct_start=WARM_UP)
    for epoch in range(EPOCHS):
        order, total = rows[torch.randperm(len(rows))], 0.0
        for chosen in order[: batches * BATCH].split(BATCH):
            read, logarithms = network(*(layer[chosen].float() for layer in maps))
            read = read + OFFSET_PX * offset * is_photo[chosen]
            errors = ((read - points[chosen]).square().sum(-1) + SOFT_PX**2).sqrt()
            expected = logarithms.clamp(*LOGARITHMS)
            loss = (errors / expected.exp() + 2 * expected).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(errors.detach().mean())
        print(f"fold {fold}, epoch {epoch}: {total / batches:.2f} px", flush=True)
    save_file(network.state_dict(), kept)


def load_networks(folder: Path) -> list[PointNetwork]:
    networks = [PointNetwork() for _ in range(FOLDS)]
    for fold, network in enumerate(networks):
        network.load_state_dict(load_file(folder / f"network{fold}.safetensors"))
        network.eval().requires_grad_(False)
    return networks


def fuse(folder: Path) -> LandmarkRefiner:
    """Errors of both readings of paintings, each by the network that never saw its artist; the normal reading, that of
    the photos at rest; the size of weighed deviations."""
    networks = load_networks(folder)
    mean = find_mean_face() * [1, -1, -1]  # to head space
    unknown = ErrorModel(1, 1, 1, 1), ErrorModel(1, 1, 1, 1, 1), np.zeros((68, 2)), np.zeros((68, 2)), 1.0
    whole = LandmarkRefiner(mean, load_projections(folder), nn.ModuleList(networks), *unknown)
    singles = [LandmarkRefiner(mean, whole.projections, nn.ModuleList([network]), *unknown) for network in networks]
    vgg, detector = load_vgg(dtype=torch.float32), LandmarkDetector()
    readings, detected, truths = [], [], []
    for source in find_sources(DATA):
        if source.artist < 0:
            continue
        image = load_image(source.path)
        detected.append(detect_landmarks(image, detector)[0])
        readings.append(singles[source.artist % FOLDS].read(image, detected[-1].points, vgg))
        truths.append(Landmarks(torch.from_numpy(source.points).float(), detected[-1].size))
    model, normals = load_head_model(), []
    for name in PHOTOS:
        photo = load_image(DATA / name)
        seen = detect_landmarks(photo, detector)[0]
        normals.append(take_off_expression(whole.read(photo, seen.points, vgg), seen, model))
    deviations = [
        reading.frame.to_deviation(truth.points.double().numpy())
        for reading, truth in zip(readings, truths, strict=True)
    ]
    weighed = finish(whole, readings, deviations, normals)
    return replace(weighed, size=find_size(weighed, model, readings, detected, truths))


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn to read artworks.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    learn(options.folder, options.processes)


if __name__ == "__main__":
    main()
