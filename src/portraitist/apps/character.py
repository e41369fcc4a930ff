"""A stylized head on a whole body (Sec. 7.3): one that stands, moves, and wears clothes in the artwork's colors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from portraitist.apps.character_cloth import Cloth
from portraitist.apps.character_details import Details
from portraitist.apps.character_folds import Folds
from portraitist.apps.character_paint import choose_garments, paint_clothes, paint_skin
from portraitist.apps.character_palette import read_palette
from portraitist.apps.character_surface import find_surfaces
from portraitist.body.attachment import attach_body, check_ring, measure_size
from portraitist.body.body_model import BodyModel, load_body_model
from portraitist.body.border import refine_border
from portraitist.body.clothes import dress_body
from portraitist.body.neck import fit_neck
from portraitist.body.shape import BodyShape, Figure, build_figure
from portraitist.body.standing import BODY_LAYERS
from portraitist.bust.draping import drape_layers
from portraitist.devices import from_numpy, to_numpy
from portraitist.io.images import round_to_bytes
from portraitist.mesh.subdivision import coarsen_head
from portraitist.reconstruction.head_model import load_head_model
from portraitist.rendering.layers import join_meshes
from portraitist.types import COVER_NAMES, REGIONS, Head, Layer, Mesh

CLOTHES_PX = 1024  # up to which their texture is twice as wide as that of the head: seams are narrow


def build_character(
    head: Head, shape: BodyShape | None = None, *, cloth: Cloth | None = None, strokes: bool = True
) -> Head:
    """``head``, stylized or not, on the body of ``shape``, with the layers "body" and "clothes" more and its `height`.
    A bust is replaced, and long hair laid on the shoulders. Body and clothes are painted plainly, in the head's tones.
    ``cloth``: what the top is made of (``Manner.worn``); None: of the color of the bust or the hat, or else set off
    from the skin. ``strokes``: whether those of the face are laid over them.

    Vertices are those of ``BodyModel``, whatever the body, so that joints and weights are found again
    (``body/skin.py``). The body begins at the very vertices at which the head's neck ends, also of a head that
    was subdivided, and a larger head than a person's gets a neck for this body (``fit_neck``). Raises InputError for a
    head of another topology and for values that no body has.
    """
    shape, model = shape or BodyShape(), load_body_model()
    figure, whole = build_figure(shape, model), head
    head = coarsen_head(whole)
    check_ring(head.mesh)
    whole = fit_neck(whole, figure, float(shape.head_scale), model)
    head = coarsen_head(whole)  # body and paint go by the vertices of the head model
    placed, dressed, scale = _put_on(head, to_numpy(head.neutral, np.float64), figure, shape, model)
    original = _put_on(head, to_numpy(head.original, np.float64), figure, shape, model)
    like = head.mesh
    skin = _build_mesh("body", placed, model.skin_faces, model.skin_uvs, model.skin_uv_faces, like)
    clothes = _build_mesh("clothes", dressed, model.clothes_faces, model.clothes_uvs, model.clothes_uv_faces, like)
    palette = read_palette(replace(head, layers=tuple(x for x in head.layers if x.name not in BODY_LAYERS)))
    if not strokes:
        palette = replace(palette, strokes=palette.strokes.silence())
        cloth = cloth and replace(cloth, strokes=cloth.strokes.silence())
    garments = choose_garments(palette, cloth.tones if cloth else palette.covers.get("bust"))
    covers = tuple(layer for layer in head.layers if layer.name in COVER_NAMES)
    size = head.texture.shape[-1]
    surfaces = find_surfaces(skin, clothes, head.mesh, (size, max(size, min(2 * size, CLOTHES_PX))), model)
    head_model, joints = load_head_model(), model.find_joints(placed)
    details = Details.find(dressed, joints, scale, model)
    textures = (
        paint_skin(surfaces[0], palette, head, head_model, model, scale),
        paint_clothes(surfaces[1], palette, garments, head, model, Folds(joints, scale), details, cloth),
    )
    layers = [
        Layer(name, mesh, round_to_bytes(texture), from_numpy(own.astype(np.float32), like.vertices))
        for name, mesh, texture, own in zip(("body", "clothes"), (skin, clothes), textures, original[:2], strict=True)
    ]
    below = join_meshes([_close_collar(head, placed, model), clothes])
    layers[0] = refine_border(layers[0], whole, model)
    return replace(whole, layers=(*drape_layers(covers, below), *layers), height=figure.height)


def _close_collar(head: Head, body: Float[np.ndarray, "n 3"], model: BodyModel) -> Mesh:
    """Neck and whole body, so that hair that is laid on them does not fall into a collar."""
    neck = to_numpy(head.mesh.faces)[to_numpy(head.mesh.regions) == REGIONS.index("neck")]
    faces = np.concatenate([model.faces, neck + len(body)])
    vertices = np.concatenate([body, to_numpy(head.mesh.vertices, np.float64)])
    return _build_mesh("body", vertices, faces, model.skin_uvs, 0 * faces, head.mesh)


def describe_losses(head: Head) -> tuple[str, ...]:
    """What a user should know of a head that goes on a body."""
    if any(layer.name == "bust" for layer in head.layers):
        return ("The head is on a bust, which the body takes the place of; its clothes have the color of the bust's.",)
    return ()


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
