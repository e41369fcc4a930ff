"""What the text of one argument says: a file, a number, strengths by name. Each refuses with what is needed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def existing_file(text: str) -> Path:
    path = Path(text)
    try:
        if path.is_file():
            return path
        problem = "is not a file" if path.exists() else "no such file"
    except OSError as error:  # a name that no file can have
        problem = error.strerror
    raise argparse.ArgumentTypeError(f"{problem}: {text!r}")


def existing_head(text: str) -> Path:
    """The file of a saved head, or the folder of a result that holds one."""
    path = Path(text)
    return existing_file(str(path / "head.safetensors" if path.is_dir() else path))


def number(kind: type[int] | type[float], low: int | float, high: int | float) -> Callable[[str], int | float]:
    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            noun = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{noun} from {low} to {high} is needed, got {text!r}")
        return value

    return parse


def translator(text: str) -> str:
    return text if text in ("network", "direct") else str(existing_file(text))


def named_strengths(names: tuple[str, ...], most: int) -> Callable[[str], dict[str, float]]:
    """eyes=0.5,nose=2 as a mapping."""

    def parse(text: str) -> dict[str, float]:
        parse_number, strengths = number(float, 0, most), {}
        for part in text.split(","):
            name, equals, value = part.partition("=")
            if not equals or name not in names or name in strengths:
                raise argparse.ArgumentTypeError(f"NAME=STRENGTH with each of {', '.join(names)} once, got {part!r}")
            strengths[name] = parse_number(value)
        return strengths

    return parse


def some_of(names: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """unlit,toon as a tuple."""

    def parse(text: str) -> tuple[str, ...]:
        parts = tuple(text.split(","))
        if not set(parts) <= set(names) or len(set(parts)) < len(parts):
            raise argparse.ArgumentTypeError(f"some of {', '.join(names)}, each once, are needed, got {text!r}")
        return parts

    return parse


def weighted_file(text: str) -> tuple[Path, float]:
    """A file, or a file with =WEIGHT behind it."""
    name, equals, weight = text.rpartition("=")
    if not equals or Path(text).is_file():
        return existing_file(text), 1.0
    return existing_file(name), number(float, 0.01, 100)(weight)


def expression(text: str) -> dict[str, float] | str:
    """neutral, or jawOpen=0.8,mouthPucker=0.5 as a mapping; the names are checked when all is loaded."""
    if text == "neutral":
        return text
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or not name or name in weights:
            raise argparse.ArgumentTypeError(f"neutral, or NAME=0..1 with each name once, is needed, got {part!r}")
        weights[name] = number(float, 0, 1)(value)
    return weights
