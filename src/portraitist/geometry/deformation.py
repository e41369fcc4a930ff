"""Landmark-guided Laplacian deformation (paper Sec. 4.2, Eq. 8-10) in closed form.

The paper minimizes unsquared norms with Adam for 2 s; squared, the same two terms are one sparse symmetric system, and
since topology and handles never change, its solution is one constant matrix: handle displacements in, vertices out.
The paper draws all that is far from a handle to rest. Here it goes with the face first (``whole_head.py``), and the
solution adds what the handles miss.
The paper's uniform graph Laplacian depends on how finely the mesh is cut around lids and lips; ours is the cotangent
bi-Laplacian (``reconstruction/head_surface.py``). Its weight is chosen by the handle residual wanted: the paper's
alpha = 10^7 belongs to the unsquared, early-stopped form; squared, it would not move the face at all.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.geometry.blendshape_transfer import find_lip_contacts, transfer_blendshapes
from portraitist.geometry.whole_head import WholeHead, predict_whole_head
from portraitist.mesh.handles import DeformableSurface, factor_handles
from portraitist.mesh.laplacian import ScreenedPoisson, cotangent_laplacian
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import DECIMETER, SURFACE_COMPONENTS, build_surface
from portraitist.types import EXPRESSION_NAMES, Head

LID_BLENDSHAPES = ("eyeBlink", "eyeLookDown", "eyeSquint")
CLEARANCE_ITERATIONS = 12  # each averaging leaves some skin inside
PUSH_SMOOTHING_DM = 0.03  # a push is averaged over this, so that skin does not fold
BALL_CLEARANCE = 1.25  # skin stays outside the eyeball's radius times this


@dataclass(frozen=True)
class Deformer:
    """``whole_head``: how all goes with the landmarks. ``handles`` [68, m]: barycentric rows. ``response`` [m, 68]:
    what each surface vertex moves beyond, per unit that it leaves a landmark off (Eq. 10)."""

    model: HeadModel
    surface: DeformableSurface
    whole_head: WholeHead
    handles: sp.csr_matrix
    response: Float[np.ndarray, "m 68"]

    def displace(self, vertices: Float[Tensor, "n 3"], moved: Float[Tensor, "68 3"]) -> Float[Tensor, "n 3"]:
        """Displacement of all vertices (meters) for landmark displacements on the given head."""
        places, asked = to_numpy(vertices, np.float64), to_numpy(moved, np.float64)
        together = self.whole_head.displace(places[self.surface.vertex_ids], asked)
        displacement = np.zeros_like(places)
        displacement[self.surface.vertex_ids] = together + self.response @ (asked - self.handles @ together)
        return from_numpy(self.surface.complete(places, displacement), vertices)


@functools.lru_cache(maxsize=4)
def build_deformer(model: HeadModel, stiffness: float) -> Deformer:
    """Factor the system and store the response of every vertex to every landmark."""
    surface, weights = build_surface(model), torch.ones(68)
    system = factor_handles(surface, model.faces, model.landmarks68, weights, stiffness, find_lip_contacts(model))
    handles = sp.csr_matrix(system.weighted_handles.T)  # of weight 1
    return Deformer(model, surface, predict_whole_head(model), handles, system.solve(np.eye(68)))


def deform_to_landmarks(content: Head, targets: Float[Tensor, "68 3"], deformer: Deformer) -> Head:
    """Move the content head so that its landmarks reach ``targets`` (head space, meters), and transfer its blendshapes.

    A head whose landmarks are already there is returned unchanged, bit for bit.
    """
    model = deformer.model
    own = model.landmarks68.positions(content.mesh.vertices, content.mesh.faces)
    moved = targets - own
    if not moved.any():
        return content
    neutral = deform_neutral(content, moved, deformer)
    deltas = transfer_blendshapes(content.neutral, neutral, content.expression_deltas, model)
    deltas = _clear_moving_lids(content, neutral, deltas, model)
    shape = neutral + torch.einsum("e,end->nd", content.expression, deltas)
    return replace(
        content,
        mesh=content.mesh.with_vertices(shape),
        neutral=neutral,
        expression_deltas=deltas,
        original=content.mesh.vertices,
    )


def deform_neutral(content: Head, moved: Float[Tensor, "68 3"], deformer: Deformer) -> Float[Tensor, "n 3"]:
    """The content head's neutral shape for landmark displacements (head space, meters), without its expressions."""
    neutral = content.neutral + deformer.displace(content.neutral, moved)
    return _clear_eyeballs(neutral, content.neutral, deformer.model)


def _clear_eyeballs(
    shape: Float[Tensor, "n 3"], before: Float[Tensor, "n 3"], model: HeadModel
) -> Float[Tensor, "n 3"]:
    """Push skin that ended up inside an eyeball out along its radius, unless it was as deep before.

    What is around gives way too: pushed alone, skin would fold over its neighbors.
    """
    shape = shape.clone()
    spread = _factor_spreading(model)
    balls = [model.vertex_ids(f"eyeball_{side}") for side in ("left", "right")]
    skins = [model.vertex_ids("outer_skin", f"eye_socket_{side}") for side in ("left", "right")]
    held = [_relative_distance(before, *ids)[1].clamp(max=BALL_CLEARANCE) for ids in zip(balls, skins, strict=True)]
    for _ in range(CLEARANCE_ITERATIONS):
        push = torch.zeros_like(shape)
        for ball, skin, least in zip(balls, skins, held, strict=True):
            arms, distance = _relative_distance(shape, ball, skin)
            push[skin] += arms * (least / distance - 1).clamp(min=0)[:, None]
        surface_ids = from_numpy(build_surface(model).vertex_ids, model.faces)
        shape[surface_ids] += from_numpy(spread.solve(to_numpy(push[surface_ids], np.float64)), shape)
    return shape


def _clear_moving_lids(
    content: Head, neutral: Float[Tensor, "n 3"], deltas: Float[Tensor, "52 n 3"], model: HeadModel
) -> Float[Tensor, "52 n 3"]:
    """The same for lids that move over the balls, both eyes at once: each side's share goes to its own blendshape."""
    deltas = deltas.clone()
    sides = {"Left": (neutral[:, :1] > 0), "Right": (neutral[:, :1] < 0)}
    for name in LID_BLENDSHAPES:
        pair = [EXPRESSION_NAMES.index(name + side) for side in sides]
        before = content.neutral + content.expression_deltas[pair].sum(0)
        after = neutral + deltas[pair].sum(0)
        push = _clear_eyeballs(after, before, model) - after
        for row, on_side in zip(pair, sides.values(), strict=True):
            deltas[row] += push * on_side
    return deltas


@functools.lru_cache(maxsize=2)
def _factor_spreading(model: HeadModel) -> ScreenedPoisson:
    """Averages a field on the connected surface over ``PUSH_SMOOTHING_DM``."""
    ids, faces = np.unique(to_numpy(model.faces[model.face_mask(*SURFACE_COMPONENTS)]), return_inverse=True)
    laplacian, areas = cotangent_laplacian(to_numpy(model.mean, np.float64)[ids] / DECIMETER, faces.reshape(-1, 3))
    return ScreenedPoisson.factorize(PUSH_SMOOTHING_DM**2 * laplacian, areas)


def _relative_distance(
    vertices: Float[Tensor, "n 3"], ball: Int[Tensor, "b"], ids: Int[Tensor, "v"]
) -> tuple[Float[Tensor, "v 3"], Float[Tensor, "v"]]:
    """From the ball's center to each of the vertices, and how far that is in radii of the ball in that direction: the
    cornea bulges."""
    center = (vertices[ball].amax(0) + vertices[ball].amin(0)) / 2
    arms, radii = vertices[ids] - center, vertices[ball] - center
    along = torch.nn.functional.normalize(arms, dim=1) @ torch.nn.functional.normalize(radii, dim=1).mT
    return arms, arms.norm(dim=1).clamp(min=1e-9) / radii.norm(dim=1)[along.argmax(1)]
