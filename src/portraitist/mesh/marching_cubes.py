"""The surface between the inner and the outer nodes of a grid (Lorensen and Cline 1987), closed and without a fork.

The polygons of each cell follow from its faces: on each, the surface runs so that inner corners are apart, in both of
its cells. So polygons meet edge to edge, and no table has to be trusted.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from jaxtyping import Bool, Int

CORNERS = np.array([[n & 1, n >> 1 & 1, n >> 2 & 1] for n in range(8)])
"""Of a cell; corner n has the coordinates of the bits of n."""

EDGES = tuple((low, low | 1 << axis) for axis in range(3) for low in range(8) if not low >> axis & 1)
"""Of a cell, as pairs of corners, four along each axis."""


def march_cubes(
    inside: Bool[np.ndarray, "nx ny nz"],
) -> tuple[list[Int[np.ndarray, "_e"]], Int[np.ndarray, "f 3"], Int[np.ndarray, "c 2"]]:
    """Which edges of the grid have a vertex, and the triangles between them, turned outwards.

    ``inside``: False on all sides of the grid. Returns, for each axis, the edges with a vertex in ascending order, each
    by the number of its lower node in the flattened grid: vertices are counted in this order, axis by axis. Triangles
    name vertices. Those after the last are middles of polygons; the third result lists pairs (middle, vertex around
    it).
    """
    edges, starts = [], [0]
    for axis in range(3):
        ends = [np.take(inside, range(first, inside.shape[axis] - 1 + first), axis) for first in (0, 1)]
        edges.append(np.ravel_multi_index(np.nonzero(ends[0] != ends[1]), inside.shape))
        starts.append(starts[-1] + len(edges[-1]))
    cells = np.zeros(tuple(n - 1 for n in inside.shape), np.uint8)
    for number, corner in enumerate(CORNERS):
        window = inside[tuple(slice(int(o), int(o) + n) for o, n in zip(corner, cells.shape, strict=True))]
        cells |= window.astype(np.uint8) << number
    places = np.nonzero((cells != 0) & (cells != 255))
    kinds = cells[places]
    nodes = np.ravel_multi_index(places, inside.shape)
    offsets = np.asarray(np.ravel_multi_index(tuple(CORNERS.T), inside.shape))
    triangles, spokes, count = [], [], starts[-1]
    for kind in np.unique(kinds):
        here = nodes[kinds == kind]
        for polygon in _list_polygons(int(kind)):
            ring = []
            for edge in polygon:
                axis = edge // 4
                ring.append(starts[axis] + np.searchsorted(edges[axis], here + offsets[EDGES[edge][0]]))
            if len(ring) <= 4:
                triangles += [np.stack([ring[0], ring[i], ring[i + 1]], 1) for i in range(1, len(ring) - 1)]
                continue
            # A diagonal could lie on a face of the cell and be the neighbor's, too: four triangles at one edge.
            middle = count + np.arange(len(here))
            count += len(here)
            triangles += [np.stack([middle, a, b], 1) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)]
            spokes += [np.stack([middle, corner], 1) for corner in ring]
    empty = np.zeros((0, 3), np.int64)
    return edges, np.concatenate([empty, *triangles]), np.concatenate([empty[:, :2], *spokes])


@functools.cache
def _list_polygons(kind: int) -> tuple[tuple[int, ...], ...]:
    """The polygons of a cell, as edges in order around each, turned outwards. Bit n of ``kind``: corner n is inside."""
    following = {}
    for axis, side in itertools.product(range(3), (0, 1)):
        second, third = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
        base = side << axis
        around = [base, base | second, base | second | third, base | third]
        if not side:  # seen from outside of the cell, against the clock
            around.reverse()
        inner = [bool(kind >> corner & 1) for corner in around]
        for first in range(4):
            if inner[first] and not inner[first - 1]:
                last = first
                while inner[(last + 1) % 4]:
                    last += 1
                entered = _edge_between(around[first - 1], around[first])
                left = _edge_between(around[last % 4], around[(last + 1) % 4])
                following[entered] = left
    polygons = []
    while following:
        ring = [next(iter(following))]
        while (after := following.pop(ring[-1])) != ring[0]:
            ring.append(after)
        polygons.append(tuple(ring))
    return tuple(polygons)


def _edge_between(a: int, b: int) -> int:
    return EDGES.index((min(a, b), max(a, b)))
