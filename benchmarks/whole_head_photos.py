"""One photo: its head with hair and hat, unstylized, from all sides."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drawn_heads import draw_head, frame_head
from likeness_photos import find_face_hull, to_array
from metrics.identity import compare_embeddings, embed_face
from metrics.pictures import measure_overlap, measure_psnr
from pair_runs import VIEW_PX
from portraitist import Config, load_image, save_image
from portraitist.errors import PortraitistError
from portraitist.io.images import image_to_uint8
from portraitist.pipeline import Sitter
from portraitist.rendering.sampling import render
from portraitist.types import Image
from reconstruction_runs import load_all_models, reconstruct_whole

SHEET_PX = 512
SHEET_VIEWS = {
    "front": (0, 0), "right 35": (35, 0), "left 35": (-35, 0), "right 75": (75, 0), "left 75": (-75, 0),
    "back": (180, 0), "above": (0, -50),
}  # fmt: skip
"""(yaw, pitch) of the contact sheet."""
NOTHING = {"overlap": 0.0, "identity_pose": 1.0, "identity_front": 1.0}
"""What counts for a photo of which no head could be made."""


def measure_whole_head(path: Path, pictures: Path) -> dict[str, float | str]:
    """All figures of one photo, and the views of its head as ``pictures/<name>-<view>.jpg``.

    Identity is measured on views as in ``quality.py``; the round trip before the light is evened, as in
    ``likeness.py``, here with what lies over the face.
    """
    photo = load_image(path)
    load_all_models()  # not part of the time
    started = time.perf_counter()
    try:
        sitter = reconstruct_whole(photo)
    except PortraitistError as error:
        return {"error": str(error), **NOTHING}
    seconds = time.perf_counter() - started
    head, camera = sitter.content, sitter.fit.camera
    for name, angles in SHEET_VIEWS.items():
        save_image(pictures / f"{path.stem}-{name}.jpg", render(head, frame_head(head, *angles, SHEET_PX)))
    views = {
        "identity_pose": render(head, camera.resized(VIEW_PX / max(camera.size))),
        "identity_front": render(head, frame_head(head, 0.0, 0.0, VIEW_PX)),
    }
    person = embed_face(image_to_uint8(photo))
    identity = {name: compare_embeddings(person, embed_face(image_to_uint8(view))) for name, view in views.items()}
    layers = ", ".join(layer.name for layer in head.layers)
    return {"overlap": measure_person_overlap(sitter), **identity, "psnr_db": measure_round_trip(photo, sitter),
            "seconds": seconds, "layers": layers}  # fmt: skip


def measure_person_overlap(sitter: Sitter) -> float:
    """Overlap of head and layers with the person mask, from the picture's top to the chin of the upright head."""
    drawing = draw_head(sitter.content, sitter.fit.camera)
    above = drawing.mark_above_chin()
    return measure_overlap(drawing.all & above, binarize(sitter.person_mask) & above)


def binarize(mask: Tensor) -> np.ndarray:
    return mask.numpy() > 0.5


def measure_round_trip(photo: Image, sitter: Sitter) -> float:
    """Agreement in dB, within the hull of the face, of photo and head in its own light."""
    standard = Config.standard()
    unlit = dataclasses.replace(standard, unwrap=dataclasses.replace(standard.unwrap, delighting=0.0))
    own_light = render(reconstruct_whole(photo, unlit).content, sitter.fit.camera, torch.ones(3))
    return measure_psnr(to_array(own_light), to_array(photo), find_face_hull(sitter.landmarks))
