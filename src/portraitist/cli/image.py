"""``portraitist image``: a photo and an artwork in, one picture out."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitist.cli.arguments import (
    GEOMETRY_REGIONS,
    TEXTURE_REGIONS,
    add_face_options,
    add_output_options,
    add_pictures,
    add_preset_option,
    add_run_options,
)
from portraitist.cli.running import limit_threads, prepare_device, report_to, tell_notes, tell_result
from portraitist.cli.stopping import STOP
from portraitist.cli.values import existing_file, expression, named_strengths, number

if TYPE_CHECKING:
    from portraitist.apps.image_style import ImageConfig

IMAGE_PRESETS = ("draft", "standard")


def add_image_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_pictures(parser)
    add_output_options(parser, "PNG", "the picture to write", "the file PNG")
    add_preset_option(parser, IMAGE_PRESETS)
    size = number(int, 128, 2048)
    add("--size", type=size, metavar="PIXELS", help="longer side of the picture, 128 to 2048 (default: 768)")
    add("--head", type=existing_file, metavar="HEAD", help="head.safetensors of this photo, instead of making one")
    text = "neutral, or weights of ARKit's actions in place of the photo's: jawOpen=0.8,mouthSmileLeft=0.5"
    add("--expression", type=expression, metavar="NAME=0..1,...", help=text)
    strength = number(float, 0, 2)
    add("--geometry", type=strength, metavar="0..2", help="style of the shape: 0 none, 1 the artwork's own")
    text = f"style of single regions of the shape: {', '.join(GEOMETRY_REGIONS)}"
    add("--geometry-regions", type=named_strengths(GEOMETRY_REGIONS, 2), metavar="NAME=0..2,...", help=text)
    add("--texture", type=number(float, 0, 1), metavar="0..1", help="style of the paint: 0 keeps the photo's")
    text = f"style of single regions of the paint: {', '.join(TEXTURE_REGIONS)}"
    add("--texture-regions", type=named_strengths(TEXTURE_REGIONS, 1), metavar="NAME=0..1,...", help=text)
    add("--transparent", action="store_true", help="leave the background out")
    add_face_options(parser)
    add_run_options(parser)


def find_image_mistake(values: argparse.Namespace) -> str | None:
    """What does not go together, or None."""
    if hasattr(values, "geometry_regions") and hasattr(values, "head"):
        return "--geometry-regions says how a head is made; the one of --head is made already"
    return None


def run_image(
    photo: Path,
    art: Path,
    output: Path,
    head: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    **values: Any,
) -> None:
    """Problems with the output and the files are found before the long computation."""
    from portraitist.cli.terminal import collect_warnings, show_progress

    prepare_device(device)
    with show_progress() as show, collect_warnings() as said:
        show("loading", 0, 1)
        from portraitist.apps.image_style import stylize_image
        from portraitist.io.head_file import load_head
        from portraitist.io.images import check_png_suffix, load_image, save_image
        from portraitist.io.output_file import check_output_file
        from portraitist.models import Models

        check_png_suffix(output)
        check_output_file(output, overwrite)
        made_head = load_head(head) if head else None
        pictures = load_image(photo), load_image(art)
        limit_threads(threads)
        result = stylize_image(
            *pictures,
            Models.load(device),
            make_image_config(values),
            head=made_head,
            progress=report_to(show),
            **{name: values[name] for name in ("expression", "photo_face", "art_face") if name in values},
        )
        STOP.expect(output)
        save_image(output, result.image, result.alpha)
    tell_notes((*said, *result.warnings))
    tell_result(output)


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
