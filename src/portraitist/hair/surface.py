"""The mesh of a layer: the part of a shell that it covers, cut out along its border and closed by an inner side."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from portraitist.devices import from_numpy
from portraitist.hair.chart import HairChart
from portraitist.mesh.grids import grid_faces, grid_uvs
from portraitist.rendering.shader_math import mix
from portraitist.rendering.uv_layout import cross_2d
from portraitist.types import REGIONS, HeadFit, Mesh

FOLDED = 0.025  # meters around a border: the mean of half a disk lies 0.42 of that inside, which is as thick as hair is
UNDER_SKIN = 0.002  # meters by which the inner side lies below the skin, so that no gap is seen


def cut_layer(
    chart: HairChart,
    radii: Float[np.ndarray, "r c"],
    share: Float[np.ndarray, "r c"],
    others: Float[np.ndarray, "r c"],
    name: str,
    fit: HeadFit,
) -> Mesh | None:
    """Closed mesh of the layer ``name`` where its ``share`` is above that of the ``others``, and both are one half, in
    UVs u around the head from the back and v from the crown down. Pieces beside the largest one, which hang on nothing,
    are left out. None when none is left.
    """
    rows, columns = radii.shape
    # The back's first column once more at the end, with its own UVs.
    around = np.concatenate([np.arange(columns), [0]])
    ids = np.arange(rows)[:, None] * columns + around
    uvs = grid_uvs(rows, columns)
    outer = chart.place(radii).reshape(-1, 3)
    inner = chart.place_inner_side(radii, -UNDER_SKIN).reshape(-1, 3)
    hanging = chart.tell_hanging(radii).reshape(-1, 1)
    values = np.concatenate([*(each[ids.ravel()] for each in (outer, inner, hanging)), uvs.reshape(-1, 2)], 1)
    level = find_level(share, others).ravel()[ids.ravel()]
    kept, faces = clip_triangles(grid_faces(rows, columns + 1, closed=False), values, level)
    if not len(faces):
        return None
    return _close(kept, faces, name, fit)


def find_level(share: Float[np.ndarray, "r c"], other: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c"]:
    """Positive where a layer covers the head: more than the ``other`` does, and both are one half, so that there is no
    gap between them."""
    return np.minimum(share + other - 0.5, share - other)


def clip_triangles(
    faces: Int[np.ndarray, "f 3"], values: Float[np.ndarray, "n d"], level: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "m d"], Int[np.ndarray, "g 3"]]:
    """The part of a triangle mesh where ``level``, linear on each triangle, is positive. ``values``: at its vertices;
    new ones on the border are interpolated. Triangles keep their sense."""
    level = np.where(np.abs(level) < 1e-6, 1e-6, level)  # no border through a vertex
    inside = level > 0
    # Turn each triangle so that its odd corner comes first.
    count = inside[faces].sum(1)
    odd = np.where(count == 1, np.argmax(inside[faces], 1), np.argmin(inside[faces], 1))
    turned = np.take_along_axis(faces, (odd[:, None] + np.arange(3)) % 3, 1)
    a, b, c = turned[(count == 1) | (count == 2)].T
    keys, where = np.unique(
        np.sort(np.concatenate([np.stack([a, b], 1), np.stack([a, c], 1)]), 1), axis=0, return_inverse=True
    )
    first, second = keys.T
    share = (level[first] / (level[first] - level[second]))[:, None]
    border = values[first] + share * (values[second] - values[first])
    ab, ac = len(values) + where.reshape(2, -1)
    one = inside[a]
    pieces = [
        faces[count == 3],
        np.stack([a, ab, ac], 1)[one],
        np.stack([ab, b, c], 1)[~one],
        np.stack([ab, c, ac], 1)[~one],
    ]
    clipped = np.concatenate(pieces)
    used, renumbered = np.unique(clipped, return_inverse=True)
    return np.concatenate([values, border])[used], renumbered.reshape(-1, 3)


def _close(values: Float[np.ndarray, "m 9"], faces: Int[np.ndarray, "f 3"], name: str, fit: HeadFit) -> Mesh | None:
    """``values``: outer place, inner place, how far it hangs free, UV of each vertex."""
    outer, inner, hanging, uvs = np.split(values, (3, 6, 7), axis=1)
    # Vertices of one place are one vertex, whatever their UVs.
    _, first, welded = np.unique(np.round(outer, 7), axis=0, return_index=True, return_inverse=True)
    welded = welded.ravel()
    uv_faces, faces = faces, welded[faces]
    whole = (faces != np.roll(faces, 1, 1)).all(1)  # the pole's triangles have no area
    faces, uv_faces = faces[whole], uv_faces[whole]
    largest = _find_largest_piece(faces, len(first))
    faces, uv_faces = faces[largest], uv_faces[largest]
    edges = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    uv_edges = np.concatenate([uv_faces[:, [i, (i + 1) % 3]] for i in range(3)])
    code = edges[:, 0] * len(first) + edges[:, 1]
    open_edges = ~np.isin(code, edges[:, 1] * len(first) + edges[:, 0])
    (start, end), (uv_start, uv_end) = edges[open_edges].T, uv_edges[open_edges].T
    deep = len(first)
    walls = [np.stack([start, deep + start, deep + end], 1), np.stack([start, deep + end, end], 1)]
    border, beside = np.union1d(uv_start, uv_end), uvs.copy()
    beside[border] = mix(uvs[border], _step_inwards(outer, uvs, border), hanging[border])
    folded = np.concatenate([uvs, beside])
    deep_start, deep_end = len(uvs) + uv_start, len(uvs) + uv_end
    uv_walls = [np.stack([uv_start, deep_start, deep_end], 1), np.stack([uv_start, deep_end, uv_end], 1)]
    # In a narrow bend of the border its sides would overlap.
    flat = np.any([_find_turns(folded.astype(np.float32), wall) < 0 for wall in uv_walls], axis=0)
    uv_walls = [np.where(flat[:, None], wall % len(uvs), wall) for wall in uv_walls]
    faces = np.concatenate([faces, deep + faces[:, ::-1], *walls])
    uv_faces = np.concatenate([uv_faces, uv_faces[:, ::-1], *uv_walls])
    vertices = np.concatenate([outer[first], inner[first]])
    used, faces = np.unique(faces, return_inverse=True)
    uv_used, uv_faces = np.unique(uv_faces, return_inverse=True)
    reference = fit.mesh
    corners = from_numpy(faces.reshape(-1, 3), reference.faces)
    return Mesh(
        vertices=from_numpy(vertices[used], reference.vertices),
        faces=corners,
        uvs=from_numpy(folded[uv_used], reference.uvs),
        uv_faces=from_numpy(uv_faces.reshape(-1, 3), reference.faces),
        regions=torch.full_like(corners[:, 0], REGIONS.index(name)),
    )


def _step_inwards(
    places: Float[np.ndarray, "m 3"], uvs: Float[np.ndarray, "m 2"], border: Int[np.ndarray, "b"]
) -> Float[np.ndarray, "b 2"]:
    """UVs inside of the ``border``: of the mean place around each of its points. The side of what hangs free looks
    like what lies beside it, folded over, not like streaks of the last texel."""
    around = KDTree(places).query_ball_point(places[border], FOLDED)
    steps = np.array([_step_around(uvs[near] - uvs[own]).mean(0) for own, near in zip(border, around, strict=True)])
    return (uvs[border] + steps).clip(0, 1)


def _step_around(steps: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 2"]:
    """The shorter way: u goes once around the head."""
    return steps - [1.0, 0.0] * np.round(steps)


def _find_turns(uvs: Float[np.ndarray, "m 2"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "f"]:
    """Twice the signed area of each triangle; negative on the outer side of a layer."""
    a, b, c = uvs[faces].transpose(1, 0, 2)
    return cross_2d(b - a, c - a)


def _find_largest_piece(faces: Int[np.ndarray, "f 3"], count: int) -> np.ndarray:
    links = np.concatenate([faces[:, :2], faces[:, 1:]]).T
    _, pieces = connected_components(
        coo_matrix((np.ones(links.shape[1]), tuple(links)), (count, count)), directed=False
    )
    of_faces = pieces[faces[:, 0]]
    return of_faces == np.bincount(of_faces).argmax()
