"""Landmark files: 68 iBUG points as text, ``.pts``, ``.npy`` or JSON, to and from our pixel coordinates.

In memory a pixel (x, y) covers the square from (x, y) to (x+1, y+1). Text, ``.npy`` and JSON hold exactly those
coordinates; ``.pts`` counts pixels from 1 with whole numbers at pixel centres (iBUG 300-W), so it differs by 0.5.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.types import InputError

PTS_OFFSET = 0.5
FORMATS = "68 lines 'x y' (.txt), iBUG .pts, .npy of shape 68 x 2, or JSON with 68 pairs"


def read_landmarks(path: str | Path) -> Float[Tensor, "68 2"]:
    """Read 68 points (x, y) in pixels, iBUG order; the suffix says the format (anything unknown is read as text).

    Raises InputError when the file is missing, cannot be understood, or does not hold 68 finite points.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], object]] = {".pts": read_pts, ".npy": read_npy, ".json": read_json}
    try:
        values = readers.get(path.suffix.lower(), read_text)(path)
        points = np.asarray(values, dtype=np.float64)
    except FileNotFoundError as error:
        raise InputError(f"The landmark file {path} does not exist.") from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"The landmark file {path} cannot be read ({error}). Needed: {FORMATS}.") from error
    if points.shape != (68, 2):
        raise InputError(f"The landmark file {path} holds {describe_shape(points)}; needed: {FORMATS}.")
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(1))[0])
        raise InputError(f"Point {row + 1} in the landmark file {path} is not a finite number.")
    return torch.from_numpy(points.astype(np.float32))


def write_landmarks(path: str | Path, points: Float[Tensor, "68 2"]) -> None:
    """Write 68 points in the format that the suffix names: ``.txt``, ``.pts``, ``.npy`` or ``.json``.

    Raises InputError for another suffix.
    """
    path = Path(path)
    values = points.detach().cpu().double().numpy()
    lines = "".join(f"{x:.3f} {y:.3f}\n" for x, y in values)
    if path.suffix == ".npy":
        np.save(path, values.astype(np.float32))
    elif path.suffix == ".json":
        path.write_text(json.dumps({"points": values.round(3).tolist()}) + "\n", encoding="utf-8")
    elif path.suffix == ".pts":
        body = "".join(f"{x:.3f} {y:.3f}\n" for x, y in values + PTS_OFFSET)
        path.write_text(f"version: 1\nn_points: {len(values)}\n{{\n{body}}}\n", encoding="utf-8")
    elif path.suffix == ".txt":
        path.write_text(lines, encoding="utf-8")
    else:
        raise InputError(f"Landmarks cannot be written to {path}: the suffix must be .txt, .pts, .npy or .json.")


def check_landmarks(points: Float[Tensor, "68 2"], size: tuple[int, int]) -> None:
    """Refuse points that cannot belong to a picture of ``size`` (height, width). Raises InputError.

    A face may reach over the border, so points may lie outside by half the picture; most must be inside, and they must
    not all fall together.
    """
    height, width = size
    x, y = points[:, 0], points[:, 1]
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    near = (x >= -width / 2) & (x <= width * 1.5) & (y >= -height / 2) & (y <= height * 1.5)
    if not bool(near.all()) or float(inside.float().mean()) < 0.5:
        raise InputError(
            f"The landmarks reach from ({x.min():.0f}, {y.min():.0f}) to ({x.max():.0f}, {y.max():.0f}), but the "
            f"picture is {width} x {height} pixels. Give pixel coordinates of this very picture (x right, y down)."
        )
    if float(torch.stack([x.max() - x.min(), y.max() - y.min()]).min()) < 8:
        raise InputError("The landmarks span less than 8 pixels: a face that small cannot be used.")


def read_text(path: Path) -> list[list[float]]:
    """Lines ``x y`` (blank or comma between); empty lines and lines starting with # are skipped."""
    rows = [line.replace(",", " ").split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    return parse_rows([row for row in rows if row and not row[0].startswith("#")])


def read_pts(path: Path) -> np.ndarray:
    """iBUG ``.pts``: the points stand between braces and count pixels from 1."""
    text = path.read_text(encoding="utf-8-sig")
    start, end = text.find("{"), text.rfind("}")
    if not 0 <= start < end:
        raise ValueError("a .pts file holds its points between { and }")
    rows = parse_rows([line.split() for line in text[start + 1 : end].splitlines() if line.strip()])
    return np.asarray(rows) - PTS_OFFSET


def read_npy(path: Path) -> np.ndarray:
    """NumPy array; pickled objects are refused because loading them can run code."""
    return np.load(path, allow_pickle=False)


def read_json(path: Path) -> object:
    """A list of pairs, or an object with such a list as ``points``."""
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, dict):
        if "points" not in content:
            raise ValueError('the JSON object has no "points"')
        content = content["points"]
    return content


def parse_rows(rows: list[list[str]]) -> list[list[float]]:
    """Numbers of every row; the error names the first row that is not two numbers."""
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            raise ValueError(f"point {number} has {len(row)} values instead of 2")
    return [[float(value) for value in row] for row in rows]


def describe_shape(points: np.ndarray) -> str:
    """What was got, for the message."""
    if points.ndim == 2 and points.shape[1] == 2:
        return f"{len(points)} points"
    return f"an array of shape {' x '.join(map(str, points.shape)) or 'one number'}"
