"""A head with about four times the vertices: smooth silhouettes, and enough of them for printing.

Loop's scheme is linear in the vertices, so one sparse matrix serves the shape and all 52 blendshapes. This is why
``trimesh.remesh.subdivide_loop`` is not used: it gives vertices instead of the matrix, and has no parts that stay hard.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.types import REGIONS, Head, LandmarkEmbedding, Layer, Mesh

HARD_REGIONS = ("teeth",)
"""Made of so few triangles that smoothing would melt them: cut finer, but left where they are."""


def subdivide_head(head: Head) -> Head:
    """Every triangle becomes four, and vertices move to the smooth surface of Loop (1987); boundaries stay boundaries.

    Texture and UV layout are kept: UV islands are cut finer without smoothing, or the picture would slide. Landmarks
    stay on the triangles they were on. ``neutral + expression @ expression_deltas == mesh.vertices`` still holds.
    Layers are subdivided, too: most of a head's outline is its hair's.
    """
    mesh, matrix = subdivide_mesh(head.mesh)
    return replace(
        head,
        mesh=mesh,
        neutral=_apply(matrix, head.neutral),
        expression_deltas=torch.stack([_apply(matrix, delta) for delta in head.expression_deltas]),
        landmarks68=_subdivide_landmarks(head.landmarks68),
        original=_apply(matrix, head.original),
        layers=tuple(_subdivide_layer(layer) for layer in head.layers),
    )


def _subdivide_layer(layer: Layer) -> Layer:
    mesh, matrix = subdivide_mesh(layer.mesh)
    return replace(layer, mesh=mesh, original=_apply(matrix, layer.original))


def coarsen_head(head: Head) -> Head:
    """What `subdivide_head` was given, its vertices where they are now; any other head, and all layers, as they are."""
    own, uv = (find_quartered(to_numpy(faces)) for faces in (head.mesh.faces, head.mesh.uv_faces))
    if own is None or uv is None:
        return head
    count = int(own[1].min())
    mesh = Mesh(
        vertices=head.mesh.vertices[:count],
        faces=from_numpy(own[0], head.mesh.faces),
        uvs=head.mesh.uvs[: int(uv[1].min())],
        uv_faces=from_numpy(uv[0], head.mesh.uv_faces),
        regions=head.mesh.regions[::4],
    )
    return replace(
        head,
        mesh=mesh,
        neutral=head.neutral[:count],
        expression_deltas=head.expression_deltas[:, :count],
        landmarks68=_merge_landmarks(head.landmarks68),
        original=head.original[:count],
    )


def find_quartered(faces: Int[np.ndarray, "f 3"]) -> tuple[Int[np.ndarray, "g 3"], Int[np.ndarray, "g 3"]] | None:
    """The triangles of which `subdivide_mesh` made these ones, and the new vertices on their sides (01, 12, 20); None
    if it did not make them."""
    if len(faces) % 4:
        return None
    first, second, third, middle = faces.reshape(-1, 4, 3).swapaxes(0, 1)
    corners = np.stack([first[:, 0], second[:, 1], third[:, 2]], 1)
    around = np.stack([first[:, 1], second[:, 2], third[:, 0]], 1)
    others = np.stack([second[:, 0], third[:, 1], first[:, 2]], 1)
    is_quartered = np.array_equal(around, others) and np.array_equal(around, middle)
    return (corners, around) if is_quartered and corners.max() < around.min() else None


def subdivide_mesh(mesh: Mesh) -> tuple[Mesh, sp.csr_matrix]:
    """The finer mesh, with UV islands cut finer in place, and the matrix that makes its vertices of the old ones."""
    faces, count = to_numpy(mesh.faces), len(mesh.vertices)
    edges, edge_of = _number_edges(faces)
    hard = np.isin(to_numpy(mesh.regions), [REGIONS.index(name) for name in HARD_REGIONS])
    matrix = _loop_matrix(faces, edges, edge_of, count, np.unique(faces[hard]))

    uv_faces = to_numpy(mesh.uv_faces)
    uv_edges, uv_edge_of = _number_edges(uv_faces)
    ends = from_numpy(uv_edges, mesh.uv_faces)
    finer = Mesh(
        vertices=_apply(matrix, mesh.vertices),
        faces=_quarter(faces, edge_of + count, mesh.faces),
        uvs=torch.cat([mesh.uvs, (mesh.uvs[ends[:, 0]] + mesh.uvs[ends[:, 1]]) / 2]),
        uv_faces=_quarter(uv_faces, uv_edge_of + len(mesh.uvs), mesh.uv_faces),
        regions=mesh.regions.repeat_interleave(4),
    )
    return finer, matrix


def _number_edges(faces: Int[np.ndarray, "f 3"]) -> tuple[Int[np.ndarray, "e 2"], Int[np.ndarray, "f 3"]]:
    """Each edge once, and the edges (01, 12, 20) of every face."""
    sides = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    low, high = np.sort(sides, axis=1).T
    count = int(high.max()) + 1
    keys, numbers = np.unique(low * count + high, return_inverse=True)  # many times as fast as rows
    return np.stack(np.divmod(keys, count), axis=1), numbers.reshape(-1, 3)


def _loop_matrix(
    faces: Int[np.ndarray, "f 3"],
    edges: Int[np.ndarray, "e 2"],
    edge_of: Int[np.ndarray, "f 3"],
    count: int,
    hard_ids: Int[np.ndarray, "h"],
) -> sp.csr_matrix:
    """[n + e, n]: old vertices first, then one per edge. Rows sum to 1."""
    sides = np.bincount(edge_of.ravel(), minlength=len(edges))
    on_border = sides != 2  # an edge of one face, or of more than two, is kept like a border
    is_hard = np.zeros(count, bool)
    is_hard[hard_ids] = True

    # New vertices: 3/8 of both ends and 1/8 of both corners across; on borders and hard parts the middle.
    straight = on_border | is_hard[edges].all(1)
    across = sp.csr_matrix(
        (np.ones(edge_of.size), (edge_of.ravel(), np.roll(faces, 1, axis=1).ravel())), (len(edges), count)
    )
    ends = sp.csr_matrix(
        (np.ones(edges.size), (np.repeat(np.arange(len(edges)), 2), edges.ravel())), (len(edges), count)
    )
    new = sp.diags(np.where(straight, 0.5, 0.375)) @ ends + sp.diags(np.where(straight, 0.0, 0.125)) @ across

    # Old vertices: Loop's mean with the neighbors (Warren's weights); on borders with the two along the border.
    neighbors = sp.csr_matrix((np.ones(edges.size), (edges.ravel(), edges[:, ::-1].ravel())), (count, count))
    border = edges[on_border]
    along = sp.csr_matrix((np.ones(border.size), (border.ravel(), border[:, ::-1].ravel())), (count, count))
    valence = np.asarray(neighbors.sum(1)).ravel()
    beside = np.asarray(along.sum(1)).ravel()
    share = np.where(valence == 3, 3 / 16, 3 / (8 * np.maximum(valence, 1)))
    share[beside > 0] = 0
    border_share = np.where(beside == 2, 1 / 8, 0.0)  # where borders meet, the corner is kept
    share[is_hard], border_share[is_hard] = 0, 0
    kept = sp.diags(1 - share * valence - border_share * beside)
    old = kept + sp.diags(share) @ neighbors + sp.diags(border_share) @ along
    return sp.csr_matrix(sp.vstack([old, new]))


def _apply(matrix: sp.csr_matrix, values: Float[Tensor, "n 3"]) -> Float[Tensor, "k 3"]:
    return from_numpy(matrix @ to_numpy(values, np.float64), values)


def _quarter(faces: np.ndarray, middles: np.ndarray, like: Int[Tensor, "f 3"]) -> Int[Tensor, "g 3"]:
    """Three triangles at the corners, in their order, then the one in the middle."""
    (a, b, c), (ab, bc, ca) = faces.T, middles.T
    children = np.stack([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]])  # 4 3 f
    return from_numpy(children.transpose(2, 0, 1).reshape(-1, 3), like)


def _subdivide_landmarks(points: LandmarkEmbedding) -> LandmarkEmbedding:
    """The same places in the smaller triangles."""
    weights = points.barycentrics
    largest, corner = weights.max(1)
    child = torch.where(largest >= 0.5, corner, 3)
    at_corner = 2 * weights - torch.nn.functional.one_hot(corner, 3).to(weights)
    in_middle = 1 - 2 * weights[:, [2, 0, 1]]
    inner = torch.where(largest[:, None] >= 0.5, at_corner, in_middle)
    return LandmarkEmbedding(4 * points.face_ids + child, inner)


def _merge_landmarks(points: LandmarkEmbedding) -> LandmarkEmbedding:
    """The same places in the larger triangles."""
    child, inner = points.face_ids % 4, points.barycentrics
    at_corner = (inner + torch.nn.functional.one_hot(child.clamp(max=2), 3).to(inner)) / 2
    in_middle = (1 - inner[:, [1, 2, 0]]) / 2
    return LandmarkEmbedding(points.face_ids // 4, torch.where(child[:, None] == 3, in_middle, at_corner))
