"""Multi-view optimization of a texture (Sec. 5.1), on bands of its Laplacian pyramid. Any mesh with UVs will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from portraitist.errors import InputError
from portraitist.rendering.sampling import shade
from portraitist.rendering.seams import Seams, close_seams
from portraitist.texture.exemplar import StyleExemplar, mix_backgrounds, mix_styles
from portraitist.texture.label_colors import LabelStrengths
from portraitist.texture.labels import TexelLabels
from portraitist.texture.objective import LossWeights, measure_loss
from portraitist.texture.optimizer import PlainRMSprop, PyramidRMSprop
from portraitist.texture.pyramid import TONE_SIDE, build_pyramid, find_finest, fold_pyramid
from portraitist.texture.strokes import Report, paint_strokes
from portraitist.texture.views import CameraBank, Painted, Subject, ViewBank, precompute_views
from portraitist.types import Image, Mesh, Progress, ProgressCallback
from portraitist.vgg import VGG

LINE_SIDE = 256  # side of the coarsest level that holds lines
FEWEST_LINES = 2  # levels that hold lines, however small the texture
LINE_RATE = 2.0  # times the learning rate
LINE_MOMENTUM = 0.5  # lines settle in few steps
TONE_RATE = 3.0  # times the learning rate


def guided_weights() -> LossWeights:
    """Of the presets beside ``paper``: features are matched label by label, and held."""
    return LossWeights(content=1.2, label_penalty=1.0, perceptual_content=1.8)


@dataclass(frozen=True)
class TextureConfig:
    """``strength``: 0 leaves the content texture untouched, 1 is the full style. ``view_px``, ``steps``,
    ``samples``: side of the views that the network sees, how many of them, and hypercolumns compared in each.
    ``weights``: of the objective's terms. ``near_views``: views in the bank within the paper's range of angles.
    ``learning_rate``: at the start, falling to zero. ``photo_detail``: how much of the photo's detail too fine for
    the views remains, 0..1. ``stroke_px``, ``stroke_steps``: views and steps of `paint_strokes`.
    ``optimize_bands``: change lines and broad light and shade of a start in the artwork's colors; else every texel
    of the photo's texture, as the paper does. ``regions``: strengths of single parts of the head.
    ``preserve_color``: take the artwork's strokes, not its palette. ``delighting``: share of the light and shade
    painted into the artwork's face that is taken out first, 0..1.
    """

    strength: float = 1.0
    view_px: int = 256
    steps: int = 130
    samples: int = 384
    weights: LossWeights = field(default_factory=guided_weights)
    near_views: int = 10
    learning_rate: float = 0.008
    photo_detail: float = 0.4
    stroke_px: int = 512
    stroke_steps: int = 30
    optimize_bands: bool = True
    regions: LabelStrengths = field(default_factory=LabelStrengths)
    preserve_color: bool = False
    delighting: float = 0.0

    @classmethod
    def draft(cls) -> TextureConfig:
        """A quick look: small texture, small views."""
        return cls(view_px=128, steps=40, near_views=6, stroke_px=320, stroke_steps=20)

    @classmethod
    def standard(cls) -> TextureConfig:
        """The default."""
        return cls()

    @classmethod
    def best(cls) -> TextureConfig:
        """Larger texture, finer views, more steps."""
        return cls(view_px=448, steps=240, samples=768, near_views=16, stroke_px=1024, stroke_steps=60)

    @classmethod
    def paper(cls, view_px: int = 256) -> TextureConfig:
        """Sec. 5.2 as printed: 600 steps of RMSprop on texels, learning rate 0.002, beta = 1, no guidance."""
        return cls(
            view_px=view_px,
            steps=600,
            samples=1024,
            weights=LossWeights(),
            near_views=24,
            learning_rate=0.002,
            photo_detail=1.0,
            stroke_steps=0,
            optimize_bands=False,
        )

    @property
    def total_steps(self) -> int:
        """Of the network's views and of the strokes."""
        return self.steps + self.stroke_steps


def optimize_texture(
    mesh: Mesh,
    content: Image,
    sources: Sequence[StyleExemplar],
    labels: TexelLabels,
    cameras: CameraBank,
    seams: Seams | None,
    config: TextureConfig,
    *,
    vgg: VGG,
    generator: torch.Generator,
    start: Image | None = None,
    around: Sequence[Painted] = (),
    progress: ProgressCallback | None = None,
) -> Image:
    """The texture of a mesh, painted as the sources are, same size and range: t_z of Sec. 5. No face is needed.

    ``mesh``: any triangle mesh with UVs in 0..1; only its ``regions`` are not looked at. ``content``: its texture
    [3, t, t], sRGB 0..1; what it shows is to stay recognizable. ``sources``: from `study_source`; their weights add up
    to 1. ``labels``: `TexelLabels.make` of any label map whose numbers mean the same as those of the sources' labels.
    ``cameras``: where to look from, see `place_cameras`; they are resized to ``config.view_px`` and
    ``config.stroke_px``. ``seams``: of the UV layout, from `find_seams`, to be closed; None leaves them. ``generator``:
    on the CPU; an equal seed gives an equal texture. ``start``: texture from which the optimization starts, the content
    by default. ``around``: what the views show beside the mesh. ``progress`` is called after each step and may raise to
    stop. Raises InputError when sizes or label numbers do not fit together, or no camera sees a label.

    Strengths, regions, colors and light in ``config`` are for heads (`transfer.py`) and not looked at.
    """
    if content.shape[-2:] != labels.map.shape or (start is not None and start.shape != content.shape):
        raise InputError(
            f"Texture and labels differ in size: {tuple(content.shape)} and {tuple(labels.map.shape)}"
            f"{'' if start is None else f', start {tuple(start.shape)}'}. Give one label per texel."
        )
    strangers = sorted({int(s.labels.max()) for s in sources if int(s.labels.max()) >= labels.roles.count})
    if strangers:
        raise InputError(
            f"A source has the label {strangers[-1]}, but the texture's labels are 0 to {labels.roles.count - 1}. "
            "Give both the same numbers, and the same LabelRoles."
        )
    subject = Subject(mesh, content, content if start is None else start, labels, tuple(around))
    done = 0

    def report(loss: float, preview: Image) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(Progress("texture", done, config.total_steps, loss, preview))

    optimization = _Optimization(subject, sources, cameras.resized(config.view_px), vgg, config, generator, report)
    texture = optimization.optimize_bands() if config.optimize_bands else optimization.optimize_texels()
    close_ups = cameras.resized(config.stroke_px)
    texture = paint_strokes(texture, subject, sources, close_ups, config.stroke_steps, generator, report)
    return texture if seams is None else close_seams(texture, seams)


@dataclass(frozen=True)
class _Optimization:
    """What the losses of the network are asked about. Textures are 0..1 before and after."""

    subject: Subject
    exemplars: Sequence[StyleExemplar]
    cameras: CameraBank
    vgg: VGG
    config: TextureConfig
    generator: torch.Generator
    report: Report

    def optimize_texels(self) -> Image:
        """The subject's start with every texel free, as in Sec. 5.2."""
        levels = [self.subject.start.clone()]
        self._descend(levels, [PlainRMSprop(levels, self.config.learning_rate)], self._precompute())
        return levels[0].detach().clamp(0, 1)

    def optimize_bands(self) -> Image:
        """The subject's start with other lines: the finest levels of the pyramid that the views show, and broad light
        and shade, follow the losses.

        Beyond the paper, whose losses reach all bands at once. The bands between, as wide as an eye or a nose, are what
        a person is known by: style that is looked for there costs more likeness than it is worth. The light of eyes
        and teeth, small beside the levels that hold it elsewhere, stays.
        """
        config, bank = self.config, self._precompute()
        # 1. Levels that the views show: lines are fine, tones coarse, and what lies between is left alone.
        bands = build_pyramid(self.subject.start)
        first = min(find_finest(self.subject.start, bank.uv_per_px), len(bands) - 1)
        levels = [band.clone() for band in bands[first:]]
        lines = levels[: max(sum(level.shape[-1] >= LINE_SIDE for level in levels), FEWEST_LINES)]
        tones = [level for level in levels[len(lines) :] if level.shape[-1] <= TONE_SIDE]

        # 2. Their descent.
        rate = config.learning_rate
        optimizers = [PyramidRMSprop(lines, LINE_RATE * rate, config.steps, LINE_MOMENTUM)]
        optimizers.append(PyramidRMSprop(tones, TONE_RATE * rate, config.steps))
        self._descend(levels, optimizers, bank)

        # 3. The tones of lit labels are put back, and what is finer than the views comes on top.
        line, *rest = (level.detach() for level in levels)
        if rest:
            after, before = fold_pyramid(rest), fold_pyramid(bands[first + 1 :])
            kept = self.subject.labels.is_one_of(self.subject.labels.roles.lit)[None].to(after)
            rest = [torch.lerp(after, before, F.adaptive_avg_pool2d(kept, after.shape[-1]))]
        fine = [band * config.photo_detail for band in bands[:first]]
        return fold_pyramid([*fine, line, *rest]).clamp(0, 1)

    @torch.no_grad()
    def _precompute(self) -> ViewBank:
        background = mix_backgrounds([exemplar.source for exemplar in self.exemplars])
        return precompute_views(self.subject, self.cameras, background, self.vgg, self.generator)

    def _descend(
        self, levels: list[Image], optimizers: Sequence[PyramidRMSprop | PlainRMSprop], bank: ViewBank
    ) -> None:
        """Change those of ``levels``, which together make the texture as the views show it, that an optimizer has."""
        config, roles = self.config, self.subject.labels.roles
        style = mix_styles(self.exemplars, roles, self.vgg)
        changed = [level.requires_grad_() for optimizer in optimizers for level in optimizer.levels]
        for _ in range(config.steps):
            view = bank.draw(self.generator)
            current = fold_pyramid(levels)
            image = shade(view.fragments, current, view.ground)
            loss = measure_loss(
                image, view.points, style, roles, self.vgg, config.weights, config.samples, self.generator
            )
            gradients = iter(torch.autograd.grad(loss, changed))
            for optimizer in optimizers:
                optimizer.step([next(gradients) for _ in optimizer.levels])
            self.report(loss.item(), current.detach())
