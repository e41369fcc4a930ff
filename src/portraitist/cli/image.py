"""``portraitist image``: parse, stylize, write one picture."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitist.cli.stopping import STOP
from portraitist.cli.streams import print_out

if TYPE_CHECKING:
    from portraitist.apps.image_style import ImageConfig


def run_image(photo: Path, art: Path, output: Path, **values: Any) -> None:
    """Problems with the output and the files are found before the long computation."""
    from portraitist.cli.terminal import collect_warnings, show_progress

    if values.get("device") == "mps":
        # Read when PyTorch is imported: what it cannot do on Apple's GPUs, the CPU does.
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    with show_progress() as show, collect_warnings() as said:
        show("loading", 0, 1)
        from portraitist.apps.image_style import stylize_image
        from portraitist.io.head_file import load_head
        from portraitist.io.images import check_png_suffix, load_image, save_image
        from portraitist.io.output_file import check_output_file
        from portraitist.models import Models

        check_png_suffix(output)
        check_output_file(output, values.get("overwrite", False))
        head = load_head(values["head"]) if "head" in values else None
        pictures = load_image(photo), load_image(art)
        config = make_image_config(values)
        if "threads" in values:
            import torch

            torch.set_num_threads(values["threads"])
        result = stylize_image(
            *pictures,
            Models.load(values.get("device", "auto")),
            config,
            head=head,
            expression=values.get("expression"),
            photo_face=values.get("photo_face", 1),
            art_face=values.get("art_face", 1),
            progress=lambda progress: show(progress.stage, progress.step, progress.steps),
        )
        STOP.expect(output)
        save_image(output, result.image, result.alpha)
    for warning in (*said, *result.warnings):
        print(f"Note: {warning}", file=sys.stderr)
    print_out(f"Written to {output.resolve()}\n", f"The result is complete, at {output.resolve()}. ")


def make_image_config(values: dict[str, Any]) -> ImageConfig:
    """The preset with the given values in place of its own."""
    from portraitist.apps.image_style import ImageConfig

    def put(stage: Any, **names: str) -> Any:
        given = {field: values[name] for field, name in names.items() if name in values}
        return dataclasses.replace(stage, **given)

    config: ImageConfig = getattr(ImageConfig, values.get("preset", "standard"))()
    geometry, texture = config.head.geometry, config.head.texture
    shapes = dataclasses.replace(geometry.regions, **values.get("geometry_regions", {}))
    paints = dataclasses.replace(texture.regions, **values.get("texture_regions", {}))
    head = dataclasses.replace(
        put(config.head, seed="seed"),
        geometry=dataclasses.replace(put(geometry, strength="geometry"), regions=shapes),
        texture=dataclasses.replace(put(texture, strength="texture"), regions=paints),
    )
    return dataclasses.replace(put(config, size_px="size", transparent="transparent"), head=head)
