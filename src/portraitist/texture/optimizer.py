"""How a texture goes down its gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from portraitist.types import Image

_SMOOTHING, _MOMENTUM = 0.9, 0.8
_CHROMA_RATE = 0.35


class PyramidDescent:
    """RMSprop on the bands of a Laplacian pyramid, with four departures that keep it from turning into colored noise.

    The channels of a texel share one mean square, and the level's average is added to it: plain RMSprop steps as far on
    a texel that one view barely touches as on one that all views agree about. And hue moves more slowly than light:
    it starts near its goal, while the losses, nearly color-blind in their deep layers, push it to and fro. Momentum
    averages over views, points and filters drawn at random, whose noise would otherwise stay behind as dots.

    ``levels`` are changed in place. The rate falls from ``learning_rate`` to zero over ``steps``. ``momentum``: 0..1.
    """

    def __init__(self, levels: Sequence[Image], learning_rate: float, steps: int, momentum: float = _MOMENTUM) -> None:
        self._momentum = momentum
        self.levels, self._learning_rate, self._steps, self._done = levels, learning_rate, steps, 0
        self._momenta = [torch.zeros_like(level) for level in levels]
        self._squares = [torch.zeros_like(level[:1]) for level in levels]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """``gradients``: one per level."""
        rate = self._learning_rate * 0.5 * (1 + math.cos(math.pi * self._done / self._steps))
        self._done += 1
        for level, gradient, square, momentum in zip(self.levels, gradients, self._squares, self._momenta, strict=True):
            square.lerp_(gradient.square().mean(0, keepdim=True), 1 - _SMOOTHING)
            momentum.lerp_(gradient, 1 - self._momentum)
            step = momentum / (square + square.mean() + 1e-20).sqrt()
            luminance = step.mean(0, keepdim=True)
            level -= rate * torch.lerp(luminance, step, _CHROMA_RATE)


class PlainDescent:
    """RMSprop on one texture as PyTorch has it by default (smoothing 0.99), in place."""

    def __init__(self, levels: Sequence[Image], learning_rate: float) -> None:
        self.levels, self._learning_rate = levels, learning_rate
        self._square = torch.zeros_like(levels[0])

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """``gradients``: of the one texture."""
        self._square.lerp_(gradients[0].square(), 0.01)
        self.levels[0].sub_(self._learning_rate * gradients[0] / (self._square.sqrt() + 1e-8))
