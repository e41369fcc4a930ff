"""Do the 52 actions still work on a head of another shape: what shows that should be covered, and what turned over.

Looks only at the meshes, by exact ray casting. Everything has a baseline: the same action on the unexaggerated head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from portraitist.reconstruction.head_model import COMPONENTS, HeadModel
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import EXPRESSION_NAMES, Head

VIEWS = {"front": (0.0, 0.0), "left": (-30.0, 0.0), "right": (30.0, 0.0), "above": (0.0, -20.0), "below": (0.0, 20.0)}
VIEW_PX = 512
OPENING_MARGIN = 1.35
"""What shows within the rim of lids or lips, enlarged by this about its center, is looked at through an opening."""

OPENINGS = {
    "eye_socket_left": ("eyeball_left", "eye_socket_left"),
    "eye_socket_right": ("eyeball_right", "eye_socket_right"),
    "mouth_cavity": ("mouth_cavity", "upper_teeth", "lower_teeth", "tongue"),
}
"""The part whose rim with the outer skin is an opening, and the parts that may be seen through it."""


@dataclass(frozen=True)
class Exposure:
    """Pixels of one view, as shares of the head's pixels. ``through`` an opening: by the opening's part;
    ``outside``: parts of the inside that show where there is no opening (the tongue may come out)."""

    through: dict[str, float]
    outside: float


def pose_head(head: Head, weights: Mapping[str, float]) -> Tensor:
    """Vertices ``[n, 3]`` of the head with only these actions on it."""
    expression = torch.zeros(len(EXPRESSION_NAMES))
    for name, weight in weights.items():
        expression[EXPRESSION_NAMES.index(name)] = weight
    return head.neutral + torch.einsum("e,end->nd", expression, head.expression_deltas)


def measure_exposure(head: Head, vertices: Tensor, view: tuple[float, float], model: HeadModel) -> Exposure:
    """What of the inside a view shows, and where."""
    mesh = head.mesh.with_vertices(vertices)
    camera = view_camera(vertices, *view, VIEW_PX)
    seen = rasterize(mesh, camera)
    parts = torch.where(seen.mask, model.components[seen.face_ids.clamp(min=0)], -1).numpy()
    total = int((parts >= 0).sum())
    skin = model.vertex_ids("outer_skin").numpy()
    through, outside = {}, 0
    for opening, inner in OPENINGS.items():
        shown = np.isin(parts, [COMPONENTS.index(name) for name in inner])
        rim = np.intersect1d(skin, model.vertex_ids(opening).numpy())
        points = camera.project(vertices[rim]).numpy()
        points = points.mean(0) + OPENING_MARGIN * (points - points.mean(0))
        hull = cv2.convexHull(points.round().astype(np.int32))
        window = cv2.fillConvexPoly(np.zeros(parts.shape, np.uint8), hull, 1).astype(bool)
        through[opening] = float((shown & window).sum() / total)
        outside += int((shown & ~window & (parts != COMPONENTS.index("tongue"))).sum())
    return Exposure(through, outside / total)


def measure_worst_exposure(head: Head, weights: Mapping[str, float], model: HeadModel) -> Exposure:
    """Largest value of every figure over ``VIEWS``."""
    seen = [measure_exposure(head, pose_head(head, weights), view, model) for view in VIEWS.values()]
    through = {name: max(each.through[name] for each in seen) for name in OPENINGS}
    return Exposure(through, max(each.outside for each in seen))


def measure_teeth_lag(head: Head, model: HeadModel) -> float:
    """By how much the lower front teeth stay behind the lower lip above them under jawOpen, as a share of its way."""
    move = head.expression_deltas[EXPRESSION_NAMES.index("jawOpen")]
    points = model.landmarks68
    lip = (move[model.faces[points.face_ids[66]]] * points.barycentrics[66, :, None]).sum(0)
    teeth = model.vertex_ids("lower_teeth")
    front = teeth[model.mean[teeth, 2].topk(12).indices]
    return float(1 - (move[front].mean(0) @ lip) / (lip @ lip))
