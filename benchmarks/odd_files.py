"""Odd pictures and landmark files, made from the example photo; nothing is read from outside of the project."""

from __future__ import annotations

import functools
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import torch
from matplotlib.cbook import get_sample_data

from portraitist.assets import FOLDER
from portraitist.types import Head, Image

PHOTO = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))
ART = FOLDER / "exemplars" / "brush.jpg"
GRAY = (120, 130, 140)


@functools.cache
def read_photo() -> PIL.Image.Image:
    """The example photo, 512 x 600."""
    return PIL.Image.open(PHOTO).convert("RGB")


def save_truncated(path: Path) -> None:
    """The first half of a good file."""
    read_photo().save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def save_sparse(path: Path) -> None:
    """5 GB that take no room on the disk."""
    path.write_bytes(PHOTO.read_bytes())
    os.truncate(path, 5 * 2**30)


def save_mask(path: Path, color: str, size: tuple[int, int]) -> None:
    """A part mask of one color. ``size``: (width, height)."""
    PIL.Image.new("RGB", size, color).save(path)


def copy_photo(path: Path) -> None:
    path.write_bytes(PHOTO.read_bytes())


def save_bomb(path: Path) -> None:
    """A PNG of some hundred bytes that claims 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(1000))), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def save_16_bit(path: Path, channels: int) -> None:
    pixels = np.asarray(read_photo() if channels == 3 else read_photo().convert("L")).astype(np.uint16) * 257
    cv2.imwrite(str(path), pixels[..., ::-1] if channels == 3 else pixels)


def change_pixels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Saves the photo with its colors, floats 0..255 [h, w, 3], changed."""

    def save(path: Path) -> None:
        changed = change(np.asarray(read_photo()).astype(np.float32)).clip(0, 255).round()
        PIL.Image.fromarray(changed.astype(np.uint8)).save(path)

    return save


def save_floats(path: Path) -> None:
    """Gray floats in 0..255, as many programs for measuring write them."""
    PIL.Image.fromarray(np.asarray(read_photo().convert("L")).astype(np.float32)).save(path)


def save_palette(path: Path) -> None:
    """64 colors, one of them transparent."""
    read_photo().quantize(64).save(path, transparency=0)


def save_animation(path: Path) -> None:
    blank = PIL.Image.new("RGB", read_photo().size, GRAY)
    read_photo().save(path, save_all=True, append_images=[blank, blank])


def save_heic(path: Path) -> None:
    """As phones write it. Needs the development dependency pillow-heif: the reader of the package cannot write."""
    import pillow_heif

    pillow_heif.from_pillow(read_photo()).save(path, quality=80)


def save_turned(path: Path) -> None:
    """Stored lying on its side, with the EXIF note that says so."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    read_photo().transpose(PIL.Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)


def save_translucent(path: Path) -> None:
    picture = read_photo().copy()
    picture.putalpha(200)
    picture.save(path)


def save_spoilt_notes(path: Path) -> None:
    """EXIF data cut short and a color profile that is none, around a good picture."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\0\0\0\x01"
    read_photo().save(path, exif=exif, icc_profile=b"not a profile", quality=95)


def save_wide(path: Path) -> None:
    """20,000 x 2,400 pixels."""
    canvas = PIL.Image.new("RGB", (20_000, 2400), GRAY)
    canvas.paste(read_photo().resize((2048, 2400)), (9000, 0))
    canvas.save(path, quality=80)


def save_tiny_face(path: Path) -> None:
    """A face of 40 pixels in 2000."""
    canvas = PIL.Image.new("RGB", (2000, 1500), GRAY)
    canvas.paste(read_photo().resize((111, 130), PIL.Image.Resampling.LANCZOS), (1300, 900))
    canvas.save(path)


def save_crowd(path: Path) -> None:
    """Twelve faces, the one in the third row and column a little larger."""
    crowd = PIL.Image.new("RGB", (4 * 256, 3 * 300))
    for number in range(12):
        one = read_photo().crop((40, 40, 480, 556)) if number == 10 else read_photo()
        crowd.paste(one.resize((256, 300)), (256 * (number % 4), 300 * (number // 4)))
    crowd.save(path)


def save_upside_down(path: Path) -> None:
    read_photo().rotate(180).save(path)


def save_cut_face(path: Path) -> None:
    """The picture ends between the eye at its left and the nose."""
    read_photo().crop((240, 0, 512, 600)).save(path)


def save_close_face(path: Path) -> None:
    """The whole face and nothing around it."""
    read_photo().crop((165, 100, 355, 335)).save(path)


def save_blank(path: Path) -> None:
    PIL.Image.new("RGB", (400, 400), GRAY).save(path)


def save_no_face(path: Path) -> None:
    """The photo's lower third: a uniform."""
    read_photo().crop((0, 400, 512, 600)).save(path)


@functools.cache
def make_head() -> Head:
    """The head of the example photo, unstylized."""
    from portraitist import Config, Models, stylize
    from portraitist.texture.optimization import TextureConfig

    texture = TextureConfig(strength=0.0)
    photo = load_photo()
    return stylize(photo, photo, Models.load("cpu"), Config(texture=texture)).content


def load_photo() -> Image:
    from portraitist.io.images import load_image

    return load_image(PHOTO)


def save_turned_head(path: Path, yaw_deg: int) -> None:
    """The photo's head seen from ``yaw_deg``: 0 front, 90 side, 180 behind."""
    from portraitist.io.images import save_image
    from portraitist.rendering.cameras import view_camera
    from portraitist.rendering.sampling import render_view

    head = make_head()
    camera = view_camera(head.mesh.vertices, float(yaw_deg), 0.0, 512)
    save_image(path, render_view(head.mesh, head.texture, camera, torch.tensor([0.5, 0.5, 0.55])))


@functools.cache
def find_points() -> np.ndarray:
    """The photo's 68 points, in pixels."""
    from portraitist.landmarks.detection import detect_landmarks
    from portraitist.landmarks.detector import LandmarkDetector

    return detect_landmarks(load_photo(), LandmarkDetector())[0].points.numpy()


def save_points(path: Path, points: np.ndarray) -> None:
    """As text, ``.npy`` or JSON, whatever is wrong with them."""
    if path.suffix == ".npy":
        np.save(path, points)
    elif path.suffix == ".json":
        path.write_text(json.dumps({"points": points.tolist()}))
    else:
        path.write_text("".join(" ".join(map(str, row)) + "\n" for row in points.tolist()))


def save_huge_header(path: Path) -> None:
    """An ``.npy`` file of 128 bytes that claims a terabyte."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (68, 2000000000), }".ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)


def copy_package(folder: Path, asset: str, content: bytes | None) -> Path:
    """The package as links, in which ``asset`` has another ``content`` or (None) is missing; returns its parent."""
    for path in FOLDER.parent.rglob("*"):
        link = folder / "site" / path.relative_to(FOLDER.parent.parent)
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        if path != FOLDER / asset:
            link.symlink_to(path)
        elif content is not None:
            link.write_bytes(content)
    return folder / "site"
