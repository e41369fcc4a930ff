"""Matching the artwork's small patches themselves, without a network: colours, strokes and grain, part by part.

Hypercolumns say what kind of thing is where, and leave a faint dot pattern; the distribution of patches says what paint
looks like close up. Sliced Wasserstein distance of patches, after Elnekave and Weiss, "Generating natural images with
direct patch distribution matching" (ECCV 2022), here within each part of the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.types import Image

PATCH = 7
_SPACINGS = (1, 2, 4)  # of a patch's pixels: strokes from two pixels to a quarter of a face
_DIRECTIONS, _LEARNT_FROM, _MOST_PIXELS, _FEWEST_PIXELS = 24, 8192, 2048, 16
_FLATTENING = 0.25  # exponent on the spreads of the patches' axes: 0 leaves them as they are, 0.5 evens them out
_FLOOR = 1e-4
_FILTER_SCALE = 1 / 68  # makes strokes weigh about as much as colours


@dataclass(frozen=True)
class PatchSource:
    """An artwork at the size of the views. ``pixels``: of each part, in the flattened picture. ``shaping``: turns white
    noise into filters that respond to fine and coarse strokes alike. ``weight``: share in a mix of artworks."""

    image: Image
    pixels: list[Int[Tensor, "_k"]]
    shaping: Float[Tensor, "d d"]
    weight: float


def make_patch_source(
    image: Image, pixels: list[Int[Tensor, "_k"]], weight: float, generator: torch.Generator
) -> PatchSource:
    """Find the principal axes of the artwork's patches, each divided by a root of its spread."""
    columns = F.unfold(F.pad(image[None], [PATCH // 2] * 4, mode="replicate"), PATCH)[0]
    inside = torch.cat(pixels)
    chosen = inside[torch.randperm(len(inside), generator=generator)[:_LEARNT_FROM].to(inside.device)]
    patches = columns[:, chosen].T
    patches = patches - patches.view(len(patches), 3, -1).mean(2).repeat_interleave(PATCH * PATCH, 1)
    sizes, axes = torch.linalg.eigh(patches.T @ patches / len(patches))
    return PatchSource(image, pixels, axes * (sizes.clamp(min=0) + _FLOOR).pow(-_FLATTENING), weight)


def patch_distances(
    image: Image, pixels: list[Int[Tensor, "_k"]], sources: Sequence[PatchSource], generator: torch.Generator
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Sliced Wasserstein distances of colours and of patches between the parts of ``image`` (``pixels``: of each part)
    and the same parts of the artworks; mean over the parts, large ones counting more, those missing left out."""
    noise = torch.randn(len(sources[0].shaping), _DIRECTIONS, generator=generator).to(image)
    filters = _FILTER_SCALE * (sources[0].shaping @ noise).T.view(_DIRECTIONS, 3, PATCH, PATCH)
    filters = filters - filters.mean((2, 3), keepdim=True)
    axes = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q.to(image)
    ours = _respond(image, filters, axes)
    with torch.no_grad():
        theirs = [_respond(source.image, filters, axes) for source in sources]
    totals, weight = [image.new_zeros(()), image.new_zeros(())], 0.0
    for part, own in enumerate(pixels):
        count = min(len(own), _MOST_PIXELS)
        others = _pick_others(part, count, sources, generator)
        if count < _FEWEST_PIXELS or others is None:
            continue
        picked = own[torch.randint(len(own), (count,), generator=generator).to(own.device)]
        for kind in range(2):
            wanted = torch.cat([theirs[i][kind][:, ids] for i, ids in others], 1).sort(1).values
            apart = (ours[kind][:, picked].sort(1).values - wanted).abs().mean()
            totals[kind] = totals[kind] + count**0.5 * apart
        weight += count**0.5
    return totals[0] / max(weight, 1.0), totals[1] / max(weight, 1.0)


def _pick_others(
    part: int, count: int, sources: Sequence[PatchSource], generator: torch.Generator
) -> list[tuple[int, Int[Tensor, "_k"]]] | None:
    """``count`` random pixels of a part, out of the artworks that show it, by their weights."""
    showing = [(i, s.pixels[part], s.weight) for i, s in enumerate(sources) if len(s.pixels[part]) >= _FEWEST_PIXELS]
    total = sum(weight for _, _, weight in showing)
    picked, left = [], count
    for place, (i, ids, weight) in enumerate(showing):
        share = left if place == len(showing) - 1 else min(round(count * weight / total), left)
        picked.append((i, ids[torch.randint(len(ids), (share,), generator=generator).to(ids.device)]))
        left -= share
    return picked or None


def _respond(
    image: Image, filters: Float[Tensor, "k 3 p p"], axes: Float[Tensor, "3 3"]
) -> tuple[Float[Tensor, "3 hw"], Float[Tensor, "k hw"]]:
    """Colours along random axes, and filter responses, of every pixel."""
    responses = []
    for filters_, spacing in zip(filters.chunk(len(_SPACINGS)), _SPACINGS, strict=True):
        blurred = image[None]
        if spacing > 1:
            blurred = F.avg_pool2d(blurred, spacing + 1, stride=1, padding=spacing // 2, count_include_pad=False)
        padded = F.pad(blurred, [spacing * (PATCH // 2)] * 4, mode="replicate")
        responses.append(F.conv2d(padded, filters_, dilation=spacing)[0].flatten(1))
    return axes @ image.flatten(1), torch.cat(responses)
