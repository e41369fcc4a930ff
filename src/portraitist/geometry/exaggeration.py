"""Where a face curves: how much of its own deviation each landmark takes when the sitter is exaggerated.

After curvature-weighted exaggeration (Sela, Aflalo and Kimmel 2015), which scales surface gradients by a power of the
curvature: nose, chin and brows grow, flat cheeks do not. Here the weight goes to the landmarks that lead the surface.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import cotangent_laplacian
from portraitist.reconstruction.head_model import HeadModel

CURVATURE_POWER = 0.5  # 0 would weigh all landmarks alike
SMOOTHING_RADIUS_M = 0.012  # around a landmark over which curvature is averaged
WEIGHT_RANGE = (0.5, 2.0)  # so that one sharp edge does not take all


def weigh_by_curvature(vertices: Float[Tensor, "n 3"], model: HeadModel) -> Float[Tensor, "68 1"]:
    """Power of the mean curvature around each landmark of a head, over its mean over all landmarks, within bounds."""
    ids, faces = np.unique(to_numpy(model.faces[model.face_mask("outer_skin")]), return_inverse=True)
    places = to_numpy(vertices, np.float64)[ids]
    laplacian, areas = cotangent_laplacian(places, faces.reshape(-1, 3))
    curvature = np.linalg.norm(laplacian @ places, axis=1) / (2 * areas)
    landmarks = to_numpy(model.landmarks68.positions(vertices, model.faces), np.float64)
    apart = np.linalg.norm(landmarks[:, None] - places[None], axis=2)
    near = np.exp(-0.5 * (apart / SMOOTHING_RADIUS_M) ** 2) * areas
    weights = ((near @ curvature) / near.sum(1)) ** CURVATURE_POWER
    return from_numpy((weights / weights.mean()).clip(*WEIGHT_RANGE)[:, None], vertices)
