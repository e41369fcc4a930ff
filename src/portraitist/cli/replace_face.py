"""``portraitist replace-face``: a photo and a character in, the character with the photo's face out."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitist.cli.arguments import MOST_FACES, add_output_options, add_preset_option, add_run_options
from portraitist.cli.running import describe_models, limit_threads, prepare_device, report_to, tell_folder
from portraitist.cli.stopping import STOP
from portraitist.cli.values import existing_file, number

if TYPE_CHECKING:
    from portraitist.apps.replace_face import ReplaceConfig

PRESETS = ("draft", "standard", "best")
KEEP = ("keep", "replace")


def add_replace_face_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photo", type=existing_file, metavar="PHOTO", help="portrait photo")
    text = "GLB or glTF of one character with a face"
    parser.add_argument("character", type=existing_file, metavar="CHARACTER", help=text)
    add_output_options(parser, "OUT", "folder for the result: new, or empty", "a former result in OUT")
    add_preset_option(parser, PRESETS)
    text = "the character's own hair and headwear stay (default), or the photo's take their place"
    parser.add_argument("--hair", choices=KEEP, help=text)
    text = "the character's own neck stays (default), or the new head brings one"
    parser.add_argument("--neck", choices=KEEP, help=text)
    text = "68 points of the character's face instead of detection, in pixels of what --face-view writes"
    parser.add_argument("--face-landmarks", type=existing_file, metavar="FILE", help=text)
    text = "also write the picture of the character's face, to set points on"
    parser.add_argument("--face-view", type=Path, metavar="FILE.png", help=text)
    text = "which of several faces in the photo: 1 is the largest (default)"
    parser.add_argument("--photo-face", type=number(int, 1, MOST_FACES), metavar="N", help=text)
    add_run_options(parser)


def run_replace_face(
    photo: Path,
    character: Path,
    output: Path,
    face_landmarks: Path | None = None,
    face_view: Path | None = None,
    photo_face: int = 1,
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
        from portraitist.apps.replace_face import replace_face
        from portraitist.apps.replaced_folder import write_replaced
        from portraitist.characters.figure import read_figure
        from portraitist.io.images import check_png_suffix, load_image
        from portraitist.io.landmark_files import read_landmarks
        from portraitist.io.output_file import check_output_file
        from portraitist.io.output_folder import check_output
        from portraitist.models import Models

        check_output(output, overwrite)
        if face_view:
            check_png_suffix(face_view)
            check_output_file(face_view, overwrite, "--face-view")
        picture, figure = load_image(photo), read_figure(character)
        points = read_landmarks(face_landmarks) if face_landmarks else None
        limit_threads(threads)
        models, config = Models.load(device), make_replace_config(values)
        replaced = replace_face(
            picture,
            figure,
            models,
            config,
            face_landmarks=points,
            face_view=face_view,
            photo_face=photo_face,
            progress=report_to(show),
        )
        show("writing files", 0, 1)
        points_file = {"face_landmarks": face_landmarks} if face_landmarks else {}
        STOP.expect(output)
        result = dataclasses.replace(replaced.result, warnings=(*said, *replaced.result.warnings))
        record = write_replaced(
            dataclasses.replace(replaced, result=result),
            output,
            config=config,
            inputs={"photo": photo, "character": character, **points_file},
            overwrite=overwrite,
            **describe_models(models),
        )
    tell_folder(output, record)


def make_replace_config(values: dict[str, Any]) -> ReplaceConfig:
    """The preset, and what of the character stays."""
    from portraitist.apps.replace_face import ReplaceConfig
    from portraitist.config import Config

    head: Config = getattr(Config, values.get("preset", "standard"))()
    seeded = dataclasses.replace(head, seed=values.get("seed", head.seed))
    stays = {f"keep_{part}": values[part] == "keep" for part in ("hair", "neck") if part in values}
    return ReplaceConfig(seeded, **stays)
