"""The bust of a photo as a layer of its head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from portraitist.bust.appearance import paint_bust
from portraitist.bust.body import fit_body
from portraitist.bust.draping import drape_layers
from portraitist.bust.dress import build_mesh, dress_body
from portraitist.bust.torso_model import load_torso_model
from portraitist.devices import to_numpy
from portraitist.io.images import round_to_bytes
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import Head, HeadFit, Image, Layer


def add_bust(
    content: Head,
    photo: Image,
    person: Float[Tensor, "h w"],
    cloth: Float[Tensor, "h w"],
    bare: Float[Tensor, "h w"],
    fit: HeadFit,
    model: HeadModel,
) -> Head:
    """The unstylized head on neck, shoulders and clothes, as far as the photo shows them, and plain elsewhere.

    ``person``, ``cloth``, ``bare``: how much of each pixel is the person, clothes, and bare skin, 0..1. Long hair of
    ``content`` is laid on the shoulders.
    """
    torso = load_torso_model()
    shares = [to_numpy(share, np.float64) for share in (person, cloth, bare)]
    body = fit_body(fit, shares[0], np.maximum(*shares[1:]), torso)
    bust = dress_body(body, *shares, fit, torso)
    mesh = build_mesh(bust, fit)
    view = to_numpy(fit.camera.rotation, np.float64)[2]
    covers = [
        replace(layer, original=layer.mesh.vertices) for layer in drape_layers(content.layers, mesh, view, content.mesh)
    ]
    texture = paint_bust(photo, fit.camera, bust, *shares[1:], content, model)
    layer = Layer("bust", mesh, round_to_bytes(texture), mesh.vertices)
    return replace(content, layers=(*covers, layer))
