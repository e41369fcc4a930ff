"""Pictures of a character, and what each of their pixels shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn import functional as F

from portraitist.characters.figure import Figure
from portraitist.characters.paint import CUTOFF, Paints, decode_srgb, encode_srgb
from portraitist.mesh.laplacian import vertex_normals
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.ray_casting import cast_rays
from portraitist.types import Camera, Image

SUPERSAMPLE = 2  # rays of a pixel each way
MOST_LAYERS = 12  # of what is looked through: lashes and strands painted on transparent cards
LAMP = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])  # from the viewer's right, above
SHADE = 0.35  # share of the light that comes from the lamp: forms are seen, and flat colors stay what they are
FAINT_SHADE = 0.15  # in the picture that is the artwork: the character's program adds light of its own
WELD = 1e-5  # of the figure's size: closer vertices are one


@dataclass(frozen=True)
class View:
    """``picture``: on white. ``face_ids``: of the figure's triangles, -1 where there is none; ``points``: where they
    are met, in the scene; both for each ray, `SUPERSAMPLE` a pixel each way."""

    camera: Camera
    picture: Image
    face_ids: Int[np.ndarray, "h w"]
    points: Float[np.ndarray, "h w 3"]

    def hit(self, x: float, y: float) -> tuple[int, Float[np.ndarray, "3"]]:
        """Face id and point at a pixel."""
        column, row = (int(np.clip(value * SUPERSAMPLE, 0, self.face_ids.shape[0] - 1)) for value in (x, y))
        return int(self.face_ids[row, column]), self.points[row, column]


def aim(middle: Float[np.ndarray, "3"], width: float, yaw_deg: float, size: int) -> Camera:
    """A square camera that shows ``width`` around ``middle`` (units of the scene), the figure turned by ``yaw_deg``."""
    rotation = rotation_from_yaw_pitch(yaw_deg, 0.0)
    scale = size / width
    x, y, _ = (rotation.numpy().astype(np.float64) @ middle * scale).tolist()
    return Camera(rotation, scale, (size / 2 - x, size / 2 + y), (size, size))


def weld(vertices: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, "n"]:
    """Number of each vertex's place: the same for all that coincide."""
    size = float(np.ptp(vertices, axis=0).max()) or 1.0
    rounded = np.round((vertices - vertices.min(0)) / (size * WELD)).astype(np.int64)
    return np.unique(rounded, axis=0, return_inverse=True)[1].reshape(-1)


def look(figure: Figure, camera: Camera, paints: Paints, shade: float = SHADE) -> View:
    """``figure`` unlit but for a soft shade, that share of the light."""
    height, width = (side * SUPERSAMPLE for side in camera.size)
    turn = camera.rotation.numpy().astype(np.float64)
    y, x = np.mgrid[:height, :width].reshape(2, -1) / SUPERSAMPLE + 0.5 / SUPERSAMPLE
    across = np.stack([x - camera.center_px[0], camera.center_px[1] - y], 1) / camera.scale_px
    depth = (figure.vertices @ turn[2]).max() + 1 / camera.scale_px
    origins = across @ turn[:2] + depth * turn[2]
    picture, ids, points = np.ones((height * width, 3)), np.full(height * width, -1), np.zeros((height * width, 3))
    corners, normals = figure.corners(), _find_normals(figure)
    waiting = np.arange(height * width)
    for _ in range(MOST_LAYERS):
        hits, weights, _ = cast_rays(corners, origins[waiting], np.broadcast_to(-turn[2], (len(waiting), 3)))
        met = hits >= 0
        waiting, faces, weights = waiting[met], hits[met], weights[met]
        if not len(waiting):
            break
        places = (figure.corners(faces) * weights[..., None]).sum(1)
        colors = _color(figure, faces, weights, paints, 1 / (camera.scale_px * SUPERSAMPLE))
        seen = colors[:, 3] >= CUTOFF
        lit = _shade(colors[:, :3], (normals[figure.faces[faces]] * weights[..., None]).sum(1), turn, shade)
        picture[waiting[seen]], ids[waiting[seen]], points[waiting[seen]] = lit[seen], faces[seen], places[seen]
        waiting = waiting[~seen]
        origins[waiting] = places[~seen] - turn[2] * WELD * (depth - origins[waiting] @ turn[2] + 1)[:, None]
    image = torch.from_numpy(picture.reshape(height, width, 3).transpose(2, 0, 1).astype(np.float32))
    pooled = F.avg_pool2d(image[None], SUPERSAMPLE)[0]
    return View(camera, pooled, ids.reshape(height, width), points.reshape(height, width, 3))


def _color(
    figure: Figure, faces: Int[np.ndarray, "k"], weights: Float[np.ndarray, "k 3"], paints: Paints, ray: float
) -> Float[np.ndarray, "k 4"]:
    """sRGB and opacity where rays that are ``ray`` apart meet faces; 1 where the material is opaque."""
    ids = figure.faces[faces]
    uvs, colors = ((values[ids] * weights[..., None]).sum(1) for values in (figure.uvs, figure.colors))
    footprints = ray * uv_per_length(figure, faces)
    found = np.ones((len(faces), 4))
    for number in np.unique(figure.piece_of_face[faces]):
        mask, material = figure.piece_of_face[faces] == number, figure.pieces[number].material
        found[mask] = paints.look_up(material, uvs[mask], colors[mask], footprints[mask])
        if paints.is_opaque(material):
            found[mask, 3] = 1
    return found


def uv_per_length(figure: Figure, faces: Int[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """UV units per unit of the scene: the square root of the ratio of areas."""
    corners, uvs = figure.corners(faces), figure.uvs[figure.faces[faces]]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    a, b = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    return np.sqrt(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / np.maximum(areas, np.finfo(float).tiny))


def _find_normals(figure: Figure) -> Float[np.ndarray, "n 3"]:
    """Of vertices that coincide, the same."""
    places = weld(figure.vertices)
    merged = np.zeros((places.max() + 1, 3))
    merged[places] = figure.vertices
    return vertex_normals(merged, places[figure.faces])[places].astype(np.float64)


def _shade(colors: np.ndarray, normals: np.ndarray, turn: np.ndarray, shade: float) -> np.ndarray:
    """Colors under a soft lamp beside the viewer; both sides of a surface are lit alike."""
    seen = normals @ turn.T
    seen *= np.where(seen[:, 2:] < 0, -1, 1)
    light = np.maximum(seen @ LAMP, 0) / np.maximum(np.linalg.norm(seen, axis=1), 1e-9)
    return encode_srgb(decode_srgb(colors) * (1 - shade + shade * light)[:, None])
