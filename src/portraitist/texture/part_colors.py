"""Colors of the whole texture, part by part: the start of the optimization, and what it may not leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.segmentation.parts import (
    BROWS,
    EYELIDS,
    EYES,
    HAIR,
    LABELS,
    LIPS,
    MOUTH,
    NOSE,
    SKIN,
    is_one_of,
)
from portraitist.texture.color_transfer import limit_hues, transfer_colors
from portraitist.texture.exemplar import StyleSource
from portraitist.texture.pyramid import build_pyramid, fold_pyramid
from portraitist.texture.views import mark_face
from portraitist.types import Image, Mesh

# The mouth goes with the skin: teeth are to be as bright against it as they were, though the artwork's mouth, which may
# show none, is dark.
_SKIN_PALETTE, _HAIR_PALETTE = (SKIN, NOSE, EYELIDS, MOUTH), (HAIR,)
_PALETTES = (_SKIN_PALETTE, (LIPS,), (BROWS,), (EYES,), _HAIR_PALETTE)
_COLOR_SAMPLES, _FEWEST_COLORS = 20_000, 30
_SOFT_BORDER, _SOFT_FACE = 64, 48  # of the texture's side: widths over which recoloring fades
_OUTSIDE_HUE = 0.2
TONE_SIDE = 32
"""The finest level of a texture's pyramid that holds light and shade."""
# Along the edge of the hair, so wide, hairs and skin mix in a texel; how far from skin's color to hair's it must be to
# hold any hair, and to hold nothing else; and how far apart the two must be to tell.
_MIXED_BORDER, _SOME_HAIR, _ALL_HAIR, _APART = 24, 0.25, 0.85, 0.2

_STRENGTH_OF = ("skin", "skin", "eyes", "lips", "brows", "eyes", "mouth", "hair")  # in the order of LABELS

_Shares = dict[tuple[int, ...], Float[Tensor, "1 h w"]]
Recoloring = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Colors [n, 3] to recolor, those of the same part of the head, those of the same part of the artwork."""


@dataclass(frozen=True)
class PartStrengths:
    """What ``TextureConfig.strength`` is multiplied by in each part of the head, 0..1. Ears and neck are skin."""

    skin: float = 1.0
    eyes: float = 1.0
    brows: float = 1.0
    lips: float = 1.0
    mouth: float = 1.0
    hair: float = 1.0


def match_colors(
    texture: Image,
    labels: Int[Tensor, "t t"],
    portrait: StyleSource,
    exemplars: Sequence[StyleSource],
    generator: torch.Generator,
) -> Image:
    """The texture recolored, part by part, as it takes to give each part the colors that it has in the artwork.

    ``labels``: part of every texel. ``portrait``: `take_portrait` of the texture. The inside of lips, the back of
    eyeballs, neck and ears are recolored, but do not count: an artwork does not show them.
    """
    return _recolor_parts(texture, labels, portrait, exemplars, transfer_colors, generator)


def take_tones(texture: Image, other: Image) -> Image:
    """The lines of one texture in the broad light and shade of another."""
    pairs = zip(build_pyramid(texture), build_pyramid(other), strict=True)
    return fold_pyramid([new if new.shape[-1] <= TONE_SIDE else old for old, new in pairs]).clamp(0, 1)


def keep_colors(
    exemplars: Sequence[StyleSource], portrait: StyleSource, generator: torch.Generator
) -> list[StyleSource]:
    """The exemplars in the colors of the sitter's portrait, part by part: their strokes without their palette."""
    recolored = []
    for exemplar in exemplars:
        image = _recolor_parts(exemplar.image, exemplar.labels, exemplar, [portrait], transfer_colors, generator)
        ground = image[:, exemplar.labels >= 0].mean(1)
        image = torch.where(exemplar.labels >= 0, image, ground[:, None, None])
        recolored.append(replace(exemplar, image=image, ground=ground, light=None))
    return recolored


def spread_strengths(labels: Int[Tensor, "t t"], strengths: PartStrengths) -> Float[Tensor, "t t"]:
    """The strength of each texel's part, with soft borders; 1 between the islands."""
    values = labels.new_tensor(
        [getattr(strengths, _STRENGTH_OF[part]) for part in range(len(LABELS))], dtype=torch.float
    )
    return blur_mask(torch.where(labels >= 0, values[labels.clamp(min=0)], 1.0)[None], _SOFT_BORDER)[0]


def calm_hues(
    mesh: Mesh,
    texture: Image,
    start: Image,
    labels: Int[Tensor, "t t"],
    exemplars: Sequence[StyleSource],
    generator: torch.Generator,
) -> Image:
    """Each part's hues brought back to those that it has in the artwork; outside the face, to those of ``start``.

    There, fewer views and no features hold the colors, and what the losses make up is motley: the strokes' light and
    dark are kept, but little of the change of hue.
    """
    share = blur_mask(mark_face(mesh, texture.shape[-1])[None].to(texture), _SOFT_FACE)
    change = texture - start
    luminance = change.mean(0, keepdim=True)
    calmed = luminance + _OUTSIDE_HUE * (change - luminance)
    texture = (start + torch.lerp(calmed, change, share)).clamp(0, 1)
    return _recolor_parts(
        texture, labels, None, exemplars, lambda given, _, target: limit_hues(given, target), generator
    )


def _recolor_parts(
    texture: Image,
    labels: Int[Tensor, "h w"],
    portrait: StyleSource | None,
    exemplars: Sequence[StyleSource],
    recolor: Recoloring,
    generator: torch.Generator,
) -> Image:
    """Every part recolored on its own, with soft borders; mean over the exemplars by their weights.

    ``portrait``: where a part's own colors are measured; None for a texture that has the artwork's colors already,
    in which they tell nothing about what is hair. A part that an artwork does not show is recolored as its skin is.
    """
    total, weights = torch.zeros_like(texture), torch.zeros_like(texture[:1])
    shares = _share_by_color(texture, labels, portrait) if portrait else _share_softly(texture, labels)
    measured, measured_labels = (portrait.image, portrait.labels) if portrait else (texture, labels)
    for members, share in shares.items():
        near = share[0] > 0
        given = texture[:, near].T
        recolored = torch.zeros_like(given)
        for exemplar in exemplars:
            ours, theirs = (is_one_of(x, members) for x in (measured_labels, exemplar.labels))
            if theirs.sum() < _FEWEST_COLORS:
                ours, theirs = (is_one_of(x, _SKIN_PALETTE) for x in (measured_labels, exemplar.labels))
            own = measured[:, ours] if ours.sum() >= _FEWEST_COLORS else texture[:, is_one_of(labels, members)]
            source, target = (
                colors[torch.randperm(len(colors), generator=generator)[:_COLOR_SAMPLES].to(colors.device)]
                for colors in (own.T, exemplar.image[:, theirs].T)
            )
            if members == _HAIR_PALETTE and portrait:  # the hair in a mixed texel is no lighter than elsewhere
                darkened = given * (source.mean(1).median() / given.mean(1, keepdim=True).clamp(min=1e-4)).clamp(max=1)
                given = torch.where((share[0, near] < 1)[:, None], darkened, given)
            recolored = recolored + exemplar.weight * recolor(given, source, target)
        total[:, near] += share[:, near] * recolored.T
        weights += share
    return torch.where(weights > 0, total / weights.clamp(min=1e-6), texture)


def _share_softly(texture: Image, labels: Int[Tensor, "h w"]) -> _Shares:
    """How much each palette has to say about each texel: soft borders."""
    owned = {members: is_one_of(labels, members) for members in _PALETTES}
    return {members: blur_mask(own[None].to(texture), _SOFT_BORDER) for members, own in owned.items() if own.any()}


def _share_by_color(texture: Image, labels: Int[Tensor, "h w"], portrait: StyleSource) -> _Shares:
    """`_share_softly`, but between hair and skin by what they look like."""
    shares = _share_softly(texture, labels)
    if not {_HAIR_PALETTE, _SKIN_PALETTE} <= shares.keys():
        return shares
    hair, skin = is_one_of(labels, _HAIR_PALETTE), is_one_of(labels, _SKIN_PALETTE)
    density = blur_mask(hair[None].to(texture), _MIXED_BORDER)[0]
    inner, seen = hair & (density > 0.99), is_one_of(portrait.labels, _SKIN_PALETTE)
    if min(inner.sum(), seen.sum()) < _FEWEST_COLORS:
        return shares
    mean_hair, mean_skin = texture[:, inner].mean(1)[:, None, None], portrait.image[:, seen].mean(1)[:, None, None]
    apart = mean_hair - mean_skin
    if apart.norm() < _APART:
        return shares
    hairiness = ((texture - mean_skin) * apart).sum(0, keepdim=True) / apart.square().sum()
    hairiness = ((hairiness - _SOME_HAIR) / (_ALL_HAIR - _SOME_HAIR)).clamp(0, 1)
    mixed = blur_mask(((density > 0.01) & (density < 0.99) & (hair | skin))[None].to(texture), _SOFT_BORDER)
    share = torch.lerp(shares[_HAIR_PALETTE], hairiness, mixed)
    shares[_SKIN_PALETTE] = (shares[_SKIN_PALETTE] + shares[_HAIR_PALETTE] - share).clamp(min=0)
    return shares | {_HAIR_PALETTE: share}


def blur_mask(mask: Float[Tensor, "1 h w"], parts: int) -> Float[Tensor, "1 h w"]:
    """Box mean over one of ``parts`` of the side."""
    width = mask.shape[-1] // parts | 1
    # Running sums: pooling would take a hundred times as long.
    blurred = cv2.blur(mask[0].float().cpu().numpy(), (width, width), borderType=cv2.BORDER_REFLECT)
    return torch.from_numpy(blurred)[None].to(mask)
