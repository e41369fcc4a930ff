"""A head and its layers as one linear function of its expression weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import to_numpy
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
        deltas = head.expression_deltas if modes is None else torch.cat([head.expression_deltas, modes])
        meshes = [head.mesh, *(layer.mesh for layer in head.layers)]
        shown = np.concatenate([to_numpy(mesh.vertices) for mesh in meshes])
        moves = [to_numpy(own) for own in (deltas, *carry_deltas(head, deltas))]
        self._moves = np.concatenate(moves, axis=1).reshape(len(deltas), -1)
        own = self._moves[: len(head.expression)]
        self._rest = shown - (to_numpy(head.expression) @ own).reshape(-1, 3)
        self._renderer = FrameRenderer(list_parts(head))
        self._camera = view_camera(torch.from_numpy(self._rest), 0.0, 0.0, size_px, MARGIN)
        self._center = (self._rest.min(0) + self._rest.max(0)) / 2
        self._bend = measure_neck(head) if has_bust(head) else None
        self._shares = np.concatenate(self._bend.find_shares(head)) if self._bend else np.ones(len(shown))

    def vertices(self, weights: Float[np.ndarray, "w"]) -> Float[np.ndarray, "n 3"]:
        """Of the head, then of its layers; meters, head space. ``weights``: of 52 expressions, then of the modes."""
        return self._rest + (weights.astype(np.float32) @ self._moves).reshape(-1, 3)

    def draw(self, weights: Float[np.ndarray, "w"], rotation: Float[np.ndarray, "3 3"]) -> np.ndarray:
        """Picture ``[size, size, 3]`` uint8 on white. The head turns in place and keeps its size; on a bust it turns
        on its neck, and the shoulders stay."""
        vertices = self.vertices(weights)
        if self._bend is None:
            return self._renderer.draw(vertices, self._look(rotation))
        arms = vertices - self._bend.place(0.5).astype(np.float32)
        bent = vertices + self._shares[:, None] * (arms @ rotation.T - arms)
        return self._renderer.draw(bent.astype(np.float32), self._camera)

    def _look(self, rotation: np.ndarray) -> Camera:
        x, y, _ = (rotation @ self._center * self._camera.scale_px).tolist()
        size = self._camera.size[0]
        turned = torch.from_numpy(rotation.astype(np.float32))
        return dataclasses.replace(self._camera, rotation=turned, center_px=(size / 2 - x, size / 2 + y))
