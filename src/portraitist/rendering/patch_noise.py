"""Texture by example: random pieces of a picture, laid over a surface at the size that they have in it.

After Heitz and Neyret (2018): on a grid of triangles each corner takes its own piece, and where pieces overlap they are
mixed so that the contrast stays. Three mappings along the axes, mixed in the same way, cover a surface without a layout
and hence without stretching.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import map_coordinates

PLANES = ((2, 1), (0, 2), (0, 1))  # axes that lie across and up in the mappings along x, y and z
FACING_POWER = 4.0  # of the normal's part along an axis: how sharply one mapping takes over
PIECE_POWER = 2.0  # the same of a grid's corner
LARGEST_SHARE = 0.6  # of the largest piece that there is: one alone, repeated, would be seen
SIDE_SHARE = 0.9  # of the grid's triangles, in radii of a piece


@dataclass(frozen=True, eq=False)
class Example:
    """``detail``: what is laid out, with mean 0, and the ``centers`` (row, column) of its round pieces. ``radius``:
    theirs, in pixels. ``px_per_m``: size of its pixels on the surface that it was taken from. ``upright``: how far each
    piece is turned when it is laid out, radians clockwise."""

    detail: Float[np.ndarray, "h w c"]
    centers: Int[np.ndarray, "n 2"]
    upright: Float[np.ndarray, "n"]
    radius: float
    px_per_m: float

    @classmethod
    def cut(
        cls,
        detail: Float[np.ndarray, "h w c"],
        usable: Bool[np.ndarray, "h w"],
        radius: float,
        px_per_m: float,
        quiet: float,
    ) -> Example:
        """Pieces that lie in ``usable`` altogether, smaller ones where few do; of them the share ``quiet``, 0..1, with
        the least contrast."""
        inside = cv2.distanceTransform(np.pad(usable, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        radius = max(min(radius, LARGEST_SHARE * float(inside.max())), 1.0)
        centers = np.argwhere(inside >= radius)
        if len(centers):
            contrast = cv2.GaussianBlur(np.square(detail).sum(2), (0, 0), radius / 2)[tuple(centers.T)]
            centers = centers[contrast <= np.quantile(contrast, quiet)]
        return cls(detail, centers, np.zeros(len(centers)), radius, px_per_m)

    def silence(self) -> Example:
        """Without any piece: nothing is laid out."""
        return replace(self, centers=self.centers[:0], upright=self.upright[:0])

    def stand_up(self) -> Example:
        """The same with the lines of each piece upright when laid out, by the structure tensor of its surroundings
        (Bigun and Granlund 1987)."""
        gray = self.detail.mean(2).astype(np.float32)
        across, down = (cv2.Sobel(gray, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
        tensor = np.stack([across * across, across * down, down * down], -1)
        xx, xy, yy = cv2.GaussianBlur(tensor, (0, 0), self.radius / 2)[tuple(self.centers.T)].T
        # Brightness changes most across the lines: at this angle to the right.
        return replace(self, upright=0.5 * np.arctan2(2 * xy, xx - yy))


def lay_out(
    example: Example, places: Float[np.ndarray, "k 3"], normals: Float[np.ndarray, "k 3"], rng: np.random.Generator
) -> Float[np.ndarray, "k c"]:
    """Detail at ``places`` (meters) of a surface with unit ``normals``; zeros where the example has no piece."""
    total = np.zeros((len(places), example.detail.shape[2]), np.float32)
    if not (len(example.centers) and len(places)):
        return total
    facing = np.abs(normals) ** FACING_POWER
    squares = np.zeros(len(places))
    for axis, plane in enumerate(PLANES):
        (near,) = np.nonzero(facing[:, axis] > 1e-3 * facing.sum(1))
        if not len(near):
            continue
        at = places[near][:, plane] * example.px_per_m * np.array([1.0, -1.0])  # rows count downwards
        total[near] += facing[near, axis, None] * _lay_out_flat(example, at, rng)
        squares[near] += facing[near, axis] ** 2
    return total / np.sqrt(np.maximum(squares, 1e-12))[:, None]


def _lay_out_flat(example: Example, at: Float[np.ndarray, "k 2"], rng: np.random.Generator) -> Float[np.ndarray, "k c"]:
    """Detail at points (x, y) of a plane, in pixels of the example."""
    side = SIDE_SHARE * example.radius
    to_grid = np.array([[1.0, -1 / np.sqrt(3)], [0.0, 2 / np.sqrt(3)]]) / side
    on_grid = at @ to_grid.T
    cells = np.floor(on_grid).astype(int)
    rest = on_grid - cells
    upper = rest.sum(1) > 1
    # Corners of the triangle that a point is in, and its barycentric weights.
    first = np.repeat(upper[:, None], 2, 1)
    steps = np.stack([first, np.broadcast_to([1, 0], first.shape), np.broadcast_to([0, 1], first.shape)], 1)
    weights = np.stack([1 - rest.sum(1), rest[:, 0], rest[:, 1]], 1)
    weights = np.where(upper[:, None], np.stack([-weights[:, 0], 1 - rest[:, 1], 1 - rest[:, 0]], 1), weights)
    weights = weights**PIECE_POWER
    corners = cells[:, None] + steps
    lowest = corners.reshape(-1, 2).min(0)
    table = rng.integers(len(example.centers), size=corners.reshape(-1, 2).max(0) - lowest + 1)
    total = np.zeros((len(at), example.detail.shape[2]), np.float32)
    for number in range(3):
        column, row = (corners[:, number] - lowest).T
        center = example.centers[table[column, row]]
        x, y = (at - corners[:, number] @ np.linalg.inv(to_grid).T).T
        angles = example.upright[table[column, row]]
        cos, sin = np.cos(angles), np.sin(angles)
        where = center + np.stack([sin * x + cos * y, cos * x - sin * y], 1)
        for channel in range(total.shape[1]):
            picked = map_coordinates(example.detail[..., channel], where.T, order=1, mode="nearest")
            total[:, channel] += weights[:, number] * picked
    return total / np.linalg.norm(weights, axis=1)[:, None]
