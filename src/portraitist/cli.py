"""The command line: parse, call the pipeline, write the result. Arguments are checked before anything heavy loads."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import io
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
    from portraitist.types import Image, ProgressCallback

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
    def error(self, message: str) -> NoReturn:
        raise ArgumentError(f"{message.removeprefix('argument ')}. See {self.prog} --help.")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the ``portraitist`` command: ends the process with 0 or the error's exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # unwinds, so that nothing half-written stays
    try:
        values = vars(build_parser().parse_args(arguments))
        run: Callable[..., None] = values.pop("run")
        run(**values)
        sys.exit(0)
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
    demo.set_defaults(run=functools.partial(_run_stylize, make_demo_request))
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
    turntable.set_defaults(run=_run_turntable)
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
    add("--save-all", action="store_true", help="also write the unstylised head and every intermediate")
    add("--subdivide", action="store_true", help="four times the vertices: smoother outlines, larger files")
    add("--turntable", action="store_true", help="also write turntable.mp4 and .webp: the head turning once around")
    add("--json", action="store_true", help="print run.json, or the error, as one JSON object")
    parser.set_defaults(run=functools.partial(_run_stylize, Request))


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


def _run_stylize(make_request: Callable[..., Request], **values: Any) -> None:
    from portraitist.terminal import show_progress

    with show_progress() as show:
        show("loading", 0, 1)
        request = make_request(**values)
        record = stylize_files(request, show)
    for warning in record["warnings"]:
        print(f"Note: {warning}", file=sys.stderr)
    if request.json:
        print(json.dumps(record, ensure_ascii=False))
    else:
        print(_describe_output(request.output.resolve(), record["files"]))


def _run_turntable(head: Path, output: Path, overwrite: bool) -> None:
    from portraitist.terminal import show_progress

    with show_progress() as show:
        show("loading", 0, 1)
        from portraitist.files.head_file import load_head
        from portraitist.files.output_file import check_output_file
        from portraitist.files.turntable import check_suffix, write_turntable

        check_suffix(output)
        check_output_file(output, overwrite)
        write_turntable(output, load_head(head), _report_to(show))
    print(f"Written to {output.resolve()}")


def stylize_files(request: Request, show: ShowStep) -> dict[str, Any]:
    """Read, stylise, write; return what ``run.json`` says. Problems with OUT and the files are found first."""
    from portraitist.files.images import load_image
    from portraitist.files.output_folder import check_output
    from portraitist.files.results import write_result
    from portraitist.pipeline import Models, stylize
    from portraitist.terminal import collect_warnings

    with collect_warnings() as said:
        check_output(request.output, request.overwrite)
        photo, art = load_image(request.photo), load_image(request.art)
    landmarks = {
        "photo_landmarks": _read_points(request.photo_landmarks, request.photo, photo),
        "art_landmarks": _read_points(request.art_landmarks, request.art, art),
    }
    config = make_config(request)
    models = Models.load(request.device, request.threads)
    result = stylize(
        photo,
        art,
        models,
        config,
        progress=_report_to(show),
        **landmarks,
    )
    show("writing files", 0, 1)
    landmark_files = _given(photo_landmarks=request.photo_landmarks, art_landmarks=request.art_landmarks)
    return write_result(
        dataclasses.replace(result, warnings=(*said, *result.warnings)),
        request.output,
        config=config,
        inputs={"photo": request.photo, "art": request.art, **landmark_files},
        device=str(models.device),
        overwrite=request.overwrite,
        save_all=request.save_all,
        turntable=request.turntable,
        progress=_report_to(show),
    )


def _report_to(show: ShowStep) -> ProgressCallback:
    return lambda progress: show(progress.stage, progress.step, progress.steps)


def _read_points(landmark_file: Path | None, picture_file: Path, picture: Image) -> Tensor | None:
    if landmark_file is None:
        return None
    from portraitist.files.landmark_files import read_landmarks_of_picture

    return read_landmarks_of_picture(landmark_file, picture_file, (picture.shape[1], picture.shape[2]))


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
        subdivide=request.subdivide,
        **_given(seed=request.seed),
    )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _describe_output(out: Path, files: list[str]) -> str:
    lines = {
        "head.glb": "the head for Blender, Unity, three.js and other viewers",
        "head.obj": "the same as OBJ, with head.mtl and head.png",
        "head.safetensors": "the same for portraitist itself, nothing lost",
        "preview.png": "photo, artwork and head on one sheet",
        "views/": "the head from five sides",
        "turntable.mp4": "the head turning once around; turntable.webp is the same as an animation",
        "run.json": "how it was made",
    }
    written = [f"  {name:<18}{what}" for name, what in lines.items() if name in files or name.endswith("/")]
    return "\n".join([f"Written to {out}", *written])


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
