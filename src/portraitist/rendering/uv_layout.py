"""The UV layout: which face each texel lies on, and filling of what lies between the islands."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from portraitist.rendering.ray_casting import cast_parallel_rays
from portraitist.types import Image, Mesh


def mark_texels(mesh: Mesh, texture_size: int) -> Int[Tensor, "t t"]:
    """Face id at each texel's center, -1 outside the UV islands. Where faces overlap, one of them."""
    corner_uvs = mesh.uvs[mesh.uv_faces].cpu().numpy().astype(np.float32)
    face_ids = _mark_layout(corner_uvs.tobytes(), texture_size)
    return torch.from_numpy(face_ids.copy()).to(mesh.faces)


@lru_cache(maxsize=2)
def _mark_layout(corner_uvs: bytes, texture_size: int) -> Int[np.ndarray, "t t"]:
    """All heads have one layout, and a stage asks many times."""
    corners_px = np.frombuffer(corner_uvs, np.float32).reshape(-1, 3, 2) * texture_size
    flat = np.concatenate([corners_px, np.zeros_like(corners_px[..., :1])], axis=-1)
    return cast_parallel_rays(flat, (texture_size, texture_size))[0]


def extend_islands(mesh: Mesh, texture: Image) -> Image:
    """Every texel outside the UV islands takes the nearest color inside, so that no viewer's filter finds a seam."""
    rows, columns = torch.from_numpy(find_nearest_texels(mesh, texture.shape[-1])).to(texture.device)
    return texture[:, rows, columns]


def find_nearest_texels(mesh: Mesh, size: int) -> Int[np.ndarray, "2 t t"]:
    """Row and column of the texel inside the UV islands that is nearest to each texel."""
    outside = (mark_texels(mesh, size) < 0).cpu().numpy()
    return np.asarray(distance_transform_edt(outside, return_distances=False, return_indices=True), np.int64)


def measure_slopes_uv(
    corners: Float[np.ndarray, "f 3 3"], corner_uvs: Float[np.ndarray, "f 3 2"]
) -> Float[np.ndarray, "f 2 3"]:
    """Derivative of UV by place on each triangle: what it maps the sides of the triangle to is exact."""
    sides, sides_uv = (np.swapaxes(x[:, 1:] - x[:, :1], 1, 2).astype(np.float64) for x in (corners, corner_uvs))
    return (sides_uv @ np.linalg.pinv(sides, rcond=1e-6)).astype(np.float32)


def locate_texels(
    corner_uvs: Float[np.ndarray, "k 3 2"], texel_ids: Int[np.ndarray, "k"], size: int
) -> Float[np.ndarray, "k 3"]:
    """Barycentric weights of texel centers in their triangles."""
    rows, columns = np.divmod(texel_ids, size)
    centers = ((np.stack([columns, rows], axis=1) + 0.5) / size).astype(np.float32)
    first, second = corner_uvs[:, 1] - corner_uvs[:, 0], corner_uvs[:, 2] - corner_uvs[:, 0]
    offset = centers - corner_uvs[:, 0]
    doubled = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    weight1 = (offset[:, 0] * second[:, 1] - offset[:, 1] * second[:, 0]) / doubled
    weight2 = (first[:, 0] * offset[:, 1] - first[:, 1] * offset[:, 0]) / doubled
    return np.stack([1 - weight1 - weight2, weight1, weight2], axis=1).clip(0, 1)


def sample_bilinear(picture: Float[np.ndarray, "h w *c"], points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k c"]:
    """Values at continuous array coordinates (x, y), in which entry (i, j) lies at x = j, y = i. Clamped outside."""
    # OpenCV's remap wants a picture of coordinates, neither side of it longer than 32,767.
    count, width = len(points), 4096
    grid = np.zeros((-(-count // width), width, 2), np.float32)
    grid.reshape(-1, 2)[:count] = points
    columns, rows = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])
    values = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.reshape(grid.shape[0] * width, -1)[:count]
