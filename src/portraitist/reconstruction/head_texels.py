"""Where every texel of the canonical texture lies on the head: made once per head model and texture size."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import cv2
import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from scipy.ndimage import map_coordinates

from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import PARTS, HeadModel
from portraitist.rendering.ray_casting import is_occluded
from portraitist.rendering.uv_layout import locate_texels, mark_texels, measure_slopes_uv
from portraitist.types import REGIONS

DARKEST = 0.03  # added before logarithms: below it, sRGB ratios are noise

OCCLUSION_RAYS = 64
PORE_GRAINS, STRAND_GRAINS = (0.0016, 0.005), (0.0008, 0.002)  # meters
FINEST_STRAND = 1.2  # texels: finer ones would only alias
LATTICE_SIDE = 64


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: a cache key
class HeadTexels:
    """The k texels inside the UV islands, in row-major order.

    ``texel_ids``: index into the flattened texture. ``interpolation``: barycentric weights, so that
    ``interpolation @ field`` takes vertex values to texels. ``mirror_ids``: the texel at (1 - u, v); islands are mirror
    images of each other. ``nearest``: for every texel of the texture, the nearest one inside an island.
    ``slopes_uv``: texels per meter on the head, one matrix per face. ``openness``: share of sky each vertex sees, 0..1.
    ``grains`` and ``pores``: unit-variance noise for hair (fine and coarse, still without direction) and for skin,
    functions of the place on the head, hence continuous across the seam.
    """

    size: int
    texel_ids: Int[np.ndarray, "k"]
    face_ids: Int[np.ndarray, "k"]
    interpolation: sp.csr_matrix
    mirror_ids: Int[np.ndarray, "k"]
    nearest: Int[np.ndarray, "t t"]
    parts: Int[np.ndarray, "k"]
    regions: Int[np.ndarray, "k"]
    slopes_uv: Float[np.ndarray, "f 2 3"]
    openness: Float[np.ndarray, "n"]
    grains: Float[np.ndarray, "k 2"]
    pores: Float[np.ndarray, "k"]

    def in_parts(self, *names: str) -> Bool[np.ndarray, "k"]:
        """Texels of the named pieces of surface."""
        return np.isin(self.parts, [PARTS.index(name) for name in names])

    def in_regions(self, *names: str) -> Bool[np.ndarray, "k"]:
        """Texels of the named regions; the region "skin" is the face without its features."""
        return np.isin(self.regions, [REGIONS.index(name) for name in names])

    def to_map(self, values: Float[np.ndarray, "k *c"]) -> Float[np.ndarray, "t t *c"]:
        """Texel values laid out as a picture, 0 outside the islands."""
        picture = np.zeros((self.size * self.size, *values.shape[1:]), np.float32)
        picture[self.texel_ids] = values
        return picture.reshape(self.size, self.size, *values.shape[1:])

    def smooth(self, values: Float[np.ndarray, "k *c"], radius: float) -> Float[np.ndarray, "k *c"]:
        """Box mean over ``2 * radius + 1`` texels (of a 1024 texture), counting only texels inside the islands."""
        side = 2 * round(radius * self.size / 1024) + 1
        if side == 1:
            return values
        total, count = (cv2.blur(self.to_map(x), (side, side)) for x in (values, np.ones(len(values), np.float32)))
        smoothed, share = (x.reshape(self.size**2, -1)[self.texel_ids] for x in (total, count))
        return (smoothed / share).reshape(values.shape)

    def to_uv(self, directions: Float[np.ndarray, "m 3"], texels: Int[np.ndarray, "m"]) -> Float[np.ndarray, "m 2"]:
        """Directions on the head at the given texels, in meters, as texels of the texture."""
        return np.einsum("kud,kd->ku", self.slopes_uv[self.face_ids[texels]], directions)

    def from_uv(self, gradients: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 3"]:
        """Gradients per texel of the texture as gradients per meter on the head."""
        return np.einsum("kud,ku->kd", self.slopes_uv[self.face_ids], gradients)

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
    marked = mark_texels(template, texture_size).numpy()
    covered = marked >= 0
    texel_ids = np.flatnonzero(covered)
    face_ids = marked.ravel()[texel_ids]
    # A texel center may fall on the other side of an island's border when mirrored: then its nearest neighbor serves.
    _, labels = cv2.distanceTransformWithLabels(
        (~covered).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(labels, np.int64)
    order_of_label = np.zeros(labels.max() + 1, np.int64)
    order_of_label[labels.ravel()[texel_ids]] = np.arange(len(texel_ids))
    nearest = order_of_label[labels]
    corner_uvs = template.uvs[template.uv_faces].numpy()
    weights = locate_texels(corner_uvs[face_ids], texel_ids, texture_size)
    corners = template.faces.numpy()[face_ids]
    interpolation = sp.csr_matrix(
        (weights.ravel(), corners.ravel(), np.arange(0, weights.size + 1, 3)), (len(texel_ids), len(template.vertices))
    )
    mirror_ids = nearest[:, ::-1].ravel()[texel_ids]
    places_on_head = interpolation @ template.vertices.numpy()
    slopes_uv = measure_slopes_uv(template.vertices.numpy()[template.faces.numpy()], corner_uvs * texture_size)
    side = float(np.median(np.abs(np.linalg.norm(slopes_uv[face_ids], axis=2)))) ** -1
    return HeadTexels(
        size=texture_size,
        texel_ids=texel_ids,
        face_ids=face_ids,
        interpolation=interpolation,
        mirror_ids=mirror_ids,
        nearest=nearest,
        parts=model.parts.numpy()[face_ids],
        regions=template.regions.numpy()[face_ids],
        slopes_uv=slopes_uv,
        openness=measure_openness(template.vertices.numpy(), template.faces.numpy()),
        grains=np.column_stack([make_grains(places_on_head, max(x, FINEST_STRAND * side)) for x in STRAND_GRAINS]),
        pores=make_pores(places_on_head),
    )


def measure_openness(vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "n"]:
    """Share of the hemisphere above each vertex that is free, cosine-weighted: low in ear folds, sockets and mouth."""
    normals = vertex_normals(vertices, faces)
    ray = np.arange(OCCLUSION_RAYS) + 0.5
    height, azimuth = 1 - 2 * ray / OCCLUSION_RAYS, np.pi * (1 + 5**0.5) * ray  # Fibonacci points on the sphere
    radius = np.sqrt(1 - height**2)
    sphere = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height], axis=1)
    directions = normals[:, None] + 0.999 * sphere[None]  # normal + uniform on the sphere = cosine distribution
    origins = np.broadcast_to((vertices + 5e-4 * normals)[:, None], directions.shape)
    blocked = is_occluded(vertices[faces], origins.reshape(-1, 3), directions.reshape(-1, 3))
    return 1 - blocked.reshape(len(vertices), OCCLUSION_RAYS).mean(1).astype(np.float32)


def make_pores(places: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
    """Isotropic noise with grains of two sizes."""
    total = np.sum([make_grains(places, grain) for grain in PORE_GRAINS], axis=0)
    return total / total.std()


def make_grains(places: Float[np.ndarray, "k 3"], grain: float) -> Float[np.ndarray, "k"]:
    """Isotropic noise in space: what is near on the head is alike on both sides of a cut. ``grain`` in meters."""
    lattice = np.random.default_rng(8).standard_normal((LATTICE_SIDE,) * 3).astype(np.float32)
    noise = map_coordinates(lattice, (places / grain).T, order=1, mode="grid-wrap")
    return noise / noise.std()


@dataclass(frozen=True)
class TexelColors:
    """``colors``: sRGB of the photo at k texels. ``weights``: trust, 0..1. ``facing``: cosine to the line of sight."""

    colors: Float[np.ndarray, "k 3"]
    weights: Float[np.ndarray, "k"]
    facing: Float[np.ndarray, "k"]

    def weighted(self, factor: Float[np.ndarray, "k"]) -> TexelColors:
        return replace(self, weights=self.weights * factor)
