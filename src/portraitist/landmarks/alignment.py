"""Alignment of points in the plane."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def similarity_2d(
    source: Float[Tensor, "*b k 2"], target: Float[Tensor, "k 2"]
) -> tuple[Float[Tensor, "*b 2 2"], Float[Tensor, "*b 2"]]:
    """Least-squares similarity: ``source @ linear.mT + shift`` comes closest to ``target``; no reflection.

    In closed form, many shapes at once (``scipy.spatial.procrustes`` takes one, scales both, and may reflect).
    """
    middle_source, middle_target = source.mean(-2), target.mean(-2)
    a, b = source - middle_source[..., None, :], target - middle_target
    scale = (a * a).sum((-1, -2))
    cosine = (a * b).sum((-1, -2)) / scale
    sine = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(-1) / scale
    linear = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)
    return linear, middle_target - (linear @ middle_source[..., None])[..., 0]
