"""A head and its layers as one sees them: silhouettes, hair, and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from metrics.silhouettes import mark_above
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import LAYER_NAMES, REGIONS, Camera, Fragments, Head

CHIN = 8  # of the 68 points
FEATURES = (slice(36, 48), slice(27, 36), slice(48, 68))  # eyes, nose and mouth
NO_FACE = ("ears", "scalp", "neck", *LAYER_NAMES)


@dataclass(frozen=True)
class Drawing:
    """What of a head one camera sees. ``all``: head and layers. ``hair``: the layers; of a head without layers, its
    scalp. ``face``, ``scalp``: of the head, as if there were no layers. ``chin`` (x, y) px and the direction ``up`` of
    length 1: below the line through the one, perpendicular to the other, is the neck."""

    all: Bool[np.ndarray, "h w"]
    hair: Bool[np.ndarray, "h w"]
    face: Bool[np.ndarray, "h w"]
    scalp: Bool[np.ndarray, "h w"]
    chin: Float[np.ndarray, "2"]
    up: Float[np.ndarray, "2"]

    def mark_above_chin(self) -> Bool[np.ndarray, "h w"]:
        return mark_above(self.all.shape, self.chin, self.up)


def draw_head(head: Head, camera: Camera) -> Drawing:
    parts = rasterize_head(head, camera)
    alone = parts[0] if len(parts) == 1 else rasterize(head.mesh, camera)
    layers = [part.mask for part in parts[1:]]
    scalp = mark_regions(head, alone, ("scalp",))
    hair = torch.stack(layers).any(0) if layers else scalp
    return Drawing(
        all=torch.stack([part.mask for part in parts]).any(0).numpy(),
        hair=hair.numpy(),
        face=mark_regions(head, alone, tuple(name for name in REGIONS if name not in NO_FACE)).numpy(),
        scalp=scalp.numpy(),
        chin=project_landmarks(head, camera)[CHIN],
        up=find_up(camera),
    )


def rasterize_head(head: Head, camera: Camera) -> list[Fragments]:
    """What is seen of the head itself, then of each of its layers."""
    if not head.layers:
        return [rasterize(head.mesh, camera)]
    from portraitist.rendering.layers import rasterize_parts

    return rasterize_parts([head.mesh, *(layer.mesh for layer in head.layers)], camera)


def mark_regions(head: Head, seen: Fragments, names: tuple[str, ...]) -> Bool[torch.Tensor, "h w"]:
    """Pixels that show these regions of the head itself."""
    wanted = torch.tensor([name in names for name in REGIONS])[head.mesh.regions]
    return seen.mask & wanted[seen.face_ids.clamp(min=0)]


def project_landmarks(head: Head, camera: Camera) -> Float[np.ndarray, "68 2"]:
    return camera.project(head.landmarks68.positions(head.mesh.vertices, head.mesh.faces)).double().numpy()


def find_features(head: Head, camera: Camera) -> Float[np.ndarray, "2"]:
    """Middle (x, y) px of the middles of eyes, nose and mouth."""
    points = project_landmarks(head, camera)
    return np.mean([points[part].mean(0) for part in FEATURES], axis=0)


def find_up(camera: Camera) -> Float[np.ndarray, "2"]:
    """The head's own up, as it lies in the picture (y points down there)."""
    x, y, _ = camera.rotation.double()[:, 1].tolist()
    return np.array([x, -y]) / np.hypot(x, y)


def frame_head(head: Head, yaw_deg: float, pitch_deg: float, size: int) -> Camera:
    """`view_camera` with the layers in the frame."""
    vertices = torch.cat([head.mesh.vertices, *(layer.mesh.vertices for layer in head.layers)])
    return view_camera(vertices, yaw_deg, pitch_deg, size)
