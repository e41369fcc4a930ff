"""Forty and more odd pictures, each made into a head to the end:

    python benchmarks/odd_pictures.py --sheet OUT                # of the embedded example
    python benchmarks/odd_pictures.py --sheet OUT --data FOLDER  # of FOLDER/photos/*.jpg and FOLDER/art/*.jpg

An odd photo meets a good artwork, an odd artwork a good photo. Only what a user can cause or cure is caught. What came
of each goes to results/odd_pictures.json, the front views of the heads to OUT.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from matplotlib.cbook import get_sample_data

from odd_picture_kinds import KINDS, Face, Kind
from portraitist import Config, Models, load_image, save_image, stylize
from portraitist.assets import asset_path
from portraitist.cli.terminal import collect_warnings
from portraitist.errors import PortraitistError
from portraitist.export.preview import Panel, draw_sheet
from portraitist.export.result_folder import render_named_views
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.detection import detect_landmarks

RESULTS = Path(__file__).parent / "results" / "odd_pictures.json"
CASES_PER_ROW, ROWS_PER_PAGE = 2, 6
PAGE_WIDTH_PX = 2400


@dataclass(frozen=True)
class Case:
    """``photo``, ``art``: the files of a run, one of them odd."""

    name: str
    photo: Path
    art: Path


def main() -> None:
    options = parse_options()
    models = Models.load("cpu")
    rows, panels = [], []
    with tempfile.TemporaryDirectory() as folder:
        for case in make_cases(options.data, options.only, models, Path(folder)):
            row, head = run_case(case, models)
            print(json.dumps(row), flush=True)
            rows.append(row)
            panels.append(head)
            if options.sheet:
                write_sheets(options.sheet, panels)
    if not options.only:
        RESULTS.write_text(json.dumps({"cases": rows}, indent=1) + "\n", encoding="utf-8")
        print(RESULTS)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="photos/*.jpg and art/*.jpg, used in turn")
    parser.add_argument("--sheet", type=Path, metavar="OUT", help="folder for the pages")
    parser.add_argument(
        "--only", metavar="WORDS", help="cases that have these words in their name; nothing is recorded"
    )
    return parser.parse_args()


def make_cases(data: Path | None, only: str | None, models: Models, folder: Path):
    """Every case, its odd file made just before it is wanted."""
    photos, arts = find_sources(data)
    for number, kind in enumerate(KINDS):
        name = f"{kind.role}: {kind.name}"
        if only and only not in name:
            continue
        photo, art = photos[number % len(photos)], arts[number % len(arts)]
        sources = photos if kind.role == "photo" else arts
        spoilt = spoil(kind, sources[number % len(sources)], sources[(number + 1) % len(sources)], models, folder)
        yield Case(name, spoilt, art) if kind.role == "photo" else Case(name, photo, spoilt)
    for name, pair in {
        "photo: a painting": (arts[-1], arts[0]),
        "art: a photo": (photos[0], photos[-1]),
        "the same file twice": (photos[0], photos[0]),
    }.items():
        if not only or only in name:
            yield Case(name, *pair)


def find_sources(data: Path | None) -> tuple[list[Path], list[Path]]:
    if data is None:
        arts = [asset_path(f"exemplars/{name}.jpg") for name in ("brush", "ink", "mosaic")]
        return [Path(get_sample_data("grace_hopper.jpg", asfileobj=False))], arts
    return sorted((data / "photos").glob("*.jpg")), sorted((data / "art").glob("*.jpg"))


def spoil(kind: Kind, source: Path, other: Path, models: Models, folder: Path) -> Path:
    path = folder / f"odd.{kind.suffix}"
    kind.spoil(find_face(source, models), find_face(other, models), path)
    return path


def find_face(source: Path, models: Models) -> Face:
    image = load_image(source)
    return Face(image_to_uint8(image), detect_landmarks(image, models.detector)[0].points.numpy())


def run_case(case: Case, models: Models) -> tuple[dict[str, object], list[Panel]]:
    """What is recorded of a case, and its panels: the odd picture (or the photo) and the head."""
    started = time.monotonic()
    row: dict[str, object] = {"case": case.name}
    panels = []
    try:
        with collect_warnings() as said:
            photo, art = load_image(case.photo), load_image(case.art)
        panels = [Panel(case.name, art if case.name.startswith("art") else photo)]
        result = stylize(photo, art, models, Config.draft())
        row |= {"outcome": "head", "said": " ".join([*said, *result.warnings])}
        heads = {"unstylized": result.content, "stylized": result.stylized}
        panels += [Panel(name, render_named_views(head)["front"]) for name, head in heads.items()]
    except PortraitistError as error:
        row |= {"outcome": type(error).__name__, "said": str(error).replace(f"{case.photo.parent}/", "")}
    return row | {"seconds": round(time.monotonic() - started, 1)}, panels


def write_sheets(folder: Path, panels: list[list[Panel]]) -> None:
    """Pages of odd picture, unstylized and stylized head. Cases without a head are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = [case for case in panels if len(case) == 3]
    rows = [list(chain(*shown[first : first + CASES_PER_ROW])) for first in range(0, len(shown), CASES_PER_ROW)]
    for page, first in enumerate(range(0, len(rows), ROWS_PER_PAGE)):
        save_image(folder / f"sheet{page}.png", draw_sheet(rows[first : first + ROWS_PER_PAGE], PAGE_WIDTH_PX))


if __name__ == "__main__":
    main()
