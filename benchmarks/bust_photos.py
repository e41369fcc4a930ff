"""`portraitist bust` on 14 photos: hair over shoulders, hats, a bald head, braids, a dress, suits, tight crops.

    python benchmarks/bust_photos.py              # unstylized: closed, printable, seconds
    python benchmarks/bust_photos.py --stylized   # painted after artworks: time against that of a head alone
    python benchmarks/bust_photos.py --photos p01 h04 --stylized --preset draft --sheets /tmp/sheets

Pictures beside the checkout are needed, as for ``quality.py``. Times are of the process, on all its threads, so that
they do not depend on what else the machine does. A sheet shows photo, artwork and bust at 0, -40, +40 and 180 degrees;
it is for looking at, and stays outside of the repository.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import trimesh

from pair_runs import ROOT, hash_source
from pairs import DEFAULT_DATA
from portraitist import (
    BustConfig,
    Config,
    Head,
    Models,
    PortraitistError,
    head_camera,
    load_image,
    reconstruct,
    save_image,
    stylize_bust,
)
from portraitist.apps.bust import build_sitter_bust
from portraitist.export.preview import Panel, draw_sheet
from portraitist.export.print_files import write_stl
from portraitist.export.result_folder import BUST_HEIGHT_MM, BUST_YAWS_DEG
from portraitist.export.solid import build_solid
from portraitist.rendering.sampling import render_all
from portraitist.types import Image

RESULTS = ROOT / "benchmarks" / "results"
VIEW_PX = 380
PHOTOS = {  # what they are hard for, and the artwork of the stylized run
    "p00": ("a space suit, a helmet before it", "a07"),
    "p01": ("a suit", "a12"),
    "p12": ("a suit, cropped at the collar", "a03"),
    "p14": ("hair over the shoulders", "a21"),
    "p16": ("cropped at the collar, hardly any clothes", "a15"),
    "p27": ("hair over the shoulders, a turtleneck", "a30"),
    "p33": ("hair over the shoulders, bare ones", "a18"),
    "h00": ("a beret, long hair", "a09"),
    "h01": ("a cap, turned", "a25"),
    "h02": ("a hat, the person hardly told from the background", "a33"),
    "h03": ("a hat, sitting", "a05"),
    "h04": ("bald, a suit", "a28"),
    "h10": ("braids, fists before the chest", "a01"),
    "h15": ("a dress, hair over one shoulder", "a36"),
}
NOT_OF_A_HEAD = ("bust", "painting")
"""Stages that ``stylize`` has not."""


def main() -> None:
    options = parse_options()
    if not options.data.is_dir():
        sys.exit(f"The development pictures are not at {options.data}. Give their folder with --data.")
    models, rows = Models.load("cpu"), {}
    for name in options.photos:
        try:
            rows[name] = measure_photo(name, models, options)
        except PortraitistError as error:
            rows[name] = {"error": f"{type(error).__name__}: {error}"}
        print(name, json.dumps(rows[name]), flush=True)
        if options.write:
            some = f" --photos {' '.join(options.photos)}" if len(options.photos) < len(PHOTOS) else ""
            command = (
                f"python benchmarks/bust_photos.py{' --stylized' * options.stylized} --preset {options.preset}{some}"
            )
            result = {"command": command, "source": hash_source(), "photos": rows}
            path = RESULTS / ("bust_stylized.json" if options.stylized else "bust.json")
            path.write_text(json.dumps(result, indent=1) + "\n")


def measure_photo(name: str, models: Models, options: argparse.Namespace) -> dict[str, object]:
    """Figures of one photo's bust; its sheet is written."""
    hard, artwork = PHOTOS[name]
    photo = load_image(options.data / ("hair" if name.startswith("h") else "photos") / f"{name}.jpg")
    row: dict[str, object] = {"hard": hard}
    panels = [Panel(name, photo)]
    if options.stylized:
        art = load_image(options.data / "art" / f"{artwork}.jpg")
        config: BustConfig = getattr(BustConfig, options.preset)()
        clock = ProcessClock()
        head = stylize_bust(photo, art, models, config, progress=clock.report).stylized
        stages = clock.stop()
        own = sum(seconds for stage, seconds in stages.items() if stage not in NOT_OF_A_HEAD)
        row |= {"artwork": artwork, "seconds_of_a_head": round(own, 1)}
        panels.append(Panel(artwork, art))
    else:
        sitter = reconstruct(photo, models, getattr(Config, options.preset)())
        before = time.process_time()
        head = build_sitter_bust(sitter, models).head
        row["seconds_bust"] = round(time.process_time() - before, 2)
    row |= measure_print(head)
    if options.stylized:
        row["times_stylize"] = round((sum(stages.values()) + float(str(row["seconds_print"]))) / own, 2)
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        save_image(options.sheets / f"{name}.png", draw_sheet([panels + turn(head)]))
    return row


class ProcessClock:
    """Seconds of the processor, by the stages that are reported."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "landmarks", time.process_time()

    def report(self, progress: object) -> None:
        stage = progress.stage  # pyright: ignore[reportAttributeAccessIssue]
        if stage != self._stage:
            self.stop()
            self._stage = stage

    def stop(self) -> dict[str, float]:
        now = time.process_time()
        self.seconds[self._stage] = round(self.seconds.get(self._stage, 0.0) + now - self._since, 2)
        self._since = now
        return self.seconds


def measure_print(head: Head) -> dict[str, object]:
    """Whether the bust is closed, and the whole one printable body."""
    layer = head.layers[-1].mesh
    closed = trimesh.Trimesh(layer.vertices.numpy(), layer.faces.numpy())
    before = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_stl(Path(folder) / "head.stl", build_solid(head, BUST_HEIGHT_MM))
        seconds = round(time.process_time() - before, 2)
        solid = trimesh.load(Path(folder) / "head.stl")
    return {
        "bust_watertight": bool(closed.is_watertight and closed.is_winding_consistent),
        "stl_watertight": bool(solid.is_watertight),
        "stl_bodies": int(solid.body_count),
        "seconds_print": seconds,
    }


def turn(head: Head) -> list[Panel]:
    yaws = (0.0, *(yaw for yaw in BUST_YAWS_DEG if yaw))
    pictures: list[Image] = list(render_all(head, [head_camera(head, yaw, 0.0, VIEW_PX) for yaw in yaws]))
    return [Panel(f"{yaw:.0f}°", picture) for yaw, picture in zip(yaws, pictures, strict=True)]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--photos", nargs="+", choices=[*PHOTOS], default=[*PHOTOS], help="which of the photos (default: all)")
    add("--stylized", action="store_true", help="painted after artworks")
    add("--preset", choices=("draft", "standard"), default="standard")
    add("--sheets", type=Path, help="folder for a sheet of each")
    add("--data", type=Path, default=DEFAULT_DATA)
    add("--write", action="store_true", help="write benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
