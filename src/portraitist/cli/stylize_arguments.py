"""Arguments of ``portraitist stylize`` and ``portraitist demo``."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from portraitist.cli.arguments import (
    GEOMETRY_REGIONS,
    TEXTURE_REGIONS,
    add_device_option,
    add_face_options,
    add_output_options,
    add_pictures,
    add_preset_option,
    add_run_options,
)
from portraitist.cli.old_names import add_old_name
from portraitist.cli.values import existing_file, named_strengths, number, translator, weighted_file

HAIR = ("layer", "none")
STYLES = ("mosaic", "brush", "ink")
DEMO_OUTPUT = Path("portraitist-demo")


@dataclasses.dataclass(frozen=True)
class Request:
    """One run as the user asked for it. None: as the preset has it, or as detected."""

    photo: Path
    art: Path
    output: Path
    preset: str = "standard"
    geometry: float | None = None
    geometry_regions: dict[str, float] | None = None
    exaggeration: float | None = None
    random_style: bool = False
    mix: list[tuple[Path, float]] | None = None
    translator: str = "network"
    texture: float | None = None
    texture_regions: dict[str, float] | None = None
    style_mask: Path | None = None
    preserve_color: bool = False
    delight: float | None = None
    photo_landmarks: Path | None = None
    art_landmarks: Path | None = None
    photo_mask: Path | None = None
    art_mask: Path | None = None
    photo_face: int | None = None
    art_face: int | None = None
    texture_size: int | None = None
    hair: str | None = None
    device: str = "auto"
    threads: int | None = None
    seed: int | None = None
    overwrite: bool = False
    save_intermediates: bool = False
    subdivide: bool = False
    turntable: bool = False
    json: bool = False


def add_stylize_options(parser: argparse.ArgumentParser) -> None:
    """All that ``Request`` holds."""
    add_pictures(parser)
    add_output_options(parser, "OUT", "folder for the result: new, or empty", "a former result in OUT")
    add_preset_option(parser)
    _add_geometry_options(parser)
    _add_texture_options(parser)
    _add_hair_option(parser)
    _add_picture_options(parser)
    add_face_options(parser)
    add_run_options(parser)
    _add_more_outputs(parser)


def add_demo_options(parser: argparse.ArgumentParser) -> None:
    """Of ``Request``, what is not the example itself."""
    text = f"folder for the result (default: {DEMO_OUTPUT}, replaced)"
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help=text)
    parser.add_argument("--style", choices=STYLES, help=f"which artwork (default: {STYLES[0]})")
    add_preset_option(parser)
    _add_hair_option(parser)
    add_device_option(parser)


def find_stylize_mistake(values: argparse.Namespace) -> str | None:
    """What does not go together, or None."""
    if getattr(values, "random_style", False) and getattr(values, "translator", None) == "direct":
        return "--random-style draws from the styles that a network has learnt; --translator direct has none"
    for picture in ("photo", "art"):
        if all(hasattr(values, f"{picture}_{option}") for option in ("face", "landmarks")):
            return f"--{picture}-face chooses among faces that are found; --{picture}-landmarks gives one"
    return None


def _add_geometry_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--geometry",
        type=number(float, 0, 2),
        metavar="0..2",
        help="style of the shape: 0 none, 1 the artwork's own",
    )
    regions = add(
        "--geometry-regions",
        type=named_strengths(GEOMETRY_REGIONS, 2),
        metavar="NAME=0..2,...",
        help=f"style of single regions of the shape times --geometry: {', '.join(GEOMETRY_REGIONS)}",
    )
    add_old_name(parser, "--regions", regions)
    exaggeration = add(
        "--exaggeration", type=number(float, 0, 2), metavar="0..2", help="add the sitter's own features, exaggerated"
    )
    add_old_name(parser, "--exaggerate", exaggeration)
    add("--random-style", action="store_true", help="a random shape style, drawn with --seed, not the artwork's")
    add(
        "--mix",
        type=weighted_file,
        action="append",
        metavar="ART[=WEIGHT]",
        help="mix in the shape and style of another artwork, of weight 1 beside ART's 1; may be repeated",
    )
    add(
        "--translator",
        type=translator,
        metavar="network|direct|FILE",
        help="translation of shapes (default: network)",
    )


def _add_texture_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--texture", type=number(float, 0, 1), metavar="0..1", help="style of the texture: 0 keeps the photo's")
    regions = add(
        "--texture-regions",
        type=named_strengths(TEXTURE_REGIONS, 1),
        metavar="NAME=0..1,...",
        help=f"style of single regions of the texture times --texture: {', '.join(TEXTURE_REGIONS)}",
    )
    add_old_name(parser, "--parts", regions)
    add("--style-mask", type=existing_file, metavar="FILE", help="picture over ART, white where style is taken from")
    color = add("--preserve-color", action="store_true", help="the artwork's strokes in the sitter's own colors")
    add_old_name(parser, "--keep-color", color)
    add("--delight", type=number(float, 0, 1), metavar="0..1", help="even out light and shade painted in the artwork")
    add("--texture-size", type=number(int, 128, 4096), metavar="PIXELS", help="side of the texture, 128 to 4096")


def _add_picture_options(parser: argparse.ArgumentParser) -> None:
    text = "68 points for the {} instead of detection: lines 'x y', .pts, .npy or .json"
    parser.add_argument("--photo-landmarks", type=existing_file, metavar="FILE", help=text.format("photo"))
    parser.add_argument("--art-landmarks", type=existing_file, metavar="FILE", help=text.format("artwork"))
    text = "what is skin, hair, hat... in the {}, in the colors of landmarks --mask, instead of segmentation"
    parser.add_argument("--photo-mask", type=existing_file, metavar="FILE", help=text.format("photo"))
    parser.add_argument("--art-mask", type=existing_file, metavar="FILE", help=text.format("artwork"))


def _add_hair_option(parser: argparse.ArgumentParser) -> None:
    text = "hair and headwear: layers over the head (default), or left out"
    parser.add_argument("--hair", choices=HAIR, help=text)


def _add_more_outputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    everything = add(
        "--save-intermediates", action="store_true", help="also write the unstylized head and every intermediate"
    )
    add_old_name(parser, "--save-all", everything)
    add("--subdivide", action="store_true", help="four times the vertices: smoother outlines, larger files")
    add("--turntable", action="store_true", help="also write turntable.mp4 and .webp: the head turning once around")
    add("--json", action="store_true", help="print run.json, or the error, as one JSON object")
