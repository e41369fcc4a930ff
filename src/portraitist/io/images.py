"""Pictures in and out: whatever file people have becomes ``Image``, float32 ``[3, h, w]``, sRGB 0..1."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pi_heif
import PIL.Image
import torch
from jaxtyping import Float
from PIL import ExifTags, ImageCms
from torch import Tensor

from portraitist.devices import to_numpy
from portraitist.errors import InputError
from portraitist.io.output_file import new_file
from portraitist.types import Image

log = logging.getLogger(__name__)

MAX_SIDE = 2048
"""Longer pictures are scaled down to this many pixels: no stage gains from more, and memory stays bounded."""

MIN_SIDE = 32
"""No face can be found or painted in less."""

MAX_PIXELS = 150_000_000
"""Larger pictures are refused before they are decoded (decompression bombs)."""

MAX_FILE_BYTES = 2**30
"""Larger files are no picture of a person, and the run record hashes every input."""

PNG_LEVEL = 4
"""Of compression: half the time of Pillow's 6 for files 2 % larger (``benchmarks/speed.py`` writes a dozen)."""

FLOAT_WHITES = (1.0, 255.0, 65535.0)
INTEGER_WHITES = (65535.0, 255.0, 2.0**31)
"""Values that are white in pictures of floats and of 32-bit integers; the conventional one first."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP", "GIF", "JPEG2000", "PPM", "PSD")
"""What Pillow may open. Others are left out on purpose: EPS would go to Ghostscript, chance bytes pass for TGA."""

Transpose = PIL.Image.Transpose
TRANSPOSITIONS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What makes a picture upright, by EXIF orientation. (``ImageOps.exif_transpose`` also rewrites the EXIF data, and
fails where it is odd.)"""

ADVICE = "Give a JPEG, PNG, WebP, HEIC or AVIF picture, or a TIFF of 8 or 16 bits."


def load_image(path: str | Path) -> Image:
    """Read a picture as ``[3, h, w]`` sRGB 0..1, upright and opaque, at most MAX_SIDE pixels long.

    EXIF orientation is applied, an embedded color profile is converted to sRGB, transparency is laid over white,
    grayscale, palette, CMYK, 16-bit and float files are converted, and the first frame of an animation is taken.
    Raises InputError when the file is missing, not a picture, cut short, tiny or absurdly large.
    """
    with open_picture(path) as picture:
        check_size(path, picture.size)
        picture.draft(None, (MAX_SIDE, MAX_SIDE))  # large JPEGs are shrunk while they are decoded
        picture.load()
        opaque = flatten_transparency(convert_to_8bit(turn_upright(picture)))
    return image_from_pil(limit_size(path, opaque))


def read_picture_size(path: str | Path) -> tuple[int, int]:
    """(height, width) in pixels of the file's picture as people see it: EXIF orientation applied, not scaled down.

    Only the head of the file is read. Raises InputError as ``load_image`` does.
    """
    with open_picture(path) as picture:
        width, height = picture.size
        # Pillow turns TIFFs by itself, and gives their size as if that had been done.
        is_turned = picture.format != "TIFF" and read_orientation(picture) >= 5
        return (width, height) if is_turned else (height, width)


@contextlib.contextmanager
def open_picture(path: str | Path) -> Iterator[PIL.Image.Image]:
    """The picture of a file, not decoded yet; whatever goes wrong while it is used becomes an InputError."""
    path = Path(path)
    check_file(path)
    register_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(path, formats=FORMATS) as picture:
                yield picture
    except InputError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise InputError(f"{path} says that it has over {MAX_PIXELS:,} pixels. Scale it down first.") from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: permission denied.") from error
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{path} is not a picture in a known format. {ADVICE}") from error
    # On bad bytes Pillow's decoders raise nearly anything: OSError, SyntaxError, struct.error, MemoryError.
    except Exception as error:
        raise InputError(
            f"{path} is damaged or cut short and cannot be decoded ({error}). "
            "Get the file again, or save it anew in a picture editor."
        ) from error


def check_file(path: Path) -> None:
    """Refuse what is not an ordinary file, before opening it: reading from a pipe may never end. Raises InputError."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist. {ADVICE}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be opened ({getattr(error, 'strerror', None) or error}).") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device"
        raise InputError(f"{path} is {kind}, not a picture file. {ADVICE}")
    if status.st_size == 0:
        raise InputError(f"{path} is empty. {ADVICE}")
    if status.st_size > MAX_FILE_BYTES:
        raise InputError(
            f"{path} is a file of {status.st_size / 2**30:.1f} GB; at most {MAX_FILE_BYTES // 2**30} GB is read. "
            "Save the picture smaller."
        )


@functools.cache
def register_heif() -> None:
    """Teach Pillow to read what iPhones write."""
    pi_heif.register_heif_opener()


def check_size(path: str | Path, size: tuple[int, int]) -> None:
    """Refuse (width, height) that no picture of a face has. Raises InputError."""
    width, height = size
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{path} is only {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed.")
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{path} is {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million. Scale it down first."
        )


def read_orientation(picture: PIL.Image.Image) -> int:
    """EXIF orientation 1..8; 1 where there is none or it cannot be read."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception as error:  # as for the picture itself, bad bytes raise nearly anything
        log.warning("The EXIF data of the picture cannot be read and is ignored: %s", error)
        return 1
    return orientation if orientation in range(1, 9) else 1


def turn_upright(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Apply the EXIF orientation; a picture whose EXIF data is broken stays as it is."""
    transposition = TRANSPOSITIONS.get(read_orientation(picture))
    return picture if transposition is None else picture.transpose(transposition)


def convert_to_8bit(picture: PIL.Image.Image) -> PIL.Image.Image:
    """RGB or RGBA, 8 bits, sRGB; high bit depths are scaled, not clipped."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        if picture.mode in ("F", "I"):  # floats and 32-bit integers do not say where white is
            values = np.clip(np.nan_to_num(values), 0, white := guess_white(values)) * (65535 / white)
        # The table spares the memory of float copies.
        to_8bit = (np.arange(65536) / 257).round().astype(np.uint8)
        return PIL.Image.fromarray(to_8bit[np.clip(values, 0, 65535).astype(np.uint16)]).convert("RGB")
    has_alpha = picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in picture.info
    return convert_to_srgb(picture, "RGBA" if has_alpha else "RGB")


def guess_white(values: np.ndarray) -> float:
    """Where white is among float or 32-bit values: of the usual places the one nearest to the brightest value, as
    ratios go. Anything but the convention, floats up to 1 and integers up to 65,535, is said in the log."""
    finite = values[np.isfinite(values)]
    brightest = float(finite.max(initial=0))
    whites = FLOAT_WHITES if values.dtype.kind == "f" else INTEGER_WHITES
    white = min(whites, key=lambda white: abs(np.log(max(brightest, 1e-6) / white)))
    if brightest > white or white != whites[0]:
        taken = "The picture holds numbers up to %.6g; %.6g was taken for white. If that is wrong, save it as 16 bits."
        log.warning(taken, brightest, white)
    return white


def convert_to_srgb(picture: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    """Convert to ``mode`` through the embedded color profile where one can be used."""
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in {"RGB", "RGBA", "CMYK"}:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=mode)
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError) as error:
            log.warning("The color profile of the picture cannot be used and is ignored: %s", error)
    return picture.convert(mode)


def flatten_transparency(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Lay an RGBA picture over white."""
    if picture.mode != "RGBA":
        return picture
    white = PIL.Image.new("RGBA", picture.size, "white")
    return PIL.Image.alpha_composite(white, picture).convert("RGB")


def limit_size(path: str | Path, picture: PIL.Image.Image) -> PIL.Image.Image:
    """Scale down to MAX_SIDE, saying so in the log."""
    longest = max(picture.size)
    if longest <= MAX_SIDE:
        return picture
    width, height = (max(MIN_SIDE, round(side * MAX_SIDE / longest)) for side in picture.size)
    log.info("%s is %d x %d pixels; scaled down to %d x %d.", path, *picture.size, width, height)
    return picture.resize((width, height), PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)


def image_from_pil(picture: PIL.Image.Image) -> Image:
    """8-bit RGB picture to ``[3, h, w]`` 0..1."""
    return torch.from_numpy(np.array(picture, dtype=np.float32).transpose(2, 0, 1) / 255).contiguous()


def image_to_uint8(image: Float[Tensor, "c h w"]) -> np.ndarray:
    """``[c, h, w]`` 0..1 to an ``[h, w, c]`` uint8 array, rounded and clipped."""
    return to_numpy((image.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous())


def encode_png(image: Image, alpha: Float[Tensor, "_h _w"] | None = None) -> bytes:
    """``[3, h, w]`` 0..1 as a PNG file of 8 bits; with ``alpha`` 0..1, 0 is transparent."""
    pixels, buffer = image_to_uint8(image), io.BytesIO()
    if alpha is not None:
        pixels = np.concatenate([pixels, image_to_uint8(alpha[None])], 2)
    PIL.Image.fromarray(pixels).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def save_image(path: str | Path, image: Image, alpha: Float[Tensor, "_h _w"] | None = None) -> None:
    """Write ``[3, h, w]`` 0..1 as PNG, whole or not at all; with ``alpha`` 0..1, 0 is transparent.

    Raises OutputError when the file cannot be written.
    """
    with new_file(Path(path)) as temporary:
        temporary.write_bytes(encode_png(image, alpha))


def check_png_suffix(path: Path) -> None:
    """Raises InputError for a name that is not a PNG's."""
    if path.suffix.lower() != ".png":
        raise InputError(f"Pictures are written as PNG, not as {path.name}: give a name that ends in .png.")


def round_to_bytes(texture: Image) -> Image:
    """So that every file made of the head holds the very same pixels, in 8 bits."""
    return (texture * 255).round() / 255
