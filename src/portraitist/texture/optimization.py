"""Multi-view optimisation of the canonical texture (Sec. 5.1), coarse to fine on a Laplacian pyramid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.texture.descent import PlainDescent, PyramidDescent
from portraitist.texture.finish import steady_forms
from portraitist.texture.objective import Weights, measure_loss
from portraitist.texture.palettes import PartStrengths, calm_hues, keep_colours, match_colours, spread_strengths
from portraitist.texture.pyramid import build_pyramid, extend_islands, fold_pyramid
from portraitist.texture.rendering import shade
from portraitist.texture.seams import close_seams
from portraitist.texture.semantics import label_texels
from portraitist.texture.strokes import Report, paint_strokes
from portraitist.texture.targets import Style, StyleSource, Subject, ViewBank, make_view_bank, mix_grounds, sample_style
from portraitist.texture.vgg import VGG
from portraitist.types import Image, Mesh, Progress, ProgressCallback

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
    ``stroke_px``, ``stroke_steps``: views and steps of `paint_strokes`.
    ``coarse_to_fine``: optimise a Laplacian pyramid from a start in the artwork's colours; else texels, from the photo.
    ``parts``: strengths of single parts of the head. ``keep_colours``: take the artwork's strokes, not its palette.
    ``delight``: share of the light and shade painted into the artwork's face that is evened out first, 0..1.
    """

    strength: float = 1.0
    texture_size: int = 1024
    scales_px: tuple[int, ...] = (64, 128, 256)
    steps: tuple[int, ...] = (60, 50, 24)
    samples: tuple[int, ...] = (384, 512, 640)
    content_scales: tuple[float, ...] = (2.0, 1.6, 0.8)
    weights: Weights = field(default_factory=lambda: _GUIDED)
    near_views: int = 10
    wide_share: float = 0.25
    learning_rate: float = 0.008
    detail: float = 0.4
    stroke_px: int = 512
    stroke_steps: int = 40
    coarse_to_fine: bool = True
    parts: PartStrengths = field(default_factory=PartStrengths)
    keep_colours: bool = False
    delight: float = 0.0

    @classmethod
    def draft(cls) -> TextureConfig:
        """A quick look: small texture, no fine scale."""
        return cls(
            texture_size=512,
            scales_px=(64,),
            steps=(40,),
            samples=(384,),
            content_scales=(2.0,),
            near_views=6,
            stroke_px=320,
            stroke_steps=20,
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
            stroke_steps=0,
            coarse_to_fine=False,
        )

    @property
    def total_steps(self) -> int:
        """Of all scales and strokes."""
        return sum(self.steps) + self.stroke_steps


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
    ground = mix_grounds(exemplars)
    start = content_texture
    if config.coarse_to_fine:
        start = match_colours(content_texture, labels, exemplars, generator)
    texture, subject = start, Subject(mesh, content_texture, start, labels)

    def tell(before: int) -> Report:
        def report(step: int, loss: float, preview: Image) -> None:
            if progress:
                progress(Progress("texture", before + step, config.total_steps, loss, preview))

        return report

    for scale, size_px in enumerate(config.scales_px):
        with torch.no_grad():
            bank = make_view_bank(subject, ground, vgg, size_px, config.near_views, config.wide_share > 0, generator)
            style = sample_style(exemplars, bank.face_px, vgg, generator)
        report = tell(sum(config.steps[:scale]))
        texture = _optimize_scale(texture, bank, style, ground, vgg, config, scale, generator, report)
    if config.coarse_to_fine:
        report = tell(sum(config.steps))
        texture = steady_forms(texture, subject, exemplars)
        texture = paint_strokes(texture, subject, exemplars, config.stroke_px, config.stroke_steps, generator, report)
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
    report: Report,
) -> Image:
    """The texture after the steps of one scale, 0..1. Bands finer than a pixel of its views are left as they are."""
    bands, first = [texture], 0
    if config.coarse_to_fine:
        bands = build_pyramid(texture)
        first = max(int(math.log2(max(bank.uv_per_px * texture.shape[-1], 1.0))), 0)
    fine, levels = bands[:first], [level.clone().requires_grad_() for level in bands[first:]]
    weights, steps, rate = config.weights, config.steps[scale], config.learning_rate
    descent = PyramidDescent(levels, rate, steps) if config.coarse_to_fine else PlainDescent(levels, rate)
    stay = config.content_scales[scale] / config.strength
    weights = replace(weights, content=stay * weights.content, likeness=stay * weights.likeness)
    for step in range(steps):
        view = bank.draw(config.wide_share, generator)
        current = fold_pyramid(levels)
        image = shade(view.fragments, current, ground)
        loss = measure_loss(image, view, style, vgg, weights, config.samples[scale], generator)
        descent.step(torch.autograd.grad(loss, levels))
        report(step + 1, loss.item(), current.detach())
    if scale == len(config.scales_px) - 1:
        fine = [band * config.detail for band in fine]
    return fold_pyramid([*fine, *levels]).detach().clamp(0, 1)
