"""The landmark translation network against its rivals (Table 1 of the paper, and more) on people and artworks held out.

    python benchmarks/translation.py [--steps N] [--processes N] [--sheet FOLDER]

Trains every system of ``training/trainer.py`` on each of eight folds and writes ``results/translation.json``;
``--sheet`` also draws six photos warped by every row, with held-out artworks of the first fold (Fig. 6). With few
art faces the distances are noisy, so they are pooled over folds and compared by a paired bootstrap; and copying the
exemplar wins the distance by construction, since it shows the real faces themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "training"))  # scripts, not a package

from dataset import FOLDS  # noqa: E402
from trainer import SYSTEMS  # noqa: E402
from translation_alignment import measure_alignments  # noqa: E402
from translation_figures import (  # noqa: E402
    PERCENT,
    Translated,
    bootstrap_frechet,
    find_components,
    frechet_distance,
    measure_diversity,
    retrieve_contents,
    retrieve_styles,
    style_transfer,
)
from translation_runs import PACKAGED, UNLEARNED, load_real, run_fold  # noqa: E402
from translation_sheets import draw_warped_photos  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
RESULTS = Path(__file__).parent / "results" / "translation.json"
DRAWS = 200
PAPER_FID = {"CycleGAN": 49.4, "MUNIT": 43.8, "DRIT++": 32.4, "ours without class loss": 30.8, "ours": 23.6}


def read_rows(files: dict[str, list[Path]]) -> dict[str, dict]:
    """Figures of every system: means over folds, and distances pooled over them."""
    rows, pooled = {}, {}
    real = components = None
    for name, paths in files.items():
        results, abouts = [], []
        for path in paths:
            with np.load(path) as file:
                results.append(Translated(file["shapes"].astype(float), file["contents"], file["styles"]))
                abouts.append(json.loads(str(file["about"])))
        if components is None:
            real = np.concatenate([result.styles for result in results])
            components = find_components(real, np.concatenate([result.contents for result in results]))
        pooled[name] = PERCENT * np.concatenate([result.shapes @ components for result in results])
        transfer = [style_transfer(result) for result in results]
        rows[name] = {
            "style_retrieval": float(np.mean([retrieve_styles(result) for result in results])),
            "content_retrieval": float(np.mean([retrieve_contents(result) for result in results])),
            "cosine": float(np.mean([cosine.mean() for cosine, _ in transfer])),
            "gain": float(np.median(np.concatenate([gain.ravel() for _, gain in transfer]))),
            "diversity": float(np.mean([measure_diversity(result) for result in results])),
            "class_accuracy": float(np.mean([about["class"] for about in abouts])),
        }
        for key in ("photo_move", "content_code_error", "style_code_error", "auto_encoder_error"):
            if key in abouts[0]:
                rows[name][key] = float(np.mean([about[key] for about in abouts]))
    assert real is not None
    real = PERCENT * real @ components
    draws = bootstrap_frechet(pooled, real, DRAWS)
    for name, shapes in pooled.items():
        rows[name]["fid"] = frechet_distance(shapes.reshape(-1, shapes.shape[-1]), real)
        rows[name]["fid_low"], rows[name]["fid_high"] = np.quantile(draws[name], [0.025, 0.975]).tolist()
        if name != "ours":
            behind = draws[name] - draws["ours"]
            rows[name]["behind_ours_low"], rows[name]["behind_ours_high"] = np.quantile(behind, [0.025, 0.975]).tolist()
        if name in PAPER_FID:
            rows[name]["fid_in_paper"] = PAPER_FID[name]
    return rows


def print_table(rows: dict[str, dict]) -> None:
    print(f"{'':24}   FID  (95 %)          behind ours   style  content  cosine  gain  class  diverse  photo")
    for name, row in rows.items():
        behind = f"{row['behind_ours_low']:6.0f}..{row['behind_ours_high']:<6.0f}" if "behind_ours_low" in row else ""
        print(
            f"{name:24} {row['fid']:5.0f}  ({row['fid_low']:.0f}..{row['fid_high']:.0f})".ljust(47)
            + f"{behind:14}  {row['style_retrieval']:.2f}   {row['content_retrieval']:.2f}    {row['cosine']:.2f}"
            f"   {row['gain']:.2f}  {row['class_accuracy']:.2f}   {row['diversity']:.2f}"
            + (f"    {row['photo_move']:.3f}" if "photo_move" in row else "")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare landmark translation systems.")
    parser.add_argument("--steps", type=int, default=1500, help="of the second stage (default: 1500)")
    parser.add_argument("--processes", type=int, default=2, help="systems trained at a time, one thread each")
    parser.add_argument("--folds", type=int, default=FOLDS, help=f"how many of the {FOLDS} folds (default: all)")
    parser.add_argument("--only", nargs="+", help="names of rows (default: all)")
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="also draw warped photos there")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the development data")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"No development data at {options.data}; this benchmark needs its landmark files.")
    load_real(options.data)  # fitted once, before the workers ask for it
    names = [*UNLEARNED, *SYSTEMS, PACKAGED] if not options.only else options.only
    jobs = [(options.data, name, fold, options.steps) for fold in range(options.folds) for name in names]
    files: dict[str, list[Path]] = {name: [] for name in names}
    with get_context("spawn").Pool(options.processes) as pool:
        for done, path in enumerate(pool.imap(run_fold, jobs), 1):
            files[jobs[done - 1][1]].append(path)
            print(f"{done} of {len(jobs)}: {path.stem}", flush=True)
    rows = read_rows(files)
    print_table(rows)
    if not options.only:
        record = {
            "command": f"python benchmarks/translation.py --steps {options.steps} --folds {options.folds}",
            "steps": options.steps,
            "folds": options.folds,
            "rows": rows,
            "alignment": measure_alignments(options.data),
        }
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    if options.sheet:
        draw_fold(options.sheet, options.data, {name: paths[0] for name, paths in files.items()})


def draw_fold(folder: Path, data: Path, files: dict[str, Path]) -> None:
    """The picture of one fold's translations, from the files that ``run_fold`` left."""
    opened = {name: np.load(path) for name, path in files.items()}
    artworks = next(iter(opened.values()))["artworks"].tolist()
    styles = next(iter(opened.values()))["styles"]
    draw_warped_photos(folder, data, artworks, styles, {name: file["photos"] for name, file in opened.items()})


if __name__ == "__main__":
    main()
