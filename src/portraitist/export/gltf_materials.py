"""Textures and materials of a glTF file."""

from __future__ import annotations

import io

import pygltflib as gl
from PIL import Image as PillowImage

from portraitist.export.gltf_buffer import add_view
from portraitist.io.images import encode_png, image_to_uint8
from portraitist.types import Image

LARGEST_PNG_BYTES = 6_000_000
"""Above this the texture is embedded as JPEG: a 4k painting would otherwise weigh more than all the rest."""


def add_unlit_material(file: gl.GLTF2, blob: bytearray, texture: Image, name: str) -> None:
    """The painting already holds its light, so the material must not add any (KHR_materials_unlit)."""
    data, mime_type = encode_texture(texture)
    file.textures.append(gl.Texture(source=len(file.images), sampler=0))
    file.images.append(gl.Image(name=name, bufferView=add_view(file, blob, data), mimeType=mime_type))
    file.materials.append(
        gl.Material(
            name=name,
            pbrMetallicRoughness=gl.PbrMetallicRoughness(
                baseColorTexture=gl.TextureInfo(index=len(file.textures) - 1), metallicFactor=0.0, roughnessFactor=1.0
            ),
            doubleSided=True,  # the neck is open below, and the mouth is seen from inside
            alphaCutoff=None,  # only allowed with alphaMode MASK
            extensions={"KHR_materials_unlit": {}},
        )
    )


def encode_texture(texture: Image) -> tuple[bytes, str]:
    png = encode_png(texture)
    if len(png) <= LARGEST_PNG_BYTES:
        return png, "image/png"
    buffer = io.BytesIO()
    PillowImage.fromarray(image_to_uint8(texture)).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue(), "image/jpeg"
