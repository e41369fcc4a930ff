"""The result folder of somebody on a body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from portraitist.body.standing import BODY_LAYERS, stand
from portraitist.export.body_joints import list_clips
from portraitist.export.character_poses import pose_character
from portraitist.export.glb import write_glb
from portraitist.export.obj import write_obj
from portraitist.export.preview import Panel, draw_sheet
from portraitist.export.result_folder import FileWriter, describe_making
from portraitist.io.head_file import save_head
from portraitist.io.images import save_image
from portraitist.io.output_folder import new_folder, write_record
from portraitist.rendering.cameras import head_camera
from portraitist.rendering.sampling import render
from portraitist.types import Head, Image

VIEW_PX = 800
YAWS_DEG = (0.0, 75.0, 180.0)
MOMENTS = (("walk", 3, 40.0), ("walk", 18, 90.0), ("wave", 45, 20.0))
"""Motion, number of its moment, and by how much the figure is turned."""

MARGIN = 0.02  # of a picture's side, around somebody
FACE_PX, FACE_YAWS_DEG = 512, (-30.0, 0.0, 30.0)


def write_character(
    head: Head,
    out: Path,
    *,
    config: Any,
    inputs: Mapping[str, Path],
    device: str,
    precision: str,
    warnings: Sequence[str] = (),
    seconds: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write somebody on a body into folder ``out``: ``head.glb`` with bones and motions, ``head.obj`` + ``.mtl`` +
    ``.png``, ``head.safetensors`` (for ``load_head`` and ``portraitist export``), ``preview.png`` and ``run.json``,
    whose contents are returned. The folder appears when it is complete.

    ``config``: the dataclass the body was made with. ``inputs``: what each file given by the user was for, and where it
    is. ``device``, ``precision``: in which the network computed. Raises OutputError as ``check_output`` does, and when
    the disk is full.
    """
    with new_folder(out, overwrite) as folder, FileWriter() as writer:
        writer.start(write_glb, folder / "head.glb", head)
        writer.start(write_obj, folder / "head.obj", head)
        writer.start(save_head, folder / "head.safetensors", head)
        writer.start(save_image, folder / "preview.png", draw_character(head))
        writer.finish()
        making = {"device": device, "precision": precision, "seconds": seconds or {}}
        facts = {"height_m": head.height, **making, "warnings": warnings}
        return write_record(folder, describe_making(config, inputs, facts))


def draw_character(head: Head) -> Image:
    """One sheet: the whole figure, standing and moving, and below it the face."""
    standing = stand(head)
    clips = {clip.name: clip for clip in list_clips(standing)}
    still = pose_character(standing, clips["idle"], 0)
    moving = [(pose_character(standing, clips[name], at), yaw) for name, at, yaw in MOMENTS]
    top = replace(head, layers=tuple(layer for layer in head.layers if layer.name not in BODY_LAYERS))
    faces = [render(head, head_camera(top, yaw, 0.0, FACE_PX)) for yaw in FACE_YAWS_DEG]
    figures = [_draw_figures([(still, yaw) for yaw in YAWS_DEG]), _draw_figures(moving)]
    rows = [
        [Panel(name, figure) for name, figure in zip(("front, side, back", "walking, waving"), figures, strict=True)],
        [Panel(f"{yaw:.0f}°", face) for yaw, face in zip(FACE_YAWS_DEG, faces, strict=True)],
    ]
    return draw_sheet(rows)


def _draw_figures(poses: list[tuple[Head, float]]) -> Image:
    """Side by side, equally large, each turned by its angle."""
    pictures = [_crop(render(head, head_camera(head, yaw, 0.0, VIEW_PX))) for head, yaw in poses]
    height = max(picture.shape[1] for picture in pictures)
    return torch.cat([functional.pad(x, (0, 0, height - x.shape[1], 0), value=1.0) for x in pictures], 2)


def _crop(picture: Image) -> Image:
    """What is not white, and a margin."""
    rows, columns = torch.nonzero((picture < 1).any(0), as_tuple=True)
    gap = round(MARGIN * picture.shape[-1])
    low, high = ([int(ids.min()) - gap, int(ids.max()) + gap + 1] for ids in (rows, columns))
    return picture[:, max(low[0], 0) : low[1], max(high[0], 0) : high[1]]
