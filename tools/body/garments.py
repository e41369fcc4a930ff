"""Which faces of the body are seen as skin, and the garments that lie over the others: a top with long sleeves and
trousers, each a copy of the body's faces with a rim at its hems."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anny_bodies import Source
from portraitist.body.skeleton import JOINT_NAMES, LIMBS

# Rows of quads below the ring around the neck; they run around neck, trunk, arms and legs.
NECKLINE, TOP_HEM, CUFF, WAIST, ANKLE = 1, 24, 32, 21, 55
SKIN_BELOW = 4  # rows by which skin goes on under a garment
HAND = tuple(bone.name for bone in LIMBS if bone.name.startswith(("Hand", "Thumb", "Index", "Middle", "Ring", "Little")))
RIM_UV = 0.006  # width of a rim in the layout: what is beside a hem is its inner side
# Meters between body and cloth, along rows: (row, distance).
TOP_EASE = ((1, 0.004), (3, 0.006), (8, 0.009), (16, 0.014), (24, 0.02))
SLEEVE_EASE = ((8, 0.009), (14, 0.012), (22, 0.016), (29, 0.017), (32, 0.009))
TROUSERS_EASE = ((21, 0.004), (25, 0.009), (34, 0.014), (44, 0.02), (55, 0.028))


@dataclass
class Piece:
    """``faces`` of ``sources`` (vertices of the body); ``ease`` of each vertex, meters; rims lie at ease 0. ``uvs``,
    ``uv_faces``: v down, in any scale."""

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
    return Piece(
        faces, np.append(ids, ids[rim]), np.append(ease, 0 * rim), np.concatenate([uvs, uvs[uv_rim] + RIM_UV * step]),
        uv_faces,
    )  # fmt: skip
