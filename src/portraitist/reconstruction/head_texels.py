"""Where every texel of the canonical texture lies on the head: made once per head model and texture size."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import cv2
import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from scipy.ndimage import map_coordinates

from portraitist.devices import to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import COMPONENTS, HeadModel
from portraitist.rendering.ray_casting import is_occluded
from portraitist.rendering.uv_layout import find_nearest_texels, locate_texels
from portraitist.types import REGIONS

DARKEST = 0.03  # sRGB, added before logarithms: below it, ratios are noise
OCCLUSION_RAYS = 64  # per vertex
RAY_OFFSET = 5e-4  # meters above the surface at which rays start, lest they meet the vertex's own triangles
PORE_SIZES = (0.0016, 0.005)  # meters
LATTICE_SIDE = 64  # of the noise's lattice, which repeats


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: a cache key
class HeadTexels:
    """The k texels inside the UV islands, in row-major order.

    ``texel_ids``: index into the flattened texture. ``interpolation``: barycentric weights, so that
    ``interpolation @ field`` takes vertex values to texels. ``mirror_ids``: the texel at (1 - u, v); islands are mirror
    images of each other. ``nearest_ids``: for every texel of the texture, the nearest of the k. ``ambient_visibility``:
    share of sky that each vertex sees, 0..1, which is 1 minus its ambient occlusion. ``pore_noise``: unit-variance
    noise for skin, a function of the place on the head, hence continuous across the seam.
    """

    size: int
    texel_ids: Int[np.ndarray, "k"]
    face_ids: Int[np.ndarray, "k"]
    interpolation: sp.csr_matrix
    mirror_ids: Int[np.ndarray, "k"]
    nearest_ids: Int[np.ndarray, "t t"]
    parts: Int[np.ndarray, "k"]
    regions: Int[np.ndarray, "k"]
    ambient_visibility: Float[np.ndarray, "n"]
    pore_noise: Float[np.ndarray, "k"]

    def in_components(self, *names: str) -> Bool[np.ndarray, "k"]:
        """Texels of the named pieces of surface."""
        return np.isin(self.parts, [COMPONENTS.index(name) for name in names])

    def in_regions(self, *names: str) -> Bool[np.ndarray, "k"]:
        """Texels of the named regions; the region "skin" is the face without its features."""
        return np.isin(self.regions, [REGIONS.index(name) for name in names])

    def to_texture(self, values: Float[np.ndarray, "k *c"]) -> Float[np.ndarray, "t t *c"]:
        """Texel values laid out as a picture, 0 outside the islands."""
        picture = np.zeros((self.size * self.size, *values.shape[1:]), np.float32)
        picture[self.texel_ids] = values
        return picture.reshape(self.size, self.size, *values.shape[1:])

    def smooth(self, values: Float[np.ndarray, "k *c"], radius: float) -> Float[np.ndarray, "k *c"]:
        """Box mean over ``2 * radius + 1`` texels (of a 1024 texture), counting only texels inside the islands."""
        side = 2 * round(radius * self.size / 1024) + 1
        if side == 1:
            return values
        total, count = (cv2.blur(self.to_texture(x), (side, side)) for x in (values, np.ones(len(values), np.float32)))
        smoothed, share = (x.reshape(self.size**2, -1)[self.texel_ids] for x in (total, count))
        return (smoothed / share).reshape(values.shape)

    def vertex_means(
        self, values: Float[np.ndarray, "k c"], weights: Float[np.ndarray, "k"]
    ) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n"]]:
        """Weighted mean of the texels around each vertex (0 where none weighs), and their mean weight."""
        sums = self.interpolation.T @ np.column_stack([values * weights[:, None], weights, np.ones_like(weights)])
        weight, count = sums[:, -2], sums[:, -1]
        return sums[:, :-2] / np.maximum(weight, 1e-6)[:, None], weight / np.maximum(count, 1e-6)


@functools.lru_cache(maxsize=2)
def locate_head_texels(model: HeadModel, texture_size: int) -> HeadTexels:
    """Locate the texels by rasterizing the UV layout itself. About a second at 1024; remembered."""
    template = model.template
    texel_ids, face_ids, barycentrics = locate_texels(template, texture_size)
    order = np.full(texture_size**2, -1)
    order[texel_ids] = np.arange(len(texel_ids))
    rows, columns = find_nearest_texels(template, texture_size)
    nearest_ids = order[rows * texture_size + columns]
    # A texel center may fall on the other side of an island's border when mirrored: then its nearest neighbor serves.
    mirror_ids = nearest_ids[:, ::-1].ravel()[texel_ids]
    corners = to_numpy(template.faces)[face_ids]
    interpolation = sp.csr_matrix(
        (barycentrics.ravel(), corners.ravel(), np.arange(0, barycentrics.size + 1, 3)),
        (len(texel_ids), len(template.vertices)),
    )
    positions = interpolation @ to_numpy(template.vertices)
    return HeadTexels(
        size=texture_size,
        texel_ids=texel_ids,
        face_ids=face_ids,
        interpolation=interpolation,
        mirror_ids=mirror_ids,
        nearest_ids=nearest_ids,
        parts=to_numpy(model.components)[face_ids],
        regions=to_numpy(template.regions)[face_ids],
        ambient_visibility=measure_ambient_visibility(to_numpy(template.vertices), to_numpy(template.faces)),
        pore_noise=make_pore_noise(positions),
    )


def measure_ambient_visibility(
    vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, "n"]:
    """Share of the hemisphere above each vertex that is free, cosine-weighted: low in ear folds, sockets and mouth."""
    normals = vertex_normals(vertices, faces)
    ray = np.arange(OCCLUSION_RAYS) + 0.5
    height, azimuth = 1 - 2 * ray / OCCLUSION_RAYS, np.pi * (1 + 5**0.5) * ray  # Fibonacci points on the sphere
    radius = np.sqrt(1 - height**2)
    sphere = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height], axis=1)
    directions = normals[:, None] + 0.999 * sphere[None]  # normal + uniform on the sphere = cosine distribution
    origins = np.broadcast_to((vertices + RAY_OFFSET * normals)[:, None], directions.shape)
    blocked = is_occluded(vertices[faces], origins.reshape(-1, 3), directions.reshape(-1, 3))
    return 1 - blocked.reshape(len(vertices), OCCLUSION_RAYS).mean(1).astype(np.float32)


def make_pore_noise(positions: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
    """Isotropic noise with grains of two sizes, of unit variance."""
    total = np.sum([make_value_noise(positions, size) for size in PORE_SIZES], axis=0)
    return total / total.std()


def make_value_noise(positions: Float[np.ndarray, "k 3"], grain_size: float) -> Float[np.ndarray, "k"]:
    """Random values on a lattice in space, interpolated: what is near on the head is alike on both sides of a cut.

    ``grain_size``: side of the lattice's cells in meters.
    """
    lattice = np.random.default_rng(8).standard_normal((LATTICE_SIDE,) * 3).astype(np.float32)
    noise = map_coordinates(lattice, (positions / grain_size).T, order=1, mode="grid-wrap")
    return noise / noise.std()


@dataclass(frozen=True)
class TexelColors:
    """What a photo shows at k texels. ``colors``: sRGB. ``weights``: robust weight 0..1, 0 where nothing is seen.
    ``view_cosines``: cosine between surface normal and line of sight."""

    colors: Float[np.ndarray, "k 3"]
    weights: Float[np.ndarray, "k"]
    view_cosines: Float[np.ndarray, "k"]

    def weighted(self, factor: Float[np.ndarray, "k"]) -> TexelColors:
        return replace(self, weights=self.weights * factor)
