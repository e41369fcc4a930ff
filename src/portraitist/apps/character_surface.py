"""The surface of a body or its clothes, texel by texel: what its paint depends on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.body.body_model import BodyModel
from portraitist.body.clothes import find_cloth_normals, list_outer_faces
from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_texels import measure_ambient_visibility
from portraitist.rendering.uv_layout import find_nearest_texels, locate_texels
from portraitist.types import Image, Mesh


@dataclass(frozen=True, eq=False)
class Surface:
    """The k texels of a mesh's layout. ``places``: meters. ``normals``: unit. ``sky``: share of the sky that each
    sees, 0..1. ``corners``, ``shares``: vertices of the face that each is on, and their weights there."""

    size: int
    texel_ids: Int[np.ndarray, "k"]
    face_ids: Int[np.ndarray, "k"]
    corners: Int[np.ndarray, "k 3"]
    shares: Float[np.ndarray, "k 3"]
    nearest: Int[np.ndarray, "2 t t"]
    places: Float[np.ndarray, "k 3"]
    normals: Float[np.ndarray, "k 3"]
    sky: Float[np.ndarray, "k"]

    def pick(self, values: Float[np.ndarray, "n *c"]) -> Float[np.ndarray, "k *c"]:
        """Values of vertices, between them."""
        return np.einsum("kc...,kc->k...", values[self.corners], self.shares)

    def to_texture(self, colors: Float[np.ndarray, "k 3"], like: Tensor) -> Image:
        """Colors as a texture, continued between the islands."""
        picture = np.zeros((self.size**2, 3), np.float32)
        picture[self.texel_ids] = colors
        picture = picture.reshape(self.size, self.size, 3)[self.nearest[0], self.nearest[1]]
        return from_numpy(picture.transpose(2, 0, 1).clip(0, 1), like)


def find_surfaces(
    skin: Mesh, clothes: Mesh, head: Mesh, sizes: tuple[int, int], model: BodyModel
) -> tuple[Surface, Surface]:
    """Of the body and of its clothes, which shade each other, under a head. ``sizes``: of their textures."""
    meshes = [skin, clothes, head]
    places = [to_numpy(mesh.vertices, np.float64) for mesh in meshes]
    starts = np.cumsum([0, *map(len, places)])
    own = [to_numpy(skin.faces), list_outer_faces(to_numpy(clothes.faces), model), to_numpy(head.faces)]
    faces = np.concatenate([each + start for each, start in zip(own, starts, strict=False)])
    sky = measure_ambient_visibility(np.concatenate(places).astype(np.float32), faces)
    # The skin's own normals go on under the clothes.
    cloth_normals = find_cloth_normals(places[1], to_numpy(clothes.faces), model)
    normals = vertex_normals(places[0], model.faces), cloth_normals
    surfaces = []
    for mesh, size, start, end, own, normal in zip(
        meshes[:2], sizes, starts[:2], starts[1:3], places[:2], normals, strict=True
    ):
        texel_ids, face_ids, shares = locate_texels(mesh, size)
        corners = to_numpy(mesh.faces)[face_ids]
        between = [np.einsum("kcd,kc->kd", values[corners], shares) for values in (own, normal)]
        between[1] /= np.linalg.norm(between[1], axis=1, keepdims=True).clip(1e-9)
        visible = (sky[start:end][corners] * shares).sum(1)
        nearest = find_nearest_texels(mesh, size)
        surfaces.append(Surface(size, texel_ids, face_ids, corners, shares, nearest, between[0], between[1], visible))
    return surfaces[0], surfaces[1]
