"""A head and its layers as one linear function of its expression weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.body.skeleton import JOINTS
from portraitist.body.skin import find_joints, find_weights
from portraitist.body.standing import has_body
from portraitist.devices import to_numpy
from portraitist.export.body_joints import let_arms_hang
from portraitist.export.neck_joint import has_bust, measure_neck
from portraitist.mesh.carrying import carry_deltas
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.frames import FrameRenderer
from portraitist.rendering.layers import list_parts
from portraitist.types import Camera, Head

MARGIN = 1.08  # of the head's sphere: an open jaw reaches beyond it


class AnimatedHead:
    """Vertices and pictures of ``head`` for any expression and pose.

    The blendshapes of a stylized head are the sitter's displacements scaled and turned by the local deformation
    (``geometry/blendshape_transfer.py``), so that their weighted sum is what Sec. 7.1 adds to the deformed mesh.
    """

    def __init__(self, head: Head, size_px: int, modes: Float[Tensor, "m n 3"] | None = None) -> None:
        """``modes``: of displacement beside the expressions, moves of the head's vertices; meters."""
        head = let_arms_hang(head) if has_body(head) else head
        deltas = head.expression_deltas if modes is None else torch.cat([head.expression_deltas, modes])
        meshes = [head.mesh, *(layer.mesh for layer in head.layers)]
        shown = np.concatenate([to_numpy(mesh.vertices) for mesh in meshes])
        moves = [to_numpy(own) for own in (deltas, *carry_deltas(head, deltas))]
        self._moves = np.concatenate(moves, axis=1).reshape(len(deltas), -1)
        own = self._moves[: len(head.expression)]
        self._rest = shown - (to_numpy(head.expression) @ own).reshape(-1, 3)
        self._renderer = FrameRenderer(list_parts(head))
        self._pivot, self._shares = _find_turn(head)
        framed = self._rest[self._rest[:, 1] > _find_lower_edge(head)]
        self._camera = view_camera(torch.from_numpy(framed), 0.0, 0.0, size_px, MARGIN)
        self._center = (framed.min(0) + framed.max(0)) / 2

    def vertices(self, weights: Float[np.ndarray, "w"]) -> Float[np.ndarray, "n 3"]:
        """Of the head, then of its layers; meters, head space. ``weights``: of 52 expressions, then of the modes."""
        return self._rest + (weights.astype(np.float32) @ self._moves).reshape(-1, 3)

    def draw(self, weights: Float[np.ndarray, "w"], rotation: Float[np.ndarray, "3 3"]) -> np.ndarray:
        """Picture ``[size, size, 3]`` uint8 on white. The head turns in place and keeps its size; on a bust or a body
        it turns on its neck, and the shoulders stay. Of a body only what is above the breast is shown."""
        vertices = self.vertices(weights)
        if self._pivot is None:
            return self._renderer.draw(vertices, self._look(rotation))
        arms = vertices - self._pivot
        bent = vertices + self._shares[:, None] * (arms @ rotation.T - arms)
        return self._renderer.draw(bent.astype(np.float32), self._camera)

    def _look(self, rotation: np.ndarray) -> Camera:
        x, y, _ = (rotation @ self._center * self._camera.scale_px).tolist()
        size = self._camera.size[0]
        turned = torch.from_numpy(rotation.astype(np.float32))
        return dataclasses.replace(self._camera, rotation=turned, center_px=(size / 2 - x, size / 2 + y))


def _find_turn(head: Head) -> tuple[Float[np.ndarray, "3"] | None, Float[np.ndarray, "n"]]:
    """About which point a head on shoulders turns, and how much each vertex of the head and its layers goes with it.
    None: all of it turns in place."""
    if has_body(head):
        joints = to_numpy(find_joints(head))
        shares = [to_numpy(rows)[:, JOINTS["head"]] for rows in find_weights(head)]
        return joints[JOINTS["head"]], np.concatenate(shares)
    if has_bust(head):
        bend = measure_neck(head)
        return bend.place(0.5).astype(np.float32), np.concatenate(bend.find_shares(head))
    return None, np.ones(sum(len(mesh.vertices) for mesh, _ in list_parts(head)))


def _find_lower_edge(head: Head) -> float:
    """Height in head space below which pictures do not show it; meters."""
    return float(find_joints(head)[JOINTS["upperChest"], 1]) if has_body(head) else -np.inf
