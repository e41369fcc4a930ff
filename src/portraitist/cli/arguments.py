"""What several commands can be asked for. Checked before anything heavy loads."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from portraitist.cli.streams import print_out
from portraitist.cli.values import existing_file, number

PRESETS = ("draft", "standard", "best", "paper")
DEVICES = ("auto", "cpu", "cuda", "mps")
GEOMETRY_REGIONS = ("eyes", "brows", "nose", "mouth", "outline")
TEXTURE_REGIONS = ("skin", "eyes", "brows", "lips", "mouth", "hair")
MOST_FACES = 1000  # that can be asked for


class ArgumentError(Exception):
    """The command line cannot be understood; found before anything is loaded."""


class Parser(argparse.ArgumentParser):
    """``find_mistake``: what of the values does not go together, or None."""

    find_mistake: Callable[[argparse.Namespace], str | None] | None = None

    def parse_known_args(self, args=None, namespace=None):
        values, rest = super().parse_known_args(args, namespace)
        mistake = self.find_mistake(values) if self.find_mistake else None
        if mistake:
            self.error(mistake)
        return values, rest

    def _print_message(self, message: str, file: Any = None) -> None:
        print_out(message)  # argparse would lose unsaid what cannot be written

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(f"{message.removeprefix('argument ')}. See {self.prog} --help.")


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """PHOTO and ART."""
    parser.add_argument("photo", type=existing_file, metavar="PHOTO", help="portrait photo")
    text = "painting, drawing, mosaic, caricature... with one face"
    parser.add_argument("art", type=existing_file, metavar="ART", help=text)


def add_face_options(parser: argparse.ArgumentParser) -> None:
    """Which of several people."""
    for picture, name in (("photo", "photo"), ("art", "artwork")):
        text = f"which of several faces in the {name}: 1 is the largest (default)"
        parser.add_argument(f"--{picture}-face", type=number(int, 1, MOST_FACES), metavar="N", help=text)


def add_preset_option(parser: argparse.ArgumentParser, presets: tuple[str, ...] = PRESETS) -> None:
    parser.add_argument("--preset", choices=presets, help="speed against quality (default: standard)")


def add_device_option(parser: argparse.ArgumentParser) -> None:
    text = "where to compute; cuda is a GPU of NVIDIA, mps one of Apple (default: auto)"
    parser.add_argument("--device", choices=DEVICES, help=text)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Device, threads and seed."""
    add_device_option(parser)
    text = "CPU threads (default: OMP_NUM_THREADS where that is set, else as many as there are CPUs)"
    parser.add_argument("--threads", type=number(int, 1, 1024), metavar="NUMBER", help=text)
    text = "same seed, same threads, same machine: same result"
    parser.add_argument("--seed", type=number(int, 0, 2**31 - 1), metavar="NUMBER", help=text)


def add_output_options(parser: argparse.ArgumentParser, metavar: str, text: str, replaced: str) -> None:
    """What is written, and whether it may take the place of what is there."""
    parser.add_argument("-o", "--output", type=Path, metavar=metavar, required=True, help=text)
    parser.add_argument("--overwrite", action="store_true", help=f"replace {replaced}")
