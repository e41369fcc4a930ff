"""Two sitters in three styles: each photo is reconstructed once, each artwork studied once.

    python examples/reuse_stages.py -o OUT [--preset draft] [--photos A B] [--arts X Y Z] [--compare]

Writes one GLB and one front view per pair. ``--compare`` also runs each pair on its own and prints both times.
Without pictures of your own, the photo of the demo and one of the package's paintings sit.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from portraitist import (
    Config,
    Models,
    head_camera,
    load_image,
    reconstruct,
    render,
    save_image,
    study_artwork,
    stylize,
    transfer_geometry,
    transfer_texture,
    write_glb,
)
from portraitist.assets import asset_path
from portraitist.cli.stylize import make_demo_request

VIEW_PX = 512


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    exemplars = [asset_path(f"exemplars/{name}.jpg") for name in ("mosaic", "brush", "ink")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--preset", choices=("draft", "standard", "best"), default="draft")
    parser.add_argument("--photos", type=Path, nargs="+", default=[make_demo_request().photo, exemplars[1]])
    parser.add_argument("--arts", type=Path, nargs="+", default=exemplars)
    parser.add_argument("--compare", action="store_true", help="also time every pair on its own")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None, config: Config | None = None) -> dict[str, float]:
    """Returns the seconds of reconstructions, studies and pairs, and with ``--compare`` of single runs."""
    options = parse_arguments(arguments)
    config = config or getattr(Config, options.preset)()
    options.output.mkdir(parents=True, exist_ok=True)
    models, photos, arts = Models.load(), *([load_image(p) for p in x] for x in (options.photos, options.arts))
    seconds, since = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal since
        seconds[name], since = time.perf_counter() - since, time.perf_counter()

    sitters = [reconstruct(photo, models, config) for photo in photos]
    lap("reconstructions")
    exemplars = [study_artwork(art, models, config) for art in arts]
    lap("studies")
    for sitter, photo_path in zip(sitters, options.photos, strict=True):
        for exemplar, art_path in zip(exemplars, options.arts, strict=True):
            geometry = transfer_geometry(sitter, [exemplar], models, config)
            head = transfer_texture(geometry.head, sitter, [exemplar], models, config)
            name = f"{photo_path.stem}-{art_path.stem}"
            write_glb(options.output / f"{name}.glb", head)
            front = render(head, head_camera(head, 0.0, 0.0, VIEW_PX))
            save_image(options.output / f"{name}.png", front)
    lap("pairs")
    if options.compare:
        for photo in photos:
            for art in arts:
                stylize(photo, art, models, config)
        lap("single runs")
    return seconds


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.1f} s")
