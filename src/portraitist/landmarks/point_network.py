"""The network that reads 68 points off an upright face, however it is drawn: VGG16's feature maps in, points out.

A Hough-style vote: every cell of a coarse grid says where it believes each point to be, and how much its vote counts.
That finds eyes, mouth or chin wherever a caricaturist has put them, which a regressor of a whole face's shape does not.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

SIDE_PX = 160  # of the view that the network sees
GRID = 20  # cells across it
COMPONENTS = {"conv3_3": 48, "conv4_3": 96, "conv5_3": 64}  # principal components kept of each layer
WIDTH = 96
DILATIONS = (1, 2, 4, 1, 2, 4)  # so that every cell sees the whole face
GROUPS = 8
DROPOUT = 0.1
OFFSET_PX = 10.0  # of a vote of one


class _DilatedBlock(nn.Module):
    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, WIDTH)
        self.convolution = nn.Conv2d(WIDTH, WIDTH, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Float[Tensor, "b w g g"]) -> Float[Tensor, "b w g g"]:
        return x + self.convolution(F.silu(self.norm(x)))


class PointNetwork(nn.Module):
    """Points (px of the view) and the logarithm of the error expected of each (px)."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = COMPONENTS.values()
        inputs = 4 * fine + middle + coarse + 2
        self.fuse = nn.Conv2d(inputs, WIDTH, 1)
        self.blocks = nn.Sequential(*[_DilatedBlock(dilation) for dilation in DILATIONS])
        self.norm = nn.GroupNorm(GROUPS, WIDTH)
        self.vote = nn.Conv2d(WIDTH, 4 * 68, 1)
        for parameter in self.vote.parameters():  # at first all cells agree
            nn.init.normal_(parameter, std=0.01)
        self.dropout = nn.Dropout2d(DROPOUT)
        middles = (torch.arange(GRID) + 0.5) * SIDE_PX / GRID
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        self.register_buffer("cells", torch.stack([x, y]), persistent=False)

    def forward(
        self,
        fine: Float[Tensor, "b _a 40 40"],
        middle: Float[Tensor, "b _c 20 20"],
        coarse: Float[Tensor, "b _d 10 10"],
    ) -> tuple[Float[Tensor, "b 68 2"], Float[Tensor, "b 68"]]:
        cells = self.get_buffer("cells")
        grown = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        seen = self.dropout(torch.cat([F.pixel_unshuffle(fine, 2), middle, grown], 1))
        where = (2 * cells / SIDE_PX - 1)[None].expand(len(seen), -1, -1, -1)
        votes = self.vote(F.silu(self.norm(self.blocks(self.fuse(torch.cat([seen, where], 1))))))
        say, x, y, error = votes.unflatten(1, (4, 68)).flatten(3).unbind(1)
        shares = say.softmax(-1)
        places = cells.flatten(1)[:, None] + OFFSET_PX * torch.stack([x, y], 1)
        return (shares[:, None] * places).sum(-1).transpose(1, 2), (shares * error).sum(-1)
