"""Color transfer label by label: the start of the optimization, and the colors that it may not leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.devices import from_numpy, random_order, to_numpy
from portraitist.rendering.shader_math import luminance
from portraitist.segmentation.parts import (
    BROWS,
    EYELIDS,
    EYES,
    HAIR,
    LIPS,
    MOUTH,
    NOSE,
    SKIN,
    is_one_of,
)
from portraitist.texture.color_transfer import limit_chroma, transfer_colors
from portraitist.texture.exemplar import StyleSource
from portraitist.texture.eye_white import measure_white, relight
from portraitist.texture.labels import STRENGTH_OF_LABEL, LabelStrengths
from portraitist.texture.pyramid import TONE_SIDE, build_pyramid, fold_pyramid
from portraitist.types import Image

SKIN_PALETTE = (SKIN, NOSE, EYELIDS)
HAIR_PALETTE = (HAIR,)
INSIDE_PALETTES = ((EYES,), (MOUTH,))  # are lit as the artwork's eyes are, see `eye_white`, in hues of its face
PALETTES = (SKIN_PALETTE, (LIPS,), (BROWS,), *INSIDE_PALETTES, HAIR_PALETTE)
FACE_LABELS = (SKIN, NOSE, EYELIDS, LIPS, EYES, MOUTH)
COLOR_SAMPLES = 20_000  # colors of a palette that are looked at
DARKEST = 0.03  # sRGB: below it, ratios are noise
LIGHTEST = 0.9  # quantile of brightness from which on the colors of a part are its white
FEWEST_COLORS = 30  # pixels of a palette, for it to be one of its own
SOFT_BORDER = 64  # of the texture's side: width over which recoloring fades

PaletteShares = dict[tuple[int, ...], Float[Tensor, "1 h w"]]
"""How much each palette has to say about each texel."""
Recoloring = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Colors [n, 3] to recolor, those of the same label on the head, those of the same label in the artwork."""


def match_colors(
    texture: Image,
    labels: Int[Tensor, "h w"],
    shares: PaletteShares,
    front: StyleSource,
    sources: Sequence[StyleSource],
    generator: torch.Generator,
) -> Image:
    """The texture recolored, label by label, as it takes to give each the colors that it has in the artwork.

    ``labels``: of every texel. ``shares``: `share_palettes` of the content. ``front``: `views.render_front_view` of the
    texture. The inside of lips, the back of eyeballs, neck and ears are recolored, but do not count: an artwork does
    not show them.
    """
    return _recolor_labels(texture, labels, shares, front, sources, transfer_colors, generator)


def match_tones(texture: Image, other: Image, coarser_than: int = TONE_SIDE + 1) -> Image:
    """The lines of one texture in the broad light and shade of another: all levels below a side of ``coarser_than``."""
    pairs = zip(build_pyramid(texture), build_pyramid(other), strict=True)
    return fold_pyramid([new if new.shape[-1] < coarser_than else old for old, new in pairs]).clamp(0, 1)


def preserve_colors(
    sources: Sequence[StyleSource], front: StyleSource, generator: torch.Generator
) -> list[StyleSource]:
    """The sources in the colors of the sitter's front view, label by label: their strokes without their palette."""
    recolored = []
    for art in sources:
        shares = share_palettes(art.image, art.labels)
        image = _recolor_labels(art.image, art.labels, shares, art, [front], transfer_colors, generator)
        background = image[:, art.labels >= 0].mean(1)
        image = torch.where(art.labels >= 0, image, background[:, None, None])
        recolored.append(replace(art, image=image, background=background, shading=None))
    return recolored


def spread_strengths(labels: Int[Tensor, "h w"], strengths: LabelStrengths) -> Float[Tensor, "h w"]:
    """The strength of the label of each texel, or pixel, with soft borders; 1 where there is none."""
    values = labels.new_tensor([getattr(strengths, name) for name in STRENGTH_OF_LABEL], dtype=torch.float)
    return blur_mask(torch.where(labels >= 0, values[labels.clamp(min=0)], 1.0)[None], SOFT_BORDER)[0]


def limit_label_chroma(
    texture: Image,
    labels: Int[Tensor, "h w"],
    sources: Sequence[StyleSource],
    generator: torch.Generator,
    shares: PaletteShares | None = None,
) -> Image:
    """Each label's hues brought back to those that it has in the artwork. ``shares``: of palettes other than a
    head's."""
    shares = share_palettes(texture, labels) if shares is None else shares
    return _recolor_labels(
        texture, labels, shares, None, sources, lambda given, _, target: limit_chroma(given, target), generator
    )


def _recolor_labels(
    texture: Image,
    labels: Int[Tensor, "h w"],
    shares: PaletteShares,
    front: StyleSource | None,
    sources: Sequence[StyleSource],
    recolor: Recoloring,
    generator: torch.Generator,
) -> Image:
    """Every palette recolored on its own, with soft borders; mean over the sources by their weights.

    ``front``: where a palette's own colors are measured; without it, in the texture itself. A palette that an artwork
    does not show is recolored as its skin is.
    """
    total, weights = torch.zeros_like(texture), torch.zeros_like(texture[:1])
    measured, measured_labels = (front.image, front.labels) if front else (texture, labels)
    for members, share in shares.items():
        near = share[0] > 0
        given = texture[:, near].T
        recolored = torch.zeros_like(given)
        for art in sources:
            if members in INSIDE_PALETTES:
                own = texture[:, is_one_of(labels, members)].T
                recolored = recolored + art.weight * _recolor_inside(given, own, front, art, generator)
                continue
            ours, theirs = (is_one_of(x, members) for x in (measured_labels, art.labels))
            if theirs.sum() < FEWEST_COLORS:
                ours, theirs = (is_one_of(x, SKIN_PALETTE) for x in (measured_labels, art.labels))
                if members == HAIR_PALETTE:  # dark hair is no skin in the dark
                    change = _compare_means(art.image[:, theirs], measured[:, ours]) if front else 1.0
                    recolored = recolored + art.weight * (given * change).clamp(0, 1)
                    continue
            own = measured[:, ours] if ours.sum() >= FEWEST_COLORS else texture[:, is_one_of(labels, members)]
            source, target = (
                colors[random_order(len(colors), generator, colors.device)[:COLOR_SAMPLES]]
                for colors in (own.T, art.image[:, theirs].T)
            )
            recolored = recolored + art.weight * recolor(given, source, target)
        total[:, near] += share[:, near] * recolored.T
        weights += share
    return torch.where(weights > 0, total / weights.clamp(min=1e-6), texture)


def _recolor_inside(
    colors: Float[Tensor, "n 3"],
    own: Float[Tensor, "m 3"],
    front: StyleSource | None,
    art: StyleSource,
    generator: torch.Generator,
) -> Float[Tensor, "n 3"]:
    """Colors of eyes or mouth in the light that the artwork's eyes are in (as they are, without ``front``), and no
    more colored than its face. ``own``: those of the part alone."""
    if front is not None:
        white, target = (measure_white(source.image, source.labels) for source in (front, art))
        # Teeth may be in a brighter light than the whites of eyes that are in the shade of their brows.
        gray = luminance(to_numpy(own))
        lightest = own[from_numpy(np.flatnonzero(gray >= np.quantile(gray, LIGHTEST)), art.labels)].mean(0)
        white = torch.maximum(white, lightest)
        colors = relight(colors, white, target)
    target = art.image[:, is_one_of(art.labels, FACE_LABELS)].T
    return limit_chroma(colors, target[random_order(len(target), generator, target.device)[:COLOR_SAMPLES]])


def _compare_means(colors: Float[Tensor, "3 _n"], others: Float[Tensor, "3 _m"]) -> Float[Tensor, "3"] | float:
    """Ratio of their means, channel by channel; 1 where either is empty."""
    if not (colors.shape[1] and others.shape[1]):
        return 1.0
    return colors.mean(1) / others.mean(1).clamp(min=DARKEST)


def share_palettes(texture: Image, labels: Int[Tensor, "h w"]) -> PaletteShares:
    """Whose each texel is, with soft borders."""
    owned = {members: is_one_of(labels, members) for members in PALETTES}
    return {members: blur_mask(own[None].to(texture), SOFT_BORDER) for members, own in owned.items() if own.any()}


def blur_mask(mask: Float[Tensor, "1 h w"], border: int) -> Float[Tensor, "1 h w"]:
    """Box mean over the side divided by ``border``."""
    width = mask.shape[-1] // border | 1
    # Running sums: pooling would take a hundred times as long.
    blurred = cv2.blur(to_numpy(mask[0], np.float32), (width, width), borderType=cv2.BORDER_REFLECT)
    return from_numpy(blurred[None], mask)
