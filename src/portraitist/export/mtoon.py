"""MToon, the material of VRM: lit in two tones, with an outline, both as the artwork paints them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pygltflib as gl
import scipy.ndimage as ndi
import torch
from jaxtyping import Bool, Float

from portraitist.devices import from_numpy, to_numpy
from portraitist.export.gltf_materials import TextureStore, add_texture, find_darkest, to_linear
from portraitist.export.gltf_parts import Part
from portraitist.export.variants import INSIDE
from portraitist.mesh.laplacian import triangle_areas
from portraitist.rendering.shader_math import luminance
from portraitist.rendering.uv_layout import extend_islands, mark_texels
from portraitist.types import REGIONS, Image, Mesh

MTOON = "VRMC_materials_mtoon"
THINNEST_M, WIDEST_M = 0.0005, 0.002  # outlines beyond these are not seen on a head of 512 pixels, or hide it
FACE = ("skin", "nose", "lips", "eyelids", "brows")  # regions with the strokes that draw a face
MASK_PX = 256  # side of the texture that keeps outlines away from eyes and teeth: coarser than any of these parts
TOONY = 0.9  # how sharp the edge between light and shade is, 0..1: the default of MToon


def add_mtoon(
    file: gl.GLTF2, blob: bytearray, part: Part, material: gl.Material, outline_m: float, store: TextureStore
) -> None:
    """Make ``material``, which shows the texture of ``part``, an MToon material; others still take it as it is.

    Shade is as much darker, and of such a tint, as the darker half of the paint is against the lighter one. Outlines
    are ``outline_m`` wide, meters, and have the color of the darkest paint.
    """
    shading = material.pbrMetallicRoughness
    assert shading is not None
    assert shading.baseColorTexture is not None
    index = shading.baseColorTexture.index
    own: dict[str, Any] = {
        "specVersion": "1.0",
        "shadeColorFactor": find_shade(part.texture),
        "shadeMultiplyTexture": {"index": index},
        "shadingToonyFactor": TOONY,
        "outlineWidthMode": "worldCoordinates",
        "outlineWidthFactor": outline_m,
        "outlineColorFactor": [*find_darkest(part.texture)],
        "outlineLightingMixFactor": 0.0,
    }
    if bool(_find_inside(part.mesh).any()):
        mask = _draw_outside(part.mesh)
        own["outlineWidthMultiplyTexture"] = {"index": add_texture(file, blob, mask, f"{part.name}_outline", store)}
    material.extensions = {**(material.extensions or {}), MTOON: own}


def find_shade(texture: Image) -> list[float]:
    """Color of the shade over that of the light; linear, 0..1."""
    colors = to_linear(to_numpy(texture, np.float64).reshape(3, -1).T)
    light = luminance(colors)
    dark = light <= np.median(light)
    if dark.all():
        return [1.0, 1.0, 1.0]
    return (colors[dark].mean(0) / colors[~dark].mean(0).clip(min=1e-6)).clip(0, 1).tolist()  # no division by zero


def find_stroke_width(mesh: Mesh, texture: Image) -> float:
    """Width of the dark strokes on the face of a head, meters, `THINNEST_M` to `WIDEST_M`: that of which there are most
    by their pattern spectrum (Maragos 1989), what closings of growing size fill."""
    of_face = np.isin(to_numpy(mesh.regions), [REGIONS.index(name) for name in FACE])
    face_ids = to_numpy(mark_texels(mesh, texture.shape[-1]))
    shown = (face_ids >= 0) & of_face[face_ids]
    if not shown.any():
        return THINNEST_M
    corners = to_numpy(mesh.vertices[mesh.faces], np.float64)[of_face]
    texel_m = (triangle_areas(corners).sum() / shown.sum()) ** 0.5
    light = luminance(np.moveaxis(to_numpy(texture, np.float64), 0, -1))
    first, last = (max(round(width / texel_m), 1) for width in (THINNEST_M, WIDEST_M))
    widths = np.arange(first, last + 1)
    filled = [
        ndi.grey_closing(light, size=(int(width), int(width)))[shown].mean() for width in [*widths, widths[-1] + 1]
    ]
    return float(np.clip(widths[np.argmax(np.diff(filled))] * texel_m, THINNEST_M, WIDEST_M))


def _find_inside(mesh: Mesh) -> Bool[np.ndarray, "f"]:
    """Triangles that get no outline."""
    return np.isin(to_numpy(mesh.regions), [REGIONS.index(name) for name in INSIDE])


def _draw_outside(mesh: Mesh) -> Float[torch.Tensor, "3 s s"]:
    """White where there are outlines, black where not."""
    face_ids = to_numpy(mark_texels(mesh, MASK_PX))
    outside = np.where(face_ids >= 0, ~_find_inside(mesh)[face_ids], 0).astype(np.float32)
    return extend_islands(mesh, from_numpy(outside, mesh.vertices).expand(3, -1, -1).contiguous())
