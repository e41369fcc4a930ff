"""Multi-view optimisation of the canonical texture (Sec. 5.1), coarse to fine on a Laplacian pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F

from portraitist.texture.descent import PlainDescent, PyramidDescent
from portraitist.texture.finish import steady_forms
from portraitist.texture.objective import Weights, measure_loss
from portraitist.texture.palettes import (
    PartStrengths,
    calm_hues,
    keep_colours,
    match_colours,
    spread_strengths,
)
from portraitist.texture.pyramid import build_pyramid, extend_islands, find_finest, fold_pyramid
from portraitist.texture.rendering import shade
from portraitist.texture.seams import close_seams
from portraitist.texture.semantics import EYES, MOUTH, NOWHERE, label_texels
from portraitist.texture.strokes import Report, paint_strokes
from portraitist.texture.targets import (
    Style,
    StyleSource,
    Subject,
    ViewBank,
    make_view_bank,
    mark_shown,
    mix_grounds,
    sample_style,
)
from portraitist.texture.vgg import VGG
from portraitist.types import Image, Mesh, Progress, ProgressCallback

_GUIDED = Weights(content=10.0, moments=1.0, palette=3.0, guidance=1.0, likeness=2.0, tone=10.0, strokes=10.0, hold=6.0)
_OF_LINES = Weights(content=1.2, moments=1.0, palette=1.0, guidance=1.0, likeness=1.8)
_LINE_LEVELS, _TONE_SIDE = 2, 32  # how many levels hold the lines; the finest of those that hold light and shade
_LINE_RATE, _LINE_MOMENTUM, _TONE_RATE = 2.0, 0.5, 3.0  # rates: times that of the scales


@dataclass(frozen=True)
class Scale:
    """Steps on views of one size. ``view_px``: their side; ``samples``: hypercolumns compared per step; ``content``:
    factor on the weights of content and likeness."""

    view_px: int
    steps: int
    samples: int
    content: float = 1.0


@dataclass(frozen=True)
class TextureConfig:
    """``strength``: 0 leaves the content texture untouched, 1 is the full style. ``texture_size``: side of the texture
    that the photo is unwrapped to. ``scales``: coarse to fine, of `find_forms`. ``lines``: the scale of `draw_lines`.
    ``weights``, ``line_weights``: of the objective's terms at the scales and in the lines. ``near_views``: views in the
    bank of a scale, within the paper's range of angles; ``wide_share``: share of the steps that look from elsewhere.
    ``learning_rate``: at the start of each scale, falling to zero. ``detail``: how much of the photo's detail too fine
    for the finest scale's views remains, 0..1.
    ``stroke_px``, ``stroke_steps``: views and steps of `paint_strokes`.
    ``coarse_to_fine``: optimise a Laplacian pyramid from a start in the artwork's colours; else texels, from the photo.
    ``parts``: strengths of single parts of the head. ``keep_colours``: take the artwork's strokes, not its palette.
    ``delight``: share of the light and shade painted into the artwork's face that is evened out first, 0..1.
    """

    strength: float = 1.0
    texture_size: int = 1024
    scales: tuple[Scale, ...] = (Scale(64, 40, 384, 2.0),)
    lines: Scale | None = Scale(256, 150, 384)
    weights: Weights = field(default_factory=lambda: _GUIDED)
    line_weights: Weights = field(default_factory=lambda: _OF_LINES)
    near_views: int = 10
    wide_share: float = 0.25
    learning_rate: float = 0.008
    detail: float = 0.4
    stroke_px: int = 512
    stroke_steps: int = 30
    coarse_to_fine: bool = True
    parts: PartStrengths = field(default_factory=PartStrengths)
    keep_colours: bool = False
    delight: float = 0.0

    @classmethod
    def draft(cls) -> TextureConfig:
        """A quick look: small texture, one coarse scale, no lines."""
        return cls(
            texture_size=512,
            scales=(Scale(64, 40, 384, 2.0),),
            lines=None,
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
            lines=Scale(448, 240, 768),
            near_views=16,
            stroke_px=1024,
            stroke_steps=60,
        )

    @classmethod
    def paper(cls, view_px: int = 256) -> TextureConfig:
        """Sec. 5.2 as printed: one scale, 600 steps of RMSprop, learning rate 0.002, beta = 1, no guidance."""
        return cls(
            scales=(Scale(view_px, 600, 1024),),
            lines=None,
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
        """Of all scales, lines and strokes."""
        return sum(scale.steps for scale in self.scales) + (self.lines.steps if self.lines else 0) + self.stroke_steps


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
    shown = torch.where(mark_shown(mesh, content_texture.shape[-1]), labels, NOWHERE)
    if config.keep_colours:
        exemplars = keep_colours(exemplars, content_texture, shown, generator)
    start = content_texture
    if config.coarse_to_fine:
        start = match_colours(content_texture, labels, shown, exemplars, generator)
    texture, subject = start, Subject(mesh, content_texture, start, labels)

    done = 0

    def report(loss: float, preview: Image) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(Progress("texture", done, config.total_steps, loss, preview))

    optimiser = _Optimiser(subject, exemplars, vgg, config, generator, report)
    for scale in config.scales:
        texture = optimiser.find_forms(texture, scale)
    if config.coarse_to_fine:
        texture = steady_forms(texture, subject, exemplars)
        if config.lines:
            texture = optimiser.draw_lines(texture, config.lines)
        texture = paint_strokes(texture, subject, exemplars, config.stroke_px, config.stroke_steps, generator, report)
        texture = close_seams(mesh, calm_hues(mesh, texture, start, labels, exemplars, generator))
    strengths = config.strength * spread_strengths(labels, config.parts)
    return extend_islands(mesh, torch.lerp(content_texture, texture, strengths))


@dataclass(frozen=True)
class _Optimiser:
    """What the losses of the network are asked about, scale by scale. Textures are 0..1 before and after."""

    subject: Subject
    exemplars: Sequence[StyleSource]
    vgg: VGG
    config: TextureConfig
    generator: torch.Generator
    report: Report

    def find_forms(self, texture: Image, scale: Scale) -> Image:
        """All bands but those finer than a pixel of the scale's views."""
        config, bank, style = self.config, *self._look(scale)
        if not config.coarse_to_fine:
            levels = [texture.clone()]
            self._descend(levels, [PlainDescent(levels, config.learning_rate)], bank, style, scale, config.weights)
            return levels[0].detach().clamp(0, 1)
        bands = build_pyramid(texture)
        first = find_finest(texture, bank.uv_per_px)
        levels = [band.clone() for band in bands[first:]]
        descent = PyramidDescent(levels, config.learning_rate, scale.steps)
        self._descend(levels, [descent], bank, style, scale, config.weights)
        is_finest = config.lines is None and scale is config.scales[-1]
        fine = [band * config.detail for band in bands[:first]] if is_finest else bands[:first]
        return fold_pyramid([*fine, *(level.detach() for level in levels)]).clamp(0, 1)

    def draw_lines(self, texture: Image, scale: Scale) -> Image:
        """The finest two levels of the pyramid that the scale's views show, and broad light and shade, by the paper's
        own losses.

        Beyond the paper, whose losses reach all bands at once. The bands between, as wide as an eye or a nose, are what
        a person is known by: style that is looked for there costs more likeness than it is worth. The light of eyes
        and teeth, small beside the levels that hold it elsewhere, stays.
        """
        config, bank, style = self.config, *self._look(scale)
        bands = build_pyramid(texture)
        first = min(find_finest(texture, bank.uv_per_px), len(bands) - 1)
        levels = [band.clone() for band in bands[first:]]
        lines, others = levels[:_LINE_LEVELS], levels[_LINE_LEVELS:]
        tones = [level for level in others if level.shape[-1] <= _TONE_SIDE]
        rate = config.learning_rate
        descents = [PyramidDescent(lines, _LINE_RATE * rate, scale.steps, _LINE_MOMENTUM)]
        descents.append(PyramidDescent(tones, _TONE_RATE * rate, scale.steps))
        self._descend(levels, descents, bank, style, scale, config.line_weights)
        line, *rest = (level.detach() for level in levels)
        if rest:
            after, before = fold_pyramid(rest), fold_pyramid(bands[first + 1 :])
            kept = torch.isin(self.subject.labels, self.subject.labels.new_tensor((EYES, MOUTH)))[None].to(texture)
            rest = [torch.lerp(after, before, F.adaptive_avg_pool2d(kept, after.shape[-1]))]
        fine = [band * config.detail for band in bands[:first]]
        return fold_pyramid([*fine, line, *rest]).clamp(0, 1)

    @torch.no_grad()
    def _look(self, scale: Scale) -> tuple[ViewBank, Style]:
        config, ground = self.config, mix_grounds(self.exemplars)
        all_round = config.wide_share > 0
        bank = make_view_bank(
            self.subject, ground, self.vgg, scale.view_px, config.near_views, all_round, self.generator
        )
        return bank, sample_style(self.exemplars, bank.face_px, self.vgg, self.generator)

    def _descend(
        self,
        levels: list[Image],
        descents: Sequence[PyramidDescent | PlainDescent],
        bank: ViewBank,
        style: Style,
        scale: Scale,
        weights: Weights,
    ) -> None:
        """Change those of ``levels``, which together make the texture as the views show it, that a descent has."""
        ground, stay = mix_grounds(self.exemplars), scale.content / self.config.strength
        weights = replace(weights, content=stay * weights.content, likeness=stay * weights.likeness)
        changed = [level.requires_grad_() for descent in descents for level in descent.levels]
        for _ in range(scale.steps):
            view = bank.draw(self.config.wide_share, self.generator)
            current = fold_pyramid(levels)
            image = shade(view.fragments, current, ground)
            loss = measure_loss(image, view, style, self.vgg, weights, scale.samples, self.generator)
            gradients = iter(torch.autograd.grad(loss, changed))
            for descent in descents:
                descent.step([next(gradients) for _ in descent.levels])
            self.report(loss.item(), current.detach())
