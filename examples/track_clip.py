"""A clip of 30 frames, tracked with one identity: pose, expression and displacements per frame.

    python examples/track_clip.py -o OUT.json [--frames FOLDER]

Without a folder of frames (pictures in the order of their names, the first one near neutral), a clip is rendered: the
head of the demo turns, talks and blinks, so that the truth is known and printed beside what was found.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path

import torch

from portraitist import Config, Models, detect_landmarks, head_camera, load_image, reconstruct, render, track
from portraitist.cli.stylize import make_demo_request
from portraitist.types import EXPRESSION_NAMES, Head, Image

FRAMES, FRAME_PX = 30, 480
LARGEST_YAW_DEG, LARGEST_PITCH_DEG = 25.0, 8.0


def render_clip(head: Head, frames: int) -> tuple[list[Image], list[dict[str, float]]]:
    """Pictures of the head and what it does in each."""
    pictures, truth = [], []
    for frame in range(frames):
        phase = 2 * math.pi * frame / frames
        weights = torch.zeros(len(EXPRESSION_NAMES))
        done = {"jawOpen": 0.35 * (1 - math.cos(2 * phase)) / 2, "mouthSmileLeft": 0.5 * math.sin(phase / 2) ** 2}
        done["mouthSmileRight"] = done["mouthSmileLeft"]
        for name, weight in done.items():
            weights[EXPRESSION_NAMES.index(name)] = weight
        yaw_deg, pitch_deg = LARGEST_YAW_DEG * math.sin(phase), LARGEST_PITCH_DEG * math.sin(2 * phase)
        posed = dataclasses.replace(head, mesh=head.mesh.with_vertices(head.posed(weights)))
        camera = head_camera(head, yaw_deg, pitch_deg, FRAME_PX, margin=1.3)
        pictures.append(render(posed, camera, torch.full((3,), 0.6)))
        truth.append({"yaw_deg": yaw_deg, "pitch_deg": pitch_deg, **done})
    return pictures, truth


def main(arguments: list[str] | None = None, config: Config | None = None) -> list[dict[str, float]]:
    """Returns one row per frame."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--frames", type=Path, help="folder of pictures instead of the rendered clip")
    parser.add_argument("--count", type=int, default=FRAMES, help="frames of the rendered clip")
    options = parser.parse_args(arguments)
    models, config = Models.load(), config or Config.draft()

    if options.frames:
        pictures = [load_image(path) for path in sorted(options.frames.iterdir())]
        sitter, truth = reconstruct(pictures[0], models, config), [{} for _ in pictures]
    else:
        sitter = reconstruct(load_image(make_demo_request().photo), models, config)
        pictures, truth = render_clip(sitter.content, options.count)

    rows = []
    for picture, known in zip(pictures, truth, strict=True):
        landmarks, _ = detect_landmarks(picture, models.detector)
        tracked = track(landmarks, sitter.fit, models.head)
        forward = tracked.camera.rotation[:, 2]  # where the face looks, in the camera's frame
        row = {
            "yaw_deg": math.degrees(math.asin(float(forward[0].clamp(-1, 1)))),
            "pitch_deg": math.degrees(math.atan2(float(forward[1]), float(forward[2]))),
            "residual_percent": 100 * tracked.residual_relative,
            "displacement_mm": 1000 * float(tracked.displacement.norm(dim=1).mean()),
        }
        row |= dict(zip(EXPRESSION_NAMES, tracked.expression.tolist(), strict=True))
        rows.append(row | {f"true_{name}": value for name, value in known.items()})
    options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return rows


if __name__ == "__main__":
    for row in main():
        print(", ".join(f"{name} {row[name]:.2f}" for name in row if name in ("yaw_deg", "true_yaw_deg", "jawOpen")))
