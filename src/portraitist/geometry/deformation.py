"""Landmark-guided Laplacian deformation (paper Sec. 4.2, Eq. 8-10) in closed form.

The paper minimises unsquared norms with Adam for 2 s; squared, the same two terms are one sparse symmetric system, and
since topology and handles never change, its solution is one constant matrix: handle displacements in, vertices out.
The paper's uniform graph Laplacian depends on how finely the mesh is cut around lids and lips; ours is the cotangent
bi-Laplacian (``surface.py``). Its weight is chosen by the handle residual wanted: the paper's alpha = 10^7 belongs to
the unsquared, early-stopped form; squared, it would not move the face at all.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.surface import Surface, factor_handles
from portraitist.types import Head

BALL_CLEARANCE = 1.01  # lid vertices stay outside the eyeball's radius times this


@dataclass(frozen=True)
class Deformer:
    """``response`` [m, 68]: displacement of each surface vertex per unit displacement of each landmark (Eq. 10)."""

    model: HeadModel
    surface: Surface
    response: Float[np.ndarray, "m 68"]

    def displace(self, vertices: Float[Tensor, "n 3"], moved: Float[Tensor, "68 3"]) -> Float[Tensor, "n 3"]:
        """Displacement of all vertices (metres) for landmark displacements on the given head, linear in ``moved``."""
        displacement = np.zeros((len(vertices), 3))
        displacement[self.surface.vertex_ids] = self.response @ moved.double().numpy()
        complete = self.surface.carry_followers(vertices.double().numpy(), displacement)
        return torch.from_numpy(complete).to(vertices)


@functools.lru_cache(maxsize=4)
def build_deformer(model: HeadModel, stiffness: float) -> Deformer:
    """Factor the system and store the response of every vertex to every landmark."""
    system = factor_handles(model, model.landmarks68, torch.ones(68), stiffness)
    return Deformer(model, system.surface, system.solve(np.eye(68)))


def deform_to_landmarks(content: Head, targets: Float[Tensor, "68 3"], deformer: Deformer) -> Head:
    """The content head moved so that its landmarks reach ``targets`` (head space, metres), expressions carried over.

    A head whose landmarks are already there is returned unchanged, bit for bit.
    """
    model = deformer.model
    own = model.landmarks68.positions(content.mesh.vertices, content.mesh.faces)
    moved = targets - own
    if not moved.any():
        return content
    shape = content.mesh.vertices + deformer.displace(content.mesh.vertices, moved)
    shape = _clear_eyeballs(shape, content.mesh.vertices, model)
    deltas = carry_expressions(content.mesh.vertices, shape, content.expression_deltas, model)
    neutral = shape - torch.einsum("e,end->nd", content.expression, deltas)
    return replace(
        content,
        mesh=content.mesh.with_vertices(shape),
        neutral=neutral,
        expression_deltas=deltas,
        original=content.mesh.vertices,
    )


def _clear_eyeballs(
    shape: Float[Tensor, "n 3"], before: Float[Tensor, "n 3"], model: HeadModel
) -> Float[Tensor, "n 3"]:
    """Push lids that ended up inside an eyeball out along its radius, unless they were as deep before."""
    shape = shape.clone()
    for side in ("left", "right"):
        ball = model.vertex_ids(f"eyeball_{side}")
        lids = model.vertex_ids(f"eye_socket_{side}")
        lids = lids[before[lids, 2] > before[ball, 2].mean()]

        def radii(vertices: Tensor, ball: Tensor = ball, lids: Tensor = lids) -> tuple[Tensor, Tensor, Tensor]:
            centre = (vertices[ball].amax(0) + vertices[ball].amin(0)) / 2
            return vertices[lids] - centre, (vertices[ball] - centre).norm(dim=1).mean(), centre

        arms_before, radius_before, _ = radii(before)
        arms, radius, centre = radii(shape)
        least = (arms_before.norm(dim=1) / radius_before).clamp(max=BALL_CLEARANCE) * radius
        length = arms.norm(dim=1)
        shape[lids] = centre + arms * (torch.maximum(length, least) / length)[:, None]
    return shape


def local_deformation(
    before: Float[Tensor, "n 3"], after: Float[Tensor, "n 3"], faces: Int[Tensor, "f 3"]
) -> Float[Tensor, "n 3 3"]:
    """Linear map around each vertex, area-weighted mean of its triangles' (edges and unit-scaled normal)."""

    def frames(vertices: Tensor) -> tuple[Tensor, Tensor]:
        a, b, c = vertices[faces].unbind(1)
        normal = torch.linalg.cross(b - a, c - a)
        area = normal.norm(dim=1)
        thick = normal / area.clamp(min=1e-12)[:, None] * area.clamp(min=1e-12).sqrt()[:, None]
        return torch.stack([b - a, c - a, thick], 2), area

    rest, area = frames(before.double())
    moved, _ = frames(after.double())
    flat = area < 1e-10
    rest[flat] = torch.eye(3, dtype=rest.dtype, device=rest.device)
    moved[flat] = torch.eye(3, dtype=rest.dtype, device=rest.device)
    maps = (moved @ torch.linalg.inv(rest)) * area[:, None, None]
    total = torch.zeros(len(before), 3, 3, dtype=maps.dtype, device=maps.device)
    weight = torch.zeros(len(before), dtype=maps.dtype, device=maps.device)
    for corner in range(3):
        total.index_add_(0, faces[:, corner], maps)
        weight.index_add_(0, faces[:, corner], area)
    return (total / weight.clamp(min=1e-20)[:, None, None]).to(before)


def carry_expressions(
    before: Float[Tensor, "n 3"], after: Float[Tensor, "n 3"], deltas: Float[Tensor, "52 n 3"], model: HeadModel
) -> Float[Tensor, "52 n 3"]:
    """Expression displacements scaled and turned with the local deformation (paper Sec. 7.1)."""
    maps = local_deformation(before, after, model.faces)
    return torch.einsum("nij,enj->eni", maps, deltas)
