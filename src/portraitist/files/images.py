"""Pictures in and out: whatever file people have becomes ``Image``, float32 ``[3, h, w]``, sRGB 0..1."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from PIL import ImageCms, ImageOps

from portraitist.types import Image, InputError, OutputError

log = logging.getLogger(__name__)

MAX_SIDE = 2048
"""Longer pictures are scaled down to this many pixels: no stage gains from more, and memory stays bounded."""

MIN_SIDE = 32
"""No face can be found or painted in less."""

MAX_PIXELS = 150_000_000
"""Larger pictures are refused before they are decoded (decompression bombs)."""


def load_image(path: str | Path) -> Image:
    """Read a picture as ``[3, h, w]`` sRGB 0..1, upright and opaque, at most MAX_SIDE pixels long.

    EXIF orientation is applied, an embedded colour profile is converted to sRGB, transparency is laid over white,
    greyscale, palette, CMYK and 16-bit files are converted, and the first frame of an animation is taken.
    Raises InputError when the file is missing, not a picture, cut short, tiny or absurdly large.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder, not a picture file" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {kind}. Give the path of a JPEG, PNG, WebP or TIFF picture.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(path) as picture:
                check_size(path, picture.size)
                picture.draft(None, (MAX_SIDE, MAX_SIDE))  # large JPEGs are shrunk while they are decoded
                opaque = flatten_transparency(convert_to_8bit(ImageOps.exif_transpose(picture)))
    except InputError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large to be decoded safely ({error}). Scale it down first.") from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: permission denied.") from error
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{path} is not a picture in a known format. Give a JPEG, PNG, WebP or TIFF.") from error
    except (
        Exception
    ) as error:  # on bad bytes Pillow's decoders raise nearly anything: OSError, SyntaxError, struct.error
        raise InputError(f"{path} is damaged or cut short and cannot be decoded ({error}).") from error
    return image_from_pil(limit_size(path, opaque))


def check_size(path: Path, size: tuple[int, int]) -> None:
    """Refuse (width, height) that no picture of a face has. Raises InputError."""
    width, height = size
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{path} is only {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed.")
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{path} is {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million. Scale it down first."
        )


def convert_to_8bit(picture: PIL.Image.Image) -> PIL.Image.Image:
    """RGB or RGBA, 8 bits, sRGB; high bit depths are scaled, not clipped."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, dtype=np.float64)
        # 16-bit greyscale has mode "I;16" or, from some decoders, "I"; floats are 0..1 by convention.
        full = 1.0 if picture.mode == "F" else 65535.0
        return PIL.Image.fromarray((np.clip(values / full, 0, 1) * 255).round().astype(np.uint8)).convert("RGB")
    has_alpha = picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in picture.info
    return convert_to_srgb(picture, "RGBA" if has_alpha else "RGB")


def convert_to_srgb(picture: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    """Convert to ``mode`` through the embedded colour profile where one can be used."""
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in {"RGB", "RGBA", "CMYK"}:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=mode)
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError) as error:
            log.warning("The colour profile of the picture cannot be used and is ignored: %s", error)
    return picture.convert(mode)


def flatten_transparency(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Lay an RGBA picture over white."""
    if picture.mode != "RGBA":
        return picture
    white = PIL.Image.new("RGBA", picture.size, "white")
    return PIL.Image.alpha_composite(white, picture).convert("RGB")


def limit_size(path: Path, picture: PIL.Image.Image) -> PIL.Image.Image:
    """Scale down to MAX_SIDE, saying so in the log."""
    longest = max(picture.size)
    if longest <= MAX_SIDE:
        return picture
    width, height = (max(MIN_SIDE, round(side * MAX_SIDE / longest)) for side in picture.size)
    log.warning("%s is %d x %d pixels; scaled down to %d x %d.", path, *picture.size, width, height)
    return picture.resize((width, height), PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)


def image_from_pil(picture: PIL.Image.Image) -> Image:
    """8-bit RGB picture to ``[3, h, w]`` 0..1."""
    return torch.from_numpy(np.array(picture, dtype=np.float32).transpose(2, 0, 1) / 255).contiguous()


def image_to_uint8(image: Image) -> np.ndarray:
    """``[3, h, w]`` 0..1 to an ``[h, w, 3]`` uint8 array, rounded and clipped."""
    return (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def save_image(path: str | Path, image: Image) -> None:
    """Write ``[3, h, w]`` 0..1 as PNG. Raises OutputError when the file cannot be written."""
    try:
        PIL.Image.fromarray(image_to_uint8(image)).save(path, format="PNG")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}). Choose a folder you may write to.") from error
