"""The neck of a head that is large for its body: the lower end belongs to the body, the upper end to the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.body.attachment import attach_body, measure_size
from portraitist.body.body_model import BodyModel
from portraitist.body.border import find_middles
from portraitist.body.shape import Figure
from portraitist.body.skeleton import JOINTS
from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import cotangent_laplacian, factor_symmetric
from portraitist.types import REGIONS, Head, Mesh


def fit_neck(head: Head, figure: Figure, head_scale: float, model: BodyModel) -> Head:
    """``head``, which is ``head_scale`` times as large as that of ``figure``, with a neck for this body: it tapers from
    the head's size to the body's, about the joint on which the head turns. All that is no neck stays.

    As each vertex is scaled about one point, so are its expressions, and expressions still add up. The original shape
    gets a neck of its own.
    """
    if head_scale == 1:
        return head
    share = _taper(head.mesh, to_numpy(head.neutral, np.float64), model)
    scales = from_numpy((1 + share * (1 / head_scale - 1))[:, None].astype(np.float32), head.neutral)

    pivot, first_pivot = (
        from_numpy(_find_pivot(to_numpy(shape, np.float64), head.mesh, figure, model), shape)
        for shape in (head.neutral, head.original)
    )

    def scale(vertices: Float[Tensor, "n 3"], center: Float[Tensor, "3"]) -> Float[Tensor, "n 3"]:
        return torch.where(scales == 1, vertices, center + scales * (vertices - center))

    return replace(
        head,
        mesh=head.mesh.with_vertices(scale(head.mesh.vertices, pivot)),
        neutral=scale(head.neutral, pivot),
        expression_deltas=scales * head.expression_deltas,
        original=scale(head.original, first_pivot),
    )


def _find_pivot(
    vertices: Float[np.ndarray, "n 3"], mesh: Mesh, figure: Figure, model: BodyModel
) -> Float[np.ndarray, "3"]:
    """Where the head turns on a body as large as itself."""
    body = attach_body(figure.vertices, vertices, measure_size(vertices, mesh) / figure.head_size, model)
    return model.find_joints(body)[JOINTS["head"]].astype(np.float32)


def _taper(mesh: Mesh, vertices: Float[np.ndarray, "n 3"], model: BodyModel) -> Float[np.ndarray, "n"]:
    """How much of each vertex belongs to the body: 1 on the ring, 0 where there is no neck, and between them as smooth
    as can be, with no crease under the jaw."""
    faces, regions = to_numpy(mesh.faces), to_numpy(mesh.regions)
    ids, local = np.unique(faces, return_inverse=True)
    laplacian, areas = cotangent_laplacian(vertices[ids], local.reshape(-1, 3))
    energy = sp.csr_matrix(laplacian @ sp.diags(1 / areas) @ laplacian)
    share = np.isin(ids, np.append(model.ring_head, find_middles(mesh, model))).astype(np.float64)
    known = (share > 0) | np.isin(ids, faces[regions != REGIONS.index("neck")])
    inner = energy[~known]
    share[~known] = factor_symmetric(inner[:, ~known]).solve(-(inner[:, known] @ share[known])).clip(0, 1)
    whole = np.zeros(len(vertices))
    whole[ids] = share
    return whole
