"""Layers of a head: made from a photo, and carried along when the head under them changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.hair.appearance import paint_layer
from portraitist.hair.shell import fit_shell
from portraitist.hair.surface import cut_layer
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import LAYER_NAMES, HeadFit, Image, Layer

CARRIERS = ("scalp", "skin", "ears", "neck", "brows")  # regions that layers lie on; mouth and lids move by themselves
NEIGHBORS = 48
REACH = 0.005  # meters beyond the nearest of them at which another counts 1/e


def build_layers(
    photo: Image,
    covers: dict[str, Float[Tensor, "h w"]],
    head: Float[Tensor, "h w"],
    fit: HeadFit,
    model: HeadModel,
    texture_size: int,
) -> tuple[Layer, ...]:
    """What lies over the head in a photo, seen from all sides.

    ``covers``: by layer name, its share 0..1 of each pixel. ``head``: share of all that is head: bare skin, beard,
    glasses and the covers.
    """
    shares = {name: to_numpy(covers[name], np.float64) for name in LAYER_NAMES}
    shell = fit_shell(shares, to_numpy(head, np.float64), fit, model)
    if shell is None:
        return ()
    layers = []
    for name in LAYER_NAMES:
        others = np.max([shell.shares[other] for other in LAYER_NAMES if other != name], axis=0)
        mesh = cut_layer(shell.chart, shell.radii, shell.shares[name], others, name, fit)
        if mesh is not None:
            texture = paint_layer(photo, fit.camera, shell, shares[name], texture_size, strands=name == "hair")
            layers.append(Layer(name, mesh, texture, mesh.vertices))
    return tuple(layers)


def carry_layers(
    layers: Sequence[Layer], before: Float[Tensor, "n 3"], after: Float[Tensor, "n 3"], model: HeadModel
) -> tuple[Layer, ...]:
    """The layers of a head with vertices ``before`` on the one with vertices ``after`` (meters): each point moves as
    the skin next to it does on average."""
    ids = to_numpy(model.vertex_ids(*CARRIERS))
    places = to_numpy(before, np.float64)[ids]
    moves = to_numpy(after - before, np.float64)[ids]
    tree, carried = KDTree(places), []
    for layer in layers:
        own = to_numpy(layer.mesh.vertices, np.float64)
        distances, nearest = tree.query(own, k=NEIGHBORS)
        weights = np.exp(-(((distances - distances[:, :1]) / REACH) ** 2))
        displacement = (weights[..., None] * moves[nearest]).sum(1) / weights.sum(1)[:, None]
        vertices = from_numpy((own + displacement).astype(np.float32), layer.mesh.vertices)
        carried.append(replace(layer, mesh=layer.mesh.with_vertices(vertices)))
    return tuple(carried)
