"""Multi-view optimisation of the canonical texture (Sec. 5.1), coarse to fine on a Laplacian pyramid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from portraitist.texture.colours import transfer_colours
from portraitist.texture.pyramid import build_pyramid, extend_islands, fold_pyramid
from portraitist.texture.rendering import mark_texels, shade
from portraitist.texture.strotss import (
    colour_distances,
    cosine_distances,
    moment_distance,
    relaxed_emd,
    self_similarity_loss,
    unit_rows,
)
from portraitist.texture.targets import (
    FACE_REGIONS,
    Exemplar,
    Style,
    View,
    ViewBank,
    cut_exemplar,
    make_view_bank,
    measure_roughness,
    sample_blurred,
    sample_style,
    select_faces,
)
from portraitist.texture.vgg import VGG, sample_hypercolumns
from portraitist.types import Image, Mesh, Progress, ProgressCallback

_SKIN_REGIONS = ("skin", "lips", "eyelids", "brows", "nose")
_COLOUR_SAMPLES = 20_000
_MOMENT_CHANNELS = 256
_WIDE_SHARE = 0.25
_SMOOTHING = 0.9
_CHROMA_RATE = 0.35
_OUTSIDE_STYLE = 0.25
_OUTSIDE_LUMINANCE, _OUTSIDE_HUE = 0.7, 0.2


@dataclass(frozen=True)
class TextureConfig:
    """``strength``: 0 leaves the content texture untouched, 1 is the full style. ``texture_size``: side of the texture
    that the photo is unwrapped to. One entry per scale, coarse to fine: ``scales_px``, side of the views; ``steps``,
    one view each; ``samples``, hypercolumns compared per step; ``content_weights``, beta of Eq. 13.
    ``colour_weight``: of the palette term. ``hold_weight``: of staying near the transferred colours outside the face.
    ``smoothness_weight``: of not being rougher than the artwork, pixel by pixel.
    ``views``: near views in the bank of a scale. ``learning_rate``: at the start of each scale, falling to zero.
    ``detail``: how much of the photo's detail too fine for the last scale's views remains, 0..1.
    """

    strength: float = 1.0
    texture_size: int = 1024
    scales_px: tuple[int, ...] = (64, 128, 256)
    steps: tuple[int, ...] = (100, 80, 50)
    samples: tuple[int, ...] = (384, 512, 640)
    content_weights: tuple[float, ...] = (10.0, 8.0, 5.0)
    colour_weight: float = 3.0
    hold_weight: float = 6.0
    smoothness_weight: float = 10.0
    views: int = 10
    learning_rate: float = 0.008
    detail: float = 0.4

    @classmethod
    def draft(cls) -> TextureConfig:
        """A quick look: small texture, no fine scale."""
        return cls(
            texture_size=512,
            scales_px=(64, 128),
            steps=(60, 50),
            samples=(384, 512),
            content_weights=(10.0, 8.0),
            views=6,
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
            content_weights=(10.0, 8.0, 5.0, 5.0),
            views=16,
        )

    @classmethod
    def paper(cls) -> TextureConfig:
        """Sec. 5.2 as printed: one scale, 600 steps, learning rate 0.002, beta = 1."""
        return cls(
            scales_px=(256,), steps=(600,), samples=(1024,), content_weights=(1.0,), views=24, learning_rate=0.002
        )


def stylize_texture(
    mesh: Mesh,
    content_texture: Image,
    art: Image,
    art_mask: Float[Tensor, "h w"],
    vgg: VGG,
    config: TextureConfig,
    generator: torch.Generator,
    progress: ProgressCallback | None = None,
) -> Image:
    """The content texture t_x painted as the artwork's face is: t_z of Sec. 5, same size.

    ``mesh``: the *stylised* geometry; it is not changed. ``art_mask``: 1 inside the artwork's face, 0 outside; nothing
    outside is looked at. ``generator``: on the CPU; an equal seed gives an equal texture. ``progress`` is called after
    each step and may raise to stop. Raises ValueError when the mask is empty.
    """
    if config.strength == 0:
        return content_texture
    exemplar = cut_exemplar(art, art_mask)
    start = texture = _match_colours(mesh, content_texture, exemplar, generator)
    for scale, size_px in enumerate(config.scales_px):
        with torch.no_grad():
            bank = make_view_bank(mesh, content_texture, start, exemplar.ground, vgg, size_px, config.views, generator)
            style = sample_style(exemplar, bank.face_px, vgg, generator)
        texture = _optimize_scale(texture, bank, style, exemplar.ground, vgg, config, scale, generator, progress)
    texture = extend_islands(mesh, _calm_outside_face(mesh, texture, start))
    return torch.lerp(content_texture, texture, config.strength)


def _mark_regions(mesh: Mesh, texture_size: int, names: tuple[str, ...]) -> Bool[Tensor, "t t"]:
    """Which texels belong to the regions."""
    face_ids = mark_texels(mesh, texture_size)
    return (face_ids >= 0) & select_faces(mesh, names)[face_ids.clamp(min=0)]


def _match_colours(mesh: Mesh, texture: Image, exemplar: Exemplar, generator: torch.Generator) -> Image:
    """The whole texture recoloured as it takes to give its face the colours of the artwork's face."""
    face = _mark_regions(mesh, texture.shape[-1], _SKIN_REGIONS)
    source, target = (
        colours[torch.randperm(len(colours), generator=generator)[:_COLOUR_SAMPLES].to(colours.device)]
        for colours in (texture[:, face].T, exemplar.image[:, exemplar.mask > 0.5].T)
    )
    return transfer_colours(texture.flatten(1).T, source, target).T.reshape(texture.shape)


def _calm_outside_face(mesh: Mesh, texture: Image, start: Image) -> Image:
    """Outside the face only part of the change from ``start`` is kept: the strokes' light and dark, little of the hue.

    The artwork's face says nothing about the colours of hair or neck, and what the losses make up there is motley.
    """
    face = _mark_regions(mesh, texture.shape[-1], FACE_REGIONS).to(texture)
    width = texture.shape[-1] // 48 | 1
    share = F.avg_pool2d(face[None, None], width, stride=1, padding=width // 2)[0]
    change = texture - start
    luminance = change.mean(0, keepdim=True)
    calmed = _OUTSIDE_LUMINANCE * luminance + _OUTSIDE_HUE * (change - luminance)
    return (start + torch.lerp(calmed, change, share)).clamp(0, 1)


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
    bands = build_pyramid(texture)
    first = max(int(math.log2(max(bank.uv_per_px * texture.shape[-1], 1.0))), 0)
    fine, levels = bands[:first], [level.requires_grad_() for level in bands[first:]]
    squares = [torch.zeros_like(level[:1]) for level in levels]
    steps = config.steps[scale]
    for step in range(steps):
        view = bank.draw(_WIDE_SHARE, generator)
        loss = _measure_loss(fold_pyramid(levels), view, style, ground, vgg, config, scale, generator)
        gradients = torch.autograd.grad(loss, levels)
        rate = config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        _descend(levels, gradients, squares, rate)
        if progress:
            progress(Progress("texture", sum(config.steps[:scale]) + step + 1, sum(config.steps), loss.item()))
    if scale == len(config.scales_px) - 1:
        fine = [band * config.detail for band in fine]
    return fold_pyramid([*fine, *levels]).detach().clamp(0, 1)


@torch.no_grad()
def _descend(levels: list[Image], gradients: tuple[Image, ...], squares: list[Tensor], rate: float) -> None:
    """One RMSprop step in place, with three departures that keep the texture from turning into coloured noise.

    The channels of a texel share one mean square, and the level's average is added to it: plain RMSprop steps as far on
    a texel that one view barely touches as on one that all views agree about. And hue moves more slowly than light:
    it starts near its goal, while the losses, nearly colour-blind in their deep layers, push it to and fro.
    """
    for level, gradient, square in zip(levels, gradients, squares, strict=True):
        square.lerp_(gradient.square().mean(0, keepdim=True), 1 - _SMOOTHING)
        step = gradient / (square + square.mean() + 1e-20).sqrt()
        luminance = step.mean(0, keepdim=True)
        level -= rate * torch.lerp(luminance, step, _CHROMA_RATE)


def _measure_loss(
    texture: Image,
    view: View,
    style: Style,
    ground: Float[Tensor, "3"],
    vgg: VGG,
    config: TextureConfig,
    scale: int,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """Eq. 13 on one view: style and palette inside the head, content, and the hold on colours outside the face.

    Only the face has to answer for all of the artwork's face (the second half of the relaxed EMD, and the moments);
    hair, ears and neck just take what is nearest to them, or they would grow lips.
    """
    chosen = torch.randperm(len(view.points_px), generator=generator)[: config.samples[scale]]
    compared = torch.randperm(len(style.hypercolumns), generator=generator)[: config.samples[scale]]
    points, in_face = view.points_px[chosen], view.in_face[chosen]
    image = shade(view.fragments, texture, ground)
    columns = sample_hypercolumns(vgg(image), points)
    units = unit_rows(columns)

    matches = cosine_distances(units, style.units[compared])
    colours = colour_distances(columns[:, :3], style.hypercolumns[compared, :3])
    loss = _match_style(matches, in_face) + config.colour_weight * _match_style(colours, in_face)
    if in_face.any():
        channels = torch.randperm(columns.shape[1], generator=generator)[:_MOMENT_CHANNELS]
        loss = loss + moment_distance(columns[in_face], style.hypercolumns[compared], channels)
        excess = (measure_roughness(image, view.face) - style.roughness).clamp(min=0)
        loss = loss + config.smoothness_weight * excess.sum()
    if not in_face.all():
        drift = (sample_blurred(image, points) - view.start_colours[chosen]).abs().mean(1)
        loss = loss + config.hold_weight * (drift * ~in_face).mean()
    content_weight = config.content_weights[scale] / config.strength
    return loss + content_weight * self_similarity_loss(units, view.content_units[chosen])


def _match_style(distances: Float[Tensor, "n m"], in_face: Bool[Tensor, "n"]) -> Float[Tensor, ""]:
    """`relaxed_emd` in which points outside the face need not be anything's nearest."""
    if in_face.all():
        return relaxed_emd(distances)
    forward = (distances.amin(1) * torch.where(in_face, 1.0, _OUTSIDE_STYLE)).mean()
    return torch.maximum(forward, distances[in_face].amin(0).mean()) if in_face.any() else forward
