"""A shoe over the bare foot: level outlines from the ankle down to a flat sole, each around all that is above it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from garments import Piece
from portraitist.mesh.grids import grid_faces, grid_uvs

COLUMNS, LEVELS, TURNS = 40, 26, 720
HIGH = 0.085  # meters above the ankle where the shoe ends, under the trousers
THICKNESS = 0.005  # meters of leather
SOLE, WELT = 0.02, 0.005  # meters: how thick the sole is, and by how much wider than the upper
TOE_ROOM = 0.013  # meters before and above the toes
SPRING = 0.012  # meters by which the toe is turned up
SMOOTHED = (1.2, 14)  # levels and turns: neither toes nor ankles show


def loft_shoe(points: np.ndarray, ankle: np.ndarray, ball: np.ndarray) -> tuple[np.ndarray, Piece]:
    """Vertices of a shoe around the ``points`` of a foot and shin, and its faces with UVs, of no source yet.
    ``ankle``, ``ball``: joints of the foot."""
    points = points[points[:, 1] < ankle[1] + HIGH]
    ground = points[:, 1].min()
    forward = (ball - ankle) * [1, 0, 1] / np.linalg.norm((ball - ankle) * [1, 0, 1])
    side = np.cross([0, 1, 0], forward)
    flat = np.stack([(points - ankle) @ side, (points - ankle) @ forward], 1)
    toes = flat[:, 1] > np.linalg.norm((ball - ankle) * [1, 0, 1]) * 0.8
    flat = np.concatenate([flat, flat[toes] + [0, TOE_ROOM]])
    heights = np.append(points[:, 1], points[toes, 1] + TOE_ROOM)
    levels = ground + (ankle[1] + HIGH - ground) * np.linspace(1, 0.06, LEVELS) ** 1.3
    turns = 2 * np.pi * np.arange(TURNS) / TURNS
    directions = np.stack([-np.sin(turns), -np.cos(turns)], 1)  # from the heel
    reach = flat @ directions.T
    # The outline of what is not lower than a level: a shoe does not become narrower downwards.
    support = np.array([reach[heights >= min(level, heights.max() - 0.02)].max(0) for level in levels])
    support = gaussian_filter(support, SMOOTHED, mode=("nearest", "wrap")) + THICKNESS
    support = np.concatenate([support, support[-1:] + WELT, support[-1:] + WELT])
    rows = np.array([_outline(row, directions) for row in support])
    along = (rows[..., 1] - rows[..., 1].min()) / np.ptp(rows[..., 1])
    spring = SPRING * np.clip((along - 0.7) / 0.3, 0, 1) ** 2
    low = np.append(levels, [levels[-1], ground - SOLE])[:, None]
    fade = np.clip((ankle[1] - low) / (ankle[1] - ground), 0, 1)
    height = low + spring * fade
    places = ankle * [1, 0, 1] + rows[..., :1] * side + rows[..., 1:] * forward + height[..., None] * [0, 1, 0]
    return _close(places)


def _outline(support: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """[COLUMNS, 2]: points at equal distances around the convex curve that has this support function."""
    slope = (np.roll(support, -1) - np.roll(support, 1)) / (4 * np.pi / len(support))
    tangents = np.stack([directions[:, 1], -directions[:, 0]], 1)
    curve = support[:, None] * directions + slope[:, None] * tangents
    curve = np.concatenate([curve, curve[:1]])
    length = np.append(0, np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1)))
    wanted = length[-1] * np.arange(COLUMNS) / COLUMNS
    return np.stack([np.interp(wanted, length, axis) for axis in curve.T], 1)


def _close(places: np.ndarray) -> tuple[np.ndarray, Piece]:
    """Closed below by a fan; open above. Not mirrored: seen from outside counter-clockwise."""
    rows, columns = places.shape[:2]
    last = (rows - 1) * columns + np.arange(columns)
    fan = np.stack([np.full(columns, rows * columns), np.roll(last, -1), last], 1)
    uvs = grid_uvs(rows, columns).reshape(-1, 2)
    ids = np.arange(len(uvs)).reshape(rows, columns + 1)
    uv_fan = np.stack([np.full(columns, len(uvs)), ids[-1, 1:], ids[-1, :-1]], 1)
    uvs = np.concatenate([uvs, [[0.5, 1 + 1 / rows]]])
    vertices = np.concatenate([places.reshape(-1, 3), places[-1].mean(0)[None]])
    faces = np.concatenate([grid_faces(rows, columns), fan])
    uv_faces = np.concatenate([grid_faces(rows, columns + 1, closed=False), uv_fan])
    return vertices, Piece(faces, np.zeros(len(vertices), int), np.zeros(len(vertices)), uvs, uv_faces)
