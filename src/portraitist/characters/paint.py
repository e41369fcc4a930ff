"""What the surfaces of a character are painted with: textures, factors and the colors of vertices."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from jaxtyping import Float

from portraitist.errors import InputError
from portraitist.io.gltf_document import GltfDocument, read_uri
from portraitist.rendering.sampling import sample_mipmapped

LARGEST_PX = 16384  # side of a texture
ENOUGH_PX = 4096  # side down to which textures are reduced: no view shows more
CUTOFF = 0.5  # opacity below which a material that is not opaque is looked through


@dataclass(frozen=True)
class BaseColor:
    """Where a material has its colors. ``texture``: its number, or None. ``factor``: linear red, green, blue and
    opacity. ``uv_set``: which UVs; ``offset``, ``rotation``, ``scale``: what is done to them
    (KHR_texture_transform)."""

    texture: int | None
    factor: tuple[float, ...]
    uv_set: int
    offset: tuple[float, float]
    rotation: float
    scale: tuple[float, float]
    opaque: bool

    def place(self, uvs: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """The UVs as the texture is looked up."""
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        return (uvs * self.scale) @ np.array([[cos, -sin], [sin, cos]]) + self.offset


def locate_base_color(document: GltfDocument, material: int | None) -> BaseColor | None:
    """Of material number ``material``; None: there is none, and what has it is white. The light that it gives off
    serves where it has no color, which is how some programs write unlit ones."""
    if material is None:
        return None
    own = document.tree["materials"][material]
    rough = own.get("pbrMetallicRoughness", {})
    glossy = own.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness", {})
    info = rough.get("baseColorTexture") or glossy.get("diffuseTexture")
    factor = rough.get("baseColorFactor") or glossy.get("diffuseFactor") or (1.0, 1.0, 1.0, 1.0)
    if info is None and "emissiveTexture" in own:
        info, factor = own["emissiveTexture"], (1.0, 1.0, 1.0, 1.0)
    moved = (info or {}).get("extensions", {}).get("KHR_texture_transform", {})
    return BaseColor(
        texture=None if info is None else info["index"],
        factor=tuple(map(float, factor)),
        uv_set=moved.get("texCoord", (info or {}).get("texCoord", 0)),
        offset=_read_pair(moved.get("offset", (0.0, 0.0))),
        rotation=float(moved.get("rotation", 0.0)),
        scale=_read_pair(moved.get("scale", (1.0, 1.0))),
        opaque=own.get("alphaMode", "OPAQUE") == "OPAQUE",
    )


def _read_pair(values: Sequence[float]) -> tuple[float, float]:
    first, second = map(float, values)
    return first, second


class Paints:
    """Colors of all materials of a document; each texture is opened once."""

    def __init__(self, document: GltfDocument, path: Path) -> None:
        self._document, self._path = document, path
        self._textures: dict[int, torch.Tensor] = {}

    def is_opaque(self, material: int | None) -> bool:
        base = locate_base_color(self._document, material)
        return base is None or base.opaque

    def look_up(
        self,
        material: int | None,
        uvs: Float[np.ndarray, "k 2"],
        colors: Float[np.ndarray, "k 4"],
        footprints: Float[np.ndarray, "k"],
    ) -> Float[np.ndarray, "k 4"]:
        """sRGB and opacity, 0..1. ``uvs`` as they are looked up; ``colors``: of the vertices, linear; ``footprints``:
        UV units across which each is to be a mean."""
        base = locate_base_color(self._document, material)
        values = np.array(colors, np.float64)
        if base is not None:
            values *= base.factor
            if base.texture is not None:
                texture = self._open(base.texture)
                wrapped = torch.from_numpy((uvs % 1.0).astype(np.float32))
                spread = torch.from_numpy((footprints * max(texture.shape[1:])).astype(np.float32))
                seen = sample_mipmapped(texture, wrapped, spread).numpy().T.astype(np.float64)
                values *= np.concatenate([decode_srgb(seen[:, :3]), seen[:, 3:]], 1)
        values[:, :3] = encode_srgb(values[:, :3].clip(0, 1))
        return values

    def _open(self, number: int) -> torch.Tensor:
        if number not in self._textures:
            self._textures[number] = torch.from_numpy(read_texture(self._document, number, self._path))
        return self._textures[number]


def read_texture(document: GltfDocument, number: int, path: Path) -> Float[np.ndarray, "4 h w"]:
    """sRGB and opacity of a texture, 0..1. Raises InputError for one that cannot be read."""
    texture = document.tree["textures"][number]
    sources = [own["source"] for own in texture.get("extensions", {}).values() if "source" in own]
    errors: list[Exception] = []
    for source in [*sources, *([texture["source"]] if "source" in texture else [])]:
        try:
            return _decode(read_image(document, document.tree["images"][source], path), path)
        except (PIL.UnidentifiedImageError, SyntaxError) as error:  # e.g. KTX2, beside which often is a PNG
            errors.append(error)
    kinds = ", ".join(texture.get("extensions", {})) or "unknown format"
    raise InputError(f"A texture in {path} cannot be read ({kinds}). Export it with PNG, JPEG or WebP textures.")


def read_image(document: GltfDocument, image: dict[str, Any], path: Path) -> bytes:
    """The file of an image."""
    return document.buffers.read_view(image["bufferView"]) if "bufferView" in image else read_uri(image["uri"], path)


def _decode(data: bytes, path: Path) -> Float[np.ndarray, "4 h w"]:
    with PIL.Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
        if max(picture.size) > LARGEST_PX:
            raise InputError(
                f"A texture in {path} has {max(picture.size)} pixels a side. At most {LARGEST_PX} are read."
            )
        small = picture.convert("RGBA").reduce(-(-max(picture.size) // ENOUGH_PX))
        return np.asarray(small, np.float32).transpose(2, 0, 1) / 255


def decode_srgb(colors: np.ndarray) -> np.ndarray:
    """sRGB 0..1 as amounts of light 0..1 (IEC 61966-2-1)."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def encode_srgb(light: np.ndarray) -> np.ndarray:
    """The other way round."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
