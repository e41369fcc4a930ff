"""Where every texel of the canonical texture lies on the head: made once per head model and texture size."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from jaxtyping import Bool, Float, Int
from scipy.ndimage import map_coordinates

from portraitist.mesh.normals import vertex_normals
from portraitist.reconstruction.head_model import PARTS, HeadModel
from portraitist.rendering.rasterizer import mark_texels
from portraitist.types import REGIONS

OCCLUSION_RAYS = 64
PORE_GRAINS, STRAND_GRAINS = (0.0016, 0.005), (0.0008, 0.002)  # meters
FINEST_STRAND = 1.2  # texels: finer ones would only alias
LATTICE_SIDE = 64


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: a cache key
class TexelAtlas:
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
def build_atlas(model: HeadModel, texture_size: int) -> TexelAtlas:
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
    return TexelAtlas(
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


def measure_slopes_uv(
    corners: Float[np.ndarray, "f 3 3"], corner_uvs: Float[np.ndarray, "f 3 2"]
) -> Float[np.ndarray, "f 2 3"]:
    """Derivative of UV by place on each triangle: what it maps the sides of the triangle to is exact."""
    sides, sides_uv = (np.swapaxes(x[:, 1:] - x[:, :1], 1, 2).astype(np.float64) for x in (corners, corner_uvs))
    return (sides_uv @ np.linalg.pinv(sides, rcond=1e-6)).astype(np.float32)


def cast_shadow_rays(
    corners: Float[np.ndarray, "f 3 3"], origins: Float[np.ndarray, "r 3"], directions: Float[np.ndarray, "r 3"]
) -> Bool[np.ndarray, "r"]:
    """Whether each ray meets a triangle."""
    scene = rtcore_scene.EmbreeScene()  # pyright: ignore[reportAttributeAccessIssue]
    geometry = TriangleMesh(scene, np.ascontiguousarray(corners, np.float32))
    rays = (np.ascontiguousarray(x, np.float32) for x in (origins, directions))
    hits = scene.run(*rays, query="OCCLUDED")
    del geometry  # the scene borrows its buffers, so it has to live until here
    return hits >= 0


def measure_openness(vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "n"]:
    """Share of the hemisphere above each vertex that is free, cosine-weighted: low in ear folds, sockets and mouth."""
    normals = vertex_normals(vertices, faces)
    ray = np.arange(OCCLUSION_RAYS) + 0.5
    height, azimuth = 1 - 2 * ray / OCCLUSION_RAYS, np.pi * (1 + 5**0.5) * ray  # Fibonacci points on the sphere
    radius = np.sqrt(1 - height**2)
    sphere = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height], axis=1)
    directions = normals[:, None] + 0.999 * sphere[None]  # normal + uniform on the sphere = cosine distribution
    origins = np.broadcast_to((vertices + 5e-4 * normals)[:, None], directions.shape)
    blocked = cast_shadow_rays(vertices[faces], origins.reshape(-1, 3), directions.reshape(-1, 3))
    return 1 - blocked.reshape(len(vertices), OCCLUSION_RAYS).mean(1).astype(np.float32)


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


def make_pores(places: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
    """Isotropic noise with grains of two sizes."""
    total = np.sum([make_grains(places, grain) for grain in PORE_GRAINS], axis=0)
    return total / total.std()


def make_grains(places: Float[np.ndarray, "k 3"], grain: float) -> Float[np.ndarray, "k"]:
    """Isotropic noise in space: what is near on the head is alike on both sides of a cut. ``grain`` in meters."""
    lattice = np.random.default_rng(8).standard_normal((LATTICE_SIDE,) * 3).astype(np.float32)
    noise = map_coordinates(lattice, (places / grain).T, order=1, mode="grid-wrap")
    return noise / noise.std()


def sample_bilinear(picture: Float[np.ndarray, "h w *c"], points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k c"]:
    """Values at continuous array coordinates (x, y), in which entry (i, j) lies at x = j, y = i. Clamped outside."""
    # OpenCV's remap wants a picture of coordinates, neither side of it longer than 32,767.
    count, width = len(points), 4096
    grid = np.zeros((-(-count // width), width, 2), np.float32)
    grid.reshape(-1, 2)[:count] = points
    columns, rows = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])
    values = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.reshape(grid.shape[0] * width, -1)[:count]
