"""The bust of a photo as a layer of its head."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from portraitist.bust.appearance import meet_neck, paint_bust
from portraitist.bust.body import PersonShares, fit_body, straighten
from portraitist.bust.draping import drape_layers
from portraitist.bust.dress import dress_body
from portraitist.bust.grid_mesh import build_mesh
from portraitist.bust.torso_model import load_torso_model
from portraitist.devices import from_numpy, to_numpy
from portraitist.hair.appearance import to_texels
from portraitist.io.images import round_to_bytes
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import Head, HeadFit, Image, Layer


@dataclass(frozen=True)
class PhotoBust:
    """``head``: unstylized, with the bust as its last layer. ``bare`` [t, t]: where its texture shows skin, 0..1."""

    head: Head
    bare: Float[Tensor, "t t"]


def build_bust(
    content: Head,
    photo: Image,
    person: Float[Tensor, "h w"],
    cloth: Float[Tensor, "h w"],
    bare: Float[Tensor, "h w"],
    fit: HeadFit,
    model: HeadModel,
) -> PhotoBust:
    """The unstylized head on neck, shoulders and clothes, as far as the photo shows them, and plain elsewhere.

    ``person``, ``cloth``, ``bare``: how much of each pixel is the person, clothes, and bare skin, 0..1. Long hair of
    ``content`` is laid on the shoulders.
    """
    torso = load_torso_model()
    shares = PersonShares(*(to_numpy(share, np.float64) for share in (person, cloth, bare)))
    bust = dress_body(fit_body(fit, shares, torso), shares, fit, torso)
    upright = straighten(bust.places, torso.ring_row, to_numpy(fit.camera.rotation, np.float64))
    mesh = build_mesh(upright, fit.mesh)
    covers = [replace(layer, original=layer.mesh.vertices) for layer in drape_layers(content.layers, mesh)]
    texture = paint_bust(photo, fit.camera, bust, shares, content, model)
    layer = Layer("bust", mesh, texture, mesh.vertices)
    bare_texels = from_numpy(1 - to_texels(bust.dressed, texture.shape[-1]), texture)
    layer = replace(layer, texture=round_to_bytes(meet_neck(layer, bare_texels, content, model)))
    return PhotoBust(replace(content, layers=(*covers, layer)), bare_texels)
