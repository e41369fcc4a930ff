"""How fast the texture stage could be at most: operations of its VGG passes over the machine's rate.

    python benchmarks/texture_floor.py

Run it on an idle machine. The rate is that of the fastest of the network's own convolutions, forward and backward, so
the floor is what the stage would take if every layer ran like the best one and all else were free. Takes the example of
`portraitist demo`; the result goes to ``results/texture_floor.json``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from portraitist import Models
from portraitist.texture.optimization import TextureConfig
from portraitist.vgg import VGG
from texture import RUNS, PreparedHead, load_example, prepare

RESULTS = Path(__file__).resolve().parent / "results" / "texture_floor.json"
LAYERS = ((64, 224), (128, 112), (256, 56), (512, 28))
"""Channels and sides of the convolutions that are tried."""
SECONDS = 2.0


def main() -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    models = Models.load("cpu")
    head = prepare(load_example(), models)
    rate = max(measure_rate(models.vgg, *layer) for layer in LAYERS)
    rows = {name: measure(name, head, models, rate) for name in ("draft", "standard", "paper")}
    record = {"command": "python benchmarks/texture_floor.py", "gigaflops_per_second": rate / 1e9, "runs": rows}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def measure(name: str, head: PreparedHead, models: Models, rate: float) -> dict[str, float]:
    """Count in one run, time another: counting takes time."""
    counter = FlopCounterMode(display=False)
    steps = getattr(TextureConfig, name)().total_steps
    with counter:
        RUNS[name](head, models, None)
    began = time.perf_counter()
    RUNS[name](head, models, None)
    seconds = time.perf_counter() - began
    convolutions = sum(
        count for kind, count in counter.get_flop_counts()["Global"].items() if "convolution" in str(kind)
    )
    floor = convolutions / rate
    return {
        "steps": steps,
        "teraflops_of_convolutions": convolutions / 1e12,
        "floor_s": floor,
        "seconds": seconds,
        "times_the_floor": seconds / floor,
    }


def measure_rate(vgg: VGG, channels: int, side: int) -> float:
    """Operations per second of one 3 x 3 convolution and its gradient by the picture, as the network runs them."""
    image = torch.rand(1, channels, side, side, dtype=vgg.dtype).to(memory_format=torch.channels_last).requires_grad_()
    kernel = torch.rand(channels, channels, 3, 3, dtype=vgg.dtype).to(memory_format=torch.channels_last)

    def step() -> None:
        torch.autograd.grad(F.conv2d(image, kernel, padding=1).sum(), image)

    return 2 * 2 * channels**2 * 9 * side**2 / time_median(step)


def time_median(step: Callable[[], None]) -> float:
    """Median seconds of a call."""
    step()
    times, began = [], time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        since = time.perf_counter()
        step()
        times.append(time.perf_counter() - since)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    main()
