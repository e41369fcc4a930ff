"""Seams of a UV layout: both sides of one must show the same colors, or the surface shows a line.

The two sides are far apart in the texture, so nothing in its pyramid knows that they touch on the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from portraitist.devices import from_numpy, to_numpy
from portraitist.rendering.sampling import sample_bilinear
from portraitist.rendering.uv_layout import find_nearest_texels, mark_texels
from portraitist.types import Image, Mesh

# (reach over which the difference is shared out, smoothing along the seam), as shares of the texture's side: what
# differs broadly is shared out broadly, and what is left in a narrow band.
PASSES = ((0.06, 0.02), (0.015, 0.005), (0.004, 0.0))


@dataclass(frozen=True)
class Seams:
    """Where a texture of this ``size`` has to agree with itself. ``first``, ``second``: UV positions (0..1) along the
    seams, about a texel apart, on both of their sides; ``first_island``, ``second_island``: the UV islands they lie on.
    ``texels``: row and column of the texels of these islands, ``islands``: theirs. ``nearest``: row and column of the
    texel inside the islands that is nearest to each."""

    size: int
    first: Float[np.ndarray, "k 2"]
    second: Float[np.ndarray, "k 2"]
    first_island: Int[np.ndarray, "k"]
    second_island: Int[np.ndarray, "k"]
    texels: Int[np.ndarray, "n 2"]
    islands: Int[np.ndarray, "n"]
    nearest: Int[np.ndarray, "2 t t"]


def find_seams(mesh: Mesh, size: int, *, largest_island_only: bool = False) -> Seams:
    """Edges that two faces share on the mesh but not in the UV layout. ``largest_island_only``: on a head that is the
    skin; eyeballs and teeth hide their seams."""
    islands = _number_islands(mesh)
    kept = islands == np.bincount(islands).argmax() if largest_island_only else np.ones(len(islands), bool)
    ends, beside = _find_split_edges(mesh, kept)
    lengths = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1).max(0)
    counts = np.maximum(np.ceil(lengths * size), 1).astype(int)
    edge = np.repeat(np.arange(len(counts)), counts)
    along = (np.arange(len(edge)) - np.repeat(counts.cumsum() - counts, counts) + 0.5) / counts[edge]
    sides = ends[:, edge, 0] + along[:, None] * (ends[:, edge, 1] - ends[:, edge, 0])
    face_ids = to_numpy(mark_texels(mesh, size))
    texels = np.argwhere((face_ids >= 0) & kept[face_ids.clip(min=0)])
    return Seams(
        size=size,
        first=sides[0],
        second=sides[1],
        first_island=islands[beside[0]][edge],
        second_island=islands[beside[1]][edge],
        texels=texels,
        islands=islands[face_ids[tuple(texels.T)]],
        nearest=find_nearest_texels(mesh, size),
    )


def close_seams(texture: Image, seams: Seams) -> Image:
    """The texture with half of the difference across each seam added on one side and taken off on the other, fading
    with the distance from it. ``texture``: of the size that the seams were found for."""
    if not len(seams.first):
        return texture
    closed = to_numpy(texture).astype(np.float32)
    for reach, smoothing in PASSES:
        closed = closed[:, seams.nearest[0], seams.nearest[1]]  # a look-up on the seam reads beyond it, too
        _share_difference(closed, seams, reach, smoothing)
    return from_numpy(closed, texture).clamp(0, 1)


def measure_seams(texture: Image, seams: Seams) -> float:
    """Mean absolute difference of colors across the seams, sRGB 0..1; 0 without any."""
    if not len(seams.first):
        return 0.0
    opened = to_numpy(texture).astype(np.float32)[:, seams.nearest[0], seams.nearest[1]]
    return float(np.abs(_look_up(opened, seams.first) - _look_up(opened, seams.second)).mean())


def _number_islands(mesh: Mesh) -> Int[np.ndarray, "f"]:
    """UV island of each face."""
    corners = to_numpy(mesh.uv_faces)
    ends = corners[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), ends.T), shape=(len(mesh.uvs),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1][corners[:, 0]], np.int64)


def _find_split_edges(mesh: Mesh, kept: Bool[np.ndarray, "f"]) -> tuple[np.ndarray, Int[np.ndarray, "2 e"]]:
    """UV positions ``[side, edge, end, 2]`` of edges with other UVs on their other side, and the faces beside them."""
    (face_ids,) = np.nonzero(kept)
    faces, uv_faces = to_numpy(mesh.faces)[kept], to_numpy(mesh.uv_faces)[kept]
    edges, uv_edges = (np.concatenate([x[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]) for x in (faces, uv_faces))
    owners = np.tile(face_ids, 3)
    turned = edges[:, 0] > edges[:, 1]
    edges[turned], uv_edges[turned] = edges[turned][:, ::-1], uv_edges[turned][:, ::-1]
    order = np.lexsort(edges.T)
    edges, uv_edges, owners = edges[order], uv_edges[order], owners[order]
    twins = np.nonzero((edges[1:] == edges[:-1]).all(1) & (uv_edges[1:] != uv_edges[:-1]).any(1))[0]
    ends = to_numpy(mesh.uvs)[np.stack([uv_edges[twins], uv_edges[twins + 1]])]
    return ends, np.stack([owners[twins], owners[twins + 1]])


def _share_difference(texture: Float[np.ndarray, "3 t t"], seams: Seams, reach: float, smoothing: float) -> None:
    """One pass, in place. A texel follows the nearest place of a seam on its own island."""
    half = (_look_up(texture, seams.second) - _look_up(texture, seams.first)) / 2
    if smoothing:
        half = _smooth_along(half, seams.first, smoothing)
    places, corrections = np.concatenate([seams.first, seams.second]), np.concatenate([half, -half])
    island_of_place = np.concatenate([seams.first_island, seams.second_island])
    size = seams.size
    untouched = np.ones((size, size), np.uint8)
    untouched[tuple((places[:, ::-1] * size).astype(int).clip(0, size - 1).T)] = 0
    apart_px = cv2.distanceTransform(untouched, cv2.DIST_L2, cv2.DIST_MASK_5)  # keeps most texels out of the search
    near_some = apart_px[tuple(seams.texels.T)] < reach * size + 2
    for island in np.unique(island_of_place):
        texels = seams.texels[near_some & (seams.islands == island)]
        own = island_of_place == island
        centers = (texels[:, ::-1] + 0.5) / size
        apart, nearest = KDTree(places[own]).query(centers, distance_upper_bound=reach)
        near = np.isfinite(apart)
        fade = 0.5 + 0.5 * np.cos(np.pi * apart[near] / reach)
        rows, columns = texels[near].T
        texture[:, rows, columns] += (corrections[own][np.asarray(nearest)[near]] * fade[:, None]).T


def _look_up(texture: Float[np.ndarray, "3 t t"], uvs: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 3"]:
    """Bilinear colors at ``uvs``."""
    return to_numpy(sample_bilinear(torch.from_numpy(texture), torch.from_numpy(uvs).float()).T)


def _smooth_along(values: Float[np.ndarray, "k c"], uvs: Float[np.ndarray, "k 2"], sigma: float) -> np.ndarray:
    """Gaussian mean over points of the seams within two ``sigma``."""
    tree = KDTree(uvs)
    apart = tree.sparse_distance_matrix(tree, 2 * sigma, output_type="coo_matrix")
    weights = coo_matrix((np.exp(-0.5 * (apart.data / sigma) ** 2), (apart.row, apart.col)), apart.shape)
    return (values + weights @ values) / (1 + np.asarray(weights.sum(1)))
