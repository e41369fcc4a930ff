"""Spoilt bytes in every reader: a valid value or InputError, nothing else, whatever the bytes claim to hold."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from portraitist.errors import InputError
from portraitist.io.images import MAX_SIDE, MIN_SIDE, load_image, read_picture_size, register_heif
from portraitist.io.landmark_files import read_landmarks, read_landmarks_of_picture, write_landmarks

FUZZ = settings(  # how many examples: by profile, see conftest
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # a found crash is small enough as it is
    derandomize=True,
)


pytestmark = pytest.mark.fuzz


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def encode(suffix: str) -> bytes:
    """A small picture with gradients, EXIF data and a color profile, as a file of this kind."""
    register_heif()
    columns, rows = np.meshgrid(np.arange(48), np.arange(40))
    pixels = np.stack([columns * 5, rows * 6, (columns * rows) % 256], axis=-1).astype(np.uint8)
    picture, file = PIL.Image.fromarray(pixels), io.BytesIO()
    exif = PIL.Image.Exif()
    exif[0x0112] = 8
    notes = {"exif": exif} if suffix in {"jpeg", "png", "webp", "tiff", "avif"} else {}
    if suffix in {"gif", "webp"}:
        notes |= {"save_all": True, "append_images": [picture.rotate(90).resize(picture.size)]}
    if suffix == "heif":
        pillow_heif = pytest.importorskip("pillow_heif", reason="writes the HEIC file of this test")
        pillow_heif.from_pillow(picture).save(file)
        return file.getvalue()
    if suffix == "16-bit":
        picture, suffix = PIL.Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), "png"
    picture.save(file, format=suffix, **notes)
    return file.getvalue()


@st.composite
def spoilt(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole`` with bytes changed, taken out or doubled, or its end cut off; changes crowd at the start."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 6))):
        reach = draw(st.sampled_from([40, 200, len(content)]))
        at = draw(st.integers(0, min(reach, len(content)) - 1))
        kind = draw(st.sampled_from(["byte", "number", "cut", "double"]))
        if kind == "byte":
            content[at] = draw(st.integers(0, 255))
        elif kind == "number":
            value = draw(st.sampled_from([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000]))
            content[at : at + 4] = struct.pack(draw(st.sampled_from([">I", "<I"])), value)
        elif kind == "cut":
            del content[at : at + draw(st.integers(1, 30))]
        else:
            content[at:at] = content[at : at + draw(st.integers(1, 30))]
        if not content:
            break
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 4)) == 0 else content)


def assert_read_or_refused(path: Path) -> None:
    with contextlib.suppress(InputError):
        image = load_image(path)
        assert image.dtype == torch.float32
        assert image.shape[0] == 3
        assert all(MIN_SIDE <= side <= MAX_SIDE for side in image.shape[1:])
        assert 0 <= image.min() <= image.max() <= 1
        height, width = read_picture_size(path)
        assert (height > width) == (image.shape[1] > image.shape[2])


PICTURES = ("jpeg", "png", "16-bit", "webp", "gif", "tiff", "bmp", "ppm", "avif", "heif", "jpeg2000")


@pytest.mark.parametrize("suffix", PICTURES)
def test_spoilt_pictures(folder: Path, suffix: str) -> None:
    whole = encode(suffix)
    path = folder / "picture"
    path.write_bytes(whole)
    load_image(path)

    @FUZZ
    @given(spoilt(whole))
    def spoil(content: bytes) -> None:
        path.write_bytes(content)
        assert_read_or_refused(path)

    spoil()


@FUZZ
@given(content=st.binary(max_size=300))
def test_random_bytes_as_picture(folder: Path, content: bytes) -> None:
    path = folder / "picture"
    path.write_bytes(content)
    assert_read_or_refused(path)


def assert_68_points_or_refused(path: Path) -> None:
    with contextlib.suppress(InputError):
        points = read_landmarks(path)
        assert points.shape == (68, 2)
        assert points.dtype == torch.float32
        assert points.isfinite().all()
        read_landmarks_of_picture(path, path.with_name("whole.png"), (40, 48))


@pytest.fixture(scope="module")
def points_folder(folder: Path) -> Path:
    (folder / "whole.png").write_bytes(encode("png"))
    return folder


@pytest.mark.parametrize("suffix", ["txt", "pts", "npy", "json"])
def test_spoilt_landmark_files(points_folder: Path, suffix: str) -> None:
    path = points_folder / f"points.{suffix}"
    write_landmarks(path, torch.rand(68, 2, generator=torch.Generator().manual_seed(0)) * 300)
    whole = path.read_bytes()

    @FUZZ
    @given(spoilt(whole))
    def spoil(content: bytes) -> None:
        path.write_bytes(content)
        assert_68_points_or_refused(path)

    spoil()


@FUZZ
@given(suffix=st.sampled_from(["txt", "pts", "npy", "json"]), content=st.binary(max_size=300))
def test_random_bytes_as_landmarks(points_folder: Path, suffix: str, content: bytes) -> None:
    path = points_folder / f"points.{suffix}"
    path.write_bytes(content)
    assert_68_points_or_refused(path)


NUMBERS = st.one_of(st.floats(), st.integers(), st.none(), st.booleans(), st.text(max_size=3), st.just(10**400))


@FUZZ
@given(
    rows=st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=68, max_size=68)
    | st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=70) | st.dictionaries(st.text(max_size=3), inner)),
    size=st.lists(NUMBERS, max_size=3) | NUMBERS,
)
def test_any_json_as_landmarks(points_folder: Path, rows: object, size: object) -> None:
    path = points_folder / "points.json"
    for content in (rows, {"points": rows, "size": size}, {"points": [[1, 2]] * 68, "size": size}):
        path.write_text(json.dumps(content))
        assert_68_points_or_refused(path)


DTYPES = ("<f8", ">f4", "<c16", "|b1", "|O", "<U2000000000", "|V2147483647", "<M8[s]", "x", "[('a','<f8')]")


@FUZZ
@given(
    shape=st.lists(st.integers(0, 2**63), max_size=4) | st.just([68, 2]),
    dtype=st.sampled_from(
        ["<f8", ">f4", "<c16", "|b1", "|O", "<U2000000000", "|V2147483647", "<M8[s]", "x", "[('a','<f8')]"]
    ),
    version=st.sampled_from([b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"]),
    ending=st.sampled_from(["}", "", "}}", ", 'more': 1}", "(" * 300, "-" * 3000]),
)
def test_npy_headers_that_lie(points_folder: Path, shape: list[int], dtype: str, version: bytes, ending: str) -> None:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {tuple(shape)}{ending}\n".encode()
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
    path = points_folder / "points.npy"
    path.write_bytes(b"\x93NUMPY" + version + length + header + bytes(68 * 2 * 8))
    assert_68_points_or_refused(path)


@pytest.mark.parametrize("name", ["points.json", "points.txt"])
@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"points":' * 50_000, "1e999 1\n" * 68, "9" * 5000, f"{'9' * 400} 1\n" * 68]
)
def test_numbers_and_nesting_without_end(points_folder: Path, name: str, content: str) -> None:
    (points_folder / name).write_text(content)
    with pytest.raises(InputError, match=name):
        read_landmarks(points_folder / name)
