"""What is inside of overlapping closed meshes: all lines of a grid are cut with their triangles.

Along a line the winding number rises by one where it enters a mesh and falls by one where it leaves it. What winds at
least once around a point has it inside, so overlapping pieces are united, and a surface that passes through itself has
no inner walls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Crossings:
    """Where the surface cuts edges of the grid along one axis, by ascending ``edge``: the number of the edge's lower
    node in the flattened grid. ``share``: how far along the edge, 0..1. ``face``, ``weights``: the triangle that is
    met, and of its corners. An edge that leaves and enters again is listed, too."""

    edge: Int[np.ndarray, "k"]
    share: Float[np.ndarray, "k"]
    face: Int[np.ndarray, "k"]
    weights: Float[np.ndarray, "k 3"]


def cut_grid(
    vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"], shape: tuple[int, int, int]
) -> tuple[Bool[np.ndarray, "nx ny nz"], list[Crossings]]:
    """Which nodes (i, j, k) of a grid lie inside of closed meshes, and where their outer surface cuts its edges, axis
    by axis.

    ``vertices``: in units of the grid, all within it. ``faces``: turned outwards; pieces may overlap and pass through
    themselves. The three directions are asked apart and two of them decide, since the last digits of a node that lies
    on the surface itself may say either.
    """
    votes, crossings = np.zeros(shape, np.int8), []
    for axis in range(3):
        line_axes = [(axis + 1) % 3, (axis + 2) % 3]
        face, nodes, weights, entering = _cut_lines(vertices[:, line_axes], faces)
        depth = (vertices[:, axis][faces[face]] * weights).sum(1)
        lower = np.floor(depth).astype(np.int64)
        place = np.empty((len(face), 3), np.int64)
        place[:, line_axes], place[:, axis] = nodes, lower
        edge = np.ravel_multi_index(tuple(place.T), shape)
        line = nodes[:, 0] * shape[line_axes[1]] + nodes[:, 1]
        order = np.lexsort((depth, line))
        winding = np.zeros(shape, np.int8)
        np.add.at(winding.reshape(-1), edge + _stride(shape, axis), entering.astype(np.int8))
        votes += np.cumsum(winding, axis, dtype=np.int8) >= 1
        # A line leaves all that it enters, so one sum over all lines counts for each of them.
        after = np.cumsum(entering[order])
        outer = order[(after >= 1) != (after - entering[order] >= 1)]
        # Where several surfaces cut one edge, any of them will do.
        edges, first = np.unique(edge[outer], return_index=True)
        kept = outer[first]
        crossings.append(Crossings(edges, depth[kept] - lower[kept], face[kept], weights[kept]))
    return votes >= 2, crossings


def _stride(shape: tuple[int, int, int], axis: int) -> int:
    """How far apart neighbors along an axis are in the flattened grid."""
    return int(np.prod(shape[axis + 1 :]))


def _cut_lines(
    points: Float[np.ndarray, "n 2"], faces: Int[np.ndarray, "f 3"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lines through the whole numbers of a plane, cut with the triangles over it: face ids ``[k]``, nodes ``[k, 2]``,
    weights of the corners ``[k, 3]``, and 1 where the line enters, -1 where it leaves."""
    corners = points[faces]
    low, high = np.ceil(corners.min(1)).astype(np.int64), np.floor(corners.max(1)).astype(np.int64)
    rows, columns = np.maximum(high - low + 1, 0).T
    counts = rows * columns
    face = np.repeat(np.arange(len(faces)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    nodes = low[face] + np.stack(np.divmod(within, columns[face]), 1)
    areas = np.empty((len(face), 3))
    left = np.empty((len(face), 3), bool)
    for corner in range(3):
        # Both triangles at an edge ask about it in one direction, so no line slips through between them.
        first, last = (faces[:, (corner + step) % 3] for step in (1, 2))
        swapped = first > last
        start, end = points[np.where(swapped, last, first)][face], points[np.where(swapped, first, last)][face]
        along, to_node = end - start, nodes - start
        area = along[:, 0] * to_node[:, 1] - along[:, 1] * to_node[:, 0]
        left[:, corner] = (area >= 0) != swapped[face]
        areas[:, corner] = np.where(swapped[face], -area, area)
    hit = left.all(1) | ~left.any(1)
    face, areas, leaving = face[hit], areas[hit], left[hit, 0]
    total = areas.sum(1, keepdims=True)
    weights = np.divide(areas, total, out=np.full_like(areas, 1 / 3), where=total != 0)
    return face, nodes[hit], weights, np.where(leaving, -1, 1)
