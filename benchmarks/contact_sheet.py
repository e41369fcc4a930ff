"""Large labeled sheets of finished runs, to be looked at at full size.

    python benchmarks/contact_sheet.py OUT          # the newest runs of the standard preset, six pairs to a page

One row per pair: photo, artwork, unstylized head, then the stylized head from the front, the left and the right. Takes
what ``quality.py`` has left in benchmarks/cache; it runs nothing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pair_runs import entry_folder, find_any_source, hash_source
from pairs import Pair, spread_pairs
from portraitist import load_image, save_image
from portraitist.export.preview import Panel, draw_sheet
from quality import add_config_options, make_config

ROWS_PER_PAGE = 6
PAGE_WIDTH_PX = 2400
VIEWS = {"content_front": "unstylized", "front": "front", "left": "left", "right": "right"}


def main() -> None:
    options = parse_options()
    rows = []
    for pair in spread_pairs(options.pairs):
        folder = entry_folder(pair, options.data, make_config(options), hash_source(), rounded=options.bfloat16)
        folder = folder if options.current else find_any_source(folder)
        if (folder / "front.png").is_file():
            rows.append(make_row(pair, folder, options.data))
        else:
            print(f"{pair}: {describe_absence(folder)}")
    options.output.mkdir(parents=True, exist_ok=True)
    for page, first in enumerate(range(0, len(rows), ROWS_PER_PAGE)):
        path = options.output / f"sheet{page}.png"
        save_image(path, draw_sheet(rows[first : first + ROWS_PER_PAGE], PAGE_WIDTH_PX))
        print(path)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, metavar="OUT", help="folder for the pages")
    parser.add_argument("--current", action="store_true", help="only runs of the source as it is now")
    add_config_options(parser)
    return parser.parse_args()


def make_row(pair: Pair, folder: Path, data: Path) -> list[Panel]:
    label = str(pair)
    inputs = [Panel(f"{label}: photo", load_image(data / pair.photo)), Panel("artwork", load_image(data / pair.art))]
    return inputs + [Panel(head, load_image(folder / f"{name}.png")) for name, head in VIEWS.items()]


def describe_absence(folder: Path) -> str:
    record = folder / "run.json"
    return json.loads(record.read_text())["error"] if record.is_file() else "not run yet"


if __name__ == "__main__":
    main()
