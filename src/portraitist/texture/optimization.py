"""Multi-view optimization of the canonical texture (Sec. 5.1), on bands of its Laplacian pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F

from portraitist.rendering.sampling import shade
from portraitist.rendering.seams import close_seams
from portraitist.rendering.uv_layout import extend_islands
from portraitist.segmentation.parts import EYES, MOUTH, is_one_of
from portraitist.segmentation.texels import label_texels
from portraitist.texture.detail import match_contrast, temper_lines
from portraitist.texture.exemplar import Style, StyleSource, mix_backgrounds, sample_style
from portraitist.texture.objective import Weights, measure_loss
from portraitist.texture.optimizer import PlainDescent, PyramidDescent
from portraitist.texture.part_colors import (
    TONE_SIDE,
    PartStrengths,
    calm_hues,
    keep_colors,
    match_colors,
    spread_strengths,
    take_tones,
)
from portraitist.texture.pyramid import build_pyramid, find_finest, fold_pyramid
from portraitist.texture.shading_transfer import carry_light
from portraitist.texture.strokes import Report, paint_strokes
from portraitist.texture.vgg import VGG
from portraitist.texture.views import Subject, ViewBank, make_view_bank, take_portrait
from portraitist.types import Image, Mesh, Progress, ProgressCallback

_GUIDED = Weights(content=1.2, moments=1.0, palette=1.0, guidance=1.0, likeness=1.8)
_LINE_SIDE, _FEWEST_LINES = 256, 2  # the coarsest level that holds lines, and how many do at least
_LINE_RATE, _LINE_MOMENTUM, _TONE_RATE = 2.0, 0.5, 3.0  # rates: times ``learning_rate``


@dataclass(frozen=True)
class TextureConfig:
    """``strength``: 0 leaves the content texture untouched, 1 is the full style. ``texture_size``: side of the texture
    that the photo is unwrapped to. ``view_px``, ``steps``, ``samples``: side of the views that the network sees, how
    many of them, and hypercolumns compared in each. ``weights``: of the objective's terms. ``near_views``: views in the
    bank within the paper's range of angles; ``wide_share``: share of the steps that look from elsewhere.
    ``learning_rate``: at the start, falling to zero. ``detail``: how much of the photo's detail too fine for the views
    remains, 0..1. ``stroke_px``, ``stroke_steps``: views and steps of `paint_strokes`.
    ``lines_only``: change lines and broad light and shade of a start in the artwork's colors; else every texel of the
    photo's texture, as the paper does.
    ``parts``: strengths of single parts of the head. ``keep_colors``: take the artwork's strokes, not its palette.
    ``delight``: share of the light and shade painted into the artwork's face that is evened out first, 0..1.
    """

    strength: float = 1.0
    texture_size: int = 1024
    view_px: int = 256
    steps: int = 130
    samples: int = 384
    weights: Weights = field(default_factory=lambda: _GUIDED)
    near_views: int = 10
    wide_share: float = 0.25
    learning_rate: float = 0.008
    detail: float = 0.4
    stroke_px: int = 512
    stroke_steps: int = 30
    lines_only: bool = True
    parts: PartStrengths = field(default_factory=PartStrengths)
    keep_colors: bool = False
    delight: float = 0.0

    @classmethod
    def draft(cls) -> TextureConfig:
        """A quick look: small texture, small views."""
        return cls(texture_size=512, view_px=128, steps=40, near_views=6, stroke_px=320, stroke_steps=20)

    @classmethod
    def standard(cls) -> TextureConfig:
        """The default."""
        return cls()

    @classmethod
    def best(cls) -> TextureConfig:
        """Larger texture, finer views, more steps."""
        return cls(
            texture_size=2048, view_px=448, steps=240, samples=768, near_views=16, stroke_px=1024, stroke_steps=60
        )

    @classmethod
    def paper(cls, view_px: int = 256) -> TextureConfig:
        """Sec. 5.2 as printed: 600 steps of RMSprop on texels, learning rate 0.002, beta = 1, no guidance."""
        return cls(
            view_px=view_px,
            steps=600,
            samples=1024,
            weights=Weights(),
            near_views=24,
            wide_share=0.0,
            learning_rate=0.002,
            detail=1.0,
            stroke_steps=0,
            lines_only=False,
        )

    @property
    def total_steps(self) -> int:
        """Of the network's views and of the strokes."""
        return self.steps + self.stroke_steps


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

    ``mesh``: the *stylized* geometry; it is not changed. ``exemplars``: one artwork, or several to be mixed by their
    weights, which add up to 1. ``generator``: on the CPU; an equal seed gives an equal texture. ``progress`` is called
    after each step and may raise to stop.
    """
    if config.strength == 0:
        return content_texture
    labels = label_texels(mesh, content_texture)
    portrait = take_portrait(mesh, content_texture, labels)
    if config.keep_colors:
        exemplars = keep_colors(exemplars, portrait, generator)
    start = content_texture
    if config.lines_only:
        start = match_colors(content_texture, labels, portrait, exemplars, generator)
    subject = Subject(mesh, content_texture, start, labels)

    done = 0

    def report(loss: float, preview: Image) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(Progress("texture", done, config.total_steps, loss, preview))

    optimizer = _Optimizer(subject, exemplars, vgg, config, generator, report)
    if config.lines_only:
        texture = optimizer.draw_lines()
        texture = paint_strokes(texture, subject, exemplars, config.stroke_px, config.stroke_steps, generator, report)
        texture = match_contrast(temper_lines(texture, subject, exemplars), subject, exemplars)
        texture = carry_light(texture, subject, exemplars)
        portrait = take_portrait(mesh, texture, labels)  # the network lets the tones drift
        texture = take_tones(texture, match_colors(texture, labels, portrait, exemplars, generator))
        texture = close_seams(mesh, calm_hues(mesh, texture, start, labels, exemplars, generator))
    else:
        texture = optimizer.change_texels()
    strengths = config.strength * spread_strengths(labels, config.parts)
    return extend_islands(mesh, torch.lerp(content_texture, texture, strengths))


@dataclass(frozen=True)
class _Optimizer:
    """What the losses of the network are asked about. Textures are 0..1 before and after."""

    subject: Subject
    exemplars: Sequence[StyleSource]
    vgg: VGG
    config: TextureConfig
    generator: torch.Generator
    report: Report

    def change_texels(self) -> Image:
        """The subject's start with every texel free, as in Sec. 5.2."""
        bank, style = self._look()
        levels = [self.subject.start.clone()]
        self._descend(levels, [PlainDescent(levels, self.config.learning_rate)], bank, style)
        return levels[0].detach().clamp(0, 1)

    def draw_lines(self) -> Image:
        """The subject's start with other lines: the finest levels of the pyramid that the views show, and broad light
        and shade, follow the losses.

        Beyond the paper, whose losses reach all bands at once. The bands between, as wide as an eye or a nose, are what
        a person is known by: style that is looked for there costs more likeness than it is worth. The light of eyes
        and teeth, small beside the levels that hold it elsewhere, stays.
        """
        config, bank, style = self.config, *self._look()
        bands = build_pyramid(self.subject.start)
        first = min(find_finest(self.subject.start, bank.uv_per_px), len(bands) - 1)
        levels = [band.clone() for band in bands[first:]]
        lines = levels[: max(sum(level.shape[-1] >= _LINE_SIDE for level in levels), _FEWEST_LINES)]
        tones = [level for level in levels[len(lines) :] if level.shape[-1] <= TONE_SIDE]
        rate = config.learning_rate
        descents = [PyramidDescent(lines, _LINE_RATE * rate, config.steps, _LINE_MOMENTUM)]
        descents.append(PyramidDescent(tones, _TONE_RATE * rate, config.steps))
        self._descend(levels, descents, bank, style)
        line, *rest = (level.detach() for level in levels)
        if rest:
            after, before = fold_pyramid(rest), fold_pyramid(bands[first + 1 :])
            kept = is_one_of(self.subject.labels, (EYES, MOUTH))[None].to(after)
            rest = [torch.lerp(after, before, F.adaptive_avg_pool2d(kept, after.shape[-1]))]
        fine = [band * config.detail for band in bands[:first]]
        return fold_pyramid([*fine, line, *rest]).clamp(0, 1)

    @torch.no_grad()
    def _look(self) -> tuple[ViewBank, Style]:
        config, ground = self.config, mix_backgrounds(self.exemplars)
        all_round = config.wide_share > 0
        bank = make_view_bank(
            self.subject, ground, self.vgg, config.view_px, config.near_views, all_round, self.generator
        )
        return bank, sample_style(self.exemplars, bank.face_px, self.vgg, self.generator)

    def _descend(
        self, levels: list[Image], descents: Sequence[PyramidDescent | PlainDescent], bank: ViewBank, style: Style
    ) -> None:
        """Change those of ``levels``, which together make the texture as the views show it, that a descent has."""
        config, ground = self.config, mix_backgrounds(self.exemplars)
        weights = replace(
            config.weights,
            content=config.weights.content / config.strength,
            likeness=config.weights.likeness / config.strength,
        )
        changed = [level.requires_grad_() for descent in descents for level in descent.levels]
        for _ in range(config.steps):
            view = bank.draw(config.wide_share, self.generator)
            current = fold_pyramid(levels)
            image = shade(view.fragments, current, ground)
            loss = measure_loss(image, view, style, self.vgg, weights, config.samples, self.generator)
            gradients = iter(torch.autograd.grad(loss, changed))
            for descent in descents:
                descent.step([next(gradients) for _ in descent.levels])
            self.report(loss.item(), current.detach())
