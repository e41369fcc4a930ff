"""``portraitist sheet``: stickers of a saved head."""

from __future__ import annotations

import argparse
from pathlib import Path

from portraitist.cli.arguments import add_output_options
from portraitist.cli.running import report_to, tell_result
from portraitist.cli.stopping import STOP
from portraitist.cli.values import existing_file

WRITTEN = """\
  sheet.png         all expressions with their names
  *.png, *.webp     each as a sticker
  *_moving.webp     the same, moving; *_moving.webm for Telegram
"""


def add_sheet_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("head", type=existing_file, metavar="HEAD", help="head.safetensors of a result")
    add_output_options(parser, "OUT", "folder for the stickers: new, or empty", "former stickers in OUT")


def run_sheet(head: Path, output: Path, overwrite: bool = False) -> None:
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
        write_expression_sheet(output, head_to_draw, overwrite=overwrite, progress=report_to(show))
    tell_result(output, WRITTEN)
