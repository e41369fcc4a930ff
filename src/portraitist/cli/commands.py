"""The commands: parse, call the pipeline, write the result."""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitist.cli.arguments import DEMO_OUTPUT, STYLES, Request, build_parser
from portraitist.cli.image import run_image
from portraitist.cli.reenact import run_reenact
from portraitist.cli.sheet import run_sheet
from portraitist.cli.stopping import STOP
from portraitist.cli.streams import prepare_streams, print_json, print_out

if TYPE_CHECKING:
    from torch import Tensor

    from portraitist.cli.terminal import ShowStep
    from portraitist.pipeline import Config
    from portraitist.segmentation.picture import PictureParts
    from portraitist.types import Image, Landmarks, ProgressCallback


def run_command(arguments: list[str] | None) -> None:
    """Do what ``arguments``, or those of the process, ask for.

    Raises ArgumentError, PortraitistError, and SystemExit when all is said.
    """
    prepare_streams()
    values = vars(build_parser(RUNS).parse_args(arguments))
    run: Callable[..., None] = values.pop("run")
    run(**values)


def make_demo_request(output: Path | None = None, style: str = STYLES[0], **values: Any) -> Request:
    """The embedded example. Only the default folder is replaced unasked: there, nothing but a former demo can be."""
    from importlib.resources import files

    from portraitist.assets import asset_path

    # A portrait of the US Navy, in the public domain.
    photo = Path(str(files("matplotlib"))) / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    art = asset_path(f"exemplars/{style}.jpg")
    return Request(photo, art, output or DEMO_OUTPUT, overwrite=output is None, **values)


def _run_stylize(make_request: Callable[..., Request], **values: Any) -> None:
    from portraitist.cli.terminal import show_progress

    gc.disable()  # until all is loaded: of what is made meanwhile nothing becomes garbage
    try:
        with show_progress() as show:
            show("loading", 0, 1)
            request = make_request(**values)
            if request.device == "mps":
                # Read when PyTorch is imported: what it cannot do on Apple's GPUs, the CPU does.
                os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
            record = stylize_files(request, show)
    finally:
        gc.enable()
    for warning in record["warnings"]:
        print(f"Note: {warning}", file=sys.stderr)
    out = request.output.resolve()
    done = f"The result is complete, at {out}. "
    if request.json:
        print_json(record, done)
    else:
        print_out(f"{_describe_output(out, record['files'])}\n", done)


def _run_turntable(head: Path, output: Path, overwrite: bool) -> None:
    from portraitist.cli.terminal import show_progress

    with show_progress() as show:
        show("loading", 0, 1)
        from portraitist.export.turntable import check_suffix, write_turntable
        from portraitist.io.head_file import load_head
        from portraitist.io.output_file import check_output_file

        check_suffix(output)
        check_output_file(output, overwrite)
        head_to_turn = load_head(head)
        STOP.expect(output)
        write_turntable(output, head_to_turn, _report_to(show))
    print_out(f"Written to {output.resolve()}\n", f"The result is complete, at {output.resolve()}. ")


def _run_landmarks(
    picture: Path, output: Path, overlay: Path | None, mask: Path | None, art: bool, face: int, overwrite: bool
) -> None:
    from portraitist.cli.terminal import collect_warnings, show_progress

    with show_progress() as show, collect_warnings() as said:
        show("loading", 0, 1)
        from portraitist.export.preview import draw_landmarks
        from portraitist.io.images import load_image, save_image
        from portraitist.io.landmark_files import check_landmark_suffix, write_landmarks_of_picture
        from portraitist.io.output_file import check_output_file
        from portraitist.landmarks.detection import detect_landmarks
        from portraitist.landmarks.detector import LandmarkDetector

        check_landmark_suffix(output)
        for path in (output, overlay, mask):
            if path is not None:
                check_output_file(path, overwrite)
        image = load_image(picture)
        show("landmarks", 0, 1)
        landmarks, warnings = detect_landmarks(image, LandmarkDetector(), what="picture", face=face)
        if mask is not None:
            show("mask", 0, 1)
            warnings += _write_mask(mask, picture, image, landmarks, art)
        if art:
            from portraitist.landmarks.refinement import load_refiner
            from portraitist.vgg import load_vgg

            landmarks = load_refiner().refine(image, landmarks, load_vgg())
        if overlay is not None:
            save_image(overlay, draw_landmarks(image, landmarks))
        STOP.expect(output)
        write_landmarks_of_picture(output, landmarks.points, picture, landmarks.size)
    for warning in (*said, *warnings):
        print(f"Note: {warning}", file=sys.stderr)
    print_out(f"Written to {output.resolve()}\n", f"The result is complete, at {output.resolve()}. ")


def _write_mask(mask: Path, picture: Path, image: Image, landmarks: Landmarks, art: bool) -> list[str]:
    """What stylize would take to be skin, hair...; returns what is doubtful about it."""
    from portraitist.config import Config
    from portraitist.io.images import read_picture_size
    from portraitist.models import Models
    from portraitist.reading import read_artwork, read_photo
    from portraitist.segmentation.part_masks import save_part_mask

    models, config = Models.load("cpu"), Config.standard().fit
    if art:
        reading = read_artwork(image, landmarks, models, config, "picture")
    else:
        reading = read_photo(image, landmarks, models, config)
    save_part_mask(mask, reading.parts, read_picture_size(picture))
    return reading.warnings


RUNS = {
    "stylize": functools.partial(_run_stylize, Request),
    "demo": functools.partial(_run_stylize, make_demo_request),
    "turntable": _run_turntable,
    "sheet": run_sheet,
    "image": run_image,
    "landmarks": _run_landmarks,
    "reenact": run_reenact,
}


def stylize_files(request: Request, show: ShowStep) -> dict[str, Any]:
    """Read, stylize, write; return what ``run.json`` says. Problems with OUT and the files are found first."""
    from portraitist.cli.terminal import collect_warnings
    from portraitist.export.result_folder import write_result
    from portraitist.io.images import load_image
    from portraitist.io.output_folder import check_output
    from portraitist.pipeline import Models, stylize

    with collect_warnings() as said:
        check_output(request.output, request.overwrite)
        photo, art = load_image(request.photo), load_image(request.art)
        mix = [(load_image(path), weight) for path, weight in request.mix or ()]
        style_mask = load_image(request.style_mask).mean(0) if request.style_mask else None
        corrected = {
            "photo_landmarks": _read_points(request.photo_landmarks, request.photo, photo),
            "art_landmarks": _read_points(request.art_landmarks, request.art, art),
            "photo_parts": _read_parts(request.photo_mask, photo),
            "art_parts": _read_parts(request.art_mask, art),
        }
    config = make_config(request)
    if request.threads:
        import torch

        torch.set_num_threads(request.threads)
    models = Models.load(request.device, request.translator)
    gc.enable()
    result = stylize(
        photo,
        art,
        models,
        config,
        style_mask=style_mask,
        mix=mix,
        progress=_report_to(show),
        **corrected,
        **_given(photo_face=request.photo_face, art_face=request.art_face),
    )
    show("writing files", 0, 1)
    roles = ("photo_landmarks", "art_landmarks", "photo_mask", "art_mask", "style_mask")
    more_files = _given(**{role: getattr(request, role) for role in roles})
    STOP.expect(request.output)
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


def _read_parts(mask_file: Path | None, picture: Image) -> PictureParts | None:
    if mask_file is None:
        return None
    from portraitist.segmentation.part_masks import read_part_mask

    return read_part_mask(mask_file, (picture.shape[1], picture.shape[2]))


def make_config(request: Request) -> Config:
    """The preset with the given values in place of its own."""
    from portraitist.pipeline import Config

    config: Config = getattr(Config, request.preset)()
    return dataclasses.replace(
        config,
        unwrap=dataclasses.replace(config.unwrap, **_given(texture_size=request.texture_size, hair=request.hair)),
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
        "head.obj": "the same as OBJ, with head.mtl and its textures",
        "head.safetensors": "the same for portraitist itself, nothing lost",
        "preview.png": "photo, artwork and head on one sheet",
        "views/": "the head from five sides",
        "turntable.mp4": "the head turning once around; turntable.webp is the same as an animation",
        "run.json": "how it was made",
    }
    written = [f"  {name:<18}{what}" for name, what in lines.items() if name in files or name.endswith("/")]
    return "\n".join([f"Written to {out}", *written])
