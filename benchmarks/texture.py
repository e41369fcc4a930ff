"""The texture stage: presets, the paper's recipe and ablations on the same heads and artworks, against wall time.

    python benchmarks/texture.py --write                                   # draft, standard, paper on 8 pairs
    python benchmarks/texture.py --pairs 4 --runs ablations strengths --write
    python benchmarks/texture.py --example --runs standard ablations --write    # the picture of docs/benchmarks.md

Run it on an idle machine. Every run of a pair starts from the same head; what is measured is in `measure_objective`
and ``metrics/``. Finished runs are kept in benchmarks/cache; results go to ``results/texture.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from PIL import Image as PillowImage
from torch import Tensor

from pair_runs import CACHE, ROOT, hash_source
from pairs import DEFAULT_DATA, Pair, read_annotation, spread_pairs
from portraitist import Config, Models, Result, load_image, stylize
from portraitist.cli.stylize import make_demo_request
from portraitist.export.preview import Panel, draw_sheet
from portraitist.io.images import image_to_uint8, save_image
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.uv_layout import mark_texels
from portraitist.segmentation.artwork import label_artwork
from portraitist.segmentation.parts import SKIN
from portraitist.segmentation.person import segment_person
from portraitist.segmentation.picture import segment_picture
from portraitist.texture import exemplar, transfer, views
from portraitist.texture.exemplar import StyleExemplar, StyleSource, crop_exemplar
from portraitist.texture.labels import TexelLabels, label_head
from portraitist.texture.optimization import TextureConfig
from portraitist.texture.shading_transfer import unwrap_shading
from portraitist.types import Fragments, Image
from texture_figures import Yardstick

RESULTS = ROOT / "benchmarks" / "results" / "texture.json"
PICTURE = ROOT / "docs" / "images" / "texture_runs.jpg"
SNAPSHOTS = 8


@dataclasses.dataclass(frozen=True)
class Case:
    """What is stylized. ``points``: the artwork's hand-set ones, if it has them."""

    name: str
    photo: Image
    art: Image
    points: Tensor | None = None


def main() -> None:
    options = parse_options()
    if not options.example and not options.data.is_dir():
        sys.exit(f"The development pictures are not at {options.data}. Give their folder with --data, or --example.")
    torch.set_num_threads(os.cpu_count() or 1)
    models = Models.load("cpu")
    rows: dict[str, list[dict]] = {name: [] for name in options.runs}
    cases = [load_example()] if options.example else [load_pair(p, options.data) for p in spread_pairs(options.pairs)]
    for case in cases:
        head = None
        for name in options.runs:
            folder = entry_folder(case, name)
            if not (folder / "figures.json").is_file():
                head = head or prepare(case, models)
                run(RUNS[name], head, folder, models)
            rows[name].append({"name": case.name, **json.loads((folder / "figures.json").read_text())})
            print(f"{case.name}, {name}: " + describe(rows[name][-1]), flush=True)
    print_table(rows)
    if options.write and options.example:
        draw_runs(cases[0], options.runs)
    elif options.write:
        write_results(rows)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare presets, the paper's recipe and ablations.")
    add = parser.add_argument
    add("--pairs", type=int, default=8, help="how many, spread over the 32 of quality.py (default: 8)")
    add("--example", action="store_true", help="the example of `portraitist demo` instead of the pairs")
    add("--runs", nargs="+", choices=[*GROUPS, *RUNS], default=["presets"], help="runs or groups (default: presets)")
    add("--write", action="store_true", help="keep the results, or the example's picture, for docs/benchmarks.md")
    add("--data", type=Path, default=DEFAULT_DATA, help="folder of the development pictures")
    options = parser.parse_args()
    options.runs = list(dict.fromkeys(name for given in options.runs for name in GROUPS.get(given, [given])))
    return options


def load_pair(pair: Pair, data: Path) -> Case:
    points = read_annotation(data, pair.art) if pair.annotated else None
    return Case(str(pair), load_image(data / pair.photo), load_image(data / pair.art), points)


def load_example() -> Case:
    request = make_demo_request()
    return Case("example", load_image(request.photo), load_image(request.art))


@dataclasses.dataclass(frozen=True)
class PreparedHead:
    """A pair up to the texture stage. ``yardstick`` measures textures of this head."""

    result: Result
    sources: list[StyleSource]
    yardstick: Yardstick


def prepare(case: Case, models: Models) -> PreparedHead:
    config = Config.standard()
    config = dataclasses.replace(config, texture=dataclasses.replace(config.texture, strength=0.0))
    result = stylize(case.photo, case.art, models, config)
    person = segment_person(case.art, result.art_landmarks, models.segmenter)
    mesh = result.art_fit.mesh
    camera = result.art_fit.camera
    seen = rasterize(mesh, camera)
    parts = segment_picture(case.art, result.art_landmarks, mesh, camera, person, models.parts, models.vgg)
    labels = label_artwork(parts, mesh, seen, result.art_landmarks.points)
    sources = [crop_exemplar(case.art, labels, shading=unwrap_shading(case.art, labels, mesh, seen))]
    points = result.art_landmarks.points if case.points is None else case.points
    return PreparedHead(result, sources, Yardstick.make(result, sources[0], labels, points, models.vgg))


Paint = Callable[[PreparedHead, Models, Any], Tensor]
"""Makes a texture; the last argument is the progress callback."""


def study(source: StyleSource, models: Models, config: TextureConfig) -> StyleExemplar:
    """The artwork's features; seconds count them."""
    return transfer.study_artwork_style(source, models.head, models.vgg, config, torch.Generator().manual_seed(0))


def optimize(config: TextureConfig, texture_size: int = 1024) -> Paint:
    def paint(head: PreparedHead, models: Models, progress: Any) -> Tensor:
        mesh, content = head.result.stylized.mesh, head.result.content.texture
        texture = transfer.stylize_texture(
            mesh,
            resize(content, texture_size),
            [study(source, models, config) for source in head.sources],
            models.head,
            models.vgg,
            config,
            torch.Generator().manual_seed(0),
            progress,
        )
        return resize(texture, content.shape[-1])  # the yardstick's

    return paint


def resize(texture: Tensor, side: int) -> Tensor:
    if texture.shape[-1] == side:
        return texture
    return F.interpolate(texture[None], (side, side), mode="bilinear", antialias=True)[0].clamp(0, 1)


def change(**weights: float) -> TextureConfig:
    standard = TextureConfig.standard()
    return dataclasses.replace(standard, weights=dataclasses.replace(standard.weights, **weights))


def paint_flat(head: PreparedHead, models: Models, progress: Any) -> Tensor:
    """Naive transfer: the texture itself is the only view, as if it were a photo."""

    def look_flat(subject, cameras, background, vgg, generator) -> views.ViewBank:
        size_px = cameras.near[0].size[0]
        centers = (torch.arange(size_px) + 0.5) / size_px
        uv = torch.stack(torch.meshgrid(centers, centers, indexing="xy"), -1)
        ids = mark_texels(subject.mesh, size_px)
        footprint = torch.full((size_px, size_px), 1 / size_px)
        fragments = Fragments(ids, torch.zeros(size_px, size_px, 3), uv, footprint, ids >= 0)
        ground = background[:, None, None].expand(3, size_px, size_px)
        return views.ViewBank([views.precompute_view(subject, fragments, ground, vgg, generator)], [], 1 / size_px)

    flat = dataclasses.replace(TextureConfig.standard(), stroke_steps=0)
    with mock.patch("portraitist.texture.optimization.precompute_views", look_flat):
        return optimize(flat)(head, models, progress)


@contextmanager
def unnormalized_network() -> Iterator[None]:
    """Pictures in 0..1 go into the network as they are (a defect of the authors' code)."""

    def forward(self, image: Tensor) -> list[Tensor]:
        mean = self.get_buffer("mean_bgr")
        return original(self, image / 255 + mean.flip(0) / 255)

    from portraitist.vgg import VGG

    original = VGG.forward
    with mock.patch.object(VGG, "forward", forward):
        yield


@contextmanager
def leaking_samples() -> Iterator[None]:
    """Rows and columns of the samples are drawn apart, so that they leave their region (a defect of their code)."""

    def leak(mask: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
        points = original(mask, count, generator)
        return torch.stack([points[:, 0], points[torch.randperm(len(points), generator=generator), 1]], 1)

    original = views.sample_points
    with mock.patch.object(views, "sample_points", leak), mock.patch.object(exemplar, "sample_points", leak):
        yield


@contextmanager
def one_part() -> Iterator[None]:
    """Every part of head and artwork is skin."""

    def forget(labels: Tensor) -> Tensor:
        return torch.where(labels >= 0, SKIN, labels)

    def study_forgetful(source: StyleSource, *rest) -> StyleExemplar:
        return original(dataclasses.replace(source, labels=forget(source.labels)), *rest)

    def label(mesh, size) -> TexelLabels:
        known = label_head(mesh, size)
        return TexelLabels.make(mesh, forget(known.map), known.roles, known.shown)

    original = transfer.study_artwork_style
    with (
        mock.patch.object(transfer, "label_head", label),
        mock.patch.object(transfer, "study_artwork_style", study_forgetful),
    ):
        yield


def within(context: Callable, paint: Paint) -> Paint:
    def wrapped(head: PreparedHead, models: Models, progress: Any) -> Tensor:
        with context():
            return paint(head, models, progress)

    return wrapped


STANDARD = TextureConfig.standard()
RUNS: dict[str, Paint] = {
    "draft": optimize(TextureConfig.draft(), 512),
    "standard": optimize(TextureConfig.standard()),
    "paper": optimize(TextureConfig.paper()),
    "best": optimize(TextureConfig.best(), 2048),
    "paper 512": optimize(TextureConfig.paper(512)),
}
GROUPS = {"presets": list(RUNS)[:3]}
ABLATIONS: dict[str, Paint] = {
    "flat texture": paint_flat,
    "single view": optimize(dataclasses.replace(STANDARD, near_views=1)),
    "no content loss": optimize(change(content=0.0, perceptual_content=0.0)),
    "no semantics": within(one_part, optimize(STANDARD)),
    "no patches": optimize(dataclasses.replace(STANDARD, stroke_steps=0)),
    "no likeness": optimize(change(perceptual_content=0.0)),
    "un-normalized network input": within(unnormalized_network, optimize(STANDARD)),
    "leaking samples": within(leaking_samples, optimize(STANDARD)),
}
STRENGTHS = {f"strength {x}": optimize(dataclasses.replace(STANDARD, strength=x)) for x in (0.0, 0.25, 0.5, 0.75)}
RUNS |= ABLATIONS | STRENGTHS
GROUPS |= {"ablations": list(ABLATIONS), "strengths": list(STRENGTHS)}


def entry_folder(case: Case, name: str) -> Path:
    sources = [Path(__file__), Path(__file__).with_name("texture_figures.py")]
    source = hashlib.sha256(hash_source().encode() + b"".join(p.read_bytes() for p in sources)).hexdigest()[:10]
    return CACHE / f"texture-{source}" / f"{case.name}-{name}".replace(" ", "-").replace(":", "-")


def run(paint: Paint, head: PreparedHead, folder: Path, models: Models) -> None:
    """Time a run, measure what came out and what it had after each eighth of its steps."""
    snapshots, began = [], time.perf_counter()

    def keep(progress) -> None:
        if progress.step * SNAPSHOTS // progress.steps > (progress.step - 1) * SNAPSHOTS // progress.steps:
            snapshots.append((time.perf_counter() - began, progress.preview.clone()))

    texture = paint(head, models, keep)
    seconds = time.perf_counter() - began
    texture = (texture * 255).round() / 255
    folder.mkdir(parents=True, exist_ok=True)
    save_image(folder / "texture.png", texture)
    save_image(folder / "views.png", head.yardstick.draw(texture))
    curve = [
        {"seconds": when, **head.yardstick.measure_objective(snapshot.clamp(0, 1))} for when, snapshot in snapshots[:-1]
    ]
    figures = {"seconds": seconds, **head.yardstick.measure(texture)}
    curve.append({"seconds": seconds, "style": figures["style"], "content": figures["content"]})
    (folder / "figures.json").write_text(json.dumps({**figures, "curve": curve}, indent=1))


def describe(row: dict) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in row.items() if isinstance(value, float))


def print_table(rows: dict[str, list[dict]]) -> None:
    for name, runs in rows.items():
        print(f"{name:28}" + describe(median_row(runs)))


def median_row(runs: list[dict]) -> dict[str, float]:
    names = [name for name, value in runs[0].items() if isinstance(value, float)]
    return {name: statistics.median(run[name] for run in runs) for name in names}


def draw_runs(case: Case, names: list[str]) -> None:
    """Every run from the front, both sides and the back, as `Yardstick.draw` has it."""
    blank = Panel("", torch.ones(3, 8, 8))
    panels = [[Panel("photo", case.photo), Panel("artwork", case.art), blank, blank]]
    for name in names:
        views = load_image(entry_folder(case, name) / "views.png")
        side = views.shape[1]
        labels = (name, "30 degrees", "60 degrees", "back")
        panels.append([Panel(label, views[:, :, k * side : (k + 1) * side]) for k, label in enumerate(labels)])
    PillowImage.fromarray(image_to_uint8(draw_sheet(panels, 1400))).save(PICTURE, quality=85)


def write_results(rows: dict[str, list[dict]]) -> None:
    """New rows beside those of earlier commands."""
    record = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"runs": {}}
    command = " ".join(["python benchmarks/texture.py", *sys.argv[1:]])
    for name, runs in rows.items():
        record["runs"][name] = {"command": command, "median": median_row(runs), "pairs": runs}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
