"""What lies over a head moves with the skin under it: when the shape changes, and with every expression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.types import REGIONS, Head, Layer

CARRIERS = ("scalp", "skin", "ears", "neck", "brows")  # regions that layers lie on; mouth and lids move by themselves
NEIGHBORS = 48
REACH = 0.005  # meters beyond the nearest of them at which another counts 1/e
STILL = 1e-5  # meters by which an expression moves what it leaves in place: nobody sees it, and files store the rest


def find_neighbor_weights(points: Float[np.ndarray, "k 3"], surface: Float[np.ndarray, "n 3"]) -> sp.csr_matrix:
    """Sparse ``[k, n]`` whose rows average what is given at the points of a surface over those next to each point.

    Meters. Rows sum to 1; the nearest counts most.
    """
    count = min(NEIGHBORS, len(surface))
    distances, nearest = KDTree(surface).query(points, k=count)
    weights = np.exp(-(((distances - distances[:, :1]) / REACH) ** 2))
    weights /= weights.sum(1, keepdims=True)
    starts = np.arange(len(points) + 1) * count
    return sp.csr_matrix((weights.ravel(), nearest.ravel(), starts), shape=(len(points), len(surface)))


def find_layer_deltas(head: Head) -> tuple[Float[Tensor, "52 _k 3"], ...]:
    """For each layer of a head, how every one of the 52 expressions moves its vertices at weight 1; meters.

    Each point moves as the skin next to it does on average, so that it is linear in the weights as the head is.
    """
    if not head.layers:
        return ()
    regions = to_numpy(head.mesh.regions)
    ids = np.unique(to_numpy(head.mesh.faces)[np.isin(regions, [REGIONS.index(name) for name in CARRIERS])])
    surface = to_numpy(head.mesh.vertices, np.float64)[ids]
    moves = to_numpy(head.expression_deltas, np.float64)[:, ids].swapaxes(0, 1).reshape(len(ids), -1)
    deltas = []
    for layer in head.layers:
        own = find_neighbor_weights(to_numpy(layer.mesh.vertices, np.float64), surface) @ moves
        own = own.reshape(len(own), -1, 3).swapaxes(0, 1).astype(np.float32)
        own[np.abs(own).max(2) < STILL] = 0
        deltas.append(from_numpy(own, layer.mesh.vertices))
    return tuple(deltas)


def pose_head(
    head: Head, weights: Float[Tensor, "52"], layer_deltas: tuple[Float[Tensor, "52 _k 3"], ...] | None = None
) -> Head:
    """The head and its layers under ``weights`` 0..1 of the 52 expressions instead of its own, in `EXPRESSION_NAMES`
    order. ``layer_deltas``: what `find_layer_deltas` gives, for who poses a head many times."""
    deltas = find_layer_deltas(head) if layer_deltas is None else layer_deltas
    weights = weights.to(head.neutral)
    mesh = head.mesh.with_vertices(head.posed(weights))
    layers = []
    for layer, own in zip(head.layers, deltas, strict=True):
        move = torch.einsum("e,ekd->kd", weights - head.expression, own)
        layers.append(_move_layer(layer, move))
    original = head.original + (mesh.vertices - head.mesh.vertices)
    return replace(head, mesh=mesh, expression=weights, original=original, layers=tuple(layers))


def _move_layer(layer: Layer, move: Float[Tensor, "k 3"]) -> Layer:
    mesh = layer.mesh.with_vertices(layer.mesh.vertices + move)
    return replace(layer, mesh=mesh, original=layer.original + move)
