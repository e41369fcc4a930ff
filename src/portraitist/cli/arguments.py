"""The command line's arguments: what can be asked for, checked before anything heavy loads."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

PRESETS = ("draft", "standard", "best")
STYLES = ("mosaic", "brush", "ink")
REGIONS = ("eyes", "brows", "nose", "mouth", "outline")
PARTS = ("skin", "eyes", "brows", "lips", "mouth", "hair")
DEMO_OUTPUT = Path("portraitist-demo")


@dataclasses.dataclass(frozen=True)
class Request:
    """One run as the user asked for it. None: as the preset has it, or as detected."""

    photo: Path
    art: Path
    output: Path
    preset: str = "standard"
    geometry: float | None = None
    regions: dict[str, float] | None = None
    exaggerate: float | None = None
    random_style: bool = False
    mix: list[tuple[Path, float]] | None = None
    translator: str = "network"
    texture: float | None = None
    parts: dict[str, float] | None = None
    style_mask: Path | None = None
    keep_color: bool = False
    delight: float | None = None
    photo_landmarks: Path | None = None
    art_landmarks: Path | None = None
    texture_size: int | None = None
    device: str = "auto"
    threads: int | None = None
    seed: int | None = None
    overwrite: bool = False
    save_all: bool = False
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
        return values, rest

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(f"{message.removeprefix('argument ')}. See {self.prog} --help.")


def build_parser(runs: Mapping[str, Callable[..., None]]) -> argparse.ArgumentParser:
    """Parser of all commands; the parsed values name under ``run`` which of ``runs`` they are for.

    Options not given are absent from the parsed values: their defaults live in ``Request`` and ``Config``.
    """
    parser = _Parser(prog="portraitist", description="Photo + one artwork in, stylized 3D head out.")
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
    demo.set_defaults(run=runs["demo"])
    turntable = commands.add_parser(
        "turntable",
        help="make a video of a head turning once around",
        description="Make a video of a saved head turning once around, on white.",
    )
    turntable.add_argument("head", type=_existing_file, metavar="HEAD", help="head.safetensors of a result")
    turntable.add_argument(
        "-o", "--output", type=Path, metavar="OUT", required=True, help=".mp4 for a video, .webp for an animation"
    )
    turntable.add_argument("--overwrite", action="store_true", help="replace the file OUT")
    turntable.set_defaults(run=runs["turntable"])
    return parser


def _add_stylize_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("photo", type=_existing_file, metavar="PHOTO", help="portrait photo")
    add("art", type=_existing_file, metavar="ART", help="painting, drawing, mosaic, caricature... with one face")
    add("-o", "--output", type=Path, metavar="OUT", required=True, help="folder for the result: new, or empty")
    _add_preset_option(parser)
    add("--geometry", type=_number(float, 0, 2), metavar="0..2", help="exaggeration: 0 none, 1 the artwork's own")
    add(
        "--regions",
        type=_named_strengths(REGIONS, 2),
        metavar="NAME=0..2,...",
        help="exaggeration of single regions times --geometry: eyes, brows, nose, mouth, outline",
    )
    add("--exaggerate", type=_number(float, 0, 2), metavar="0..2", help="add the sitter's own features, exaggerated")
    add("--random-style", action="store_true", help="a random shape style, drawn with --seed, not the artwork's")
    add(
        "--mix",
        type=_weighted_file,
        action="append",
        metavar="ART[=WEIGHT]",
        help="mix in the shape and style of another artwork, of weight 1 beside ART's 1; may be repeated",
    )
    add(
        "--translator",
        type=_translator,
        metavar="network|direct|FILE",
        help="translation of shapes (default: network)",
    )
    add("--texture", type=_number(float, 0, 1), metavar="0..1", help="style of the texture: 0 keeps the photo's")
    add(
        "--parts",
        type=_named_strengths(PARTS, 1),
        metavar="NAME=0..1,...",
        help=f"style of single parts of the texture times --texture: {', '.join(PARTS)}",
    )
    add("--style-mask", type=_existing_file, metavar="FILE", help="picture over ART, white where style is taken from")
    add("--keep-color", action="store_true", help="the artwork's strokes in the sitter's own colors")
    add("--delight", type=_number(float, 0, 1), metavar="0..1", help="even out light and shade painted in the artwork")
    landmark_help = "68 points for the {} instead of detection: lines 'x y', .pts, .npy or .json"
    add("--photo-landmarks", type=_existing_file, metavar="FILE", help=landmark_help.format("photo"))
    add("--art-landmarks", type=_existing_file, metavar="FILE", help=landmark_help.format("artwork"))
    add("--texture-size", type=_number(int, 128, 4096), metavar="PIXELS", help="side of the texture, 128 to 4096")
    add("--device", choices=("auto", "cpu", "cuda"), help=f"where to compute (default: {Request.device})")
    add(
        "--threads",
        type=_number(int, 1, 1024),
        metavar="NUMBER",
        help="CPU threads (default: as many as there are CPUs)",
    )
    add(
        "--seed",
        type=_number(int, 0, 2**31 - 1),
        metavar="NUMBER",
        help="same seed, same threads, same machine: same result",
    )
    add("--overwrite", action="store_true", help="replace a former result in OUT")
    add("--save-all", action="store_true", help="also write the unstylized head and every intermediate")
    add("--subdivide", action="store_true", help="four times the vertices: smoother outlines, larger files")
    add("--turntable", action="store_true", help="also write turntable.mp4 and .webp: the head turning once around")
    add("--json", action="store_true", help="print run.json, or the error, as one JSON object")


def _add_preset_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=PRESETS, help=f"speed against quality (default: {Request.preset})")


def _existing_file(text: str) -> Path:
    path = Path(text)
    try:
        if path.is_file():
            return path
        problem = "is not a file" if path.exists() else "no such file"
    except OSError as error:  # a name that no file can have
        problem = error.strerror
    raise argparse.ArgumentTypeError(f"{problem}: {text!r}")


def _number(kind: type[int] | type[float], low: int | float, high: int | float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            noun = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{noun} from {low} to {high} is needed, got {text!r}")
        return value

    return parse


def _translator(text: str) -> str:
    return text if text in ("network", "direct") else str(_existing_file(text))


def _named_strengths(names: tuple[str, ...], most: int) -> Callable[[str], dict[str, float]]:
    """eyes=0.5,nose=2 as a mapping."""

    def parse(text: str) -> dict[str, float]:
        parse_number, strengths = _number(float, 0, most), {}
        for part in text.split(","):
            name, equals, value = part.partition("=")
            if not equals or name not in names or name in strengths:
                raise argparse.ArgumentTypeError(f"NAME=STRENGTH with each of {', '.join(names)} once, got {part!r}")
            strengths[name] = parse_number(value)
        return strengths

    return parse


def _weighted_file(text: str) -> tuple[Path, float]:
    """A file, or a file with =WEIGHT behind it."""
    name, equals, weight = text.rpartition("=")
    if not equals or Path(text).is_file():
        return _existing_file(text), 1.0
    return _existing_file(name), _number(float, 0.01, 100)(weight)
