"""Where a layer ends on the skin: hair thins out there, and no line is drawn around it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from scipy.spatial import KDTree

from portraitist.devices import from_numpy, to_numpy
from portraitist.hair.chart import LYING
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import locate_head_texels
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.rendering.uv_layout import cross_2d, locate_texels
from portraitist.types import Head, Image, Layer, Mesh

FADE = 0.004  # meters from the border over which hair thins out
BESIDE = 0.003  # meters from another layer within which one ends at it
EDGE_STEPS = 6  # points of a border's edge that distances are measured to


def blend_into_skin(layer: Layer, head: Head, model: HeadModel) -> Image:
    """The texture of one of the layers of ``head``; that of hair fades to the color of the skin where it ends on it.

    A texture that fades needs no transparency, which no two viewers sort alike. Hats have an edge. What lies between
    the UV islands is left as it is.
    """
    if layer.name != "hair":
        return layer.texture
    size = layer.texture.shape[-1]
    outer, border = find_outer_side(layer.mesh)
    vertices = to_numpy(layer.mesh.vertices, np.float64)
    texel_ids, face_ids, weights = locate_texels(outer, size)
    places = (weights[..., None] * vertices[to_numpy(outer.faces)[face_ids]]).sum(1)
    steps = np.arange(EDGE_STEPS)[:, None, None] / EDGE_STEPS
    for other in head.layers:
        if other.name != layer.name:  # what ends at a hat does not end on skin
            distance, _ = KDTree(to_numpy(other.mesh.vertices, np.float64)).query(vertices)
            border = border[~(np.asarray(distance)[border] < BESIDE).all(1)]
    rim = mix(vertices[border[:, 0]], vertices[border[:, 1]], steps).reshape(-1, 3)
    inside = KDTree(rim).query(places, distance_upper_bound=FADE)[0]
    near = np.isfinite(inside)
    texels = locate_head_texels(model, head.texture.shape[-1])
    surface = texels.interpolation @ to_numpy(head.mesh.vertices, np.float64)
    skin = texels.in_components("outer_skin")
    above, nearest = KDTree(surface[skin]).query(places[near], distance_upper_bound=LYING[1])
    on_skin = np.isfinite(above)
    ids = texel_ids[near][on_skin]
    under = to_numpy(head.texture).reshape(3, -1)[:, texels.texel_ids[skin][np.asarray(nearest)[on_skin]]]
    fading = (1 - smoothstep(above[on_skin], *LYING)) * (1 - smoothstep(inside[near][on_skin], 0.0, FADE))
    texture = to_numpy(layer.texture).reshape(3, -1).copy()
    texture[:, ids] = mix(texture[:, ids], under, fading)
    return from_numpy(texture.reshape(3, size, size).astype(np.float32), layer.texture)


def find_outer_side(mesh: Mesh) -> tuple[Mesh, Int[np.ndarray, "e 2"]]:
    """The outer side of a layer, and the edges that it ends at. The inner side and the walls between them have UVs the
    other way around, or without area."""
    corners = to_numpy(mesh.uvs[mesh.uv_faces], np.float64)
    outwards = cross_2d(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) < 0
    faces = to_numpy(mesh.faces)[outwards]
    edges = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    code = edges @ [len(mesh.vertices), 1]
    open_edges = edges[~np.isin(code, edges @ [1, len(mesh.vertices)])]
    chosen = from_numpy(np.flatnonzero(outwards), mesh.faces)
    part = Mesh(mesh.vertices, mesh.faces[chosen], mesh.uvs, mesh.uv_faces[chosen], mesh.regions[chosen])
    return part, open_edges
