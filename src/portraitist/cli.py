"""The command line: parse, call the pipeline, write the result. Arguments are checked before anything heavy loads."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from torch import Tensor

    from portraitist.pipeline import Config
    from portraitist.terminal import ShowStep
    from portraitist.types import Image

PRESETS = ("draft", "standard", "best")
STYLES = ("mosaic", "brush", "ink")
DEMO_OUTPUT = Path("portraitist-demo")
DEBUG_VARIABLE = "PORTRAITIST_DEBUG"
UNEXPECTED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143


@dataclasses.dataclass(frozen=True)
class Request:
    """One run as the user asked for it. None: as the preset has it, or as detected."""

    photo: Path
    art: Path
    output: Path
    preset: str = "standard"
    geometry: float | None = None
    texture: float | None = None
    photo_landmarks: Path | None = None
    art_landmarks: Path | None = None
    texture_size: int | None = None
    device: str = "auto"
    seed: int | None = None
    overwrite: bool = False
    save_all: bool = False
    json: bool = False


class ArgumentError(Exception):
    """The command line cannot be understood; found before anything is loaded."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ArgumentError(f"{message.removeprefix('argument ')}. See {self.prog} --help.")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the ``portraitist`` command: ends the process with 0 or the error's exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # unwinds, so that nothing half-written stays
    try:
        values = vars(build_parser().parse_args(arguments))
        make_request: Callable[..., Request] = values.pop("make_request")
        sys.exit(_run(make_request, values, as_json))
    except KeyboardInterrupt:
        _report_error("Interrupted", "Stopped. Nothing was written.", INTERRUPTED, as_json)
    except ArgumentError as error:
        _report_error("ArgumentError", str(error), USAGE, as_json)
    except Exception as error:
        _report_exception(error, as_json)


def build_parser() -> argparse.ArgumentParser:
    """Options not given are absent from the parsed values: their defaults live in ``Request`` and ``Config``."""
    parser = _Parser(prog="portraitist", description="Photo + one artwork in, stylised 3D head out.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    stylize = commands.add_parser(
        "stylize",
        help="turn a photo and an artwork into a 3D head",
        description="Turn a portrait photo and one artwork with a face into a stylised 3D head.",
        argument_default=argparse.SUPPRESS,
    )
    _add_stylize_options(stylize)
    demo = commands.add_parser(
        "demo",
        help="stylise the embedded example",
        description="Stylise the photo and one of the artworks that come with the package.",
        argument_default=argparse.SUPPRESS,
    )
    demo.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help=f"folder for the result (default: {DEMO_OUTPUT}, replaced)"
    )
    demo.add_argument("--style", choices=STYLES, help=f"which artwork (default: {STYLES[0]})")
    _add_preset_option(demo)
    demo.set_defaults(make_request=make_demo_request)
    return parser


def _add_stylize_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("photo", type=_existing_file, metavar="PHOTO", help="portrait photo")
    add("art", type=_existing_file, metavar="ART", help="painting, drawing, mosaic, caricature... with one face")
    add("-o", "--output", type=Path, metavar="OUT", required=True, help="folder for the result: new, or empty")
    _add_preset_option(parser)
    add("--geometry", type=_number(float, 0, 2), metavar="0..2", help="exaggeration: 0 none, 1 the artwork's own")
    add("--texture", type=_number(float, 0, 1), metavar="0..1", help="style of the texture: 0 keeps the photo's")
    landmark_help = "68 points for the {} instead of detection: lines 'x y', .pts, .npy or .json"
    add("--photo-landmarks", type=_existing_file, metavar="FILE", help=landmark_help.format("photo"))
    add("--art-landmarks", type=_existing_file, metavar="FILE", help=landmark_help.format("artwork"))
    add("--texture-size", type=_number(int, 128, 4096), metavar="PIXELS", help="side of the texture, 128 to 4096")
    add("--device", choices=("auto", "cpu", "cuda"), help=f"where to compute (default: {Request.device})")
    add("--seed", type=_number(int, 0, 2**31 - 1), metavar="NUMBER", help="same seed, same machine: same result")
    add("--overwrite", action="store_true", help="replace a former result in OUT")
    add("--save-all", action="store_true", help="also write the unstylised head and every intermediate")
    add("--json", action="store_true", help="print run.json, or the error, as one JSON object")
    parser.set_defaults(make_request=Request)


def _add_preset_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=PRESETS, help=f"speed against quality (default: {Request.preset})")


def _existing_file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{'is not a file' if path.exists() else 'no such file'}: {text!r}")
    return path


def _number(kind: type[int] | type[float], low: int, high: int) -> Callable[[str], float]:
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


def make_demo_request(output: Path | None = None, style: str = STYLES[0], **values: Any) -> Request:
    """The embedded example. Only the default folder is replaced unasked: there, nothing but a former demo can be."""
    from matplotlib.cbook import get_sample_data

    from portraitist.assets import asset_path

    photo = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))  # US Navy portrait, public domain
    art = asset_path(f"exemplars/{style}.jpg")
    return Request(photo, art, output or DEMO_OUTPUT, overwrite=output is None, **values)


def _run(make_request: Callable[..., Request], values: dict[str, Any], as_json: bool) -> int:
    from portraitist.terminal import show_progress

    with show_progress() as show:
        show("loading", 0, 1)
        request = make_request(**values)
        record = stylize_files(request, show)
    for warning in record["warnings"]:
        print(f"Note: {warning}", file=sys.stderr)
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
    else:
        print(_describe_output(request.output.resolve()))
    return 0


def stylize_files(request: Request, show: ShowStep) -> dict[str, Any]:
    """Read, stylise, write; return what ``run.json`` says. Problems with OUT and the files are found first."""
    from portraitist.files.images import load_image
    from portraitist.files.output_folder import check_output
    from portraitist.files.results import write_result
    from portraitist.pipeline import Models, stylize

    check_output(request.output, request.overwrite)
    photo, art = load_image(request.photo), load_image(request.art)
    landmarks = {
        "photo_landmarks": _read_points(request.photo_landmarks, request.photo, photo),
        "art_landmarks": _read_points(request.art_landmarks, request.art, art),
    }
    config = make_config(request)
    models = Models.load(request.device)
    result = stylize(
        photo,
        art,
        models,
        config,
        progress=lambda progress: show(progress.stage, progress.step, progress.steps),
        **landmarks,
    )
    show("writing files", 0, 1)
    landmark_files = _given(photo_landmarks=request.photo_landmarks, art_landmarks=request.art_landmarks)
    return write_result(
        result,
        request.output,
        config=config,
        inputs={"photo": request.photo, "art": request.art, **landmark_files},
        device=str(models.device),
        overwrite=request.overwrite,
        save_all=request.save_all,
    )


def _read_points(landmark_file: Path | None, picture_file: Path, picture: Image) -> Tensor | None:
    """People give points in pixels of their file, and ``load_image`` makes large pictures smaller."""
    if landmark_file is None:
        return None
    import PIL.Image

    from portraitist.files.landmark_files import read_landmarks

    with PIL.Image.open(picture_file) as file:
        longest = max(file.size)
    return read_landmarks(landmark_file) * (max(picture.shape) / longest)


def make_config(request: Request) -> Config:
    """The preset with the given values in place of its own."""
    from portraitist.pipeline import Config

    config: Config = getattr(Config, request.preset)()
    return dataclasses.replace(
        config,
        geometry=dataclasses.replace(config.geometry, **_given(strength=request.geometry)),
        texture=dataclasses.replace(
            config.texture, **_given(strength=request.texture, texture_size=request.texture_size)
        ),
        **_given(seed=request.seed),
    )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _describe_output(out: Path) -> str:
    return (
        f"Written to {out}\n"
        "  head.glb      the head for Blender, Unity, three.js and other viewers\n"
        "  head.obj      the same as OBJ, with head.mtl and head.png\n"
        "  preview.png   photo, artwork and head on one sheet\n"
        "  views/        the head from five sides\n"
        "  run.json      how it was made"
    )


def _report_exception(error: Exception, as_json: bool) -> NoReturn:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()
    exit_code = getattr(error, "exit_code", None)  # PortraitistError: says itself what to do
    if exit_code is not None:
        _report_error(type(error).__name__, str(error), exit_code, as_json)
    message = f"Unexpected {type(error).__name__}: {error}. Set {DEBUG_VARIABLE}=1 to see where; please report it."
    _report_error(type(error).__name__, message, UNEXPECTED, as_json)


def _report_error(kind: str, message: str, exit_code: int, as_json: bool) -> NoReturn:
    print(f"portraitist: {message}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"type": kind, "message": message, "exit_code": exit_code}}, ensure_ascii=False))
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
