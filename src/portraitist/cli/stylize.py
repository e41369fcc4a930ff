"""``portraitist stylize`` and ``portraitist demo``: read, stylize, write."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitist.cli.running import (
    describe_completion,
    describe_models,
    limit_threads,
    prepare_device,
    report_to,
    tell_notes,
    tell_result,
)
from portraitist.cli.stopping import STOP
from portraitist.cli.streams import print_json
from portraitist.cli.stylize_arguments import DEMO_OUTPUT, STYLES, Request

if TYPE_CHECKING:
    from torch import Tensor

    from portraitist.cli.terminal import ShowStep
    from portraitist.pipeline import Config
    from portraitist.segmentation.picture import PictureParts
    from portraitist.types import Image


def run_stylize(**values: Any) -> None:
    """A photo and an artwork of the user's."""
    _run(Request, values)


def run_demo(**values: Any) -> None:
    """The embedded example."""
    _run(make_demo_request, values)


def make_demo_request(output: Path | None = None, style: str = STYLES[0], **values: Any) -> Request:
    """The embedded example. Only the default folder is replaced unasked: there, nothing but a former demo can be."""
    from importlib.resources import files

    from portraitist.assets import asset_path

    # A portrait of the US Navy, in the public domain.
    photo = Path(str(files("matplotlib"))) / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    art = asset_path(f"exemplars/{style}.jpg")
    return Request(photo, art, output or DEMO_OUTPUT, overwrite=output is None, **values)


def _run(make_request: Callable[..., Request], values: dict[str, Any]) -> None:
    from portraitist.cli.terminal import show_progress

    gc.disable()  # until all is loaded: of what is made meanwhile nothing becomes garbage
    try:
        with show_progress() as show:
            show("loading", 0, 1)
            request = make_request(**values)
            prepare_device(request.device)
            record = stylize_files(request, show)
    finally:
        gc.enable()
    tell_notes(record["warnings"])
    if request.json:
        print_json(record, describe_completion(request.output))
    else:
        tell_result(request.output, _describe_files(record["files"]))


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
    limit_threads(request.threads)
    models = Models.load(request.device, request.translator)
    gc.enable()
    result = stylize(
        photo,
        art,
        models,
        config,
        style_mask=style_mask,
        mix=mix,
        progress=report_to(show),
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
        overwrite=request.overwrite,
        save_intermediates=request.save_intermediates,
        turntable=request.turntable,
        progress=report_to(show),
        **describe_models(models),
    )


def _name_mixed(request: Request) -> dict[str, Path]:
    others = {f"mix {weight:g} ({number})": path for number, (path, weight) in enumerate(request.mix or (), 1)}
    return others | ({} if request.translator in ("network", "direct") else {"translator": Path(request.translator)})


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


def _describe_files(files: list[str]) -> str:
    lines = {
        "head.glb": "the head for Blender, Unity, three.js and other viewers",
        "head.obj": "the same as OBJ, with head.mtl and its textures",
        "head.safetensors": "the same for portraitist itself, nothing lost",
        "preview.png": "photo, artwork and head on one sheet",
        "views/": "the head from five sides",
        "turntable.mp4": "the head turning once around; turntable.webp is the same as an animation",
        "run.json": "how it was made",
    }
    written = [f"  {name:<18}{what}\n" for name, what in lines.items() if name in files or name.endswith("/")]
    return "".join(written)
