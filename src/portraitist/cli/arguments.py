"""The command line's arguments: what can be asked for, checked before anything heavy loads."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from portraitist import __version__
from portraitist.cli.image_arguments import GEOMETRY_REGIONS, TEXTURE_REGIONS, add_image_options, find_image_mistake
from portraitist.cli.old_names import add_old_name
from portraitist.cli.reenact import add_reenact_options
from portraitist.cli.sheet import add_sheet_options
from portraitist.cli.streams import print_out
from portraitist.cli.values import existing_file, named_strengths, number, translator, weighted_file

PRESETS = ("draft", "standard", "best", "paper")
DEVICES = ("auto", "cpu", "cuda", "mps")
HAIR = ("layer", "none")
STYLES = ("mosaic", "brush", "ink")
MOST_FACES = 1000  # that can be asked for
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


class ArgumentError(Exception):
    """The command line cannot be understood; found before anything is loaded."""


class _Parser(argparse.ArgumentParser):
    def parse_known_args(self, args=None, namespace=None):
        values, rest = super().parse_known_args(args, namespace)
        if getattr(values, "random_style", False) and getattr(values, "translator", None) == "direct":
            self.error("--random-style draws from the styles that a network has learnt; --translator direct has none")
        for picture in ("photo", "art"):
            if all(hasattr(values, f"{picture}_{option}") for option in ("face", "landmarks")):
                self.error(f"--{picture}-face chooses among faces that are found; --{picture}-landmarks gives one")
        if mistake := find_image_mistake(values):
            self.error(mistake)
        return values, rest

    def _print_message(self, message: str, file: Any = None) -> None:
        print_out(message)  # argparse would lose unsaid what cannot be written

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(f"{message.removeprefix('argument ')}. See {self.prog} --help.")


def build_parser(runs: Mapping[str, Callable[..., None]]) -> argparse.ArgumentParser:
    """Parser of all commands; the parsed values name under ``run`` which of ``runs`` they are for.

    Options not given are absent from the parsed values: their defaults live in ``Request`` and ``Config``.
    """
    parser = _Parser(prog="portraitist", description="Photo + one artwork in, stylized 3D head out.")
    parser.add_argument("--version", action="version", version=f"portraitist {__version__}", help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    stylize = commands.add_parser(
        "stylize",
        help="turn a photo and an artwork into a 3D head",
        description="Turn a portrait photo and one artwork with a face into a stylized 3D head.",
        argument_default=argparse.SUPPRESS,
    )
    _add_stylize_options(stylize)
    stylize.set_defaults(run=runs["stylize"])
    demo = commands.add_parser(
        "demo",
        help="stylize the embedded example",
        description="Stylize the photo and one of the artworks that come with the package.",
        argument_default=argparse.SUPPRESS,
    )
    demo.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help=f"folder for the result (default: {DEMO_OUTPUT}, replaced)"
    )
    demo.add_argument("--style", choices=STYLES, help=f"which artwork (default: {STYLES[0]})")
    _add_preset_option(demo)
    _add_hair_option(demo)
    _add_device_option(demo)
    demo.set_defaults(run=runs["demo"])
    turntable = commands.add_parser(
        "turntable",
        help="make a video of a head turning once around",
        description="Make a video of a saved head turning once around, on white.",
    )
    turntable.add_argument("head", type=existing_file, metavar="HEAD", help="head.safetensors of a result")
    turntable.add_argument(
        "-o", "--output", type=Path, metavar="OUT", required=True, help=".mp4 for a video, .webp for an animation"
    )
    turntable.add_argument("--overwrite", action="store_true", help="replace the file OUT")
    turntable.set_defaults(run=runs["turntable"])
    sheet = commands.add_parser(
        "sheet",
        help="make stickers of a head: sixteen expressions, still and moving",
        description="Draw a saved head with sixteen expressions: stickers for messengers, and a sheet of them.",
    )
    add_sheet_options(sheet)
    sheet.set_defaults(run=runs["sheet"])
    image = commands.add_parser(
        "image",
        help="paint a whole photo, its face shaped as the artwork's",
        description="Turn a portrait photo into a painting in the style of one artwork with a face: the shape of the "
        "face, and the paint of face, hair, clothes and background.",
        argument_default=argparse.SUPPRESS,
    )
    add_image_options(image)
    _add_run_options(image)
    image.set_defaults(run=runs["image"])
    landmarks = commands.add_parser(
        "landmarks",
        help="write the 68 points of a face, and a mask of its parts, to be corrected",
        description="Write the 68 points that are found in a picture. Corrected by hand, they come back with "
        "--photo-landmarks or --art-landmarks of stylize; what --mask writes, with --photo-mask or --art-mask.",
    )
    _add_landmarks_options(landmarks)
    landmarks.set_defaults(run=runs["landmarks"])
    reenact = commands.add_parser(
        "reenact",
        help="let a video move a stylized head",
        description="Make a saved head, or the person in the video stylized after an artwork, do what the video shows.",
    )
    add_reenact_options(reenact)
    reenact.set_defaults(run=runs["reenact"])
    return parser


def _add_stylize_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photo", type=existing_file, metavar="PHOTO", help="portrait photo")
    parser.add_argument(
        "art", type=existing_file, metavar="ART", help="painting, drawing, mosaic, caricature... with one face"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", required=True, help="folder for the result: new, or empty"
    )
    _add_preset_option(parser)
    _add_geometry_options(parser)
    _add_texture_options(parser)
    _add_hair_option(parser)
    _add_picture_options(parser)
    _add_run_options(parser)
    _add_output_options(parser)


def _add_landmarks_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("picture", type=existing_file, metavar="PICTURE", help="photo or artwork")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", required=True, help=".json, .txt (lines 'x y'), .pts or .npy"
    )
    parser.add_argument("--overlay", type=Path, metavar="PNG", help="also draw them into the picture")
    parser.add_argument("--mask", type=Path, metavar="PNG", help="also write what is skin, hair, hat..., in colors")
    parser.add_argument("--art", action="store_true", help="read it as artworks are, for --art-landmarks, --art-mask")
    number_of_face = number(int, 1, MOST_FACES)
    parser.add_argument(
        "--face", type=number_of_face, default=1, metavar="N", help="which of several: 1 is the largest"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE and each PNG")


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
    text = "which of several faces in the {}: 1 is the largest (default)"
    parser.add_argument("--photo-face", type=number(int, 1, MOST_FACES), metavar="N", help=text.format("photo"))
    parser.add_argument("--art-face", type=number(int, 1, MOST_FACES), metavar="N", help=text.format("artwork"))


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_device_option(parser)
    add(
        "--threads",
        type=number(int, 1, 1024),
        metavar="NUMBER",
        help="CPU threads (default: OMP_NUM_THREADS where that is set, else as many as there are CPUs)",
    )
    add(
        "--seed",
        type=number(int, 0, 2**31 - 1),
        metavar="NUMBER",
        help="same seed, same threads, same machine: same result",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--overwrite", action="store_true", help="replace a former result in OUT")
    everything = add(
        "--save-intermediates", action="store_true", help="also write the unstylized head and every intermediate"
    )
    add_old_name(parser, "--save-all", everything)
    add("--subdivide", action="store_true", help="four times the vertices: smoother outlines, larger files")
    add("--turntable", action="store_true", help="also write turntable.mp4 and .webp: the head turning once around")
    add("--json", action="store_true", help="print run.json, or the error, as one JSON object")


def _add_preset_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=PRESETS, help=f"speed against quality (default: {Request.preset})")


def _add_hair_option(parser: argparse.ArgumentParser) -> None:
    text = "hair and headwear: layers over the head (default), or left out"
    parser.add_argument("--hair", choices=HAIR, help=text)


def _add_device_option(parser: argparse.ArgumentParser) -> None:
    text = f"where to compute; cuda is a GPU of NVIDIA, mps one of Apple (default: {Request.device})"
    parser.add_argument("--device", choices=DEVICES, help=text)
