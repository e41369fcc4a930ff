"""A mesh, cut along a level: what is above goes, and triangles that reach over it are divided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

LEAST_HEIGHT = 1e-6  # meters in head space: no vertex may lie on the level itself


@dataclass(frozen=True)
class Cut:
    """``faces``: what is left, of the old vertices and, numbered behind them, the new ones. New vertex k lies between
    old ones ``pairs[k]`` (the one that stays, the one that goes), ``shares[k]`` of the way. ``rim``: pairs of new
    vertices, in the sense in which triangles that are left run along the cut. ``origin``: of each face, the old one."""

    old_count: int
    faces: Int[np.ndarray, "f 3"]
    origin: Int[np.ndarray, "f"]
    pairs: Int[np.ndarray, "k 2"]
    shares: Float[np.ndarray, "k"]
    rim: Int[np.ndarray, "r 2"]

    def matrix(self) -> sp.csr_matrix:
        """[old + k, old]: takes values at the old vertices to values at old and new ones."""
        count = self.old_count
        rows = np.concatenate([np.arange(count), np.repeat(count + np.arange(len(self.pairs)), 2)])
        columns = np.concatenate([np.arange(count), self.pairs.ravel()])
        values = np.concatenate([np.ones(count), np.stack([1 - self.shares, self.shares], 1).ravel()])
        return sp.csr_matrix((values, (rows, columns)), (count + len(self.pairs), count))


def avoid_level(heights: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Heights above a level, none of them nearly 0."""
    return np.where(np.abs(heights) < LEAST_HEIGHT, -LEAST_HEIGHT, heights)


def cut_mesh(faces: Int[np.ndarray, "f 3"], heights: Float[np.ndarray, "n"], goes: Bool[np.ndarray, "n"]) -> Cut:
    """``heights``: above the level; what ``goes`` is above it, and what it is joined to by an edge and stays is
    below."""
    count = goes[faces].sum(1)
    kept = [faces[count == 0]]
    origin = [np.flatnonzero(count == 0)]
    pairs: dict[tuple[int, int], int] = {}
    new_faces, new_origin, rim = [], [], []

    def between(stays: int, leaves: int) -> int:
        return len(heights) + pairs.setdefault((stays, leaves), len(pairs))

    for number in np.flatnonzero((count == 1) | (count == 2)).tolist():
        a, b, c = np.roll(faces[number], -_odd_corner(goes[faces[number]])).tolist()
        if goes[a]:  # one corner goes, and a quadrilateral is left
            first, second = between(b, a), between(c, a)
            new_faces += [(first, b, c), (first, c, second)]
            new_origin += [number, number]
            rim.append((second, first))
        else:
            first, second = between(a, b), between(a, c)
            new_faces.append((a, first, second))
            new_origin.append(number)
            rim.append((first, second))
    made = np.array([*pairs], np.int64).reshape(-1, 2)
    stay, leave = heights[made[:, 0]], heights[made[:, 1]]
    return Cut(
        old_count=len(heights),
        faces=np.concatenate([*kept, np.array(new_faces, np.int64).reshape(-1, 3)]),
        origin=np.concatenate([*origin, np.array(new_origin, np.int64)]),
        pairs=made,
        shares=stay / (stay - leave),
        rim=np.array(rim, np.int64).reshape(-1, 2),
    )


def _odd_corner(goes: Bool[np.ndarray, "3"]) -> int:
    """The corner that differs from the other two."""
    return int(np.flatnonzero(goes == (goes.sum() == 1))[0])


def find_pieces(faces: Int[np.ndarray, "f 3"], count: int, among: Bool[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Number of the connected piece of each of ``count`` vertices, joined by edges ``among`` those; -1 elsewhere."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[among[edges].all(1)]
    links = sp.coo_matrix((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), (count, count))
    _, piece = sp.csgraph.connected_components(links, directed=False)
    return np.where(among, piece, -1)


def list_loops(rim: Int[np.ndarray, "r 2"]) -> list[Int[np.ndarray, "_k"]]:
    """Closed lines of directed edges, each as vertices in order; open lines are left out."""
    after = {a: b for a, b in rim.tolist()}
    loops = []
    while after:
        start, current = next(iter(after.items()))
        del after[start]
        loop = [start]
        while current != start and current in after:
            loop.append(current)
            current = after.pop(current)
        if current == start and len(loop) > 2:
            loops.append(np.array(loop))
    return loops
