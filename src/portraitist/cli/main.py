"""The command line: parse, call the pipeline, write the result."""

from __future__ import annotations

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

from portraitist.cli.arguments import DEMO_OUTPUT, STYLES, ArgumentError, Request, build_parser

if TYPE_CHECKING:
    from torch import Tensor

    from portraitist.cli.terminal import ShowStep
    from portraitist.pipeline import Config
    from portraitist.types import Image, ProgressCallback

DEBUG_VARIABLE = "PORTRAITIST_DEBUG"
# Exit codes; those of PortraitistErrors are their own.
UNEXPECTED = 1
USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the ``portraitist`` command: ends the process with 0 or the error's exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # unwinds, so that nothing half-written stays
    try:
        values = vars(build_parser(RUNS).parse_args(arguments))
        run: Callable[..., None] = values.pop("run")
        run(**values)
        sys.exit(0)
    except KeyboardInterrupt:
        _report_error("Interrupted", "Stopped. Nothing was written.", INTERRUPTED, as_json)
    except ArgumentError as error:
        _report_error("ArgumentError", str(error), USAGE, as_json)
    except Exception as error:
        _report_exception(error, as_json)


def make_demo_request(output: Path | None = None, style: str = STYLES[0], **values: Any) -> Request:
    """The embedded example. Only the default folder is replaced unasked: there, nothing but a former demo can be."""
    from matplotlib.cbook import get_sample_data

    from portraitist.assets import asset_path

    photo = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))  # US Navy portrait, public domain
    art = asset_path(f"exemplars/{style}.jpg")
    return Request(photo, art, output or DEMO_OUTPUT, overwrite=output is None, **values)


def _run_stylize(make_request: Callable[..., Request], **values: Any) -> None:
    from portraitist.cli.terminal import show_progress

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
    from portraitist.cli.terminal import show_progress

    with show_progress() as show:
        show("loading", 0, 1)
        from portraitist.export.turntable import check_suffix, write_turntable
        from portraitist.io.head_file import load_head
        from portraitist.io.output_file import check_output_file

        check_suffix(output)
        check_output_file(output, overwrite)
        write_turntable(output, load_head(head), _report_to(show))
    print(f"Written to {output.resolve()}")


RUNS = {
    "stylize": functools.partial(_run_stylize, Request),
    "demo": functools.partial(_run_stylize, make_demo_request),
    "turntable": _run_turntable,
}


def stylize_files(request: Request, show: ShowStep) -> dict[str, Any]:
    """Read, stylize, write; return what ``run.json`` says. Problems with OUT and the files are found first."""
    import torch

    from portraitist.cli.terminal import collect_warnings
    from portraitist.export.result_folder import write_result
    from portraitist.io.images import load_image
    from portraitist.io.output_folder import check_output
    from portraitist.pipeline import Models, stylize

    with collect_warnings() as said:
        check_output(request.output, request.overwrite)
        photo, art = load_image(request.photo), load_image(request.art)
        mix = [(load_image(path), weight) for path, weight in request.mix or ()]
        mask = load_image(request.style_mask).mean(0) if request.style_mask else None
    landmarks = {
        "photo_landmarks": _read_points(request.photo_landmarks, request.photo, photo),
        "art_landmarks": _read_points(request.art_landmarks, request.art, art),
    }
    config = make_config(request)
    if request.threads:
        torch.set_num_threads(request.threads)
    models = Models.load(request.device, request.translator)
    result = stylize(
        photo,
        art,
        models,
        config,
        style_mask=mask,
        mix=mix,
        progress=_report_to(show),
        **landmarks,
        **_given(photo_face=request.photo_face, art_face=request.art_face),
    )
    show("writing files", 0, 1)
    more_files = _given(
        photo_landmarks=request.photo_landmarks, art_landmarks=request.art_landmarks, style_mask=request.style_mask
    )
    return write_result(
        dataclasses.replace(result, warnings=(*said, *result.warnings)),
        request.output,
        config=config,
        inputs={"photo": request.photo, "art": request.art, **more_files, **_name_mixed(request)},
        device=str(models.device),
        precision=str(models.vgg.dtype).removeprefix("torch."),
        overwrite=request.overwrite,
        save_intermediates=request.save_intermediates,
        turntable=request.turntable,
        progress=_report_to(show),
    )


def _name_mixed(request: Request) -> dict[str, Path]:
    others = {f"mix {weight:g} ({number})": path for number, (path, weight) in enumerate(request.mix or (), 1)}
    return others | ({} if request.translator in ("network", "direct") else {"translator": Path(request.translator)})


def _report_to(show: ShowStep) -> ProgressCallback:
    return lambda progress: show(progress.stage, progress.step, progress.steps)


def _read_points(landmark_file: Path | None, picture_file: Path, picture: Image) -> Tensor | None:
    if landmark_file is None:
        return None
    from portraitist.io.landmark_files import read_landmarks_of_picture

    return read_landmarks_of_picture(landmark_file, picture_file, (picture.shape[1], picture.shape[2]))


def make_config(request: Request) -> Config:
    """The preset with the given values in place of its own."""
    from portraitist.pipeline import Config

    config: Config = getattr(Config, request.preset)()
    return dataclasses.replace(
        config,
        unwrap=dataclasses.replace(config.unwrap, **_given(texture_size=request.texture_size)),
        geometry=dataclasses.replace(
            config.geometry,
            regions=dataclasses.replace(config.geometry.regions, **(request.geometry_regions or {})),
            random_style=request.random_style,
            **_given(strength=request.geometry, exaggeration=request.exaggeration),
        ),
        texture=dataclasses.replace(
            config.texture,
            regions=dataclasses.replace(config.texture.regions, **(request.texture_regions or {})),
            preserve_color=request.preserve_color,
            **_given(strength=request.texture, delighting=request.delight),
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
