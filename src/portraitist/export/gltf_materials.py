"""Textures and materials of a glTF file."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np
import pygltflib as gl
from PIL import Image as PillowImage

from portraitist.devices import to_numpy
from portraitist.export.gltf_buffer import add_view
from portraitist.io.images import encode_png, image_to_uint8
from portraitist.rendering.shader_math import luminance
from portraitist.types import Image

UNLIT = "KHR_materials_unlit"
OUTLINE, NO_OUTLINE = "Outline", "No_outline"

LARGEST_PNG_BYTES = 6_000_000
"""Above this the texture is embedded as JPEG: a 4k painting would otherwise weigh more than all the rest."""

JPEG_QUALITY = 95  # of textures too large as PNG
SMALL_JPEG_QUALITY = 90  # of those that are to be small: a fifth of the PNG, and no block is seen on a head
DARKEST = 0.02  # share of a texture's texels whose mean is the color of its outlines


@dataclass(frozen=True)
class TextureStore:
    """Where textures go. ``small``: as JPEG wherever it is smaller. ``stem``: None to embed them; else the beginning of
    the names of files beside the glTF file, whose contents are gathered in ``files``."""

    small: bool = False
    stem: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)


def add_texture(file: gl.GLTF2, blob: bytearray, texture: Image, name: str, store: TextureStore) -> int:
    """Embed it or put it into the ``store``, with the file's one sampler; returns its number."""
    file.textures.append(gl.Texture(source=len(file.images), sampler=0))
    if store.stem is None:
        data, mime_type = encode_texture(texture, small=store.small)
        file.images.append(gl.Image(name=name, bufferView=add_view(file, blob, data), mimeType=mime_type))
    else:
        place = name_texture_file(store.stem, name)
        store.files[place] = encode_png(texture)
        file.images.append(gl.Image(name=name, uri=quote(place)))
    return len(file.textures) - 1


def name_texture_file(stem: str, name: str) -> str:
    """Of a texture that is not embedded. Textures beside a file are PNG, which every painting program keeps whole."""
    return f"{stem}_{name}.png"


def add_material(file: gl.GLTF2, texture: int, name: str, *, unlit: bool = True) -> int:
    """A material that shows the texture. The painting already holds its light, so that an ``unlit`` one adds none
    (KHR_materials_unlit); the other is as rough as can be, without any gloss of metal."""
    return _append(
        file,
        gl.Material(
            name=name,
            pbrMetallicRoughness=gl.PbrMetallicRoughness(
                baseColorTexture=gl.TextureInfo(index=texture), metallicFactor=0.0, roughnessFactor=1.0
            ),
            doubleSided=True,  # the neck is open below, and the mouth is seen from inside
            alphaCutoff=None,  # only allowed with alphaMode MASK
            extensions={UNLIT: {}} if unlit else {},
        ),
    )


def add_outline_material(file: gl.GLTF2, color: tuple[float, float, float] | None) -> int:
    """A plain unlit color (linear, 0..1), seen from the front of its faces only; None: nothing is seen."""
    alpha = 0.0 if color is None else 1.0
    return _append(
        file,
        gl.Material(
            name=NO_OUTLINE if color is None else OUTLINE,
            pbrMetallicRoughness=gl.PbrMetallicRoughness(
                baseColorFactor=[*(color or (0.0, 0.0, 0.0)), alpha], metallicFactor=0.0, roughnessFactor=1.0
            ),
            alphaMode=gl.MASK if color is None else gl.OPAQUE,
            alphaCutoff=0.5 if color is None else None,
            extensions={UNLIT: {}},
        ),
    )


def list_extensions(file: gl.GLTF2) -> list[str]:
    """Those that the file's materials use."""
    return sorted({name for material in file.materials for name in material.extensions or {}})


def find_darkest(texture: Image) -> tuple[float, float, float]:
    """The color of the darkest paint in it; linear, 0..1."""
    colors = to_numpy(texture, np.float64).reshape(3, -1).T
    light = luminance(colors)
    red, green, blue = to_linear(colors[light <= np.quantile(light, DARKEST)].mean(0)).tolist()
    return red, green, blue


def to_linear(colors: np.ndarray) -> np.ndarray:
    """sRGB 0..1 as amounts of light 0..1 (IEC 61966-2-1)."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def encode_texture(texture: Image, *, small: bool = False) -> tuple[bytes, str]:
    """File and MIME type: PNG where that is not too large, else JPEG. ``small``: JPEG wherever it is smaller."""
    png = encode_png(texture)
    if not small and len(png) <= LARGEST_PNG_BYTES:
        return png, "image/png"
    buffer = io.BytesIO()
    quality = SMALL_JPEG_QUALITY if small else JPEG_QUALITY
    PillowImage.fromarray(image_to_uint8(texture)).save(buffer, "JPEG", quality=quality, subsampling=0)
    jpeg = buffer.getvalue()
    return (jpeg, "image/jpeg") if len(jpeg) < len(png) else (png, "image/png")


def _append(file: gl.GLTF2, material: gl.Material) -> int:
    file.materials.append(material)
    return len(file.materials) - 1
