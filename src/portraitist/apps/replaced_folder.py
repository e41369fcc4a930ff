"""What a character with another face leaves in a folder: whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portraitist.apps.replace_face import Replaced
from portraitist.characters.figure import Figure, build_figure
from portraitist.characters.paint import Paints
from portraitist.characters.portrait import Portrait
from portraitist.characters.viewing import aim, look
from portraitist.export.preview import Panel, draw_sheet, mark_landmarks
from portraitist.export.provenance import UNSIGNED
from portraitist.export.result_folder import describe_run
from portraitist.io.head_file import save_head
from portraitist.io.images import save_image
from portraitist.io.output_folder import new_folder, write_record
from portraitist.types import Image

YAWS_DEG = (-40.0, 0.0, 40.0)
VIEW_PX = 512
SHOWN = 0.75  # of the portrait's width: face, hair and neck


def write_replaced(
    replaced: Replaced,
    out: Path,
    *,
    config: Any,
    inputs: Mapping[str, Path],
    device: str,
    precision: str,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write ``character.glb``, ``preview.png``, ``head.safetensors`` and ``run.json``; return what the last one says.

    The folder appears when it is complete. Raises OutputError as ``check_output`` does, and when the disk is full.
    """
    document = replaced.document.copy()
    asset = document.tree["asset"]
    given = asset.get("extras", {})
    asset["extras"] = (given if isinstance(given, dict) else {"extras": given}) | UNSIGNED.facts()
    with new_folder(out, overwrite) as folder:
        (folder / "character.glb").write_bytes(document.pack())
        save_head(folder / "head.safetensors", replaced.result.stylized)
        save_image(folder / "preview.png", draw_before_and_after(replaced))
        return write_record(folder, describe_run(replaced.result, config, inputs, device, precision))


def draw_before_and_after(replaced: Replaced) -> Image:
    """One sheet: the photo and the character's face with the points that were read; below them the character as it was
    and as it is, from the front and from both sides."""
    result, before = replaced.result, replaced.before
    after = build_figure(replaced.document, before.path)
    rows = [
        [
            Panel("photo", mark_landmarks(result.photo, result.photo_landmarks)),
            Panel("character's face", mark_landmarks(replaced.portrait.view.picture, result.art_landmarks)),
        ]
    ]
    for name, figure in (("before", before), ("after", after)):
        pictures = draw_turned(figure, replaced.portrait)
        rows.append([Panel(f"{name}, {yaw:.0f}°", image) for yaw, image in zip(YAWS_DEG, pictures, strict=True)])
    return draw_sheet(rows)


def draw_turned(figure: Figure, portrait: Portrait) -> list[Image]:
    """The face of a figure turned by `YAWS_DEG`, where its portrait shows it."""
    camera, paints = portrait.view.camera, Paints(figure.document, figure.path)
    middle = portrait.middle
    width = SHOWN * camera.size[0] / camera.scale_px
    return [look(figure, aim(middle, width, portrait.yaw_deg + yaw, VIEW_PX), paints).picture for yaw in YAWS_DEG]
