"""The photo projected onto the texels of the head: what the camera saw of each, and how much that counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.ray_casting import is_occluded
from portraitist.rendering.sampling import sample_mipmapped
from portraitist.rendering.shader_math import smoothstep
from portraitist.types import HeadFit, Image
from portraitist.unwrapping.authored import MOUTH_PARTS

RAY_OFFSET = 2e-4  # meters towards the viewer at which rays start, lest they meet the texel's own triangle


@dataclass(frozen=True)
class UnwrapConfig:
    """``texture_size``: side of the square texture. ``grazing``: cosines between surface normal and line of sight at
    which the weight of the photo begins and is full. ``visibility_margin``: texels (of 1024) kept away from an
    occluding contour. ``mask_margin``: how far the border of the bare head
    is moved inwards, in meters on the head. ``delighting``: share
    0..1 of the light's difference between the sides of the face that is taken out; at 0 the seen texels are the
    photo's own. ``hair``: hair and headwear as layers over the head (``layer``), or left out
    (``none``).
    """

    texture_size: int = 1024
    grazing: tuple[float, float] = (0.15, 0.45)
    visibility_margin: float = 2.0
    mask_margin: float = 0.001
    delighting: float = 0.7
    hair: Literal["layer", "none"] = "layer"


def project_photo(
    photo: Image, fit: HeadFit, bare: Float[Tensor, "h w"], texels: HeadTexels, config: UnwrapConfig
) -> TexelColors:
    """Color of the photo at every texel, and its weight: 0 where hidden, edge-on, background or outside."""
    # 1. Position and view cosine of every texel.
    vertices, camera = fit.mesh.vertices, fit.camera
    faces = to_numpy(fit.mesh.faces)
    depth_px = camera.depth(vertices) * camera.scale_px
    vertices_px = to_numpy(torch.cat([camera.project(vertices), depth_px[:, None]], dim=1))
    upward = vertices_px * np.array([1, -1, 1], np.float32)  # right-handed, for normals that point outwards
    interpolated = texels.interpolation @ np.column_stack([vertices_px, vertex_normals(upward, faces)])
    points, normals = interpolated[:, :3], interpolated[:, 3:]
    view_cosines = normals[:, 2] / np.maximum(np.linalg.norm(normals, axis=1), 1e-6)
    # Mouth parts are thin sheets whose vertex normals mean nothing.
    in_mouth = texels.in_components(*MOUTH_PARTS)
    view_cosines = np.where(in_mouth, 1, view_cosines)
    # 2. Visibility: one ray for every texel that faces the camera.
    (candidates,) = np.nonzero(view_cosines > config.grazing[0])
    visible = np.zeros(len(points), np.float32)
    visible[candidates] = find_visible(points[candidates], vertices_px[faces], RAY_OFFSET * camera.scale_px)
    # Close to a contour that hides something, the fit may be a pixel off: keep away from it, softly. Not in eyes and
    # mouth, of which there is little to see, behind contours that the landmarks pin down well.
    clear = (2 * texels.smooth(visible, config.visibility_margin) - 1).clip(0, 1)
    clear[texels.in_components("eyeball_left", "eyeball_right") | in_mouth] = 1
    weights = visible * clear * smoothstep(view_cosines, *config.grazing)
    # 3. Filtered look-up in photo and mask.
    (used,) = np.nonzero(weights > 0)
    mask = from_numpy(erode_mask(bare, config.mask_margin * camera.scale_px), photo)
    picture = torch.cat([photo.detach(), mask[None]])
    footprints_px = measure_texel_sides_px(vertices_px[faces], fit, texels.size)[texels.face_ids[used]]
    samples = sample_photo(picture, points[used, :2], footprints_px)
    colors = np.zeros((len(points), 3), np.float32)
    colors[used] = samples[:, :3]
    weights[used] *= samples[:, 3]
    return TexelColors(colors, weights, view_cosines.astype(np.float32))


def sample_photo(
    picture: Float[Tensor, "c h w"], points_px: Float[np.ndarray, "k 2"], footprints_px: Float[np.ndarray, "k"]
) -> Float[np.ndarray, "k c"]:
    """A texel that covers several pixels takes their mean instead of one of them. 0 outside the picture."""
    height, width = picture.shape[1:]
    uv = points_px / np.array([width, height])
    samples = sample_mipmapped(picture, *(from_numpy(x, picture) for x in (uv, footprints_px)))
    inside = np.all((uv >= 0) & (uv <= 1), axis=1)
    return to_numpy(samples.T).clip(0, 1) * inside[:, None]


def find_visible(
    points: Float[np.ndarray, "k 3"], corners: Float[np.ndarray, "f 3 3"], offset: float
) -> Float[np.ndarray, "k"]:
    """1 where nothing lies between a point and the viewer at +z (both in pixels), else 0."""
    towards_viewer = np.array([0, 0, 1], np.float32)
    origins = points + offset * towards_viewer
    return 1.0 - is_occluded(corners, origins, np.broadcast_to(towards_viewer, origins.shape))


def measure_texel_sides_px(corners_px: Float[np.ndarray, "f 3 3"], fit: HeadFit, size: int) -> Float[np.ndarray, "f"]:
    """Side of a texel in photo pixels, one per face: square root of the ratio of areas."""
    corners_uv = to_numpy(fit.mesh.uvs[fit.mesh.uv_faces]) * size

    def doubled_area(corners: np.ndarray) -> np.ndarray:
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])

    return np.sqrt(doubled_area(corners_px) / np.maximum(doubled_area(corners_uv), 1e-9))


def erode_mask(bare: Float[Tensor, "h w"], margin_px: float) -> Float[np.ndarray, "h w"]:
    """The bare head with its edge moved inwards and softened. The picture's border is no edge of it."""
    mask = (to_numpy(bare) > 0.5).astype(np.float32)
    side = 2 * max(round(margin_px), 1) + 1
    # Twice: once for the blur, once since a network's mask may be too wide.
    eroded = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), iterations=2)
    return cv2.blur(eroded, (side, side), borderType=cv2.BORDER_REPLICATE) * mask
