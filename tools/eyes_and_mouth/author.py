"""Author eyes and mouth: python tools/eyes_and_mouth/author.py  (a few seconds; nothing but the head model is needed).

Writes src/portraitist/assets/eyes_and_mouth.safetensors, what `portraitist.unwrapping.authored` reads. All colors are
sRGB of an average person in white light; the light inside the mouth and under the lids is in them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from eye import paint_iris, paint_lid_shade, paint_sclera
from safetensors.torch import save_file

from mouth import paint_cavity, paint_teeth, paint_tongue
from portraitist.assets import FOLDER
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.uv_layout import locate_texels

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from record_assets import record_assets

SIZE = 2048  # side of the texture that the strip below belongs to
TOP, LEFT, RIGHT = 0.85, 0.5, 0.86  # of that side: the inside of the mouth, without its mirror image


def main() -> None:
    model = load_head_model()
    strip = paint_inside(model)
    tensors = {
        "inside": _to_bytes(strip[round(TOP * SIZE) :, round(LEFT * SIZE) : round(RIGHT * SIZE)].transpose(2, 0, 1)),
        "iris": _to_bytes(paint_iris()),
        "sclera": _to_bytes(paint_sclera()),
        "lid_shade": _to_bytes(paint_lid_shade()),
    }
    save_file(tensors, FOLDER / "eyes_and_mouth.safetensors")
    record_assets()


def paint_inside(model) -> np.ndarray:
    """[t, t, 4]: colors of teeth, tongue and cavity, and of each texel the share of enamel (teeth) or lip (cavity)."""
    texture = np.zeros((SIZE * SIZE, 4), np.float32)
    texel_ids, face_ids, weights = locate_texels(model.template, SIZE)
    faces, uv_faces = model.faces.numpy()[face_ids], model.template.uv_faces.numpy()[face_ids]
    places = (model.mean.double().numpy()[faces] * weights[..., None]).sum(1)
    uvs = (model.template.uvs.double().numpy()[uv_faces] * weights[..., None]).sum(1)
    for name in ("upper_teeth", "lower_teeth", "tongue", "mouth_cavity"):
        own = model.face_mask(name).numpy()[face_ids]
        if name.endswith("teeth"):
            texture[texel_ids[own]] = paint_teeth(model, name, uvs[own])
        else:
            paint = paint_tongue if name == "tongue" else paint_cavity
            texture[texel_ids[own]] = paint(model, places[own])
    return texture.reshape(SIZE, SIZE, 4)


def _to_bytes(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((255 * values.clip(0, 1)).round().astype(np.uint8)).contiguous()


if __name__ == "__main__":
    main()
