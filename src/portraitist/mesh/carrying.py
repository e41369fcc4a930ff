"""What lies over a head moves with the skin under it: when the shape changes, and with every expression."""

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
from portraitist.types import REGIONS, Head, Layer, Mesh

CARRIERS = ("scalp", "skin", "ears", "neck", "brows")  # regions that layers lie on; mouth and lids move by themselves
NEIGHBORS = 48
REACH = 0.005  # meters beyond the nearest of them at which another counts 1/e
STILL = 1e-5  # meters by which an expression moves what it leaves in place: nobody sees it, and files store the rest


def carry_layers(layers: Sequence[Layer], before: Mesh, after: Float[Tensor, "n 3"]) -> tuple[Layer, ...]:
    """The layers of a head with the mesh ``before`` on the one with vertices ``after`` (meters): each point moves as
    the skin next to it does on average."""
    moves = to_numpy(after - before.vertices, np.float64)
    carried = []
    for layer in layers:
        own = to_numpy(layer.mesh.vertices, np.float64)
        vertices = (own + _find_carriers(own, before) @ moves).astype(np.float32)
        carried.append(replace(layer, mesh=layer.mesh.with_vertices(from_numpy(vertices, layer.mesh.vertices))))
    return tuple(carried)


def find_layer_deltas(head: Head) -> tuple[Float[Tensor, "52 _k 3"], ...]:
    """For each layer of a head, how every one of the 52 expressions moves its vertices at weight 1; meters."""
    return carry_deltas(head, head.expression_deltas)


def carry_deltas(head: Head, moves: Float[Tensor, "e n 3"]) -> tuple[Float[Tensor, "e _k 3"], ...]:
    """For each layer of a head, how it moves with each of several ``moves`` of the head's vertices; meters.

    Each point moves as in `carry_layers`, which is linear in the moves.
    """
    deltas = []
    for layer in head.layers:
        carriers = _find_carriers(to_numpy(layer.mesh.vertices, np.float64), head.mesh)
        own = np.stack([carriers @ to_numpy(move, np.float64) for move in moves])
        own[np.abs(own).max(2) < STILL] = 0
        deltas.append(from_numpy(own.astype(np.float32), layer.mesh.vertices))
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


def _find_carriers(points: Float[np.ndarray, "k 3"], head: Mesh) -> sp.csr_matrix:
    """Shares ``[k, n]`` of the head's vertices in points over it, meters: those of the skin next to each, the nearest
    most. Rows sum to 1."""
    carrying = np.isin(to_numpy(head.regions), [REGIONS.index(name) for name in CARRIERS])
    ids = np.unique(to_numpy(head.faces)[carrying])
    distances, nearest = KDTree(to_numpy(head.vertices, np.float64)[ids]).query(points, k=NEIGHBORS)
    weights = np.exp(-(((distances - distances[:, :1]) / REACH) ** 2))
    weights /= weights.sum(1, keepdims=True)
    starts = np.arange(len(points) + 1) * NEIGHBORS
    return sp.csr_matrix((weights.ravel(), ids[nearest].ravel(), starts), (len(points), len(head.vertices)))


def _move_layer(layer: Layer, move: Float[Tensor, "k 3"]) -> Layer:
    mesh = layer.mesh.with_vertices(layer.mesh.vertices + move)
    return replace(layer, mesh=mesh, original=layer.original + move)
