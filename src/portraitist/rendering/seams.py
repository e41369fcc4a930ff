"""Closing the cut of the UV layout: both of its sides must show the same colors, or the back of the head shows a line.

The two sides are far apart in the texture, so nothing in its pyramid knows that they touch on the head.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from portraitist.rendering.sampling import sample_bilinear
from portraitist.rendering.uv_layout import find_nearest_texels, mark_texels
from portraitist.types import Image, Mesh

# (reach over which the difference is shared out, smoothing along the cut), as shares of the texture's side: what
# differs broadly is shared out broadly, and what is left in a narrow band.
_PASSES = ((0.06, 0.02), (0.015, 0.005), (0.004, 0.0))


def close_seams(mesh: Mesh, texture: Image) -> Image:
    """The texture with half of the difference across the skin's cut added on one side and taken off on the other,
    fading with the distance from it."""
    first, second = find_cut(mesh, texture.shape[-1])
    if not len(first):
        return texture
    skin = torch.from_numpy(_mark_skin(mesh)).to(mesh.faces.device)
    face_ids = mark_texels(mesh, texture.shape[-1])
    texels = torch.nonzero((face_ids >= 0) & skin[face_ids.clamp(min=0)]).cpu().numpy()
    closed = texture.detach().cpu().numpy().astype(np.float32)
    rows, columns = find_nearest_texels(mesh, texture.shape[-1])
    for reach, smoothing in _PASSES:
        closed = closed[:, rows, columns]  # a look-up on the cut reads beyond it, too
        _share_difference(closed, texels, first, second, reach, smoothing)
    return torch.from_numpy(closed).to(texture).clamp(0, 1)


def _mark_skin(mesh: Mesh) -> Bool[np.ndarray, "f"]:
    """Faces of the largest UV island, which is the skin; eyeballs and teeth hide their cuts."""
    corners = mesh.uv_faces.cpu().numpy()
    ends = corners[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), ends.T), shape=(len(mesh.uvs),) * 2)
    islands = connected_components(graph, directed=False)[1][corners[:, 0]]
    return np.asarray(islands == np.bincount(islands).argmax())


def find_cut(mesh: Mesh, size: int) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, "k 2"]]:
    """UV positions (0..1) along the cut, about a texel apart, on both of its sides."""
    skin = _mark_skin(mesh)
    faces, uv_faces = mesh.faces.cpu().numpy()[skin], mesh.uv_faces.cpu().numpy()[skin]
    edges, uv_edges = (np.concatenate([x[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]) for x in (faces, uv_faces))
    turned = edges[:, 0] > edges[:, 1]
    edges[turned], uv_edges[turned] = edges[turned][:, ::-1], uv_edges[turned][:, ::-1]
    order = np.lexsort(edges.T)
    edges, uv_edges = edges[order], uv_edges[order]
    twins = np.nonzero((edges[1:] == edges[:-1]).all(1) & (uv_edges[1:] != uv_edges[:-1]).any(1))[0]
    ends = mesh.uvs.cpu().numpy()[np.stack([uv_edges[twins], uv_edges[twins + 1]])]  # [side, edge, end, 2]
    lengths = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1).max(0)
    counts = np.maximum(np.ceil(lengths * size), 1).astype(int)
    edge = np.repeat(np.arange(len(counts)), counts)
    along = (np.arange(len(edge)) - np.repeat(counts.cumsum() - counts, counts) + 0.5) / counts[edge]
    sides = ends[:, edge, 0] + along[:, None] * (ends[:, edge, 1] - ends[:, edge, 0])
    return sides[0], sides[1]


def _share_difference(
    texture: Float[np.ndarray, "3 t t"],
    texels: Int[np.ndarray, "n 2"],
    first: Float[np.ndarray, "k 2"],
    second: Float[np.ndarray, "k 2"],
    reach: float,
    smoothing: float,
) -> None:
    """One pass, in place."""
    half = (look_up(texture, second) - look_up(texture, first)) / 2
    if smoothing:
        half = _smooth_along(half, first, smoothing)
    cut, corrections = np.concatenate([first, second]), np.concatenate([half, -half])
    size = texture.shape[-1]
    untouched = np.ones((size, size), np.uint8)
    untouched[tuple((cut[:, ::-1] * size).astype(int).clip(0, size - 1).T)] = 0
    apart_px = cv2.distanceTransform(untouched, cv2.DIST_L2, cv2.DIST_MASK_5)  # keeps most texels out of the search
    texels = texels[apart_px[tuple(texels.T)] < reach * size + 2]
    centers = (texels[:, ::-1] + 0.5) / size
    apart, nearest = KDTree(cut).query(centers, distance_upper_bound=reach)
    near = np.isfinite(apart)
    fade = 0.5 + 0.5 * np.cos(np.pi * apart[near] / reach)
    texture[:, texels[near, 0], texels[near, 1]] += (corrections[np.asarray(nearest)[near]] * fade[:, None]).T


def look_up(texture: Float[np.ndarray, "3 t t"], uvs: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 3"]:
    """Bilinear colors at ``uvs``."""
    return sample_bilinear(torch.from_numpy(texture), torch.from_numpy(uvs).float()).T.numpy()


def _smooth_along(values: Float[np.ndarray, "k c"], uvs: Float[np.ndarray, "k 2"], sigma: float) -> np.ndarray:
    """Gaussian mean over points of the cut within two ``sigma``."""
    tree = KDTree(uvs)
    apart = tree.sparse_distance_matrix(tree, 2 * sigma, output_type="coo_matrix")
    weights = coo_matrix((np.exp(-0.5 * (apart.data / sigma) ** 2), (apart.row, apart.col)), apart.shape)
    return (values + weights @ values) / (1 + np.asarray(weights.sum(1)))
