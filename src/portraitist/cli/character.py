"""``portraitist character``: a saved head on a whole body."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from portraitist.cli.arguments import add_output_options, add_preset_option, add_run_options
from portraitist.cli.running import describe_models, limit_threads, prepare_device, report_to, tell_folder
from portraitist.cli.stopping import STOP
from portraitist.cli.values import existing_file, existing_head, number

NO_CLOTH = "The artwork shows too little of clothes, so that their colors are told by those of the head."
CHARACTER_PRESETS = ("draft", "standard")
SEXES = {"male": 0.0, "female": 1.0}
WISHES = {"age": (2, 90), "sex": (0, 1), "height": (0.4, 2.5), "weight": (5, 200), "proportions": (0, 1)}


def add_character_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("head", type=existing_head, metavar="HEAD", help="head.safetensors of a result, or the folder of that result")
    add_output_options(parser, "OUT", "folder for the result: new, or empty", "a former result in OUT")
    text = (
        "age=YEARS, sex=male|female|0..1, height=METERS, weight=KILOGRAMS, proportions=0..1 (1: ideal) "
        "(default: a grown-up of average height and weight, neither male nor female)"
    )
    add("--body", type=wishes, metavar="NAME=VALUE,...", help=text)
    text = "artwork after which body and clothes are painted, and whose clothes the top is made of (default: the head)"
    add("--art", type=existing_file, metavar="ART", help=text)
    text = "size of the head against that of a person, for cartoons: 1 to 1.5 (default: 1)"
    add("--head-scale", type=number(float, 1, 1.5), metavar="1..1.5", help=text)
    add_preset_option(parser, CHARACTER_PRESETS)
    add_run_options(parser)


def wishes(text: str) -> dict[str, float]:
    """age=30,sex=female as a mapping."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or name not in WISHES or name in found:
            raise argparse.ArgumentTypeError(f"NAME=VALUE with each of {', '.join(WISHES)} once, got {part!r}")
        try:
            found[name] = SEXES[value] if name == "sex" and value in SEXES else number(float, *WISHES[name])(value)
        except argparse.ArgumentTypeError as error:
            words = "male, female or " if name == "sex" else ""
            raise argparse.ArgumentTypeError(f"{name}: {words}{error}") from None
    return found


def run_character(
    head: Path,
    output: Path,
    art: Path | None = None,
    body: dict[str, float] | None = None,
    preset: str = "standard",
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    **values: Any,
) -> None:
    """Problems with the output and the files are found before the computation."""
    from portraitist.cli.terminal import collect_warnings, show_progress

    prepare_device(device)
    with show_progress() as show, collect_warnings() as said:
        show("loading", 0, 1)
        from portraitist.apps.character import describe_losses
        from portraitist.apps.character_manner import read_manner
        from portraitist.apps.character_style import CharacterConfig, stylize_character
        from portraitist.body.shape import BodyShape
        from portraitist.export.character_folder import write_character
        from portraitist.io.head_file import load_head
        from portraitist.io.images import load_image
        from portraitist.io.output_folder import check_output
        from portraitist.models import Models

        check_output(output, overwrite)
        config: CharacterConfig = getattr(CharacterConfig, preset)()
        config = dataclasses.replace(config, body=BodyShape(**(body or {}), **values), seed=seed)
        loaded, picture = load_head(head), load_image(art) if art else None
        limit_threads(threads)
        models = Models.load(device)
        manner = read_manner(picture, models) if picture is not None else None
        doubts = (NO_CLOTH,) if manner and manner.worn is None else ()
        somebody = stylize_character(loaded, models, config, manner=manner, progress=report_to(show))
        notes = (*said, *doubts, *describe_losses(loaded))
        STOP.expect(output)
        show("writing files", 0, 1)
        record = write_character(
            somebody,
            output,
            config=config,
            inputs={"head": head} | ({"art": art} if art else {}),
            warnings=notes,
            overwrite=overwrite,
            **describe_models(models),
        )
    tell_folder(output, record)
