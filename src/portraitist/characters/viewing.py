"""Pictures of a character, and what each of their pixels shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn import functional as F

from portraitist.characters.figure import Figure
from portraitist.characters.paint import CUTOFF, Paints, decode_srgb, encode_srgb
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.ray_casting import cast_rays
from portraitist.types import Camera, Image

SUPERSAMPLE = 2  # rays of a pixel each way
MOST_LAYERS = 12  # of what is looked through: lashes and strands painted on transparent cards
LAMP = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])  # from the viewer's right, above
SHADE = 0.35  # share of the light that comes from the lamp: forms are seen, and flat colors stay what they are
FAINT_SHADE = 0.15  # in the picture that is the artwork: the character's program adds light of its own
STEP = 1e-5  # of the way to the viewer: by how much a ray goes on behind what it looks through


@dataclass(frozen=True)
class View:
    """For each ray, `SUPERSAMPLE` a pixel each way: ``face_ids`` of the figure's triangles, -1 where there is none;
    ``points``: where they are met, in the scene; ``colors``: sRGB 0..1, white where there is none; ``light``: what the
    lamp gives there, 0..1."""

    camera: Camera
    face_ids: Int[np.ndarray, "h w"]
    points: Float[np.ndarray, "h w 3"]
    colors: Float[np.ndarray, "h w 3"]
    light: Float[np.ndarray, "h w"]

    @cached_property
    def picture(self) -> Image:
        """On white, in a soft shade."""
        return self.draw(SHADE)

    def draw(self, shade: float) -> Image:
        """The same with that share of the light coming from the lamp."""
        lit = encode_srgb(decode_srgb(self.colors) * (1 - shade + shade * self.light)[..., None])
        image = torch.from_numpy(lit.transpose(2, 0, 1).astype(np.float32))
        return F.avg_pool2d(image[None], SUPERSAMPLE)[0]

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


def look(figure: Figure, camera: Camera, paints: Paints) -> View:
    """What each pixel of ``camera`` shows of ``figure``."""
    height, width = (side * SUPERSAMPLE for side in camera.size)
    turn = camera.rotation.numpy().astype(np.float64)
    y, x = np.mgrid[:height, :width].reshape(2, -1) / SUPERSAMPLE + 0.5 / SUPERSAMPLE
    across = np.stack([x - camera.center_px[0], camera.center_px[1] - y], 1) / camera.scale_px
    depth = (figure.vertices @ turn[2]).max() + 1 / camera.scale_px
    origins = across @ turn[:2] + depth * turn[2]
    colors, light = np.ones((height * width, 3)), np.ones(height * width)
    ids, points = np.full(height * width, -1), np.zeros((height * width, 3))
    corners, waiting = figure.corners(), np.arange(height * width)
    for _ in range(MOST_LAYERS):
        if not len(waiting):
            break
        hits, weights, _ = cast_rays(corners, origins[waiting], np.broadcast_to(-turn[2], (len(waiting), 3)))
        met = hits >= 0
        waiting, faces, weights = waiting[met], hits[met], weights[met]
        places = (corners[faces] * weights[..., None]).sum(1)
        found = color_points(figure, faces, weights, paints, 1 / (camera.scale_px * SUPERSAMPLE))
        seen = found[:, 3] >= CUTOFF
        shown = waiting[seen]
        normals = (figure.normals[figure.faces[faces[seen]]] * weights[seen][..., None]).sum(1)
        colors[shown], light[shown] = found[seen, :3], _measure_light(normals, turn)
        ids[shown], points[shown] = faces[seen], places[seen]
        waiting = waiting[~seen]
        origins[waiting] = places[~seen] - turn[2] * STEP * (depth - origins[waiting] @ turn[2] + 1)[:, None]
    size = height, width
    return View(camera, ids.reshape(size), points.reshape(*size, 3), colors.reshape(*size, 3), light.reshape(size))


def color_points(
    figure: Figure, faces: Int[np.ndarray, "k"], weights: Float[np.ndarray, "k 3"], paints: Paints, apart: float
) -> Float[np.ndarray, "k 4"]:
    """sRGB and opacity of points on faces, ``weights`` of their corners; 1 where the material is opaque. ``apart``: how
    far the points are from each other, in the scene."""
    ids = figure.faces[faces]
    uvs, colors = ((values[ids] * weights[..., None]).sum(1) for values in (figure.uvs, figure.colors))
    footprints = apart * figure.uv_per_length[faces]
    found = np.ones((len(faces), 4))
    for number in np.unique(figure.piece_of_face[faces]):
        mask, material = figure.piece_of_face[faces] == number, figure.pieces[number].material
        found[mask] = paints.look_up(material, uvs[mask], colors[mask], footprints[mask])
        if paints.is_opaque(material):
            found[mask, 3] = 1
    return found


def _measure_light(normals: Float[np.ndarray, "k 3"], turn: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "k"]:
    """Of a soft lamp beside the viewer; both sides of a surface are lit alike."""
    seen = normals @ turn.T
    seen *= np.where(seen[:, 2:] < 0, -1, 1)
    return np.maximum(seen @ LAMP, 0) / np.maximum(np.linalg.norm(seen, axis=1), 1e-9)
