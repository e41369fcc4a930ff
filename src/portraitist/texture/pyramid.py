"""Laplacian pyramid of a texture, or of any picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F

from portraitist.types import Image

COARSEST_SIDE = 8  # texels: the low-pass rest
TONE_SIDE = 32
"""The finest level of a texture's pyramid that holds light and shade."""


def build_pyramid(image: Image) -> list[Image]:
    """Band-pass levels, finest first, each half the size of the one before; the last one is the low-pass rest.

    `fold_pyramid` of the result is the image again. A step on a coarse level moves a broad patch, so colors settle in
    a few steps that single texels would need hundreds for.
    """
    levels = []
    while max(image.shape[1:]) > COARSEST_SIDE:
        height, width = image.shape[1:]
        smaller = F.adaptive_avg_pool2d(image, (max(height // 2, 1), max(width // 2, 1)))
        levels.append(image - _enlarge(smaller, (height, width)))
        image = smaller
    return [*levels, image]


def fold_pyramid(levels: list[Image]) -> Image:
    """The image whose pyramid this is; differentiable."""
    image = levels[-1]
    for level in reversed(levels[:-1]):
        image = _enlarge(image, level.shape[1:]) + level
    return image


def find_finest(texture: Image, uv_per_px: float) -> int:
    """The first level as coarse as a pixel of views with this footprint in UV."""
    return max(int(math.log2(max(uv_per_px * texture.shape[-1], 1.0))), 0)


def _enlarge(image: Image, size: Sequence[int]) -> Image:
    return F.interpolate(image[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
