"""Filtered texture look-ups: the only differentiable step of rendering."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from portraitist.rendering.rasterizer import rasterize
from portraitist.types import Camera, Fragments, Image, Mesh


def shade(fragments: Fragments, texture: Float[Tensor, "3 t t"], background: Float[Tensor, "3"]) -> Image:
    """Picture of the fragments over a plain ground; differentiable with respect to texture and background.

    The look-up is trilinear: bilinear in the two levels of a mip pyramid that enclose the pixel's footprint. It keeps
    small views free of aliasing, and in the backward pass every texel under a pixel gets its share of the gradient.
    """
    mask = fragments.mask
    levels = _mip_levels(fragments.uv_footprint[mask], texture.shape[-1])
    colors = _sample_trilinear(texture, fragments.uv[mask].to(texture), levels.to(texture))
    picture = background.to(texture)[:, None, None].expand(3, *mask.shape)
    return picture.masked_scatter(mask, colors)


def _mip_levels(footprint: Float[Tensor, "k"], texture_size: int) -> Float[Tensor, "k"]:
    """Level 0 is the texture itself, where a pixel covers one texel or less; each further level halves the size."""
    coarsest = max(texture_size.bit_length() - 1, 0)
    return torch.log2((footprint * texture_size).clamp(min=1e-6)).clamp(0, coarsest)


def _sample_trilinear(
    texture: Float[Tensor, "3 t t"], uv: Float[Tensor, "k 2"], levels: Float[Tensor, "k"]
) -> Float[Tensor, "3 k"]:
    """Colors at ``uv`` and at fractional mip levels."""
    colors = texture.new_zeros(3, uv.shape[0])
    mip = texture[None]
    for level in range(int(levels.max().ceil().item()) + 1 if levels.numel() else 0):
        weights = 1 - (levels - level).abs()
        (ids,) = torch.nonzero(weights > 0, as_tuple=True)
        if ids.numel():
            grid = 2 * uv[ids] - 1
            taps = F.grid_sample(mip, grid[None, None], padding_mode="border", align_corners=False)[0, :, 0]
            colors = colors.index_add(1, ids, taps * weights[ids])
        side = mip.shape[-1]
        # The same where both can; the adaptive one is several times slower.
        mip = F.avg_pool2d(mip, 2) if side % 2 == 0 else F.adaptive_avg_pool2d(mip, max(side // 2, 1))
    return colors


def render_view(
    mesh: Mesh, texture: Float[Tensor, "3 t t"], camera: Camera, background: Float[Tensor, "3"], supersample: int = 2
) -> Image:
    """Antialiased picture for output: ``supersample``² rays per pixel, averaged."""
    fragments = rasterize(mesh, camera.resized(supersample))
    picture = shade(fragments, texture, background)
    return F.avg_pool2d(picture[None], supersample)[0].clamp(0, 1)
