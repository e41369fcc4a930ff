"""What the painter sees of a sitter: buffers of the head with its hair, one value per pixel, and the light on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from scipy import sparse

from exemplars.sitters import Sitter, shape_points
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import REGIONS, Camera, Mesh

HAIR = len(REGIONS)
"""Label of hair, beside the region indices; -1 is empty."""


@dataclass(frozen=True)
class Scene:
    """``labels [h, w]``: region index, HAIR or -1. ``rest [h, w, 3]``: the same point on the mean head, meters.
    ``points [h, w, 3]``: x, y in pixels and depth in pixels (larger is nearer). ``normals [h, w, 3]``: x right, y up,
    z to the viewer. ``occlusion``, ``sunlight [h, w]``: open sky and unshadowed key light, 0..1.
    ``landmarks [478, 2]``: pixels. ``balls [2, 2]``: eyeball centers, sitter's right then left."""

    labels: np.ndarray
    rest: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    occlusion: np.ndarray
    sunlight: np.ndarray
    landmarks: np.ndarray
    balls: np.ndarray
    camera: Camera

    def mask(self, *names: str) -> np.ndarray:
        return np.isin(self.labels, [HAIR if name == "hair" else REGIONS.index(name) for name in names])


def look_at(sitter: Sitter, key_light: tuple[float, float, float]) -> Scene:
    """Render the buffers of one sitter under a key light that comes from ``key_light`` (x right, y up, z to viewer)."""
    model = load_head_model()
    head = shape_points(sitter, model)
    hair_rest, hair_faces = raise_hair(model, sitter)
    hair = shape_points(sitter, model, hair_rest)
    used, hair_faces = np.unique(hair_faces, return_inverse=True)
    faces = np.concatenate([model.faces.numpy(), hair_faces.reshape(-1, 3) + len(head)])
    rest, fine_faces = _subdivide(np.concatenate([model.mean.numpy(), hair_rest[used]]), faces)
    points, _ = _subdivide(np.concatenate([head, hair[used]]), faces)
    labels = np.full(len(faces), HAIR)
    labels[: len(model.faces)] = model.template.regions.numpy()
    labels = np.repeat(labels, 4)

    landmarks = model.landmarks478.positions(torch.tensor(head, dtype=torch.float32), model.faces)
    camera = _frame(sitter, landmarks)
    in_camera = points @ camera.rotation.numpy().T.astype(float)
    mesh = _plain_mesh(points, fine_faces)
    normals = trimesh.Trimesh(in_camera, fine_faces, process=False).vertex_normals
    sky, sun = _light(mesh, in_camera, normals, np.array(key_light))
    fragments = rasterize(mesh, camera)
    ids, weights = fragments.face_ids.numpy(), fragments.barycentrics.numpy()

    def spread(values: np.ndarray) -> np.ndarray:
        return np.einsum("hwc,hwck->hwk", weights, values[fine_faces[ids]])

    in_pixels = in_camera * camera.scale_px
    smooth = spread(normals)
    smooth /= np.linalg.norm(smooth, axis=2, keepdims=True) + 1e-9
    balls = [camera.project(torch.tensor(head[model.vertex_ids(f"eyeball_{side}")].mean(0, keepdims=True)).float())
             for side in ("right", "left")]  # fmt: skip
    return Scene(
        labels=np.where(ids >= 0, labels[ids], -1),
        rest=spread(rest),
        points=spread(in_pixels),
        normals=smooth,
        occlusion=spread(sky[:, None])[..., 0],
        sunlight=spread(sun[:, None])[..., 0],
        landmarks=camera.project(landmarks).numpy(),
        balls=torch.cat(balls).numpy(),
        camera=camera,
    )


def raise_hair(model: HeadModel, sitter: Sitter) -> tuple[np.ndarray, np.ndarray]:
    """A second skin over the scalp that stands off it: rest positions ``[n, 3]`` and its faces ``[k, 3]``."""
    faces, rest = model.faces.numpy(), model.mean.numpy()
    scalp = _flatten_ears(model)
    margin = hair_margin(scalp, sitter.hair_drop)
    x, y, z = scalp.T
    sides = np.exp(-(((y - 0.02) / 0.045) ** 2)) * np.clip((np.abs(x) - 0.03) / 0.04, 0, 1)
    parting = 1 - 0.45 * np.exp(-(((x - sitter.parting) / 0.006) ** 2)) * (z > -0.12)
    depth = (sitter.hair_depth + sitter.hair_sides * sides) * _ease(margin / 0.05) * parting
    waves = np.sin(x * 95 + z * 40) * np.sin(z * 80 + x * 30) + 0.6 * np.sin(x * 60 - z * 130 + 1)
    depth *= 1 + sitter.hair_waves * waves
    outward = scalp - np.array([0.0, 0.02, -0.07])
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    covered = model.face_mask("outer_skin").numpy()
    faces = faces[covered & (margin[faces] > -0.002).all(axis=1)]
    return np.where(margin[:, None] > -0.004, scalp + outward * depth[:, None], rest), faces


def hair_margin(rest: np.ndarray, drop: float) -> np.ndarray:
    """How far inside the hairline points ``[..., 3]`` of the mean head lie, meters. The line falls from forehead to
    nape, and by ``drop`` meters more from the temples back."""
    x, y, z = np.moveaxis(rest, -1, 0)
    line = np.interp(z, [-0.18, -0.13, -0.095, -0.07, -0.045, -0.02, 0.0, 0.02],
                     [-0.085, -0.080, -0.045, -0.020, 0.005, 0.045, 0.062, 0.070])  # fmt: skip
    return y - line + drop * _ease((-0.025 - z) / 0.035) - 0.004 * np.cos(x / 0.05 * np.pi) * (z > 0)


def _ease(place: np.ndarray) -> np.ndarray:
    place = np.clip(place, 0, 1)
    return place * place * (3 - 2 * place)


def _flatten_ears(model: HeadModel) -> np.ndarray:
    """The mean head with its ears smoothed away, so that hair can lie over where they sit."""
    rest, faces = model.mean.numpy().astype(float), model.faces.numpy()
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = len(rest)
    links = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    links = ((links + links.T) > 0).astype(float)
    mean_of_neighbors = sparse.diags(1 / np.maximum(links.sum(1).A1, 1)) @ links
    ears = np.zeros(count)
    ears[model.vertex_ids("ears").numpy()] = 1
    for _ in range(4):
        ears = np.maximum(ears, mean_of_neighbors @ ears)
    weight = np.clip(ears * 3, 0, 1)[:, None]
    smooth = rest
    for _ in range(250):
        smooth = smooth + weight * (mean_of_neighbors @ smooth - smooth)
    return smooth


def _subdivide(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One round of Loop subdivision; the four children of a face stay together, in order."""
    fine, fine_faces = trimesh.remesh.subdivide_loop(points, faces, iterations=1)
    return fine, fine_faces


def _plain_mesh(points: np.ndarray, faces: np.ndarray) -> Mesh:
    triangles = torch.tensor(faces)
    none = torch.zeros(len(faces), dtype=torch.long)
    return Mesh(torch.tensor(points, dtype=torch.float32), triangles, torch.zeros(1, 2), triangles * 0, none)


def _frame(sitter: Sitter, landmarks: torch.Tensor) -> Camera:
    """The camera under which the face has the wanted height and place."""
    rotation = rotation_from_yaw_pitch(sitter.yaw_deg, sitter.pitch_deg)
    flat = (landmarks @ rotation.T)[:, :2]
    low, high = flat.amin(0), flat.amax(0)
    height, width = sitter.size
    scale = sitter.face_height * height / (high - low)[1].item()
    x, y = ((low + high) / 2 * scale).tolist()
    center = (sitter.face_center[0] * width - x, sitter.face_center[1] * height + y)
    return Camera(rotation, scale, center, sitter.size)


def _light(mesh: Mesh, points: np.ndarray, normals: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per vertex: share of the open sky and of the key light (a small area light), both camera space, 0..1."""
    rng = np.random.default_rng(0)
    around = rng.standard_normal((44, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    lamp = key / np.linalg.norm(key) + rng.standard_normal((10, 3)) * 0.16
    lamp /= np.linalg.norm(lamp, axis=1, keepdims=True)
    sky, weight = np.zeros(len(points)), np.zeros(len(points))
    in_camera = _plain_mesh(points, mesh.faces.numpy())
    for direction in around:
        cosine = np.clip(normals @ direction, 0, None)
        sky += cosine * _reached(in_camera, points + normals * 5e-4, direction)
        weight += cosine
    sun = np.mean([_reached(in_camera, points + normals * 5e-4, direction) for direction in lamp], axis=0)
    return sky / (weight + 1e-9), sun


def _reached(mesh: Mesh, points: np.ndarray, direction: np.ndarray, size: int = 384) -> np.ndarray:
    """1 where parallel light from ``direction`` reaches the points, by a depth map seen from the light."""
    side = np.cross(direction, [0.13, 0.98, 0.12])
    side /= np.linalg.norm(side)
    rotation = torch.tensor(np.stack([side, np.cross(direction, side), direction]), dtype=torch.float32)
    turned = points @ rotation.numpy().T.astype(float)
    low, high = turned.min(0), turned.max(0)
    scale = size / (1.04 * (high - low)[:2].max())
    center = size / 2 - scale * (low + high)[:2] / 2 * [1, -1]
    camera = Camera(rotation, float(scale), (float(center[0]), float(center[1])), (size, size))
    seen = rasterize(mesh, camera)
    depth = (mesh.vertices @ rotation[2])[mesh.faces[seen.face_ids]]
    nearest = np.where(seen.mask.numpy(), (depth * seen.barycentrics).sum(-1).numpy(), -np.inf)
    column, row = (np.clip(turned[:, :2] * scale * [1, -1] + center, 0, size - 1).astype(int)).T
    return (nearest[row, column] < turned[:, 2] + 1.5 / scale).astype(float)
