"""Layers of a head, made from a photo."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import to_numpy
from portraitist.hair.appearance import paint_layer
from portraitist.hair.shell import fit_shell
from portraitist.hair.surface import cut_layer
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import COVER_NAMES, HeadFit, Image, Layer


def build_layers(
    photo: Image,
    covers: dict[str, Float[Tensor, "h w"]],
    head: Float[Tensor, "h w"],
    clothes: Float[Tensor, "h w"],
    fit: HeadFit,
    model: HeadModel,
    texture_size: int,
) -> tuple[Layer, ...]:
    """What lies over the head in a photo, seen from all sides.

    ``covers``: by layer name, its share 0..1 of each pixel. ``head``: share of all that is head: bare skin, beard,
    glasses and the covers; ``clothes``: that of clothes.
    """
    shares = {name: to_numpy(covers[name], np.float64) for name in COVER_NAMES}
    shell = fit_shell(shares, to_numpy(head, np.float64), to_numpy(clothes, np.float64), fit, model)
    if shell is None:
        return ()
    layers = []
    for name in COVER_NAMES:
        others = np.max([shell.shares[other] for other in COVER_NAMES if other != name], axis=0)
        mesh = cut_layer(shell.chart, shell.radii, shell.shares[name], others, name, fit)
        if mesh is not None:
            texture = paint_layer(photo, fit.camera, shell, shares[name], texture_size, strands=name == "hair")
            layers.append(Layer(name, mesh, texture, mesh.vertices))
    return tuple(layers)
