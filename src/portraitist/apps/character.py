"""A stylized head on a whole body (Sec. 7.3): one that stands, moves, and wears clothes in the artwork's colors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from portraitist.apps.character_folds import Folds
from portraitist.apps.character_paint import choose_garments, paint_clothes, paint_skin
from portraitist.apps.character_palette import read_palette
from portraitist.apps.character_surface import find_surfaces
from portraitist.body.attachment import attach_body, check_ring, measure_size
from portraitist.body.body_model import BodyModel, load_body_model
from portraitist.body.clothes import dress_body
from portraitist.body.shape import BodyShape, Figure, build_figure
from portraitist.bust.draping import drape_layers
from portraitist.devices import from_numpy, to_numpy
from portraitist.io.images import round_to_bytes
from portraitist.reconstruction.head_model import load_head_model
from portraitist.types import REGIONS, Head, Layer, Mesh


def build_character(head: Head, shape: BodyShape | None = None) -> Head:
    """``head``, stylized or not, on the body of ``shape``, with the layers "body" and "clothes" more and its `height`.
    A bust is replaced, and long hair laid on the shoulders.

    Vertices are those of ``BodyModel``, whatever the body, so that joints and weights are found again
    (``body/skin.py``). The body begins at the very vertices at which the head's neck ends. Raises InputError for a head
    whose neck ends elsewhere (``stylize --subdivide``) and for values that no body has.
    """
    shape, model = shape or BodyShape(), load_body_model()
    check_ring(head.mesh)
    figure = build_figure(shape, model)
    placed, dressed, scale = _put_on(head, to_numpy(head.neutral, np.float64), figure, shape, model)
    original = _put_on(head, to_numpy(head.original, np.float64), figure, shape, model)
    like = head.mesh
    skin = _build_mesh("body", placed, model.skin_faces, model.skin_uvs, model.skin_uv_faces, like)
    clothes = _build_mesh("clothes", dressed, model.clothes_faces, model.clothes_uvs, model.clothes_uv_faces, like)
    palette = read_palette(head)
    garments = choose_garments(palette, palette.covers.get("bust"))
    bare = replace(head, layers=tuple(layer for layer in head.layers if layer.name != "bust"))
    surfaces = find_surfaces(skin, clothes, head.mesh, head.texture.shape[-1], model)
    head_model = load_head_model()
    textures = (
        paint_skin(surfaces[0], palette, head, head_model, model, scale),
        paint_clothes(surfaces[1], palette, garments, head, model, Folds(model.find_joints(placed), scale)),
    )
    layers = [
        Layer(name, mesh, round_to_bytes(texture), from_numpy(own.astype(np.float32), like.vertices))
        for name, mesh, texture, own in zip(("body", "clothes"), (skin, clothes), textures, original[:2], strict=True)
    ]
    below = _join([skin, clothes])
    return replace(bare, layers=(*drape_layers(bare.layers, below), *layers), height=figure.height)


def _put_on(
    head: Head, vertices: Float[np.ndarray, "n 3"], figure: Figure, shape: BodyShape, model: BodyModel
) -> tuple[Float[np.ndarray, "b 3"], Float[np.ndarray, "e 3"], float]:
    """Body and clothes under a head with these vertices, and how many times as large as a person they are."""
    scale = measure_size(vertices, head.mesh) / figure.head_size / shape.head_scale
    body = attach_body(figure.vertices, vertices, scale, model)
    return body, dress_body(body, scale, model), scale


def _build_mesh(
    name: str, vertices: np.ndarray, faces: np.ndarray, uvs: np.ndarray, uv_faces: np.ndarray, like: Mesh
) -> Mesh:
    corners = from_numpy(faces, like.faces)
    return Mesh(
        vertices=from_numpy(vertices.astype(np.float32), like.vertices),
        faces=corners,
        uvs=from_numpy(uvs.astype(np.float32), like.uvs),
        uv_faces=from_numpy(uv_faces, like.uv_faces),
        regions=torch.full_like(corners[:, 0], REGIONS.index(name)),
    )


def _join(meshes: list[Mesh]) -> Mesh:
    """Their surfaces as one, with the layout of the first."""
    first, second = meshes
    return replace(
        first,
        vertices=torch.cat([first.vertices, second.vertices]),
        faces=torch.cat([first.faces, second.faces + len(first.vertices)]),
    )
