"""A slider: the exaggeration of one head, from none to twice the artwork's, in milliseconds a step.

    python examples/slider_loop.py -o OUT.webp [--steps 24]

The expensive part is done once by ``transfer_geometry``; every step of the slider is one call of ``displace``.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import torch
from PIL import Image as PillowImage

from portraitist import (
    Config,
    Models,
    load_image,
    reconstruct,
    render,
    study_artwork,
    transfer_geometry,
    view_camera,
)
from portraitist.cli.stylize import make_demo_request
from portraitist.io.images import image_to_uint8
from portraitist.mesh.carrying import carry_layers

VIEW_PX = 384
MILLISECONDS_PER_FRAME = 60


def main(arguments: list[str] | None = None, config: Config | None = None) -> dict[str, list[float]]:
    """Returns strengths, milliseconds of each step, and how far the vertices moved on average (millimeters)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=24)
    options = parser.parse_args(arguments)
    request, models, config = make_demo_request(), Models.load(), config or Config.draft()

    sitter = reconstruct(load_image(request.photo), models, config)
    exemplar = study_artwork(load_image(request.art), models, config)
    geometry = transfer_geometry(sitter, [exemplar], models, config)

    content = sitter.content
    mesh = content.mesh
    camera = view_camera(mesh.vertices, 20.0, 0.0, VIEW_PX, margin=1.15)
    strengths, milliseconds, moved, frames = [], [], [], []
    for step in range(options.steps + 1):
        strength = 2.0 * step / options.steps
        since = time.perf_counter()
        vertices = geometry.displace(strength)
        milliseconds.append(1000 * (time.perf_counter() - since))
        strengths.append(strength)
        moved.append(1000 * float((vertices - mesh.vertices).norm(dim=1).mean()))
        layers = carry_layers(content.layers, mesh, vertices)
        head = dataclasses.replace(content, mesh=mesh.with_vertices(vertices), layers=layers)
        picture = render(head, camera, torch.ones(3))
        frames.append(PillowImage.fromarray(image_to_uint8(picture)))
    frames[0].save(
        options.output, save_all=True, append_images=frames[1:], duration=MILLISECONDS_PER_FRAME, loop=0
    )  # fmt: skip
    return {"strength": strengths, "milliseconds": milliseconds, "moved_mm": moved}


if __name__ == "__main__":
    result = main()
    print(f"median step: {sorted(result['milliseconds'])[len(result['milliseconds']) // 2]:.2f} ms")
