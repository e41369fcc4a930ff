"""Layers of a head: made from a photo, and carried along when the head under them changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.hair.appearance import paint_layer
from portraitist.hair.shell import fit_shell
from portraitist.hair.surface import cut_layer
from portraitist.io.images import round_to_bytes
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import LAYER_NAMES, REGIONS, HeadFit, Image, Layer, Mesh

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
            texture = paint_layer(photo, fit.camera, shell, shares[name], texture_size)
            layers.append(Layer(name, mesh, round_to_bytes(texture), mesh.vertices))
    return tuple(layers)


def carry_layers(
    layers: Sequence[Layer], before: Float[Tensor, "n 3"], after: Float[Tensor, "n 3"], model: HeadModel
) -> tuple[Layer, ...]:
    """The layers of a head with vertices ``before`` on the one with vertices ``after`` (meters)."""
    moves, carried = to_numpy(after - before, np.float64), []
    for layer in layers:
        displacement = find_carriers(layer, model.template.with_vertices(before)) @ moves
        vertices = to_numpy(layer.mesh.vertices, np.float64) + displacement
        vertices = from_numpy(vertices.astype(np.float32), layer.mesh.vertices)
        carried.append(replace(layer, mesh=layer.mesh.with_vertices(vertices)))
    return tuple(carried)


def find_carriers(layer: Layer, head: Mesh) -> sp.csr_matrix:
    """Shares [k, n] of the head's vertices in each of the layer's; rows sum to 1. Each point of a layer moves as the
    skin next to it does on average: its displacement is these shares of the head's displacements. ``head``: as it is
    where the layer lies on it."""
    regions = head.regions.new_tensor([REGIONS.index(name) for name in CARRIERS])
    ids = to_numpy(torch.unique(head.faces[torch.isin(head.regions, regions)]))
    own = to_numpy(layer.mesh.vertices, np.float64)
    distances, nearest = KDTree(to_numpy(head.vertices, np.float64)[ids]).query(own, k=min(NEIGHBORS, len(ids)))
    weights = np.exp(-(((distances - distances[:, :1]) / REACH) ** 2))
    weights /= weights.sum(1, keepdims=True)
    rows = np.repeat(np.arange(len(own)), weights.shape[1])
    return sp.csr_matrix((weights.ravel(), (rows, ids[nearest].ravel())), (len(own), len(head.vertices)))
