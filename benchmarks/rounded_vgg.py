"""The network as processors with bfloat16 compute it, on any processor: for what its rounding does to results."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from portraitist.assets import asset_path
from portraitist.vgg import VGG


class RoundedVGG(VGG):
    """Products of bfloat16 numbers, summed in float32: PyTorch's own bfloat16 takes forty times as long where the
    processor has none. What is around the network (distances of hypercolumns) is in float32."""

    def forward(self, image: Tensor) -> list[Tensor]:
        conv2d = F.conv2d
        try:
            F.conv2d = lambda x, weight, bias, padding: _round(conv2d(_round(x), weight, bias, padding=padding))
            return super().forward(image)
        finally:
            F.conv2d = conv2d


def _round(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).float()


def load_rounded_vgg() -> RoundedVGG:
    weights = {name: _round(weight) for name, weight in load_file(asset_path("vgg16_conv.safetensors")).items()}
    return RoundedVGG(weights).eval().requires_grad_(False)
