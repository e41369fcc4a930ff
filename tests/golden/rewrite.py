"""Pictures of the embedded example that tests/test_golden.py compares with. To make them anew, in this folder:

    python tests/golden/rewrite.py            # every preset that has pictures here: draft, standard
    python tests/golden/rewrite.py draft      # only this one

Do so when the result is meant to change, and look at what changed before committing it.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.cbook import get_sample_data

from portraitist import Config, Models, Result, head_camera, load_image, render, save_image, stylize
from portraitist.assets import asset_path
from portraitist.types import Image
from portraitist.vgg import load_vgg

FOLDER = Path(__file__).parent
PRESETS = ("draft", "standard")
SIZE_PX = 256


def load_models() -> Models:
    """With a network that computes in float32 on every processor."""
    return dataclasses.replace(Models.load("cpu"), vgg=load_vgg(dtype=torch.float32))


def load_example() -> tuple[Image, Image]:
    """Photo and artwork."""
    photo = get_sample_data("grace_hopper.jpg", asfileobj=False)
    return load_image(Path(photo)), load_image(asset_path("exemplars/mosaic.jpg"))


def run_example(preset: str, models: Models) -> Result:
    return stylize(*load_example(), models, getattr(Config, preset)())


def draw_pictures(result: Result) -> dict[str, Image]:
    """The stylized head from the front, and its texture."""
    head = result.stylized
    return {
        "front": render(head, head_camera(head, 0.0, 0.0, SIZE_PX)),
        "texture": F.interpolate(head.texture[None], SIZE_PX, mode="area")[0],
    }


def find_picture(preset: str, name: str) -> Path:
    return FOLDER / f"{preset}_{name}.png"


def main() -> None:
    torch.set_num_threads(1)
    models = load_models()
    for preset in sys.argv[1:] or PRESETS:
        for name, picture in draw_pictures(run_example(preset, models)).items():
            save_image(find_picture(preset, name), picture)
            print(find_picture(preset, name))


if __name__ == "__main__":
    main()
