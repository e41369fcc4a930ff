"""``portraitist import``: a head that was sculpted or repainted in another program."""

from __future__ import annotations

import argparse
from pathlib import Path

from portraitist.cli.arguments import add_output_options
from portraitist.cli.running import tell_notes, tell_result
from portraitist.cli.stopping import STOP
from portraitist.cli.values import existing_file

HEAD_SUFFIX = ".safetensors"


def add_import_options(parser: argparse.ArgumentParser) -> None:
    text = "what another program made of a GLB of HEAD: sculpted, repainted, same topology"
    parser.add_argument("file", type=existing_file, metavar="FILE.glb", help=text)
    parser.add_argument("head", type=existing_file, metavar="HEAD", help="head.safetensors that it was exported from")
    add_output_options(parser, "HEAD2", "file for the new head, .safetensors", "the file HEAD2")


def find_import_mistake(values: argparse.Namespace) -> str | None:
    """What does not go together, or None."""
    if values.output.suffix.lower() != HEAD_SUFFIX:
        return f"-o: the name of a head must end in {HEAD_SUFFIX}, got {str(values.output)!r}"
    return None


def run_import(file: Path, head: Path, output: Path, overwrite: bool = False) -> None:
    """Read both, carry over what was changed, write; tell what was lost on the way."""
    from portraitist.cli.terminal import show_progress

    with show_progress() as show:
        show("loading", 0, 1)
        from portraitist.apps.edited_head import import_glb
        from portraitist.io.head_file import load_head, save_head
        from portraitist.io.output_file import check_output_file

        check_output_file(output, overwrite)
        former = load_head(head)
        STOP.expect(output)
        show("importing", 0, 1)
        edited = import_glb(file, former)
        save_head(output, edited)
    gone = {layer.name for layer in former.layers} - {layer.name for layer in edited.layers}
    tell_notes(f"{file.name} has no {name.capitalize()}, so the new head has no {name}." for name in sorted(gone))
    tell_result(output)
