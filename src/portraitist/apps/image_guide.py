"""The stylized head in the photo's pose: what moves the photo, and how its face is to look (Sec. 7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.apps.expression_presets import set_actions
from portraitist.errors import InputError
from portraitist.mesh.carrying import pose_head
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.layers import list_parts, rasterize_parts
from portraitist.rendering.sampling import render_cutout
from portraitist.segmentation.parts import FACE_REGIONS, select_faces
from portraitist.texture.label_colors import blur_mask
from portraitist.types import Camera, Head, HeadFit, Image

REPLACED_REGIONS = ("lips", "eyelids")
"""Pull nothing where another expression is rendered: a closed mouth has no inside."""

SUPERSAMPLE = 2  # rays per pixel and direction
SOFT_BORDER = 40  # of the picture's side: width of the border between rendered face and photo


@dataclass(frozen=True)
class FaceView:
    """A head as the picture shows it. ``image``: on black. ``cover``, ``face`` [h, w]: how much of each pixel is head
    or what lies over it, and how much is face, 0..1."""

    image: Image
    cover: Float[Tensor, "h w"]
    face: Float[Tensor, "h w"]

    def lay_over(self, picture: Image) -> Image:
        """The head before a picture."""
        return (self.image + (1 - self.cover) * picture).clamp(0, 1)


def choose_expression(asked: Mapping[str, float] | str | None, own: Float[Tensor, "52"]) -> Float[Tensor, "52"] | None:
    """Weights of the 52 actions: ``asked`` ones in place of the photo's ``own``, all 0 for ``"neutral"``; None where
    nothing is asked for. Raises InputError as `set_actions` does."""
    if asked is None:
        return None
    if isinstance(asked, str):
        if asked != "neutral":
            raise InputError(f"Unknown expression {asked!r}: give neutral, or weights of the ARKit actions by name.")
        return torch.zeros_like(own)
    return set_actions(own, asked)


def check_head(head: Head, model: HeadModel) -> None:
    """Raises InputError for a head with other vertices than the head model's."""
    got, needed = len(head.mesh.vertices), len(model.mean)
    if got != needed:
        raise InputError(f"This head has {got:,} vertices instead of {needed:,}. Give one made without --subdivide.")


def lay_head_over_photo(head: Head, fit: HeadFit, strength: float, expression: Float[Tensor, "52"] | None) -> Head:
    """The stylized ``head`` of a sitter as it lies over the photo that ``fit`` is of: ``strength`` times what its style
    moves, with the photo's expression or another one. ``original`` is what the photo shows.
    """
    own = fit.mesh.vertices
    wanted = fit.expression if expression is None else expression
    posed = pose_head(head, head.expression + wanted - fit.expression)
    moved = posed.mesh.vertices - head.mesh.vertices
    shape = own + strength * (head.mesh.vertices - head.original) + moved
    layers = [
        replace(layer, mesh=layer.mesh.with_vertices(torch.lerp(layer.original, layer.mesh.vertices, strength)))
        for layer in posed.layers
    ]
    mesh = head.mesh.with_vertices(shape)
    return replace(head, mesh=mesh, expression=wanted, original=own, layers=tuple(layers))


def view_face(head: Head, camera: Camera) -> FaceView:
    """The head and its layers in the photo's pose, and where its face is seen: no ears, no neck, no hair."""
    cutout = render_cutout(head, camera, SUPERSAMPLE)
    own = rasterize_parts([mesh for mesh, _ in list_parts(head)], camera)[0]
    face = own.show(select_faces(head.mesh, FACE_REGIONS))
    return FaceView(cutout[:3] * cutout[3], cutout[3], face.to(cutout))


def soften_mask(mask: Float[Tensor, "h w"], allowed: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """``mask`` where it is ``allowed``, fading to 0 inside its border."""
    inside = torch.minimum(mask, allowed)
    return (2 * blur_mask(inside[None], SOFT_BORDER)[0] - 1).clamp(0, 1)
