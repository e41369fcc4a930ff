"""Style against likeness, where neither comes without the other: python benchmarks/texture_frontier.py

Textures of `texture.py`, by the paper's recipe and by the standard preset, are blended with the texture of the photo in
several shares and measured again, on the same heads. Textures that benchmarks/cache has not are made. Writes
``results/texture_frontier.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

import torch

import texture as stage
from pairs import DEFAULT_DATA, spread_pairs
from portraitist import Models, load_image

RESULTS = stage.ROOT / "benchmarks" / "results" / "texture_frontier.json"
RUNS = ("paper", "standard")
SHARES = (1.0, 0.85, 0.7, 0.55)
FIGURES = ("style", "content", "objective", "identity", "vgg", "network_free")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=8, help="how many, as in texture.py (default: 8)")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the development pictures")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"The development pictures are not at {options.data}. Give their folder with --data.")
    torch.set_num_threads(os.cpu_count() or 1)
    models = Models.load("cpu")
    figures: dict[tuple[str, float], list[dict[str, float]]] = {(run, share): [] for run in RUNS for share in SHARES}
    for pair in spread_pairs(options.pairs):
        case = stage.load_pair(pair, options.data)
        head = stage.prepare(case, models)
        for run in RUNS:
            folder = stage.entry_folder(case, run)
            if not (folder / "figures.json").is_file():
                stage.run(stage.RUNS[run], head, folder, models)
            texture = load_image(folder / "texture.png")
            for share in SHARES:
                blend = torch.lerp(head.result.content.texture, texture, share)
                figures[run, share].append(head.yardstick.measure(blend))
            print(f"{pair}, {run}: " + stage.describe(figures[run, SHARES[0]][-1]), flush=True)
    rows = [
        {"run": run, "share": share, "pairs": len(of_pairs)}
        | {name: statistics.mean(row[name] for row in of_pairs) for name in FIGURES}
        for (run, share), of_pairs in figures.items()
    ]
    for row in rows:
        print(f"{row['run']:12} {row['share']:.2f}  " + ", ".join(f"{name} {row[name]:.3f}" for name in FIGURES))
    command = " ".join(["python benchmarks/texture_frontier.py", *sys.argv[1:]])
    RESULTS.write_text(json.dumps({"command": command, "means": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
