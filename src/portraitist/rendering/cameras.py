"""Cameras that look at a head from a given angle."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, move, to_numpy
from portraitist.types import Camera, Head

NAMED_VIEWS: dict[str, tuple[float, float]] = {
    "front": (0.0, 0.0),
    "left": (-30.0, 0.0),
    "right": (30.0, 0.0),
    "above": (0.0, -20.0),
    "below": (0.0, 20.0),
}
"""(yaw_deg, pitch_deg) of the published views; signs as in `rotation_from_yaw_pitch`."""


def view_camera(
    vertices: Float[Tensor, "n 3"], yaw_deg: float, pitch_deg: float, size: int, margin: float = 1.04
) -> Camera:
    """Square camera of ``size`` px that looks at the vertices turned by yaw and pitch.

    The frame is the vertices' bounding sphere about the center of their box, times ``margin``. It is the same for every
    angle, so a turning head neither grows, shrinks nor slides.
    """
    center = (vertices.amin(0) + vertices.amax(0)) / 2
    radius = (vertices - center).norm(dim=1).amax().item()
    rotation = move(rotation_from_yaw_pitch(yaw_deg, pitch_deg), vertices.device)
    scale_px = size / (2 * margin * radius)
    x, y, _ = (rotation @ center * scale_px).tolist()
    return Camera(rotation, scale_px, (size / 2 - x, size / 2 + y), (size, size))


def head_camera(head: Head, yaw_deg: float, pitch_deg: float, size: int, margin: float = 1.04) -> Camera:
    """`view_camera` for a head and its layers, so that long hair is in the picture, too."""
    vertices = torch.cat([head.mesh.vertices, *(layer.mesh.vertices for layer in head.layers)])
    return view_camera(vertices, yaw_deg, pitch_deg, size, margin)


def rotation_from_yaw_pitch(yaw_deg: float | int, pitch_deg: float | int) -> Float[Tensor, "3 3"]:
    """Head rotation as seen by a fixed camera. ``yaw_deg`` > 0 turns the face to the viewer's right (towards +X),
    ``pitch_deg`` > 0 lifts it (the viewer sees it from below). (0, 0) is the front."""
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    turn = torch.tensor([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    lift = torch.tensor([[1.0, 0.0, 0.0], [0.0, cp, sp], [0.0, -sp, cp]])
    return lift @ turn


def project_places(places: Float[np.ndarray, "*k 3"], camera: Camera) -> Float[np.ndarray, "*k 2"]:
    """Pixels (x, y) at which a camera shows points, as `Camera.project` has them."""
    flat = from_numpy(places.reshape(-1, 3), camera.rotation)
    return to_numpy(camera.project(flat), np.float64).reshape(*places.shape[:-1], 2)
