"""Networks that only training needs: discriminator, classifier, and the codes of the rivals."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from portraitist.geometry.translation_network import NetworkSize, build_mlp

JUDGE_LAYERS = 4  # of discriminators and the classifier, Sec. 4.1
STYLE_SIZE = 8  # of MUNIT and DRIT++, as published


def build_judge(size: NetworkSize, outputs: int = 1) -> nn.Sequential:
    """Discriminator D_Y (one output) or classifier CL (one output per class)."""
    return build_mlp(size.coefficients, outputs, JUDGE_LAYERS, size.width, size.residual)


class StyledPair(nn.Module):
    """Residual pair whose normalized input is scaled and shifted by a style: AdaIN for vectors."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(style, 2 * width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b w"], style: Float[Tensor, "b s"]) -> Float[Tensor, "b w"]:
        scale, shift = self.modulate(style).chunk(2, dim=1)
        return x + self.second(F.silu(self.first(self.norm(x) * (1 + scale) + shift)))


class StyledDecoder(nn.Module):
    """Content code to coefficients under a style, eight layers."""

    def __init__(self, size: NetworkSize, style: int) -> None:
        super().__init__()
        self.enter = nn.Linear(size.content, size.width)
        self.style = build_mlp(style, size.width, 2, size.width, True)
        self.pairs = nn.ModuleList([StyledPair(size.width, size.width) for _ in range(3)])
        self.leave = nn.Sequential(nn.LayerNorm(size.width), nn.Linear(size.width, size.coefficients))

    def forward(self, content: Float[Tensor, "b d"], style: Float[Tensor, "b s"]) -> Float[Tensor, "b c"]:
        x, styling = self.enter(content), self.style(style)
        for pair in self.pairs:
            x = pair(x, styling)
        return self.leave(x)


def sample_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A draw from the Gaussian that can be differentiated by its parameters."""
    return mean + torch.randn_like(mean) * (log_variance / 2).exp()


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Mean over entries of the Kullback-Leibler divergence from N(0, 1)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
