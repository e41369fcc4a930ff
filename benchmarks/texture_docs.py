"""The texture section of docs/benchmarks.md, from results/texture.json."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

Run = dict[str, Any]
FIGURES = (
    *("seconds", "style", "content", "objective", "identity", "vgg", "network_free", "seam", "sharpness"),
    *("lips_color", "eyes_color", "brows_color"),
)
CURVES = ("draft", "standard", "best", "paper")
AGAINST = "paper"


def list_medians(runs: dict[str, Run]) -> list[Run]:
    """One row per run: how many pairs, and medians over them."""
    return [
        {"run": name, "pairs": len(run["pairs"])} | {figure: run["median"][figure] for figure in FIGURES}
        for name, run in runs.items()
    ]


def compare_runs(runs: dict[str, Run], against: str = AGAINST) -> list[Run]:
    """Medians over the pairs of each run's ratios to another's, on the pairs that both have."""
    rows = []
    for name, run in runs.items():
        others = {pair["name"]: pair for pair in runs.get(against, {"pairs": []})["pairs"]}
        both = [(pair, others[pair["name"]]) for pair in run["pairs"] if pair["name"] in others]
        if name == against or name not in CURVES or not both:
            continue
        row: Run = {f"over {against}": name, "pairs": len(both)}
        for figure in ("objective", "style", "content"):
            row[figure] = statistics.median(a[figure] / b[figure] for a, b in both)
        rows.append(row | {"times faster": statistics.median(b["seconds"] / a["seconds"] for a, b in both)})
    return rows


def compare_colors(runs: dict[str, Run], other: str = "no semantics") -> list[Run]:
    """Mean distance of each feature's color from the artwork's in the standard runs and without semantics."""
    if "standard" not in runs or other not in runs:
        return []
    without = {pair["name"]: pair for pair in runs[other]["pairs"]}
    both = [(pair, without[pair["name"]]) for pair in runs["standard"]["pairs"] if pair["name"] in without]
    rows = []
    for feature in ("lips", "eyes", "brows"):
        figures = [(a[f"{feature}_color"], b[f"{feature}_color"]) for a, b in both]
        figures = [pair for pair in figures if all(value == value for value in pair)]  # absent in the artwork
        ours, theirs = (statistics.mean(values) for values in zip(*figures, strict=True))
        row = {"mean color distance": feature, "pairs": len(figures), "standard": ours, other: theirs}
        rows.append(row | {"ratio": ours / theirs})
    return rows


def compare_strengths(runs: dict[str, Run]) -> list[Run]:
    """Means of the two style ratios at each strength, and on how many pairs they fell from the strength before."""
    named = {0.0: "strength 0.0", 0.25: "strength 0.25", 0.5: "strength 0.5", 0.75: "strength 0.75", 1.0: "standard"}
    rows, before = [], {}
    for strength, name in named.items():
        if name not in runs or "strength 0.0" not in runs:
            continue
        wanted = {pair["name"] for pair in runs["strength 0.0"]["pairs"]}
        pairs = {pair["name"]: pair for pair in runs[name]["pairs"] if pair["name"] in wanted}
        row: Run = {"strength": strength, "pairs": len(pairs)}
        for figure in ("vgg", "network_free"):
            row[figure] = statistics.mean(pair[figure] for pair in pairs.values())
            fell = sum(pair[figure] < before[key][figure] for key, pair in pairs.items() if key in before)
            row[f"{figure} fell"] = f"{fell} of {len(pairs)}" if before else ""
        rows.append(row)
        before = pairs
    return rows


def draw_curves(runs: dict[str, Run], path: Path) -> None:
    """Style and content loss of the median pair against wall time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, term in zip(figure.subplots(1, 2), ("style", "content"), strict=True):
        for name in CURVES:
            if name in runs:
                curves = [pair["curve"] for pair in runs[name]["pairs"]]
                seconds, values = (
                    [statistics.median(point[key] for point in points) for points in zip(*curves, strict=True)]
                    for key in ("seconds", term)
                )
                axes.plot(seconds, values, "o-", markersize=3, label=f"{name} ({len(curves)} pairs)")
        axes.set(xscale="log", xlabel="seconds of the texture stage", ylabel=f"{term} loss, held-out views")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def draw_frontier(rows: list[Run], path: Path) -> None:
    """Objective and network-free distance of each run's blends against identity."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("objective", "network_free"), strict=True):
        for run in dict.fromkeys(row["run"] for row in rows):
            points = [(row["identity"], row[name]) for row in rows if row["run"] == run]
            axes.plot(*zip(*points, strict=True), "o-", markersize=3, label=run)
        axes.set(xlabel="identity distance", ylabel=name)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
