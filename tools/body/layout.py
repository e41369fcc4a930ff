"""Pieces of UV layouts, packed into one square."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

GAP = 0.012  # between pieces, of the side of the square


def find_islands(uv_faces: np.ndarray, count: int) -> np.ndarray:
    """Island of each of ``count`` UVs."""
    first, others = uv_faces[:, :1], uv_faces[:, 1:]
    rows = np.broadcast_to(first, others.shape).ravel()
    links = sp.coo_matrix((np.ones(len(rows)), (rows, others.ravel())), (count, count))
    return connected_components(links, directed=False)[1]


def pack(uvs: np.ndarray, uv_faces: np.ndarray, places: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """UVs in 0..1, islands apart, each as large as its surface asks for. ``places`` [f, 3, 3]: of the corners in
    space, ``uv_faces`` [f, 3]: of the same. ``importance`` [f]: how many times as finely a face is wanted."""
    islands = find_islands(uv_faces, len(uvs))
    boxes, turned = {}, np.array(uvs)
    for island in np.unique(islands[uv_faces]):
        own, faces = islands == island, islands[uv_faces[:, 0]] == island
        flat = _areas(np.pad(uvs[uv_faces[faces]], ((0, 0), (0, 0), (0, 1)))).sum()
        size = np.sqrt((_areas(places[faces]) * importance[faces] ** 2).sum() / flat)
        points = (uvs[own] - uvs[own].min(0)) * size
        if np.ptp(points[:, 1]) > np.ptp(points[:, 0]):
            points = np.stack([np.ptp(points[:, 1]) - points[:, 1], points[:, 0]], 1)
        turned[own] = points
        boxes[island] = points.max(0)
    low, high = 0.0, 100.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _shelve(boxes, middle) else (low, middle)
    for island, corner in (_shelve(boxes, low) or {}).items():
        own = islands == island
        turned[own] = turned[own] * low + corner
    return turned


def _areas(corners: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2


def _shelve(boxes: dict[int, np.ndarray], scale: float) -> dict[int, np.ndarray] | None:
    """Upper left corners of boxes in rows, highest first, or None where they do not fit."""
    corners, x, y, height = {}, GAP, GAP, 0.0
    for island in sorted(boxes, key=lambda each: -boxes[each][1]):
        width, own = boxes[island] * scale
        if x + width + GAP > 1:
            x, y, height = GAP, y + height + GAP, 0.0
        if x + width + GAP > 1 or y + own + GAP > 1:
            return None
        corners[island] = np.array([x, y])
        x, height = x + width + GAP, max(height, own)
    return corners
