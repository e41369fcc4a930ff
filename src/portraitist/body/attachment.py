"""A body brought to a head: as large as the head asks for, and vertex for vertex on the border of its neck."""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.sparse.linalg import SuperLU

from portraitist.body.body_model import BodyModel, load_body_model
from portraitist.devices import to_numpy
from portraitist.errors import InputError
from portraitist.mesh.laplacian import cotangent_laplacian, factor_symmetric
from portraitist.types import REGIONS, Mesh

NOT_SIZE = ("neck", "eyeballs", "mouth_inside", "teeth", "tongue")
"""Regions that do not tell how large a head is."""

SETTLED_ROWS = 12  # from the ring on over which what a neck has of its own gives way to the body: to the armpits


def measure_size(vertices: Float[np.ndarray, "n 3"], mesh: Mesh) -> float:
    """Side of a cube as large as the box around a head without its neck, meters."""
    kept = ~np.isin(to_numpy(mesh.regions), [REGIONS.index(name) for name in NOT_SIZE])
    head = vertices[np.unique(to_numpy(mesh.faces)[kept])]
    return float(np.prod(np.ptp(head, axis=0)) ** (1 / 3))


def check_ring(mesh: Mesh) -> None:
    """Raises InputError for a head that is not of the topology whose neck a body goes on from."""
    model = load_body_model()
    faces = to_numpy(mesh.faces)
    ring, largest = model.ring_head, int(max(model.ring_head.max(), model.collar_head.max()))
    edges = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    if largest < len(mesh.vertices):
        there = set(map(tuple, edges[np.isin(edges, ring).all(1)].tolist()))
        around = zip(ring.tolist(), np.roll(ring, -1).tolist(), strict=True)
        if all(((a, b) in there) != ((b, a) in there) for a, b in around):
            return
    raise InputError(
        "A body begins at the border of the neck that the heads of Portraitist have, but this head has another one. "
        "Give a head that stylize wrote, subdivided once at most."
    )


def attach_body(
    figure: Float[np.ndarray, "v 3"], head: Float[np.ndarray, "n 3"], scale: float, model: BodyModel
) -> Float[np.ndarray, "b 3"]:
    """The body of a figure, ``scale`` times as large, below a head with these vertices: the ring on the head's own, and
    skin that goes on as the head's neck does, settling as the body has it further down."""
    ring = head[model.ring_head]
    placed = (figure - figure[model.ring].mean(0)) * scale + ring.mean(0)
    own = placed[: model.count]
    collar = head[model.collar_head] - placed[model.count :]
    moves = np.zeros_like(placed)
    moves[model.ring] = ring - own[model.ring]
    moves[model.count : -1] = collar[:-1]  # the crown is no collar
    field = _neck_field()
    free, known = field.free, field.known
    moves[free] = field.factor.solve(-(field.coupling @ moves[known]))
    body = own + moves[: model.count]
    body[model.ring] = ring
    return body


class _NeckField:
    """The smoothest displacement between the head's neck and a body that stays: its Laplacian is as small as it can be,
    so that the surface has no crease at the ring."""

    def __init__(self, model: BodyModel) -> None:
        below = model.faces[(model.rows[model.faces] <= SETTLED_ROWS + 2).all(1)]
        faces = np.concatenate([below, model.collar_faces])
        ids, local = np.unique(faces, return_inverse=True)
        laplacian, areas = cotangent_laplacian(model.mean[ids], local.reshape(-1, 3))
        energy = sp.csr_matrix(laplacian @ sp.diags(1 / areas) @ laplacian)
        rows = np.append(model.rows, np.zeros(len(model.mean) - model.count, int))[ids]
        is_free = (rows > 0) & (rows <= SETTLED_ROWS)
        self.free: Int[np.ndarray, "a"] = ids[is_free]
        self.known: Int[np.ndarray, "b"] = ids[~is_free]
        self.coupling = energy[is_free][:, ~is_free]
        self.factor: SuperLU = factor_symmetric(energy[is_free][:, is_free])


@functools.cache
def _neck_field() -> _NeckField:
    return _NeckField(load_body_model())
