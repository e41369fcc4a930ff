"""Which faces of the body are seen as skin, and the garments that lie over the others: a top with long sleeves and
trousers, each a copy of the body's faces with a rim at its hems."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from anny_bodies import Source
from portraitist.body.skeleton import JOINT_NAMES, LIMBS
from portraitist.mesh.laplacian import cotangent_laplacian, factor_symmetric

# Rows of quads below the ring around the neck; they run around neck, trunk, arms and legs.
NECKLINE, TOP_HEM, CUFF, WAIST, ANKLE = 1, 24, 32, 21, 54
SKIN_BELOW = 4  # rows by which skin goes on under a garment
HAND = tuple(
    bone.name for bone in LIMBS if bone.name.startswith(("Hand", "Thumb", "Index", "Middle", "Ring", "Little"))
)
CALM = 0.018  # meters: forms of a body smaller than about three times this do not show through cloth
RIM_UV = 0.006  # width of a rim in the layout: what is beside a hem is its inner side
SUNK = 0.002  # meters by which rims lie in the body
# Meters between body and cloth, along rows: (row, distance).
TOP_EASE = ((1, 0.006), (3, 0.008), (8, 0.011), (16, 0.018), (24, 0.028))
SLEEVE_EASE = ((8, 0.011), (14, 0.016), (22, 0.02), (29, 0.02), (32, 0.012))
TROUSERS_EASE = ((21, 0.005), (25, 0.012), (34, 0.02), (44, 0.028), (55, 0.034))


@dataclass
class Piece:
    """``faces`` of ``sources`` (vertices of the body); ``ease`` of each vertex, meters; rims lie in the body, below 0.
    ``uvs``, ``uv_faces``: v down, in any scale."""

    faces: np.ndarray
    sources: np.ndarray
    ease: np.ndarray
    uvs: np.ndarray
    uv_faces: np.ndarray


def find_limbs(source: Source, *bones: str) -> np.ndarray:
    """Which quads go with the named bones of both sides more than with all others."""
    names = [side + bone for side in ("left", "right") for bone in bones]
    columns = [JOINT_NAMES.index(name) for name in names]
    return source.weights[:, columns].sum(1)[source.quads].mean(1) > 0.5


def select_parts(source: Source) -> dict[str, np.ndarray]:
    """Quads that are seen as skin, and those under each garment."""
    outer = find_limbs(source, "LowerArm", *HAND)
    legs = find_limbs(source, "UpperLeg", "LowerLeg", "Foot", "Toes")
    low, high = source.rows[source.quads].min(1), source.rows[source.quads].max(1)
    trunk = ~outer & ~legs
    return {
        "skin": (trunk & (high <= NECKLINE + SKIN_BELOW)) | (outer & (low >= CUFF - SKIN_BELOW)),
        "top": (low >= NECKLINE) & ((outer & (high <= CUFF)) | (~outer & (high <= TOP_HEM))),
        "trousers": ~outer & (low >= WAIST) & (high <= ANKLE),
    }


def measure_ease(source: Source, name: str) -> np.ndarray:
    """Of every vertex of the body under a garment."""

    def along(table: tuple[tuple[int, float], ...]) -> np.ndarray:
        return np.interp(source.rows, *np.array(table).T)

    if name == "trousers":
        return along(TROUSERS_EASE)
    arms = [JOINT_NAMES.index(side + bone) for side in ("left", "right") for bone in ("UpperArm", "LowerArm", "Hand")]
    share = source.weights[:, arms].sum(1).clip(0, 1)
    return along(TOP_EASE) * (1 - share) + along(SLEEVE_EASE) * share


def calm(source: Source, bodies: np.ndarray, default: np.ndarray, parts: dict[str, np.ndarray]) -> np.ndarray:
    """Bodies [s, n, 3] without small forms where cloth hides them: nothing that cloth could not bridge."""
    own, local = np.unique(source.quads, return_inverse=True)
    quads = local.reshape(-1, 4)
    laplacian, areas = cotangent_laplacian(default[own], np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))
    hidden = (source.rows[own] > NECKLINE + SKIN_BELOW) & (source.rows[own] <= ANKLE)
    hidden[np.unique(quads[parts["skin"]])] = False
    ripples = sp.csr_matrix(laplacian @ sp.diags(1 / areas) @ laplacian) * CALM**4 + sp.diags(areas)
    inner = ripples[hidden]
    solver = factor_symmetric(inner[:, hidden])
    calmed = bodies.copy()
    for body in calmed:
        known = np.where(hidden[:, None], 0, body[own])
        right = areas[:, None] * np.where(hidden[:, None], body[own], 0)
        body[own[hidden]] = solver.solve(right[hidden] - inner @ known)
    return calmed


def cut_garment(source: Source, name: str, quads: np.ndarray, quad_uvs: np.ndarray) -> Piece:
    """A copy of these quads, with a rim along every opening. Vertices of rims stand behind all others."""
    ids, faces = np.unique(quads, return_inverse=True)
    uv_ids, uv_faces = np.unique(quad_uvs, return_inverse=True)
    faces, uv_faces = faces.reshape(-1, 4), uv_faces.reshape(-1, 4)
    uvs = source.uvs[uv_ids]
    edges = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
    uv_edges = np.stack([uv_faces, np.roll(uv_faces, -1, 1)], -1).reshape(-1, 2)
    middles = np.repeat(uvs[uv_faces].mean(1), 4, 0)
    there = set(map(tuple, edges))
    border = np.array([(b, a) not in there for a, b in edges.tolist()])
    rim = np.unique(edges[border])
    outward = np.zeros_like(uvs)
    away = uvs[uv_edges[border]].mean(1) - middles[border]
    for column in range(2):
        np.add.at(outward, uv_edges[border][:, column], away)
    uv_rim = np.unique(uv_edges[border])
    step = outward[uv_rim] / np.linalg.norm(outward[uv_rim], axis=1, keepdims=True).clip(1e-9)
    rim_of = np.full(len(ids), -1)
    rim_of[rim] = len(ids) + np.arange(len(rim))
    uv_rim_of = np.full(len(uvs), -1)
    uv_rim_of[uv_rim] = len(uvs) + np.arange(len(uv_rim))
    (a, b), (p, q) = edges[border].T, uv_edges[border].T
    faces = np.concatenate([faces, np.stack([b, a, rim_of[a], rim_of[b]], 1)])
    uv_faces = np.concatenate([uv_faces, np.stack([q, p, uv_rim_of[p], uv_rim_of[q]], 1)])
    ease = measure_ease(source, name)[ids]
    sunk = np.full(len(rim), -SUNK)
    rim_uvs = uvs[uv_rim] + RIM_UV * step
    return Piece(
        faces, np.append(ids, ids[rim]), np.append(ease, sunk), np.concatenate([uvs, rim_uvs]), uv_faces
    )  # fmt: skip
