"""Cameras that look at a head from a given angle."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from portraitist.devices import move
from portraitist.types import Camera, rotation_from_yaw_pitch

NAMED_VIEWS: dict[str, tuple[float, float]] = {
    "front": (0.0, 0.0),
    "left": (-30.0, 0.0),
    "right": (30.0, 0.0),
    "above": (0.0, -20.0),
    "below": (0.0, 20.0),
}
"""(yaw_deg, pitch_deg) of the published views; signs as in `types.rotation_from_yaw_pitch`."""


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
