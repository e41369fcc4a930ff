"""The result folder of somebody on a body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from portraitist.export.glb import write_glb
from portraitist.export.obj import write_obj
from portraitist.export.preview import Panel, draw_sheet
from portraitist.export.result_folder import FileWriter, describe_making
from portraitist.io.head_file import save_head
from portraitist.io.images import save_image
from portraitist.io.output_folder import new_folder, write_record
from portraitist.rendering.cameras import head_camera
from portraitist.rendering.sampling import render, render_all
from portraitist.types import Head, Image

VIEW_PX = 640
YAWS_DEG = {"front": 0.0, "35°": 35.0, "side": 90.0, "back": 180.0}
MARGIN = 0.02  # of a picture's side, around somebody
FACE_PX = 512


def write_character(
    head: Head,
    out: Path,
    *,
    config: Any,
    inputs: Mapping[str, Path],
    warnings: Sequence[str] = (),
    seconds: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write somebody on a body into folder ``out``: ``head.glb`` with bones and motions, ``head.obj`` + ``.mtl`` +
    ``.png``, ``head.safetensors`` (for ``load_head`` and ``portraitist export``), ``preview.png`` and ``run.json``,
    whose contents are returned. The folder appears when it is complete.

    ``config``: the dataclass the body was made with. ``inputs``: what each file given by the user was for, and where it
    is. Raises OutputError as ``check_output`` does, and when the disk is full.
    """
    with new_folder(out, overwrite) as folder, FileWriter() as writer:
        writer.start(write_glb, folder / "head.glb", head)
        writer.start(write_obj, folder / "head.obj", head)
        writer.start(save_head, folder / "head.safetensors", head)
        writer.start(save_image, folder / "preview.png", draw_character(head))
        writer.finish()
        facts = {"height_m": head.height, "seconds": seconds or {}, "warnings": warnings}
        return write_record(folder, describe_making(config, inputs, facts))


def draw_character(head: Head) -> Image:
    """One sheet: the whole figure from the front, turned, from the side and from behind, and below it the face."""
    figures = render_all(head, [head_camera(head, yaw, 0.0, VIEW_PX) for yaw in YAWS_DEG.values()])
    top = replace(head, layers=tuple(layer for layer in head.layers if layer.name not in ("body", "clothes")))
    faces = [render(head, head_camera(top, yaw, 0.0, FACE_PX)) for yaw in (-30.0, 0.0, 30.0)]
    rows = [
        [Panel(name, _crop(figure)) for name, figure in zip(YAWS_DEG, figures, strict=True)],
        [Panel("", face) for face in faces],
    ]
    return draw_sheet(rows)


def _crop(picture: Image) -> Image:
    """What is not white, and a margin."""
    rows, columns = torch.nonzero((picture < 1).any(0), as_tuple=True)
    size = picture.shape[-1]
    gap = round(MARGIN * size)
    low = [max(int(ids.min()) - gap, 0) for ids in (rows, columns)]
    high = [int(ids.max()) + gap + 1 for ids in (rows, columns)]
    return picture[:, low[0] : high[0], low[1] : high[1]]
