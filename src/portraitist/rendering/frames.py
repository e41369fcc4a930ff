"""Many pictures of one moving head, fast: what does not change from frame to frame is prepared once.

`render` casts four rays per pixel; here it is one, and more only where the picture has an edge. Textures are looked up
in mip pyramids of bytes that are made once. On the CPU, whatever device the head is on.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from portraitist.devices import to_numpy
from portraitist.io.images import image_to_uint8
from portraitist.rendering.layers import DEPTH_ROUNDING
from portraitist.rendering.ray_casting import ParallelRays
from portraitist.types import Camera, Image, Mesh

Hits = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of rays: face ids (-1 for none), and weights of corners 1 and 2."""

EDGE_SLOPE = 4.0  # pixels of depth per pixel: steeper is an edge between what is near and what is far
SUBPIXELS = np.array([[-0.375, -0.125], [0.125, -0.375], [0.375, 0.125], [-0.125, 0.375]])  # rotated grid


class FrameRenderer:
    """``parts``: meshes and textures, as ``rendering.layers.list_parts`` gives them; later ones win where surfaces
    coincide. The meshes' vertices do not matter: those of all parts are given for each frame."""

    def __init__(self, parts: list[tuple[Mesh, Image]]) -> None:
        self._pyramids = [_build_pyramid(image_to_uint8(texture)) for _, texture in parts]
        faces, first = [], 0
        for mesh, _ in parts:
            faces.append(to_numpy(mesh.faces) + first)
            first += len(mesh.vertices)
        self._faces = np.concatenate(faces)
        corner_uvs = np.concatenate([to_numpy(mesh.uvs)[to_numpy(mesh.uv_faces)] for mesh, _ in parts])
        self._first_uvs, self._edge_uvs = corner_uvs[:, 0], corner_uvs[:, 1:] - corner_uvs[:, :1]
        self._part_of_face = np.repeat(np.arange(len(parts)), [len(mesh.faces) for mesh, _ in parts])
        self._order = np.repeat(np.arange(len(parts)), [len(mesh.vertices) for mesh, _ in parts])
        self._uv_areas = np.abs(_signed_areas(corner_uvs))
        # Of closed parts, which layers are, nobody sees the inside. 0: keep both sides.
        volumes = [0.0, *(_signed_volume(to_numpy(mesh.vertices)[to_numpy(mesh.faces)]) for mesh, _ in parts[1:])]
        self._outside = np.sign(volumes)[self._part_of_face]

    def draw(
        self, vertices: Float[np.ndarray, "n 3"], camera: Camera, background: tuple[int, int, int] = (255, 255, 255)
    ) -> np.ndarray:
        """Picture ``[h, w, 3]`` uint8 of the parts with ``vertices`` (meters, head space), one part after another."""
        points_px = self._project(vertices, camera).astype(np.float32)
        corners_px = points_px[self._faces]
        areas = _signed_areas(corners_px[..., :2])
        footprints = np.sqrt(self._uv_areas / np.maximum(np.abs(areas), 1e-12)).clip(max=1)
        seen = np.flatnonzero(areas * self._outside <= 0)  # y is down, so that what faces the viewer is clockwise
        rays = ParallelRays(points_px, self._faces[seen])
        (rows, columns), (y, x) = rays.grid(camera.size)
        picture = np.empty((*camera.size, 3), np.uint8)
        picture[:] = background
        if not x.size:
            return picture
        ids, u, v = (values.reshape(x.shape) for values in self._cast(rays, seen, x.ravel(), y.ravel()))
        colors = self._shade(ids.ravel(), u.ravel(), v.ravel(), footprints, background).reshape(*x.shape, 3)
        edges = self._find_edges(ids, u, v, corners_px)
        if edges.any():
            x_fine, y_fine = ((grid[edges][:, None] + SUBPIXELS[:, axis]).ravel() for axis, grid in enumerate((x, y)))
            fine = self._shade(*self._cast(rays, seen, x_fine, y_fine), footprints, background)
            colors[edges] = fine.reshape(-1, len(SUBPIXELS), 3).mean(1)
        picture[rows, columns] = (colors + 0.5).astype(np.uint8)
        return picture

    def _cast(self, rays: ParallelRays, seen: np.ndarray, x: np.ndarray, y: np.ndarray) -> Hits:
        """`ParallelRays.cast` for rays at the faces ``seen``; ids are those of all faces."""
        ids, u, v = rays.cast(x.astype(np.float32), y.astype(np.float32))
        return np.where(ids >= 0, seen[ids], -1), u, v

    def _project(self, vertices: np.ndarray, camera: Camera) -> np.ndarray:
        """x, y and depth in pixels; later parts nearer by what rounding hides."""
        turned = vertices @ to_numpy(camera.rotation).T * (camera.scale_px * np.array([1, -1, 1], np.float32))
        turned[:, :2] += camera.center_px
        turned[:, 2] += self._order * (np.ptp(turned[:, 2]) * DEPTH_ROUNDING)
        return turned

    def _shade(
        self, ids: np.ndarray, u: np.ndarray, v: np.ndarray, footprints: np.ndarray, background: tuple[int, int, int]
    ) -> np.ndarray:
        """Colors [k, 3] float32, 0..255, of rays that hit faces ``ids`` (-1 for none)."""
        colors = np.empty((len(ids), 3), np.float32)
        colors[:] = background
        hit = np.flatnonzero(ids >= 0)
        faces = ids[hit]
        edges = self._edge_uvs.take(faces, 0)
        uvs = self._first_uvs.take(faces, 0) + u[hit, None] * edges[:, 0] + v[hit, None] * edges[:, 1]
        parts = self._part_of_face[faces]
        for part, pyramid in enumerate(self._pyramids):
            own = np.flatnonzero(parts == part)
            if len(own):
                colors[hit[own]] = _sample(pyramid, uvs[own], footprints[faces[own]])
        return colors

    def _find_edges(self, ids: np.ndarray, u: np.ndarray, v: np.ndarray, corners_px: np.ndarray) -> np.ndarray:
        """Pixels next to another part, the background, or a step in depth."""
        depths = corners_px[..., 2][ids]
        depth = depths[..., 0] + u * (depths[..., 1] - depths[..., 0]) + v * (depths[..., 2] - depths[..., 0])
        part = np.where(ids >= 0, self._part_of_face[ids], -1)
        edges = np.zeros(ids.shape, bool)
        for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            step = (part[here] != part[there]) | ((part[here] >= 0) & (np.abs(depth[here] - depth[there]) > EDGE_SLOPE))
            edges[here] |= step
            edges[there] |= step
        return edges


def _build_pyramid(texture: np.ndarray) -> list[np.ndarray]:
    """The texture and its halved copies, down to a single pixel."""
    levels = [texture]
    while max(levels[-1].shape[:2]) > 1:
        height, width = (max(side // 2, 1) for side in levels[-1].shape[:2])
        levels.append(cv2.resize(levels[-1], (width, height), interpolation=cv2.INTER_AREA))
    return levels


def _sample(pyramid: list[np.ndarray], uvs: np.ndarray, footprints: np.ndarray) -> np.ndarray:
    """Trilinear look-up, as ``sampling.sample_mipmapped`` does it. ``footprints``: in UV units."""
    levels = np.log2(np.maximum(footprints * pyramid[0].shape[0], 1e-6)).clip(0, len(pyramid) - 1)
    lower = levels.astype(np.int32)
    colors = np.zeros((len(uvs), 3), np.float32)
    for level in range(lower.min(), int(np.ceil(levels.max())) + 1):
        shares = 1 - np.abs(levels - level)
        ids = np.flatnonzero(shares > 0)
        if not len(ids):
            continue
        height, width = pyramid[level].shape[:2]
        x, y = (uvs[ids] * np.array([width, height], np.float32) - 0.5).T
        colors[ids] += shares[ids, None] * _remap(pyramid[level], x, y)
    return colors


def _remap(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear look-up at pixel positions; OpenCV takes maps of less than 2^15 rows and columns."""
    width = 1 << 14
    padded = -len(x) % min(width, max(len(x), 1))
    maps = [np.pad(values, (0, padded)).reshape(-1, min(width, len(x))) for values in (x, y)]
    looked_up = cv2.remap(picture, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return looked_up.reshape(-1, 3)[: len(x)]


def _signed_areas(corners: np.ndarray) -> np.ndarray:
    """Twice the area of triangles in the plane."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def _signed_volume(corners: np.ndarray) -> float:
    """Six times the volume within triangles, positive where they are counter-clockwise seen from outside."""
    corners = corners - corners.mean((0, 1))
    return float((np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum())
