"""The network that tells hair, skin, hats and clothes apart: VGG16's feature maps and what is known of the head in,
shares of each part out.

A decoder as in U-Net: from coarse maps, which know what a thing is, to fine ones, which know where it ends.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

PARTS = 8
VIEW_PX, MAP_PX = 256, 128  # of the view that the network sees, and of what it says
COMPONENTS = {"conv2_2": 24, "conv3_3": 48, "conv4_3": 96, "conv5_3": 64}  # principal components kept of each layer
HINTS = 9  # maps beside VGG16's, see `picture.HeadView`
WIDTHS = (24, 48, 96, 96)  # of the decoder's levels, fine to coarse
DILATIONS = ((1,), (1, 2), (1, 2), (1, 2))  # one block each
GROUPS = 8
DROPOUT = 0.1


class _Block(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.convolution = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Float[Tensor, "b w g g"]) -> Float[Tensor, "b w g g"]:
        return x + self.convolution(F.silu(self.norm(x)))


class _Level(nn.Module):
    """Joins what this level sees with what the next coarser one said."""

    def __init__(self, seen: int, coarser: int, width: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.look = nn.Conv2d(seen + HINTS + 2, width, 1)
        self.listen = nn.Conv2d(coarser, width, 1) if coarser else None
        self.blocks = nn.Sequential(*[_Block(width, dilation) for dilation in dilations])

    def forward(self, seen: Tensor, coarser: Tensor | None) -> Tensor:
        x = self.look(seen)
        if self.listen is not None and coarser is not None:
            x = x + F.interpolate(self.listen(coarser), scale_factor=2, mode="bilinear", align_corners=False)
        return self.blocks(x)


class PartNetwork(nn.Module):
    """Logits of the parts in `picture.PART_NAMES`, from projected maps of 128, 64, 32 and 16 cells across."""

    def __init__(self) -> None:
        super().__init__()
        coarser = (*WIDTHS[1:], 0)
        self.levels = nn.ModuleList(map(_Level, COMPONENTS.values(), coarser, WIDTHS, DILATIONS))
        self.norm = nn.GroupNorm(GROUPS, WIDTHS[0])
        self.decide = nn.Conv2d(WIDTHS[0], PARTS, 1)
        self.dropout = nn.Dropout2d(DROPOUT)
        middles = (torch.arange(MAP_PX) + 0.5) * 2 / MAP_PX - 1
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        self.register_buffer("places", torch.stack([x, y]), persistent=False)

    def forward(
        self, maps: list[Float[Tensor, "b _c _m _m"]], hints: Float[Tensor, "b 9 128 128"]
    ) -> Float[Tensor, "b 8 128 128"]:
        known = torch.cat([hints, self.get_buffer("places")[None].expand(len(hints), -1, -1, -1)], 1)
        x = None
        for level, seen in zip(reversed(self.levels), reversed(maps), strict=True):
            beside = F.avg_pool2d(known, MAP_PX // seen.shape[-1]) if seen.shape[-1] < MAP_PX else known
            x = level(torch.cat([self.dropout(seen), beside], 1), x)
        return self.decide(F.silu(self.norm(x)))
