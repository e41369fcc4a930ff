"""How a texture goes down its gradient.

The classes of `torch.optim` are left out on purpose: making the first of them imports torch's compiler, 1.6 s of a run
that takes some twenty in all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.rmsprop import rmsprop

from portraitist.types import Image

SMOOTHING = 0.9  # of the mean squares, per step
CHROMA_RATE = 0.35  # of the rate of luminance
EPSILON = 1e-20  # keeps a level without any gradient where it is
PLAIN_SMOOTHING = 0.99  # PyTorch's default
PLAIN_EPSILON = 1e-8  # PyTorch's default


class PyramidRMSprop:
    """RMSprop on the bands of a Laplacian pyramid, with departures that keep it from turning into colored noise.

    The channels of a texel share one mean square, and the level's average is added to it: plain RMSprop steps as far on
    a texel that one view barely touches as on one that all views agree about. Hue moves more slowly than light: it
    starts near its goal, while the losses, nearly color-blind in their deep layers, push it to and fro. Momentum (0..1)
    averages over views, points and filters drawn at random, whose noise would otherwise stay behind as dots. The rate
    falls from ``learning_rate`` to zero over ``steps`` along a cosine.
    """

    def __init__(self, levels: Sequence[Image], learning_rate: float, steps: int, momentum: float = 0.8) -> None:
        self.levels = levels
        self._learning_rate, self._steps, self._momentum, self._done = learning_rate, steps, momentum, 0
        self._momenta = [torch.zeros_like(level) for level in levels]
        self._squares = [torch.zeros_like(level[:1]) for level in levels]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        rate = self._learning_rate * 0.5 * (1 + math.cos(math.pi * self._done / self._steps))
        self._done += 1
        for level, gradient, square, momentum in zip(self.levels, gradients, self._squares, self._momenta, strict=True):
            square.lerp_(gradient.square().mean(0, keepdim=True), 1 - SMOOTHING)
            momentum.lerp_(gradient, 1 - self._momentum)
            step = momentum / (square + square.mean() + EPSILON).sqrt()
            luminance = step.mean(0, keepdim=True)
            level -= rate * torch.lerp(luminance, step, CHROMA_RATE)


class PlainRMSprop:
    """RMSprop on one texture as PyTorch has it by default, as Sec. 5.2 asks for."""

    def __init__(self, levels: Sequence[Image], learning_rate: float) -> None:
        self.levels, self._learning_rate = levels, learning_rate
        self._squares = [torch.zeros_like(level) for level in levels]
        self._steps = [torch.zeros(()) for _ in levels]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        rmsprop(
            list(self.levels),
            list(gradients),
            self._squares,
            grad_avgs=[],
            momentum_buffer_list=[],
            state_steps=self._steps,
            foreach=False,
            lr=self._learning_rate,
            alpha=PLAIN_SMOOTHING,
            eps=PLAIN_EPSILON,
            weight_decay=0.0,
            momentum=0.0,
            centered=False,
        )
