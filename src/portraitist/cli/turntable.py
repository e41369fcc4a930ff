"""``portraitist turntable``: a video of a saved head."""

from __future__ import annotations

import argparse
from pathlib import Path

from portraitist.cli.arguments import add_output_options
from portraitist.cli.running import report_to, tell_result
from portraitist.cli.stopping import STOP
from portraitist.cli.values import existing_file


def add_turntable_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("head", type=existing_file, metavar="HEAD", help="head.safetensors of a result")
    add_output_options(parser, "OUT", ".mp4 for a video, .webp for an animation", "the file OUT")


def run_turntable(head: Path, output: Path, overwrite: bool = False) -> None:
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
        write_turntable(output, head_to_turn, report_to(show))
    tell_result(output)
