"""Skin weights, made even: those of the rig are painted by hand, unlike on both sides, and jump between vertices."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.spatial import KDTree

from anny_bodies import Source
from portraitist.body.skeleton import JOINT_NAMES, JOINTS

SHOULDER_ROWS = (2, 7)  # below the ring, over which arms begin to move the skin
SHOULDER_CAP = (-0.03, 0.09)  # meters from the joint down the arm, over which the shoulder's cap begins to turn with it
SMOOTHINGS = 4
MOST_JOINTS = 4


def even_weights(
    source: Source, own: np.ndarray, body: np.ndarray, joints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ids and shares [n, 4] of the joints that move each vertex most, strongest first."""
    template = source.data.template_vertices.numpy()[own]
    mirror = KDTree(template).query(template * [-1, 1, 1])[1]
    swap = [JOINTS[_other_side(name)] for name in JOINT_NAMES]
    weights = source.weights[own]
    arms = [JOINTS[side + bone] for side in ("left", "right") for bone in ("UpperArm", "LowerArm")]
    rows = source.rows[own]
    low, high = SHOULDER_ROWS
    weights[:, arms] *= np.clip((rows - low) / (high - low), 0, 1)[:, None]
    for side in ("left", "right"):
        shoulder, elbow = (joints[JOINTS[side + bone]] for bone in ("UpperArm", "LowerArm"))
        along = (body[own] - shoulder) @ (elbow - shoulder) / np.linalg.norm(elbow - shoulder)
        share = np.clip((along - SHOULDER_CAP[0]) / (SHOULDER_CAP[1] - SHOULDER_CAP[0]), 0, 1)
        weights[:, JOINTS[side + "UpperArm"]] *= share * share * (3 - 2 * share)
    weights /= weights.sum(1, keepdims=True)
    number = np.full(len(source.rows), -1)
    number[own] = np.arange(len(own))
    quads = number[source.quads]
    edges = np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)])
    ties = sp.csr_matrix((np.ones(2 * len(edges)), (edges.ravel(), edges[:, ::-1].ravel())), (len(own),) * 2)
    ties = sp.csr_matrix(sp.diags(1 / np.asarray(ties.sum(1)).ravel()) @ ties)
    for _ in range(SMOOTHINGS):
        weights = (weights + ties @ weights) / 2
    weights = (weights + weights[mirror][:, swap]) / 2
    ids = np.argsort(-weights, axis=1, kind="stable")[:, :MOST_JOINTS]
    shares = np.take_along_axis(weights, ids, 1)
    shares /= shares.sum(1, keepdims=True)
    return np.where(shares > 0, ids, 0), shares


def _other_side(name: str) -> str:
    for side, other in (("left", "right"), ("right", "left")):
        if name.startswith(side):
            return other + name.removeprefix(side)
    return name
