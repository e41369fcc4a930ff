"""The UV layout of any mesh: where each texel lies on the surface, and filling of what lies between the islands.

Texels are numbered by row: texel id ``row * t + column`` of a texture with side ``t``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.rendering.ray_casting import cast_parallel_rays
from portraitist.types import Image, Mesh


def mark_texels(mesh: Mesh, texture_size: int) -> Int[Tensor, "t t"]:
    """Face id at each texel's center, -1 outside the UV islands. Where faces overlap, one of them."""
    corner_uvs = to_numpy(mesh.uvs[mesh.uv_faces]).astype(np.float32)
    face_ids = _mark_layout(corner_uvs.tobytes(), texture_size)
    return from_numpy(face_ids.copy(), mesh.faces)


@lru_cache(maxsize=2)
def _mark_layout(corner_uvs: bytes, texture_size: int) -> Int[np.ndarray, "t t"]:
    """All heads have one layout, and a stage asks many times."""
    corners_px = np.frombuffer(corner_uvs, np.float32).reshape(-1, 3, 2) * texture_size
    flat = np.concatenate([corners_px, np.zeros_like(corners_px[..., :1])], axis=-1).reshape(-1, 3)
    return cast_parallel_rays(flat, np.arange(len(flat)).reshape(-1, 3), (texture_size, texture_size))[0]


def locate_texels(
    mesh: Mesh, texture_size: int
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"], Float[np.ndarray, "k 3"]]:
    """Ids of the texels inside the UV islands, ascending; the face that each center lies on, and its barycentric
    weights there."""
    face_ids = to_numpy(mark_texels(mesh, texture_size)).ravel()
    texel_ids = np.flatnonzero(face_ids >= 0)
    face_ids = face_ids[texel_ids]
    corner_uvs = to_numpy(mesh.uvs[mesh.uv_faces])[face_ids]
    rows, columns = np.divmod(texel_ids, texture_size)
    centers = ((np.stack([columns, rows], axis=1) + 0.5) / texture_size).astype(np.float32)
    first, second, offset = (
        corner_uvs[:, 1] - corner_uvs[:, 0],
        corner_uvs[:, 2] - corner_uvs[:, 0],
        centers - corner_uvs[:, 0],
    )
    doubled = cross_2d(first, second)
    weight1, weight2 = cross_2d(offset, second) / doubled, cross_2d(first, offset) / doubled
    return texel_ids, face_ids, np.stack([1 - weight1 - weight2, weight1, weight2], axis=1).clip(0, 1)


def cross_2d(a: Float[np.ndarray, "k 2"], b: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k"]:
    """Twice the signed area of the triangles between vectors."""
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def extend_islands(mesh: Mesh, texture: Image) -> Image:
    """Every texel outside the UV islands takes the nearest color inside, so that no viewer's filter finds a seam."""
    rows, columns = from_numpy(find_nearest_texels(mesh, texture.shape[-1]), mesh.faces)
    return texture[:, rows, columns]


def find_nearest_texels(mesh: Mesh, size: int) -> Int[np.ndarray, "2 t t"]:
    """Row and column of the texel inside the UV islands that is nearest to each texel."""
    return find_nearest_inside(to_numpy(mark_texels(mesh, size) >= 0))


def find_nearest_inside(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "2 h w"]:
    """Row and column of the pixel of the mask that is nearest to each pixel; its own on the mask."""
    return np.asarray(distance_transform_edt(~mask, return_distances=False, return_indices=True), np.int64)
