"""Landmark files: 68 iBUG points as text, ``.pts``, ``.npy`` or JSON, to and from our pixel coordinates.

In memory a pixel (x, y) covers the square from (x, y) to (x+1, y+1). Text, ``.npy`` and JSON hold exactly those
coordinates; ``.pts`` counts pixels from 1 with whole numbers at pixel centers (iBUG 300-W), so it differs by 0.5.
"""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import to_numpy
from portraitist.errors import InputError
from portraitist.io.images import read_picture_size
from portraitist.io.output_file import new_file

PTS_OFFSET = 0.5
"""iBUG counts the first pixel's center as 1, we count it as 0.5."""
MAX_FILE_BYTES = 2**20
"""68 points take some kilobytes; with all that ``--save-intermediates`` writes beside them, 40."""

MAX_SIZE = 100_000
"""Longest side, in pixels, that a landmark file may say its picture has."""

ROUNDING = 0.02
"""How much the factors of width and height may differ, since pictures are scaled to whole pixels."""

ELONGATION_RANGE = (0.25, 8.0)
"""Eyes to chin over the outer eye distance: 0.6 to 2.6 in 168 artworks, up to 5.9 in 6,838 photos (in profile)."""

FORMATS = "68 lines 'x y' (.txt), iBUG .pts, .npy of shape 68 x 2, or JSON with 68 pairs"


def read_landmarks(path: str | Path) -> Float[Tensor, "68 2"]:
    """Read 68 points (x, y) in pixels, iBUG order; the suffix says the format (anything unknown is read as text).

    Raises InputError when the file is missing, cannot be understood, or does not hold 68 finite points.
    """
    path = Path(path)
    check_file(path)
    readers: dict[str, Callable[[Path], object]] = {".pts": read_pts, ".npy": read_npy, ".json": read_json}
    try:
        with np.errstate(over="ignore"):  # numbers beyond float32 become infinite, and are named below
            points = np.asarray(readers.get(path.suffix.lower(), read_text)(path), dtype=np.float64).astype(np.float32)
    # Not only ValueError and TypeError: OverflowError for 400-digit numbers, RecursionError for 10,000 brackets, ...
    except Exception as error:
        raise InputError(f"The landmark file {path} cannot be read ({error}). Needed: {FORMATS}.") from error
    if points.shape != (68, 2):
        raise InputError(f"The landmark file {path} holds {describe_shape(points)}; needed: {FORMATS}.")
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(1))[0])
        raise InputError(f"Point {row + 1} in the landmark file {path} is not a finite number.")
    return torch.from_numpy(points)


def read_landmarks_of_picture(
    path: str | Path, picture_file: str | Path, size: tuple[int, int]
) -> Float[Tensor, "68 2"]:
    """Read 68 points in pixels of ``picture_file`` as ``load_image`` gives it, ``size`` (height, width) large.

    Large pictures are made smaller when they are loaded. A JSON file with a ``size`` (height, width), as
    ``--save-intermediates`` writes it, counts the pixels of a picture of that size; every other file those of
    ``picture_file``, as people see it (EXIF orientation applied). Raises InputError as ``read_landmarks`` does, and
    when the sizes do not fit together.
    """
    points = read_landmarks(path)
    counted = read_json_size(Path(path)) or read_picture_size(picture_file)
    height, width = (to / of for to, of in zip(size, counted, strict=True))
    if abs(height - width) > ROUNDING * max(height, width):
        raise InputError(
            f"The landmark file {path} was made for a picture of {counted[1]} x {counted[0]} pixels, but "
            f"{picture_file} is loaded with {size[1]} x {size[0]}. Give the landmarks of this very picture."
        )
    return points * points.new_tensor([width, height])


def write_landmarks(path: str | Path, points: Float[Tensor, "68 2"]) -> None:
    """Write 68 points in the format that the suffix names: ``.txt``, ``.pts``, ``.npy`` or ``.json``.

    The file appears whole or not at all. Raises InputError for another suffix, OutputError when it cannot be written.
    """
    path = Path(path)
    check_landmark_suffix(path)
    encode = ENCODERS[path.suffix.lower()]
    with new_file(path) as temporary:
        temporary.write_bytes(encode(to_numpy(points, np.float64)))


def write_landmarks_of_picture(
    path: str | Path, points: Float[Tensor, "68 2"], picture_file: str | Path, size: tuple[int, int]
) -> None:
    """`write_landmarks` in pixels of ``picture_file``, which was loaded with ``size`` (height, width): what
    `read_landmarks_of_picture` reads."""
    (height, width), of = read_picture_size(picture_file), size
    write_landmarks(path, points * points.new_tensor([width / of[1], height / of[0]]))


def check_landmark_suffix(path: Path) -> None:
    """Raises InputError unless the file is to be one of those that landmarks can be."""
    if path.suffix.lower() not in ENCODERS:
        raise InputError(f"Landmarks cannot be written to {path}: the suffix must be .txt, .pts, .npy or .json.")


def encode_lines(points: Float[np.ndarray, "68 2"]) -> bytes:
    return "".join(f"{x:.3f} {y:.3f}\n" for x, y in points).encode()


def encode_pts(points: Float[np.ndarray, "68 2"]) -> bytes:
    return f"version: 1\nn_points: {len(points)}\n{{\n".encode() + encode_lines(points + PTS_OFFSET) + b"}\n"


def encode_json(points: Float[np.ndarray, "68 2"]) -> bytes:
    return f"{json.dumps({'points': points.round(3).tolist()})}\n".encode()


def encode_npy(points: Float[np.ndarray, "68 2"]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, points.astype(np.float32))
    return buffer.getvalue()


ENCODERS = {".txt": encode_lines, ".pts": encode_pts, ".npy": encode_npy, ".json": encode_json}


def check_landmarks(points: Float[Tensor, "68 2"], size: tuple[int, int]) -> None:
    """Refuse points that cannot belong to a picture of ``size`` (height, width). Raises InputError.

    A face may reach over the border, so points may lie outside by half the picture; most must be inside, and they must
    not all fall together, and jaw and brows must run around the face as iBUG's do.
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
        raise InputError(
            "The landmarks span less than 8 pixels: a face that small cannot be used. "
            "Give them in pixels, not as fractions of the picture."
        )
    eyes_to_chin = float((points[8] - points[[36, 39, 42, 45]].mean(0)).norm())
    eye_distance = float((points[45] - points[36]).norm())
    least, most = ELONGATION_RANGE
    if not least <= eyes_to_chin / max(eye_distance, 1e-6) <= most:
        raise InputError(
            f"The landmarks are no face: its outer eye corners (points 37 and 46) are {eye_distance:.0f} pixels apart, "
            f"and the chin (point 9) is {eyes_to_chin:.0f} from the eyes. Give 68 points in iBUG order."
        )
    if outline_area(points) <= 0:
        raise InputError(
            "The landmarks run around the face the wrong way: they are mirrored or shuffled, or x and y are exchanged. "
            "Give 68 points in iBUG order, first the jaw from the viewer's left over the chin to the right (0-16)."
        )


def outline_area(points: Float[Tensor, "68 2"]) -> float:
    """Area within jaw and brows in square pixels; negative when they run clockwise as the viewer sees it."""
    x, y = to_numpy(points, np.float64)[[*range(17), *range(26, 16, -1)]].T
    return float((y * np.roll(x, -1) - x * np.roll(y, -1)).sum()) / 2


def check_file(path: Path) -> None:
    """Refuse what is not a small ordinary file, before opening it: reading from a pipe may never end."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"The landmark file {path} does not exist.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The landmark file {path} cannot be opened ({reason}).") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"The landmark file {path} is a folder, a pipe or a device. Needed: {FORMATS}.")
    if status.st_size > MAX_FILE_BYTES:
        raise InputError(
            f"The landmark file {path} has {status.st_size / 2**20:.1f} MB, which 68 points never take. "
            f"Needed: {FORMATS}."
        )


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
    """NumPy array. Pickled objects are refused because loading them can run code, and arrays of another shape before
    memory is set aside for what they claim to hold."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if shape != (68, 2):
        raise ValueError(f"it holds an array of shape {' x '.join(map(str, shape)) or 'one number'}")
    if dtype.kind not in "iuf":
        raise ValueError(f"its numbers are of type {dtype}")
    return np.load(path, allow_pickle=False)


def read_json_size(path: Path) -> tuple[int, int] | None:
    """The ``size`` (height, width) of a JSON landmark file, or None where it has none. Raises InputError."""
    if path.suffix.lower() != ".json":
        return None
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    size = content.get("size") if isinstance(content, dict) else None
    if size is None:
        return None
    if not (
        isinstance(size, list)
        and len(size) == 2
        and all(isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= MAX_SIZE for side in size)
    ):
        raise InputError(f'The "size" in the landmark file {path} must be [height, width] in pixels.')
    return size[0], size[1]


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
