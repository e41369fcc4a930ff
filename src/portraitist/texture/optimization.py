"""Multi-view optimisation of the canonical texture (Sec. 5.1), coarse to fine on a Laplacian pyramid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.texture.objective import Weights, measure_loss
from portraitist.texture.palettes import PartStrengths, calm_hues, keep_colours, match_colours, spread_strengths
from portraitist.texture.pyramid import build_pyramid, extend_islands, fold_pyramid
from portraitist.texture.rendering import shade
from portraitist.texture.seams import close_seams
from portraitist.texture.semantics import label_texels
from portraitist.texture.targets import Style, StyleSource, Subject, ViewBank, make_view_bank, sample_style
from portraitist.texture.vgg import VGG
from portraitist.types import Image, Mesh, Progress, ProgressCallback

_SMOOTHING, _MOMENTUM = 0.9, 0.8
_CHROMA_RATE = 0.35
_GUIDED = Weights(content=10.0, moments=1.0, palette=3.0, guidance=1.0, likeness=2.0, tone=10.0, strokes=10.0, hold=6.0)


@dataclass(frozen=True)
class TextureConfig:
    """``strength``: 0 leaves the content texture untouched, 1 is the full style. ``texture_size``: side of the texture
    that the photo is unwrapped to. One entry per scale, coarse to fine: ``scales_px``, side of the views; ``steps``,
    one view each; ``samples``, hypercolumns compared per step; ``content_scales``, factor on the weights of
    content and likeness.
    ``weights``: of the objective's terms. ``near_views``: views in the bank of a scale, within the paper's range of
    angles; ``wide_share``: share of the steps that look from elsewhere. ``learning_rate``: at the start of each scale,
    falling to zero. ``detail``: how much of the photo's detail too fine for the last scale's views remains, 0..1.
    ``coarse_to_fine``: optimise a Laplacian pyramid from a start in the artwork's colours; else texels, from the photo.
    ``parts``: strengths of single parts of the head. ``keep_colours``: take the artwork's strokes, not its palette.
    ``delight``: share of the light and shade painted into the artwork's face that is evened out first, 0..1.
    """

    strength: float = 1.0
    texture_size: int = 1024
    scales_px: tuple[int, ...] = (64, 128, 256)
    steps: tuple[int, ...] = (80, 70, 45)
    samples: tuple[int, ...] = (384, 512, 640)
    content_scales: tuple[float, ...] = (2.0, 1.6, 0.8)
    weights: Weights = field(default_factory=lambda: _GUIDED)
    near_views: int = 10
    wide_share: float = 0.25
    learning_rate: float = 0.008
    detail: float = 0.4
    coarse_to_fine: bool = True
    parts: PartStrengths = field(default_factory=PartStrengths)
    keep_colours: bool = False
    delight: float = 0.0

    @classmethod
    def draft(cls) -> TextureConfig:
        """A quick look: small texture, no fine scale."""
        return cls(
            texture_size=512,
            scales_px=(64, 128),
            steps=(60, 50),
            samples=(384, 512),
            content_scales=(2.0, 1.6),
            near_views=6,
        )

    @classmethod
    def standard(cls) -> TextureConfig:
        """The default."""
        return cls()

    @classmethod
    def best(cls) -> TextureConfig:
        """Larger texture, finer views, more steps."""
        return cls(
            texture_size=2048,
            scales_px=(64, 128, 256, 448),
            steps=(150, 130, 110, 70),
            samples=(512, 768, 1024, 1024),
            content_scales=(2.0, 1.6, 0.8, 0.8),
            near_views=16,
        )

    @classmethod
    def paper(cls, view_px: int = 256) -> TextureConfig:
        """Sec. 5.2 as printed: one scale, 600 steps of RMSprop, learning rate 0.002, beta = 1, no guidance."""
        return cls(
            scales_px=(view_px,),
            steps=(600,),
            samples=(1024,),
            content_scales=(1.0,),
            weights=Weights(),
            near_views=24,
            wide_share=0.0,
            learning_rate=0.002,
            detail=1.0,
            coarse_to_fine=False,
        )


def stylize_texture(
    mesh: Mesh,
    content_texture: Image,
    exemplars: Sequence[StyleSource],
    vgg: VGG,
    config: TextureConfig,
    generator: torch.Generator,
    progress: ProgressCallback | None = None,
) -> Image:
    """The content texture t_x painted as the artwork is: t_z of Sec. 5, same size.

    ``mesh``: the *stylised* geometry; it is not changed. ``exemplars``: one artwork, or several to be mixed by their
    weights, which add up to 1. ``generator``: on the CPU; an equal seed gives an equal texture. ``progress`` is called
    after each step and may raise to stop.
    """
    if config.strength == 0:
        return content_texture
    labels = label_texels(mesh, content_texture)
    if config.keep_colours:
        exemplars = keep_colours(exemplars, content_texture, labels, generator)
    ground = torch.stack([exemplar.weight * exemplar.ground for exemplar in exemplars]).sum(0)
    start = content_texture
    if config.coarse_to_fine:
        start = match_colours(content_texture, labels, exemplars, generator)
    texture, subject = start, Subject(mesh, content_texture, start, labels)
    for scale, size_px in enumerate(config.scales_px):
        with torch.no_grad():
            bank = make_view_bank(subject, ground, vgg, size_px, config.near_views, config.wide_share > 0, generator)
            style = sample_style(exemplars, bank.face_px, vgg, generator)
        texture = _optimize_scale(texture, bank, style, ground, vgg, config, scale, generator, progress)
    if config.coarse_to_fine:
        texture = close_seams(mesh, calm_hues(mesh, texture, start, labels, exemplars, generator))
    strengths = config.strength * spread_strengths(labels, config.parts)
    return extend_islands(mesh, torch.lerp(content_texture, texture, strengths))


def _optimize_scale(
    texture: Image,
    bank: ViewBank,
    style: Style,
    ground: Float[Tensor, "3"],
    vgg: VGG,
    config: TextureConfig,
    scale: int,
    generator: torch.Generator,
    progress: ProgressCallback | None,
) -> Image:
    """The texture after the steps of one scale, 0..1. Bands finer than a pixel of its views are left as they are."""
    bands, first = [texture], 0
    if config.coarse_to_fine:
        bands = build_pyramid(texture)
        first = max(int(math.log2(max(bank.uv_per_px * texture.shape[-1], 1.0))), 0)
    fine, levels = bands[:first], [level.clone().requires_grad_() for level in bands[first:]]
    momenta = [torch.zeros_like(level) for level in levels]
    squares = [torch.zeros_like(level[:1] if config.coarse_to_fine else level) for level in levels]
    weights, steps = config.weights, config.steps[scale]
    stay = config.content_scales[scale] / config.strength
    weights = replace(weights, content=stay * weights.content, likeness=stay * weights.likeness)
    for step in range(steps):
        view = bank.draw(config.wide_share, generator)
        current = fold_pyramid(levels)
        image = shade(view.fragments, current, ground)
        loss = measure_loss(image, view, style, vgg, weights, config.samples[scale], generator)
        gradients = torch.autograd.grad(loss, levels)
        if config.coarse_to_fine:
            rate = config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            _descend(levels, gradients, squares, momenta, rate)
        else:
            _descend_plainly(levels[0], gradients[0], squares[0], config.learning_rate)
        if progress:
            done, total = sum(config.steps[:scale]) + step + 1, sum(config.steps)
            progress(Progress("texture", done, total, loss.item(), current.detach()))
    if scale == len(config.scales_px) - 1:
        fine = [band * config.detail for band in fine]
    return fold_pyramid([*fine, *levels]).detach().clamp(0, 1)


@torch.no_grad()
def _descend(
    levels: list[Image], gradients: tuple[Image, ...], squares: list[Tensor], momenta: list[Tensor], rate: float
) -> None:
    """One RMSprop step in place, with four departures that keep the texture from turning into coloured noise.

    The channels of a texel share one mean square, and the level's average is added to it: plain RMSprop steps as far on
    a texel that one view barely touches as on one that all views agree about. And hue moves more slowly than light:
    it starts near its goal, while the losses, nearly colour-blind in their deep layers, push it to and fro. Momentum
    averages over views, points and filters drawn at random, whose noise would otherwise stay behind as dots.
    """
    for level, gradient, square, momentum in zip(levels, gradients, squares, momenta, strict=True):
        square.lerp_(gradient.square().mean(0, keepdim=True), 1 - _SMOOTHING)
        momentum.lerp_(gradient, 1 - _MOMENTUM)
        step = momentum / (square + square.mean() + 1e-20).sqrt()
        luminance = step.mean(0, keepdim=True)
        level -= rate * torch.lerp(luminance, step, _CHROMA_RATE)


@torch.no_grad()
def _descend_plainly(texture: Image, gradient: Image, square: Image, rate: float) -> None:
    """RMSprop as PyTorch has it by default (smoothing 0.99), in place."""
    square.lerp_(gradient.square(), 0.01)
    texture -= rate * gradient / (square.sqrt() + 1e-8)
