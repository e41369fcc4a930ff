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

from portraitist.reconstruction.head_model import PARTS, HeadModel
from portraitist.texture.rendering import mark_texels
from portraitist.types import REGIONS

CROWN = np.array([0.0, 0.85, -0.53])  # direction from the middle of the head to its whorl, from which hair falls
OCCLUSION_RAYS = 64
JOINED_WIDTH = 0.006  # metres


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: a cache key
class TexelAtlas:
    """The k texels inside the UV islands, in row-major order.

    ``texel_ids``: index into the flattened texture. ``interpolation``: barycentric weights, so that
    ``interpolation @ field`` takes vertex values to texels. ``mirror_ids``: the texel at (1 - u, v); islands are mirror
    images of each other. ``nearest``: for every texel of the texture, the nearest one inside an island.
    ``openness``: share of sky each vertex sees, 0..1. ``strands`` and ``pores``: unit-variance noise for hair and skin,
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
    openness: Float[np.ndarray, "n"]
    strands: Float[np.ndarray, "k"]
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

    def vertex_means(
        self, values: Float[np.ndarray, "k c"], weights: Float[np.ndarray, "k"]
    ) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n"]]:
        """Weighted mean of the texels around each vertex (0 where none weighs), and their mean weight."""
        sums = self.interpolation.T @ np.column_stack([values * weights[:, None], weights, np.ones_like(weights)])
        weight, count = sums[:, -2], sums[:, -1]
        return sums[:, :-2] / np.maximum(weight, 1e-6)[:, None], weight / np.maximum(count, 1e-6)


@functools.lru_cache(maxsize=2)
def build_atlas(model: HeadModel, texture_size: int) -> TexelAtlas:
    """Locate the texels by rasterising the UV layout itself. About a second at 1024; remembered."""
    template = model.template
    marked = mark_texels(template, texture_size).numpy()
    covered = marked >= 0
    texel_ids = np.flatnonzero(covered)
    face_ids = marked.ravel()[texel_ids]
    # A texel centre may fall on the other side of an island's border when mirrored: then its nearest neighbour serves.
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
    return TexelAtlas(
        size=texture_size,
        texel_ids=texel_ids,
        face_ids=face_ids,
        interpolation=interpolation,
        mirror_ids=mirror_ids,
        nearest=nearest,
        parts=model.parts.numpy()[face_ids],
        regions=template.regions.numpy()[face_ids],
        openness=measure_openness(template.vertices.numpy(), template.faces.numpy()),
        strands=join_sides(
            make_strands(places_on_head - template.vertices.numpy().mean(0)), places_on_head, mirror_ids
        ),
        pores=make_pores(texel_ids, texture_size),
    )


def vertex_normals(vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "n 3"]:
    """Area-weighted unit normals."""
    corners = vertices[faces]
    area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    spread = sp.csr_matrix((np.ones(faces.size), (faces.ravel(), np.repeat(np.arange(len(faces)), 3))))
    normals = spread @ area_normals
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)).astype(np.float32)


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
    """Barycentric weights of texel centres in their triangles."""
    rows, columns = np.divmod(texel_ids, size)
    centres = ((np.stack([columns, rows], axis=1) + 0.5) / size).astype(np.float32)
    first, second = corner_uvs[:, 1] - corner_uvs[:, 0], corner_uvs[:, 2] - corner_uvs[:, 0]
    offset = centres - corner_uvs[:, 0]
    doubled = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    weight1 = (offset[:, 0] * second[:, 1] - offset[:, 1] * second[:, 0]) / doubled
    weight2 = (first[:, 0] * offset[:, 1] - first[:, 1] * offset[:, 0]) / doubled
    return np.stack([1 - weight1 - weight2, weight1, weight2], axis=1).clip(0, 1)


def make_strands(places: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
    """Noise along meridians that leave the crown, as short hair does: fine across, drawn out along them."""
    pole = CROWN / np.linalg.norm(CROWN)
    side = np.array([1.0, 0.0, 0.0])
    along, across, ahead = (places @ axis.astype(np.float32) for axis in (pole, side, np.cross(side, pole)))
    azimuth = np.arctan2(across, ahead) / (2 * np.pi)
    polar = np.arctan2(np.hypot(across, ahead), along) / np.pi
    generator = np.random.default_rng(7)
    total = np.zeros(len(places), np.float32)
    for columns, rows, strength in ((1024, 20, 1.0), (512, 10, 0.8), (192, 6, 0.5)):
        noise = generator.standard_normal((rows, columns)).astype(np.float32)
        noise = np.pad(noise, ((1, 1), (columns // 2 + 1, columns // 2 + 1)), mode="wrap")
        where = np.stack([azimuth * columns + columns + 1, polar * rows + 1], axis=-1).astype(np.float32)
        total += strength * sample_bilinear(noise, where)[:, 0]
    return total / total.std()


def join_sides(
    noise: Float[np.ndarray, "k"], places: Float[np.ndarray, "k 3"], mirror_ids: Int[np.ndarray, "k"]
) -> Float[np.ndarray, "k"]:
    """Make noise mirror-symmetric at the middle plane: it may be finer than a texel, and the cut has to agree."""
    symmetric = (noise + noise[mirror_ids]) / np.sqrt(2)
    share = np.exp(-((places[:, 0] / JOINED_WIDTH) ** 2))
    return (noise + (symmetric - noise) * share).astype(np.float32)


def make_pores(texel_ids: Int[np.ndarray, "k"], size: int) -> Float[np.ndarray, "k"]:
    """Isotropic noise with grains of 1.5 and 5 texels (at 1024), mirror-symmetric so that it agrees along the cut."""
    generator = np.random.default_rng(8)
    noise = np.zeros((size, size), np.float32)
    for grain in (1.5, 5.0):
        octave = generator.standard_normal((size, size)).astype(np.float32)
        octave = cv2.GaussianBlur(octave + octave[:, ::-1], (0, 0), grain * size / 1024)
        noise += octave / octave.std()
    return noise.ravel()[texel_ids] / noise.std()


def sample_bilinear(picture: Float[np.ndarray, "h w *c"], points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k c"]:
    """Values at continuous array coordinates (x, y), in which entry (i, j) lies at x = j, y = i. Clamped outside."""
    # OpenCV's remap wants a picture of coordinates, neither side of it longer than 32,767.
    count, width = len(points), 4096
    grid = np.zeros((-(-count // width), width, 2), np.float32)
    grid.reshape(-1, 2)[:count] = points
    columns, rows = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])
    values = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.reshape(grid.shape[0] * width, -1)[:count]
