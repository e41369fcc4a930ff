"""``portraitist landmarks``: what is found in a picture, to be corrected by hand."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from portraitist.cli.arguments import MOST_FACES, add_output_options
from portraitist.cli.running import tell_notes, tell_result
from portraitist.cli.stopping import STOP
from portraitist.cli.values import existing_file, number

if TYPE_CHECKING:
    from portraitist.types import Image, Landmarks


def add_landmarks_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("picture", type=existing_file, metavar="PICTURE", help="photo or artwork")
    add_output_options(parser, "FILE", ".json, .txt (lines 'x y'), .pts or .npy", "FILE and each PNG")
    add("--overlay", type=Path, metavar="PNG", help="also draw them into the picture")
    add("--mask", type=Path, metavar="PNG", help="also write what is skin, hair, hat..., in colors")
    add("--art", action="store_true", help="read it as artworks are, for --art-landmarks, --art-mask")
    text = "which of several: 1 is the largest (default)"
    add("--face", type=number(int, 1, MOST_FACES), metavar="N", help=text)


def run_landmarks(
    picture: Path,
    output: Path,
    overlay: Path | None = None,
    mask: Path | None = None,
    art: bool = False,
    face: int = 1,
    overwrite: bool = False,
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
    tell_notes((*said, *warnings))
    tell_result(output)


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
