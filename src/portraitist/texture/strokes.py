"""The last strokes: the finest bands of the texture painted with the artwork's own patches, without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
import torch.nn.functional as F

from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import shade
from portraitist.segmentation.parts import BROWS, EYES, LIPS, MOUTH
from portraitist.texture.exemplar import StyleSource, mix_backgrounds, resize_source
from portraitist.texture.optimizer import PyramidDescent
from portraitist.texture.patches import PatchPlaces, make_patch_source, patch_distances
from portraitist.texture.pyramid import build_pyramid, find_finest, fold_pyramid
from portraitist.texture.views import Subject, find_places, measure_face, place_cameras
from portraitist.types import Fragments, Image

_NEAR_VIEWS, _WIDE_SHARE = 8, 0.2
_BANDS = 3  # the finest of the pyramid: strokes, while light and shade stay as they are
_LEARNING_RATE = 0.005
_HOLD, _HELD_PX = 0.7, 8
_LEFT_OUT = (EYES, BROWS, LIPS, MOUTH)
"""Looks and smiles are drawn in a few pixels, which the distribution of patches does not put in their places."""

Report = Callable[[float, Image], None]
"""Is told the loss and the texture after each step."""


def paint_strokes(
    texture: Image,
    subject: Subject,
    exemplars: Sequence[StyleSource],
    view_px: int,
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
    mesh, ground = subject.mesh, mix_backgrounds(exemplars)
    near, wide = place_cameras(mesh, view_px, _NEAR_VIEWS, all_round=True, generator=generator)
    face_px, uv_per_px = measure_face(mesh, rasterize(mesh, near[0]))
    sources = []
    for exemplar in exemplars:
        image, labels = resize_source(exemplar, face_px)
        sources.append(make_patch_source(image, PatchPlaces.make(labels), exemplar.weight, generator))

    def blur(picture: Image) -> Image:
        return F.avg_pool2d(picture[None], _HELD_PX)[0]

    @cache  # few steps: not every camera gets its turn
    def observe(is_wide: bool, index: int) -> tuple[Fragments, PatchPlaces, Image]:
        seen = rasterize(mesh, (wide if is_wide else near)[index])
        return seen, find_places(subject, seen, _LEFT_OUT, all_skin=is_wide), blur(shade(seen, texture, ground))

    bands = build_pyramid(texture)
    last = len(bands) - 1  # the low-pass rest
    first = min(find_finest(texture, uv_per_px), last)
    end = min(first + _BANDS, last)
    finer, levels = bands[:first], [band.clone().requires_grad_() for band in bands[first:end]]
    if not levels:
        return texture
    rest = fold_pyramid(bands[end:])
    descent = PyramidDescent(levels, _LEARNING_RATE, steps)
    for _ in range(steps):
        is_wide = bool(torch.rand((), generator=generator) < _WIDE_SHARE)
        index = int(torch.randint(len(wide if is_wide else near), (), generator=generator))
        seen, places, before = observe(is_wide, index)
        current = fold_pyramid([*finer, *levels, rest])
        image = shade(seen, current, ground)
        tone, strokes = patch_distances(image, places, sources, generator)
        loss = tone + strokes + _HOLD * (blur(image) - before).abs().mean()
        descent.step(torch.autograd.grad(loss, levels))
        report(loss.item(), current.detach())
    return fold_pyramid([*finer, *(level.detach() for level in levels), rest]).clamp(0, 1)
