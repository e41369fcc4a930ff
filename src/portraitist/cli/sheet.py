"""The command ``sheet``: stickers of a saved head."""

from __future__ import annotations

import argparse
from pathlib import Path

from portraitist.cli.stopping import STOP
from portraitist.cli.streams import print_out
from portraitist.cli.values import existing_file


def add_sheet_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("head", type=existing_file, metavar="HEAD", help="head.safetensors of a result")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", required=True, help="folder for the stickers: new, or empty"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace former stickers in OUT")


def run_sheet(head: Path, output: Path, overwrite: bool) -> None:
    """Write sixteen expressions of the head, still and moving, and a sheet of them."""
    from portraitist.cli.terminal import show_progress

    with show_progress() as show:
        show("loading", 0, 1)
        from portraitist.apps.expression_sheet import write_expression_sheet
        from portraitist.io.head_file import load_head
        from portraitist.io.output_folder import check_output

        check_output(output, overwrite)
        head_to_draw = load_head(head)
        STOP.expect(output)
        write_expression_sheet(
            output,
            head_to_draw,
            overwrite=overwrite,
            progress=lambda progress: show(progress.stage, progress.step, progress.steps),
        )
    out = output.resolve()
    written = (
        "  sheet.png         all expressions with their names\n  *.png, *.webp     each as a sticker, still and moving"
    )
    print_out(f"Written to {out}\n{written}\n", f"The result is complete, at {out}. ")
