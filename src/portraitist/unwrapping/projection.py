"""The photo projected onto the texels of the head: what the camera saw of each, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.ray_casting import is_occluded
from portraitist.rendering.shader_math import smoothstep
from portraitist.rendering.uv_layout import sample_bilinear
from portraitist.types import HeadFit, Image

MOUTH_PARTS = ("mouth_cavity", "upper_teeth", "lower_teeth", "tongue")


@dataclass(frozen=True)
class UnwrapConfig:
    """``texture_size``: side of the square texture. ``grazing``: cosines between surface normal and line of sight where
    trust in the photo begins and is full. ``visibility_margin``: texels (of 1024) kept away from an occluding contour.
    ``mask_margin``: how far the person mask is eroded, in meters on the head. ``even_light``: share 0..1 of the light's
    difference between the sides of the face that is taken out; at 0 the seen texels are the photo's own.
    """

    texture_size: int = 1024
    grazing: tuple[float, float] = (0.15, 0.45)
    visibility_margin: float = 2.0
    mask_margin: float = 0.003
    even_light: float = 0.7


def observe_photo(
    photo: Image, fit: HeadFit, person_mask: Float[Tensor, "h w"], atlas: HeadTexels, config: UnwrapConfig
) -> TexelColors:
    """Color of the photo at every texel and how far to trust it: 0 where hidden, edge-on, background or outside."""
    vertices = fit.mesh.vertices.detach().cpu()
    faces = fit.mesh.faces.cpu().numpy()
    camera = fit.camera
    depth_px = camera.depth(vertices) * camera.scale_px
    vertices_px = torch.cat([camera.project(vertices), depth_px[:, None]], dim=1).numpy()
    upward = vertices_px * np.array([1, -1, 1], np.float32)  # right-handed, for normals that point outwards
    places = atlas.interpolation @ np.column_stack([vertices_px, vertex_normals(upward, faces)])
    points, facing = places[:, :3], places[:, 5] / np.maximum(np.linalg.norm(places[:, 3:], axis=1), 1e-6)
    # Mouth parts are thin sheets whose vertex normals mean nothing.
    in_mouth = atlas.in_parts(*MOUTH_PARTS)
    facing = np.where(in_mouth, 1, facing)
    (candidates,) = np.nonzero(facing > config.grazing[0])
    visible = np.zeros(len(points), np.float32)
    visible[candidates] = find_visible(points[candidates], vertices_px[faces], 2e-4 * camera.scale_px)
    # Close to a contour that hides something, the fit may be a pixel off: keep away from it, softly. Not in eyes and
    # mouth, of which there is little to see, behind contours that the landmarks pin down well.
    clear = (2 * atlas.smooth(visible, config.visibility_margin) - 1).clip(0, 1)
    clear[atlas.in_parts("eyeball_left", "eyeball_right") | in_mouth] = 1
    weights = visible * clear * smoothstep(facing, *config.grazing)
    (used,) = np.nonzero(weights > 0)
    trusted = erode_mask(person_mask, config.mask_margin * camera.scale_px)
    picture = np.dstack([photo.detach().cpu().permute(1, 2, 0).numpy(), trusted]).astype(np.float32)
    texels_px = texel_sides(vertices_px[faces], fit, atlas.size)[atlas.face_ids[used]]
    samples = sample_filtered(picture, points[used, :2], texels_px)
    colors = np.zeros((len(points), 3), np.float32)
    colors[used] = samples[:, :3].clip(0, 1)
    weights[used] *= samples[:, 3].clip(0, 1)
    return TexelColors(colors, weights, facing.astype(np.float32))


def find_visible(
    points: Float[np.ndarray, "k 3"], corners: Float[np.ndarray, "f 3 3"], offset: float
) -> Float[np.ndarray, "k"]:
    """1 where nothing lies between a point and the viewer at +z (both in pixels), else 0."""
    towards_viewer = np.array([0, 0, 1], np.float32)
    origins = points + offset * towards_viewer
    return 1.0 - is_occluded(corners, origins, np.broadcast_to(towards_viewer, origins.shape))


def texel_sides(corners_px: Float[np.ndarray, "f 3 3"], fit: HeadFit, size: int) -> Float[np.ndarray, "f"]:
    """Side of a texel in photo pixels, one per face: square root of the ratio of areas."""
    corners_uv = fit.mesh.uvs[fit.mesh.uv_faces].cpu().numpy() * size

    def doubled_area(corners: np.ndarray) -> np.ndarray:
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])

    return np.sqrt(doubled_area(corners_px) / np.maximum(doubled_area(corners_uv), 1e-9))


def sample_filtered(
    picture: Float[np.ndarray, "h w c"], points_px: Float[np.ndarray, "k 2"], sides_px: Float[np.ndarray, "k"]
) -> Float[np.ndarray, "k c"]:
    """Trilinear look-up: a texel that covers several pixels takes their mean instead of one of them. 0 outside."""
    total = np.zeros((len(points_px), picture.shape[2]), np.float32)
    height, width = picture.shape[:2]
    levels = np.log2(np.maximum(sides_px, 1e-6)).clip(0, None)
    level = 0
    while True:
        share = 1 - np.abs(levels - level)
        (ids,) = np.nonzero(share > 0)
        if len(ids):
            scale = np.array([picture.shape[1] / width, picture.shape[0] / height], np.float32)
            total[ids] += share[ids, None] * sample_bilinear(picture, points_px[ids] * scale - 0.5)
        if level >= levels.max(initial=0) or min(picture.shape[:2]) < 4:
            break
        picture = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        level += 1
    inside = (points_px >= 0).all(1) & (points_px[:, 0] <= width) & (points_px[:, 1] <= height)
    return total * inside[:, None]


def erode_mask(person_mask: Float[Tensor, "h w"], margin_px: float) -> Float[np.ndarray, "h w"]:
    """Person mask with its edge moved inwards and softened. The picture's border is no edge of the person."""
    mask = (person_mask.detach().cpu().numpy() > 0.5).astype(np.float32)
    side = 2 * max(round(margin_px), 1) + 1
    eroded = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return cv2.blur(eroded, (side, side), borderType=cv2.BORDER_REPLICATE) * mask
