"""Arguments of ``portraitist image``."""

from __future__ import annotations

import argparse
from pathlib import Path

from portraitist.cli.values import existing_file, expression, named_strengths, number

IMAGE_PRESETS = ("draft", "standard")
GEOMETRY_REGIONS = ("eyes", "brows", "nose", "mouth", "outline")
TEXTURE_REGIONS = ("skin", "eyes", "brows", "lips", "mouth", "hair")


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """What can be asked for beside device, threads and seed."""
    add = parser.add_argument
    add("photo", type=existing_file, metavar="PHOTO", help="portrait photo")
    add("art", type=existing_file, metavar="ART", help="painting, drawing, mosaic, caricature... with one face")
    add("-o", "--output", type=Path, metavar="PNG", required=True, help="the picture to write")
    add("--preset", choices=IMAGE_PRESETS, help="speed against quality (default: standard)")
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
    for picture in ("photo", "art"):
        text = f"which of several faces in the {picture}: 1 is the largest (default)"
        add(f"--{picture}-face", type=number(int, 1, 1000), metavar="N", help=text)
    add("--overwrite", action="store_true", help="replace the file PNG")


def find_image_mistake(values: argparse.Namespace) -> str | None:
    """What does not go together, or None."""
    if hasattr(values, "geometry_regions") and getattr(values, "head", None):
        return "--geometry-regions says how a head is made; the one of --head is made already"
    return None
