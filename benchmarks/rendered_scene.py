"""A perspective camera, light and ray-cast pictures of a head with hair, shoulders and a background.

Apart from the product's renderer on purpose: that one is orthographic and unlit.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from jaxtyping import Float, Int

from portraitist.mesh.laplacian import vertex_normals
from portraitist.rendering.sampling import sample_bilinear

SUPERSAMPLE = 2
SHADOW_OFFSET = 1e-3
SENSOR_HEIGHT_MM = 24.0


@dataclass(frozen=True)
class PerspectiveCamera:
    """Pinhole: ``R v + t`` is camera space (+X right, +Y up, looking along -Z), the picture's middle is its axis.

    ``focal_px``: focal length in pixels. ``size``: side of the square picture in pixels.
    """

    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]
    focal_px: float
    size: int

    def to_camera(self, points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
        return points @ self.rotation.T + self.translation

    def project(self, points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 2"]:
        """Head-space points to pixels (x right, y down)."""
        seen = self.to_camera(points)
        return self.size / 2 + self.focal_px * seen[:, :2] * [1, -1] / -seen[:, 2:]

    def rotation_seen(self, middle: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
        """The head's rotation against the line of sight to ``middle``, which is what a scaled orthographic camera can
        know: a head beside the camera's axis shows another side than the same head on it."""
        sight = -self.to_camera(middle[None])[0]
        sight /= np.linalg.norm(sight)
        right = np.cross([0.0, 1.0, 0.0], sight)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(sight, right), sight]) @ self.rotation


def place_camera(
    rotation: Float[np.ndarray, "3 3"],
    middle: Float[np.ndarray, "3"],
    head_height: float,
    focal_mm: float,
    share: float,
    offset: tuple[float, float],
    size: int,
) -> PerspectiveCamera:
    """A camera of ``focal_mm`` (35 mm equivalent, upright square cut) so far away that the head takes ``share`` of the
    picture's height, its ``middle`` being ``offset`` (shares of the side) off the picture's middle."""
    focal_px = focal_mm / SENSOR_HEIGHT_MM * size
    distance = focal_px * head_height / (share * size)
    place = np.array([offset[0] * size / focal_px, offset[1] * size / focal_px, -1.0]) * distance
    return PerspectiveCamera(rotation, place - rotation @ middle, focal_px, size)


@dataclass(frozen=True)
class Light:
    """Diffuse light in linear units: ``ambient + key * max(0, normal . direction)``. ``direction``: towards the light,
    camera space. ``tint``: of the key, linear RGB. ``shadows``: whether the key casts any."""

    ambient: float
    key: float
    direction: tuple[float, float, float]
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shadows: bool = True


@dataclass(frozen=True)
class Solid:
    """Triangles in camera space with the color of every corner, or with a texture. Colors are linear RGB.

    ``colors``: ``[n, 3]`` per vertex. ``uvs``: ``[f, 3, 2]`` into ``texture`` ``[t, t, 3]``, or None.
    ``normals``: ``[n, 3]`` for shading, or None: from the triangles.
    """

    vertices: Float[np.ndarray, "n 3"]
    faces: Int[np.ndarray, "f 3"]
    colors: Float[np.ndarray, "n 3"]
    uvs: Float[np.ndarray, "f 3 2"] | None = None
    texture: Float[np.ndarray, "t t 3"] | None = None
    normals: Float[np.ndarray, "n 3"] | None = None


def render_scene(
    solids: list[Solid], light: Light, background: Float[np.ndarray, "s s 3"], focal_px: float
) -> Float[np.ndarray, "s s 3"]:
    """sRGB picture 0..1 of the solids before ``background`` (sRGB), ``SUPERSAMPLE``² rays to a pixel."""
    side = background.shape[0] * SUPERSAMPLE
    scene = rtcore_scene.EmbreeScene()  # pyright: ignore[reportAttributeAccessIssue] (compiled, without stubs)
    corners = np.concatenate([solid.vertices[solid.faces] for solid in solids]).astype(np.float32)
    geometry = TriangleMesh(scene, np.ascontiguousarray(corners))
    rows, columns = np.mgrid[:side, :side] + 0.5
    focal = focal_px * SUPERSAMPLE
    sights = np.stack([(columns - side / 2) / focal, (side / 2 - rows) / focal, -np.ones_like(rows)], axis=-1)
    directions = sights.reshape(-1, 3).astype(np.float32)
    hits = scene.run(np.zeros_like(directions), directions, query="INTERSECT", output=True)
    (seen,) = np.nonzero(hits["primID"] >= 0)
    weights = np.stack([1 - hits["u"] - hits["v"], hits["u"], hits["v"]], axis=-1)[seen]
    colors, normals = look_up_surface(solids, hits["primID"][seen], weights)
    normals *= -np.sign((normals * directions[seen]).sum(1, keepdims=True))
    shade = shade_points(scene, directions[seen] * hits["tfar"][seen, None], normals, light)
    del geometry  # the scene borrows its buffers, so it has to live until here
    picture = srgb_to_linear(cv2.resize(background, (side, side), interpolation=cv2.INTER_LINEAR)).reshape(-1, 3)
    picture[seen] = colors * shade
    small = cv2.resize(picture.reshape(side, side, 3), background.shape[:2], interpolation=cv2.INTER_AREA)
    return linear_to_srgb(small.clip(0, 1))


def look_up_surface(
    solids: list[Solid], face_ids: Int[np.ndarray, "k"], weights: Float[np.ndarray, "k 3"]
) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3"]]:
    """Colors and unit normals where rays met the solids, whose faces are numbered through."""
    colors, normals = np.zeros((len(face_ids), 3), np.float32), np.zeros((len(face_ids), 3), np.float32)
    first = 0
    for solid in solids:
        (own,) = np.nonzero((face_ids >= first) & (face_ids < first + len(solid.faces)))
        local, share = face_ids[own] - first, weights[own][..., None]
        first += len(solid.faces)
        if len(own) == 0:
            continue
        corners = solid.faces[local]
        smooth = vertex_normals(solid.vertices, solid.faces) if solid.normals is None else solid.normals
        normals[own] = (smooth[corners] * share).sum(1)
        colors[own] = (solid.colors[corners] * share).sum(1)
        if solid.texture is not None and solid.uvs is not None:
            uv = (solid.uvs[local] * share).sum(1)
            texture = torch.from_numpy(solid.texture).permute(2, 0, 1)
            colors[own] *= sample_bilinear(texture, torch.from_numpy(uv).to(texture)).T.numpy()
    return colors, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)


def shade_points(scene, points: np.ndarray, normals: np.ndarray, light: Light) -> Float[np.ndarray, "k 3"]:
    """Linear RGB factors of the light at surface points that face the viewer."""
    direction = np.array(light.direction, np.float32) / np.linalg.norm(light.direction)
    lit = (normals @ direction).clip(0, None)
    if light.shadows:
        origins = (points + SHADOW_OFFSET * (normals + direction)).astype(np.float32)
        towards = np.ascontiguousarray(np.broadcast_to(direction, origins.shape), np.float32)
        lit = lit * (scene.run(origins, towards, query="OCCLUDED") < 0)
    return light.ambient + light.key * lit[:, None] * np.array(light.tint, np.float32)


def draw_background(size: int, rng: np.random.Generator) -> Float[np.ndarray, "s s 3"]:
    """A room out of focus, sRGB: a colored gradient, boxes and bright spots, blurred."""
    side = size // 4
    corners = rng.uniform(0.1, 0.8, (2, 2, 1)) * rng.uniform(0.7, 1.0, (2, 2, 3))
    picture = cv2.resize(corners.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    for _ in range(rng.integers(4, 14)):
        x, y, width, height = rng.integers(0, side, 4).tolist()
        color = (rng.uniform(0.05, 0.95) * rng.uniform(0.6, 1.0, 3)).tolist()
        cv2.rectangle(picture, (x, y), (x + width // 2, y + height), color, -1)
    for _ in range(rng.integers(0, 10)):
        center = tuple(rng.integers(0, side, 2).tolist())
        cv2.circle(picture, center, int(rng.integers(2, 9)), rng.uniform(0.5, 1.0, 3).tolist(), -1)
    picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.7, 6.0)))
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def make_ball(
    center: Float[np.ndarray, "3"], radii: tuple[float, float, float], color: Float[np.ndarray, "3"]
) -> Solid:
    """Ellipsoid: shoulders for a head."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, 33), np.linspace(0, 2 * np.pi, 65), indexing="ij")
    sphere = np.stack([np.sin(polar) * np.cos(azimuth), np.cos(polar), np.sin(polar) * np.sin(azimuth)], axis=-1)
    ids = np.arange(33 * 65).reshape(33, 65)
    a, b, c, d = (ids[i : i + 32, j : j + 64].ravel() for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    vertices = center + sphere.reshape(-1, 3) * radii
    faces = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])
    return Solid(vertices, faces, np.tile(color, (len(vertices), 1)))


def srgb_to_linear(colors: np.ndarray) -> np.ndarray:
    """Piecewise curve of IEC 61966-2-1."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_to_srgb(colors: np.ndarray) -> np.ndarray:
    return np.where(colors <= 0.0031308, 12.92 * colors, 1.055 * colors ** (1 / 2.4) - 0.055).astype(np.float32)
