"""Tie the detector's 478 points to the head: render the mean head under several lights, detect, cast back."""

from __future__ import annotations

import mediapipe as mp
import numpy as np
import torch
import trimesh
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision
from scipy.optimize import linear_sum_assignment

from portraitist.assets import asset_path
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import Camera, Mesh
from source import PARTS

SIZE = 768
LIGHTS = ((0.2, 0.4, 0.9), (-0.2, 0.4, 0.9), (0.5, 0.5, 0.7), (-0.5, 0.5, 0.7), (0.0, 0.1, 1.0), (0.0, 0.7, 0.7))
SKIN_TONES = ((0.86, 0.68, 0.58), (0.66, 0.46, 0.36), (0.93, 0.78, 0.70))
IRIS_MM, PUPIL_MM = 5.9, 2.4
IRIS_POINTS = range(468, 478)


def make_detector() -> vision.FaceLandmarker:
    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(asset_path("face_landmarker.task"))),
        output_facial_transformation_matrixes=True,
        min_face_detection_confidence=0.3,
    )
    return vision.FaceLandmarker.create_from_options(options)


def frontal_camera(vertices: np.ndarray, pitch_deg: float) -> Camera:
    scale = SIZE / 0.42
    middle = rotation_from_yaw_pitch(0, pitch_deg).numpy() @ vertices.mean(0)
    return Camera(
        rotation_from_yaw_pitch(0, pitch_deg),
        scale,
        (SIZE / 2 - scale * middle[0], SIZE / 2 + scale * middle[1]),
        (SIZE, SIZE),
    )


def paint_parts(
    vertices: np.ndarray,
    faces: np.ndarray,
    parts: np.ndarray,
    tone: tuple[float, float, float],
    face_ids: np.ndarray,
    points: np.ndarray,
) -> np.ndarray:
    """Color of each hit: skin, dark mouth, white eyeballs with iris and pupil."""
    colors = np.tile(np.array(tone), (len(face_ids), 1))
    part = parts[face_ids]
    colors[np.isin(part, [PARTS.index(p) for p in ("mouth_cavity", "tongue")])] = (0.45, 0.2, 0.2)
    for name in ("eyeball_left", "eyeball_right"):
        ball = vertices[np.unique(faces[parts == PARTS.index(name)])]
        away_mm = 1000 * np.linalg.norm((points - ball.mean(0))[:, :2], axis=1)
        here = part == PARTS.index(name)
        colors[here] = (0.93, 0.93, 0.92)
        colors[here & (away_mm < IRIS_MM)] = (0.32, 0.22, 0.14)
        colors[here & (away_mm < PUPIL_MM)] = (0.05, 0.05, 0.05)
    return colors


def draw_head(
    vertices: np.ndarray, faces: np.ndarray, parts: np.ndarray, camera: Camera, light: tuple, tone: tuple
) -> np.ndarray:
    """[h, w, 3] uint8 picture with smooth Lambert shading."""
    mesh = Mesh(torch.tensor(vertices, dtype=torch.float32), torch.tensor(faces), torch.zeros(1, 2),
                torch.zeros(faces.shape, dtype=torch.long), torch.zeros(len(faces), dtype=torch.long))  # fmt: skip
    seen = rasterize(mesh, camera)
    mask = seen.mask.numpy()
    ids, weights = seen.face_ids.numpy()[mask], seen.barycentrics.numpy()[mask]
    normals = trimesh.Trimesh(vertices, faces, process=False).vertex_normals
    normal = (normals[faces[ids]] * weights[..., None]).sum(1) @ camera.rotation.numpy().T
    points = (vertices[faces[ids]] * weights[..., None]).sum(1)
    direction = np.array(light) / np.linalg.norm(light)
    shading = 0.35 + 0.75 * np.clip(normal @ direction, 0, 1)
    picture = np.full((SIZE, SIZE, 3), 0.55)
    picture[mask] = paint_parts(vertices, faces, parts, tone, ids, points) * shading[:, None]
    return (255 * picture.clip(0, 1)).astype(np.uint8)


def detect(picture: np.ndarray, detector: vision.FaceLandmarker) -> tuple[np.ndarray, np.ndarray]:
    """478 points in pixels and the detector's own head pose matrix."""
    result = detector.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture)))
    points = np.array([(p.x, p.y) for p in result.face_landmarks[0]]) * SIZE
    return points, result.facial_transformation_matrixes[0][:3, :3]


def detect_mean_face(vertices: np.ndarray, faces: np.ndarray, parts: np.ndarray, pitch_deg: float):
    """Points averaged over lights, tones and mirror images, in head-space x, y of a frontal view; the pitch read."""
    detector, camera = make_detector(), frontal_camera(vertices, pitch_deg)
    found, pitches = [], []
    for light in LIGHTS:
        for tone in SKIN_TONES:
            points, pose = detect(draw_head(vertices, faces, parts, camera, light, tone), detector)
            found.append((points - np.array(camera.center_px)) / camera.scale_px * [1, -1])
            pitches.append(np.degrees(np.arctan2(-pose[1, 2], pose[2, 2])))
    mean = np.mean(found, axis=0)
    # The detector's own left-right pairing, read off the symmetric mean face.
    distance = np.linalg.norm((mean * [-1, 1])[:, None] - mean[None], axis=2)
    mirror = linear_sum_assignment(distance)[1]
    symmetric = (mean + mean[mirror] * [-1, 1]) / 2
    spread = np.linalg.norm(np.array(found) - mean, axis=2).mean()
    return symmetric, float(np.mean(pitches)), float(spread)


def embed_points(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, allowed: np.ndarray, pitch_deg: float):
    """Cast frontal points onto the allowed triangles (nearest surface point where the ray misses).

    Returns triangle ids [k] into ``faces`` and barycentrics [k, 3].
    """
    rotation = rotation_from_yaw_pitch(0, pitch_deg).numpy().astype(float)
    ids = np.flatnonzero(allowed)
    surface = trimesh.Trimesh(vertices @ rotation.T, faces[ids], process=False)
    origins = np.column_stack([points, np.full(len(points), 1.0)])
    hits, rays, triangles = surface.ray.intersects_location(
        origins, np.tile([0.0, 0, -1], (len(points), 1)), multiple_hits=False
    )
    place, triangle = np.zeros((len(points), 3)), np.full(len(points), -1)
    place[rays], triangle[rays] = hits, triangles
    missed = np.flatnonzero(triangle < 0)
    if len(missed):
        depth = np.array([place[rays][np.linalg.norm(points[rays] - points[k], axis=1).argmin(), 2] for k in missed])
        place[missed], _, triangle[missed] = trimesh.proximity.closest_point(
            surface, np.column_stack([points[missed], depth])
        )
    weights = trimesh.triangles.points_to_barycentric(surface.triangles[triangle], place).clip(0, 1)
    return ids[triangle], weights / weights.sum(1, keepdims=True)
