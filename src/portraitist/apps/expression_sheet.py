"""Stickers of a head: named expressions, still and moving, on nothing; and all of them on one sheet (Sec. 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as PillowImage
from torch import Tensor

from portraitist.apps.expression_presets import PRESETS, ExpressionPreset
from portraitist.apps.sticker_files import FRAME_MS, encode_moving_webp, encode_png, encode_webm, encode_webp
from portraitist.body.standing import BODY_LAYERS
from portraitist.devices import move
from portraitist.export.preview import Panel, draw_sheet
from portraitist.io.images import image_to_uint8, save_image
from portraitist.io.output_folder import new_folder, write_record
from portraitist.mesh.carrying import find_layer_deltas, pose_head
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.sampling import render_cutout
from portraitist.types import REGIONS, Camera, Head, Image, Progress, ProgressCallback

STICKER_PX = 512  # what WhatsApp, Telegram and Signal ask for, see docs/stickers.md
MARGIN = 16 / 512  # of the side, free on all sides: WhatsApp
EASE_FRAMES = 9  # from the neutral head to the expression
REST_MS = 400  # on the neutral head
HOLD_MS = 1200  # on the expression; 2.24 s in all, of which Telegram and Signal allow 3
STILL_RAYS = 4  # along a side of a pixel
MOVING_RAYS = 2  # the same, of pictures that are seen for a moment


def write_expression_sheet(
    out: str | Path,
    head: Head,
    presets: Sequence[ExpressionPreset] = PRESETS,
    *,
    size: int = STICKER_PX,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> None:
    """Write the stickers of ``head`` into folder ``out``, which appears whole or not at all.

    For each preset ``NAME.png`` and ``NAME.webp``, the expression, and ``NAME_moving.webp`` and ``.webm``, from the
    neutral head to it and back: ``size`` px square, on nothing, all in the same frame. ``sheet.png`` shows all of them
    on white with their names. Files are no larger than messengers take them (docs/stickers.md). ``progress`` is called
    before each preset and may raise to stop. Raises OutputError as ``check_output`` does, and when the disk is full.
    """
    stage = _set_stage(head, presets, size)
    panels = []
    with new_folder(Path(out), overwrite) as folder:
        for step, preset in enumerate(presets):
            if progress:
                progress(Progress("stickers", step, len(presets)))
            frames = _draw_frames(stage, preset)
            (folder / f"{preset.name}.png").write_bytes(encode_png(frames[-1]))
            (folder / f"{preset.name}.webp").write_bytes(encode_webp(frames[-1]))
            timed = _time_frames(frames)
            (folder / f"{preset.name}_moving.webp").write_bytes(encode_moving_webp(*timed))
            (folder / f"{preset.name}_moving.webm").write_bytes(encode_webm(*timed))
            panels.append(Panel(preset.name, _lay_over_white(frames[-1])))
        save_image(folder / "sheet.png", _arrange(panels))
        write_record(folder, {})


def draw_expression(head: Head, preset: ExpressionPreset, size: int = STICKER_PX) -> Float[Tensor, "4 size size"]:
    """The head with an expression, ``size`` px square: sRGB and opacity, 0..1, colors not multiplied by it.

    Its layers follow the expression. The frame is that of all ``PRESETS``, so that pictures of one head fit together.
    """
    return _set_stage(head, (*PRESETS, preset), size).draw(preset)


@dataclass(frozen=True)
class _Stage:
    """A head before a camera that shows all of its expressions. ``pivot``: about which it turns; it stays in place."""

    head: Head
    layer_deltas: tuple[Float[Tensor, "52 _k 3"], ...]
    pivot: Float[Tensor, "3"]
    size: int
    scale_px: float = 1.0
    pivot_px: tuple[float, float] = (0.0, 0.0)

    def pose(self, preset: ExpressionPreset, share: float = 1.0) -> tuple[Head, Camera]:
        """The head on its way from neutral (0) to the preset (1)."""
        head = self.head
        weights = move(share * preset.as_tensor(), head.neutral.device)
        turn = rotation_from_yaw_pitch(share * preset.yaw_deg, share * preset.pitch_deg)
        rotation = move(_roll(share * preset.roll_deg) @ turn, head.neutral.device)
        x, y, _ = (rotation @ self.pivot * self.scale_px).tolist()
        center = (self.pivot_px[0] - x, self.pivot_px[1] + y)
        return pose_head(head, weights, self.layer_deltas), Camera(
            rotation, self.scale_px, center, (self.size, self.size)
        )

    def draw(self, preset: ExpressionPreset, share: float = 1.0) -> Float[Tensor, "4 size size"]:
        return render_cutout(*self.pose(preset, share), STILL_RAYS if share == 1 else MOVING_RAYS)


def _set_stage(head: Head, presets: Sequence[ExpressionPreset], size: int) -> _Stage:
    """The closest frame in which no expression, at any moment on the way to it, leaves the margin. Of somebody with a
    body the head alone is shown."""
    head = replace(head, layers=tuple(layer for layer in head.layers if layer.name not in BODY_LAYERS))
    neck = head.mesh.faces[head.mesh.regions == REGIONS.index("neck")]
    pivot = head.neutral[neck.unique()].mean(0) if len(neck) else head.neutral.mean(0)
    stage = _Stage(head, find_layer_deltas(head), pivot, size)
    corners = [_find_bounds(*stage.pose(preset, share)) for preset in presets for share in (0.0, 0.5, 1.0)]
    low, high = torch.stack(corners).amin(0)[0], torch.stack(corners).amax(0)[1]
    scale = (size * (1 - 2 * MARGIN)) / (high - low).amax().item()
    x, y = ((low + high) / 2 * scale).tolist()
    return replace(stage, scale_px=scale, pivot_px=(size / 2 - x, size / 2 - y))


def _find_bounds(head: Head, camera: Camera) -> Float[Tensor, "2 2"]:
    points = torch.cat([camera.project(mesh.vertices) for mesh in (head.mesh, *(layer.mesh for layer in head.layers))])
    return torch.stack([points.amin(0), points.amax(0)])


def _roll(angle_deg: float) -> Float[Tensor, "3 3"]:
    angle = math.radians(angle_deg)
    return torch.tensor(
        [[math.cos(angle), math.sin(angle), 0.0], [-math.sin(angle), math.cos(angle), 0.0], [0.0, 0.0, 1.0]]
    )


def _draw_frames(stage: _Stage, preset: ExpressionPreset) -> list[PillowImage.Image]:
    """From the neutral head to the expression: slow, fast, slow. Two at a time: casting rays takes one thread."""
    shares = [(1 - math.cos(math.pi * step / EASE_FRAMES)) / 2 for step in range(EASE_FRAMES + 1)]
    with ThreadPoolExecutor(2) as executor:
        return list(
            executor.map(lambda share: PillowImage.fromarray(image_to_uint8(stage.draw(preset, share))), shares)
        )


def _time_frames(there: list[PillowImage.Image]) -> tuple[list[PillowImage.Image], list[int]]:
    """From the neutral head, on which the animation rests, to the expression, which it holds, and back; and how long
    each frame is shown, milliseconds."""
    *way, last = there
    moving = [FRAME_MS] * (len(way) - 1)
    return [*way, last, *way[:0:-1]], [REST_MS, *moving, HOLD_MS, *moving]


def _lay_over_white(picture: PillowImage.Image) -> Image:
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) / 255
    return pixels[:3] * pixels[3:] + 1 - pixels[3:]


def _arrange(panels: Sequence[Panel]) -> Image:
    """In a square grid, whose last row may have empty places."""
    columns = math.ceil(math.sqrt(len(panels)))
    empty = [Panel("", torch.ones_like(panels[0].image))] * (-len(panels) % columns)
    filled = [*panels, *empty]
    return draw_sheet([filled[first : first + columns] for first in range(0, len(filled), columns)])
