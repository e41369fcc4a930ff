"""``portraitist bust``: a photo and an artwork in, a head on shoulders and clothes out."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from portraitist.cli.arguments import (
    add_face_options,
    add_output_options,
    add_pictures,
    add_preset_option,
    add_run_options,
)
from portraitist.cli.running import describe_models, limit_threads, prepare_device, report_to, tell_folder
from portraitist.cli.stopping import STOP

BUST_PRESETS = ("draft", "standard")


def add_bust_options(parser: argparse.ArgumentParser) -> None:
    add_pictures(parser)
    add_output_options(parser, "OUT", "folder for the result: new, or empty", "a former result in OUT")
    add_preset_option(parser, BUST_PRESETS)
    add_face_options(parser)
    add_run_options(parser)


def run_bust(
    photo: Path,
    art: Path,
    output: Path,
    preset: str = "standard",
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    **faces: int,
) -> None:
    """Problems with the output and the files are found before the long computation."""
    from portraitist.cli.terminal import collect_warnings, show_progress

    prepare_device(device)
    with show_progress() as show, collect_warnings() as said:
        show("loading", 0, 1)
        from portraitist.apps.bust import BustConfig, stylize_bust
        from portraitist.export.result_folder import write_result
        from portraitist.io.images import load_image
        from portraitist.io.output_folder import check_output
        from portraitist.models import Models

        check_output(output, overwrite)
        pictures = load_image(photo), load_image(art)
        limit_threads(threads)
        models = Models.load(device)
        config: BustConfig = getattr(BustConfig, preset)()
        config = dataclasses.replace(config, head=dataclasses.replace(config.head, seed=seed))
        result = stylize_bust(*pictures, models, config, progress=report_to(show), **faces)
        show("writing files", 0, 1)
        STOP.expect(output)
        record = write_result(
            dataclasses.replace(result, warnings=(*said, *result.warnings)),
            output,
            config=config,
            inputs={"photo": photo, "art": art},
            overwrite=overwrite,
            **describe_models(models),
        )
    tell_folder(output, record)
