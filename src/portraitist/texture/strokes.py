"""The last strokes: the finest bands of the texture painted with the artwork's own patches, without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from portraitist.rendering.sampling import shade
from portraitist.texture.exemplar import StyleExemplar, mix_backgrounds
from portraitist.texture.optimizer import PyramidRMSprop
from portraitist.texture.patches import PatchPlaces, PatchSource, sliced_wasserstein_distances
from portraitist.texture.pyramid import build_pyramid, find_finest, fold_pyramid
from portraitist.texture.views import WIDE_SHARE, CameraBank, Subject, find_patch_places, measure_footprint
from portraitist.types import Fragments, Image

NEAR_VIEWS = 8  # at most; few steps look through more
BANDS = 3  # the finest of the pyramid: strokes, while light and shade stay as they are
LEARNING_RATE = 0.005
HELD_PX = 8  # width over which a view's means are held
HOLD_WEIGHT = 0.7  # of that, against the distances of colors and patches

Report = Callable[[float, Image], None]
"""Is told the loss and the texture after each step."""


def paint_strokes(
    texture: Image,
    subject: Subject,
    exemplars: Sequence[StyleExemplar],
    cameras: CameraBank,
    steps: int,
    generator: torch.Generator,
    report: Report,
) -> Image:
    """``texture`` with patches as the artworks have them, in finer views than the network's, same size.

    Beyond the paper. There, features are too coarse to see a hair of the brush, and a network on views that large would
    take minutes.
    """
    if not steps:
        return texture
    near, wide = cameras.near[:NEAR_VIEWS], cameras.wide
    sources = [exemplar.patches for exemplar in exemplars]
    background = mix_backgrounds([exemplar.source for exemplar in exemplars])

    @cache  # few steps: not every camera gets its turn
    def observe(is_wide: bool, index: int) -> tuple[Fragments, Image, PatchPlaces, Image]:
        seen, ground = subject.observe((wide if is_wide else near)[index], background)
        places = find_patch_places(subject.labels, seen, shown_only=not is_wide)
        return seen, ground, places, find_means(shade(seen, texture, ground))

    # 1. The bands that the front view shows, finest first.
    bands = build_pyramid(texture)
    last = len(bands) - 1  # the low-pass rest
    uv_per_px = measure_footprint(subject.labels, observe(False, 0)[0])
    first = min(find_finest(texture, uv_per_px), last)
    end = min(first + BANDS, last)
    finer, levels = bands[:first], [band.clone().requires_grad_() for band in bands[first:end]]
    if not levels:
        return texture
    rest = fold_pyramid(bands[end:])

    # 2. Their descent, one view a step.
    optimizer = PyramidRMSprop(levels, LEARNING_RATE, steps)
    for _ in range(steps):
        is_wide = bool(torch.rand((), generator=generator) < WIDE_SHARE) and len(wide) > 0
        index = int(torch.randint(len(wide if is_wide else near), (), generator=generator))
        seen, ground, places, before = observe(is_wide, index)
        current = fold_pyramid([*finer, *levels, rest])
        image = shade(seen, current, ground)
        loss = measure_strokes(image, places, before, sources, generator)
        if seen.mask.any():  # else the head hides all of a small layer
            optimizer.step(torch.autograd.grad(loss, levels))
        report(loss.item(), current.detach())
    return fold_pyramid([*finer, *(level.detach() for level in levels), rest]).clamp(0, 1)


def measure_strokes(
    image: Image, places: PatchPlaces, means: Image, sources: Sequence[PatchSource], generator: torch.Generator
) -> Float[Tensor, ""]:
    """How far ``image`` is from being painted with the artworks' patches, and from its broad ``means`` before."""
    colors, strokes = sliced_wasserstein_distances(image, places, sources, generator)
    return colors + strokes + HOLD_WEIGHT * (find_means(image) - means).abs().mean()


def find_means(image: Image) -> Image:
    """The means that strokes leave alone."""
    return F.avg_pool2d(image[None], HELD_PX)[0]
