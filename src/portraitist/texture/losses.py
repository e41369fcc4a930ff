"""Losses of the texture stage (Sec. 5.2), after STROTSS (Kolkin, Salavon, Shakhnarovich, CVPR 2019).

All work on rows of hypercolumns at sampled points, never on whole feature maps. `objective.py` puts them together.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.devices import random_order, random_uniform
from portraitist.texture.color_transfer import decorrelate


def sample_points(
    mask: Bool[Tensor, "h w"], count: int, generator: torch.Generator | None = None
) -> Float[Tensor, "k 2"]:
    """Up to ``count`` random points (x, y) in pixels, each inside its own pixel of the mask.

    Rows and columns are drawn together: drawn apart, points leave the region. Raises ValueError on an empty mask.
    """
    pixels = torch.nonzero(mask)
    if not len(pixels):
        raise ValueError("cannot sample points: the mask is empty")
    chosen = pixels[random_order(len(pixels), generator, pixels.device)[:count]]
    return chosen.flip(1) + (random_uniform([len(chosen), 2], generator, pixels.device) * 0.998 + 0.001)


def unit_rows(x: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
    """Each row divided by its length. Done once per set of hypercolumns, as several losses need it."""
    return x * x.square().sum(1, keepdim=True).clamp(min=1e-12).rsqrt()


def cosine_distances(x: Float[Tensor, "n c"], y: Float[Tensor, "m c"]) -> Float[Tensor, "n m"]:
    """1 - cos between all pairs of rows of unit length; the cost of Eq. 11."""
    return 1 - x @ y.T


def relaxed_emd(distances: Float[Tensor, "n m"]) -> Float[Tensor, ""]:
    """Relaxed earth mover's distance, the bound of Eq. 11 that STROTSS optimizes: with only one of the two marginal
    constraints each point goes to its nearest, and the larger of the two directions counts."""
    return torch.maximum(distances.amin(1).mean(), distances.amin(0).mean())


def moment_distance(
    x: Float[Tensor, "n c"], y: Float[Tensor, "m c"], channels: Int[Tensor, "k"] | None = None
) -> Float[Tensor, ""]:
    """Mean absolute difference of means plus that of covariances (STROTSS Eq. 7).

    ``channels``: compare covariances on these only. A random subset per step has the full term as its expectation and
    makes it (c / k)² times cheaper; all 2,179 channels would cost more than the network.
    """
    mean_x, mean_y = x.mean(0), y.mean(0)
    loss = (mean_x - mean_y).abs().mean()
    if channels is not None:
        x, y, mean_x, mean_y = x[:, channels], y[:, channels], mean_x[channels], mean_y[channels]
    covariance_x = (x - mean_x).T @ (x - mean_x) / len(x)
    covariance_y = (y - mean_y).T @ (y - mean_y) / len(y)
    return loss + (covariance_x - covariance_y).abs().mean()


def color_distances(x: Float[Tensor, "n 3"], y: Float[Tensor, "m 3"]) -> Float[Tensor, "n m"]:
    """Euclidean distances between all pairs of sRGB colors in the decorrelated space."""
    squared = (decorrelate(x)[:, None] - decorrelate(y)[None]).square().sum(-1)
    return (squared + 1e-8).sqrt() - 1e-4  # the root has no gradient at 0, where equal colors are


def self_similarity_loss(x: Float[Tensor, "n c"], y: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """Content loss, Eq. 12, of rows of unit length: the cosine distances among the points, each column divided by its
    sum, should not change. Multiplied by n, so that its size does not depend on how many points are drawn."""
    patterns = []
    for rows in (x, y):
        distances = cosine_distances(rows, rows).clamp(min=0)
        patterns.append(distances / distances.sum(0, keepdim=True).clamp(min=1e-8))
    return (patterns[0] - patterns[1]).abs().sum(0).mean()
