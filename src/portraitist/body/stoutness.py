"""Bodies that are stouter than the model's stoutest: where more fat lies, and how it rounds what is under it."""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from portraitist.body.body_model import load_body_model
from portraitist.body.skeleton import JOINTS
from portraitist.mesh.laplacian import cotangent_laplacian, factor_symmetric

FAT = ("hips", "spine", "chest", "upperChest", "leftUpperLeg", "rightUpperLeg")
"""Joints with whose skin it goes. On neck, shoulders and the further limbs, where bones lie under it, none is added."""

ROUND = 0.06  # meters: folds that are smaller than about three times this do not grow


@functools.cache
def find_fat() -> Float[np.ndarray, "k n 3"]:
    """What `BodyModel.basis` gives the body where fat lies, without small forms: the difference between two bodies of
    the model, made of this, is what a still stouter one has more."""
    model = load_body_model()
    share = model.spread_weights()[:, [JOINTS[name] for name in FAT]].sum(1)
    laplacian, areas = cotangent_laplacian(model.mean[: model.count], model.faces)
    energy = ROUND**4 * sp.csr_matrix(laplacian @ sp.diags(1 / areas) @ laplacian) + sp.diags(areas)
    moves = (share * areas)[:, None, None] * model.basis[:, : model.count].transpose(1, 0, 2)
    rounded = factor_symmetric(energy).solve(moves.reshape(model.count, -1))
    return rounded.reshape(moves.shape).transpose(1, 0, 2)
