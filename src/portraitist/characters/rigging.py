"""What moves the new head: the joints of the skin that it replaces, and the character's own morph targets."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from portraitist.export.skin import MOST_JOINTS
from portraitist.mesh.closest_points import find_closest
from portraitist.types import EXPRESSION_NAMES

SMOOTHINGS = 6  # means with the neighbors: the skin that went may be coarser, or end where the new one goes on


def transfer_weights(
    points: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "f 3"],
    skin: Float[np.ndarray, "m 3"],
    skin_faces: Int[np.ndarray, "g 3"],
    weights: sp.csr_matrix,
) -> sp.csr_matrix:
    """How much each node moves each of ``points``: as the nearest point of the old skin, evened out along the new
    surface. ``weights`` [m, nodes]. Rows sum to 1."""
    face_ids, shares = find_closest(points, skin, skin_faces)
    corners = skin_faces[face_ids]
    rows = np.repeat(np.arange(len(points)), 3)
    taken = sp.csr_matrix((shares.ravel(), (rows, corners.ravel())), (len(points), len(skin))) @ weights
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ones = np.ones(len(edges))
    links = sp.csr_matrix((ones, (edges[:, 0], edges[:, 1])), (len(points), len(points)))
    links = links + links.T + sp.eye(len(points))
    mean = sp.diags(1 / np.asarray(links.sum(1)).ravel()) @ links
    for _ in range(SMOOTHINGS):
        taken = mean @ taken
    return sp.csr_matrix(taken)


def keep_strongest(
    weights: sp.csr_matrix, joints: Sequence[int], parents: dict[int, int]
) -> tuple[Int[np.ndarray, "n 4"], Float[np.ndarray, "n 4"]]:
    """Joints, as places in ``joints``, and shares of each row of ``weights`` [n, nodes]: the strongest four, shares
    summing to 1. A node that is no joint counts for the joint above it."""
    places, coo = {joint: place for place, joint in enumerate(joints)}, weights.tocoo()
    nodes, of = np.unique(coo.col, return_inverse=True)
    columns = [_find_joint(node, places, parents) for node in nodes.tolist()]
    dense = np.zeros((len(weights.indptr) - 1, len(joints)))
    np.add.at(dense, (coo.row, np.array(columns, np.int64)[of]), coo.data)
    count = min(MOST_JOINTS, len(joints))
    order = np.argsort(-dense, axis=1, kind="stable")[:, :count]
    ids, shares = np.zeros((len(dense), MOST_JOINTS), np.int64), np.zeros((len(dense), MOST_JOINTS))
    shares[:, :count] = np.take_along_axis(dense, order, axis=1)
    ids[:, :count] = np.where(shares[:, :count] > 0, order, 0)
    return ids, (shares / shares.sum(1, keepdims=True)).astype(np.float32)


def _find_joint(node: int, places: dict[int, int], parents: dict[int, int]) -> int:
    """The place of the joint that a node is, or hangs on; the first where there is none."""
    while node not in places and node in parents:
        node = parents[node]
    return places.get(node, 0)


def match_expression(name: str) -> str | None:
    """The one of the 52 that a morph target's name means: jawOpen, JawOpen, mouthSmile_L, Face.M_eyeBlinkLeft... None
    for other names."""
    return _SPELLINGS.get(_spell(name)) or _SPELLINGS.get(_spell(re.split(r"[.:]", name)[-1]))


def _spell(name: str) -> str:
    """In small letters, without marks, sides written out."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    parts = [word for word in re.split(r"[^A-Za-z0-9]+", words) if word]
    sides = {"l": "left", "r": "right", "lt": "left", "rt": "right"}
    return "".join(sides.get(word.lower(), word.lower()) for word in parts)


_SPELLINGS = {_spell(name): name for name in EXPRESSION_NAMES}
