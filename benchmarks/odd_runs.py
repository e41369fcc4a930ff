"""What a case of odd input is, and ways to make the files and arguments of one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import odd_files as files
from forked_command import DISK
from odd_files import ART, PHOTO

MakeFiles = Callable[[Path], list[str]]
"""Fills a folder, which the command then runs in; returns the arguments after ``stylize``."""


@dataclass(frozen=True)
class Case:
    """``words``: what the message or a note must contain. ``surroundings``: see ``forked_command.enter``; "killed ..."
    is what befalls an earlier run with --overwrite. ``environment``: with it the command runs as a fresh process."""

    fed: str
    make: MakeFiles
    exit_code: int
    words: tuple[str, ...] = ()
    surroundings: str = ""
    environment: dict[str, str] = field(default_factory=dict)


def feed(
    photo: str | Path = PHOTO,
    art: str | Path = ART,
    out: str = "out",
    options: tuple[str, ...] = (),
    **saves: Callable[[Path], object],
) -> MakeFiles:
    """Arguments with these pictures, and files to be saved first: ``name_suffix=function of the path``."""

    def make(folder: Path) -> list[str]:
        for name, save in saves.items():
            save(folder / ".".join(name.rsplit("_", 1)))
        return [str(photo), str(art), "-o", out, *options]

    return make


def feed_points(save: Callable[[Path], object], name: str = "points.txt") -> MakeFiles:
    """The example with a landmark file for the photo."""

    def make(folder: Path) -> list[str]:
        save(folder / name)
        return [str(PHOTO), str(ART), "-o", "out", "--photo-landmarks", name]

    return make


def change_points(change: Callable, name: str = "points.txt") -> MakeFiles:
    """The example with its right landmarks, changed."""
    return feed_points(lambda path: files.save_points(path, change(files.find_points().copy())), name)


def feed_large_with_points(folder: Path) -> list[str]:
    """A picture of 3072 x 3600 pixels with the points that ``--save-intermediates`` writes for it."""
    files.read_photo().resize((3072, 3600)).save(folder / "large.jpg")
    factor = 2048 / 600
    points = (files.find_points() * factor).tolist()
    (folder / "points.json").write_text(f'{{"points": {points}, "size": [2048, 1748]}}')
    return ["large.jpg", str(ART), "-o", "out", "--photo-landmarks", "points.json"]


def feed_bytes_name(folder: Path) -> list[str]:
    """A name as old disks have it, in Latin-1; the artwork's is long and from many scripts."""
    photo = os.fsdecode("Jos\xe9.jpg".encode("latin-1"))
    art = "Портрет 肖像 🎨 " + "x" * 200 + ".jpg"
    (folder / photo).write_bytes(PHOTO.read_bytes())
    (folder / art).write_bytes(ART.read_bytes())
    return [photo, art, "-o", "out"]


def feed_former_result(folder: Path) -> list[str]:
    """A former result lies at OUT."""
    (folder / "out").mkdir()
    (folder / "out" / "head.glb").write_bytes(b"former")
    (folder / "out" / "run.json").write_text('{"files": ["head.glb", "run.json"]}')
    return [str(PHOTO), str(ART), "-o", "out"]


def feed_disk(folder: Path) -> list[str]:
    (folder / DISK).mkdir()
    return [str(PHOTO), str(ART), "-o", f"{DISK}/out"]


def feed_device(name: str) -> MakeFiles:
    return lambda folder: [str(PHOTO), str(ART), "-o", "out", "--device", name]


def flatten(points: np.ndarray) -> np.ndarray:
    """A face a tenth as high as it is wide."""
    middle = points.mean(axis=0)
    return middle + (points - middle) * [1, 0.1]


def spoil_first(points: np.ndarray) -> np.ndarray:
    points[0, 1] = np.nan
    return points


def save_objects(path: Path) -> None:
    np.save(path, files.find_points().astype(object))


def feed_package(asset: str, content: bytes | None) -> MakeFiles:
    def make(folder: Path) -> list[str]:
        files.copy_package(folder, asset, content)
        return [str(PHOTO), str(ART), "-o", "out"]

    return make


def link_in_a_circle(path: Path) -> None:
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)
