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
_REDUCTIONS = (1, 2, 4)  # of the picture: strokes from two pixels to a quarter of a face
_DIRECTIONS, _LEARNT_FROM, _MOST_PIXELS, _FEWEST_PIXELS = 48, 8192, 1024, 16
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
    chosen, others = _pick_pixels(pixels, sources, generator)
    if not chosen:
        return image.new_zeros(()), image.new_zeros(())
    ours = _respond(image, filters, axes, torch.cat(list(chosen.values())))
    with torch.no_grad():
        theirs = [
            _respond(source.image, filters, axes, torch.cat([ids[i] for ids in others.values()]))
            for i, source in enumerate(sources)
        ]
    apart, weights, starts = [], [], [0] * len(sources)
    for (part, own), mine in zip(chosen.items(), ours.split([len(ids) for ids in chosen.values()], 1), strict=True):
        wanted = []
        for i, ids in enumerate(others[part]):
            wanted.append(theirs[i][:, starts[i] : starts[i] + len(ids)])
            starts[i] += len(ids)
        apart.append((mine.sort(1).values - torch.cat(wanted, 1).sort(1).values).abs().mean(1))
        weights.append(len(own) ** 0.5)
    shares = image.new_tensor(weights) / sum(weights)
    total = (shares[:, None] * torch.stack(apart)).sum(0)
    return total[:3].mean(), total[3:].mean()


def _pick_pixels(
    pixels: list[Int[Tensor, "_k"]], sources: Sequence[PatchSource], generator: torch.Generator
) -> tuple[dict[int, Int[Tensor, "_n"]], dict[int, list[Int[Tensor, "_m"]]]]:
    """Random pixels of every part that both sides show: of the picture, and as many of the artworks by weight."""

    def draw(ids: Int[Tensor, "_k"], count: int) -> Int[Tensor, "_n"]:
        return ids[torch.randint(len(ids), (count,), generator=generator).to(ids.device)]

    chosen, others = {}, {}
    for part, own in enumerate(pixels):
        count = min(len(own), _MOST_PIXELS)
        weights = [s.weight if len(s.pixels[part]) >= _FEWEST_PIXELS else 0.0 for s in sources]
        if count < _FEWEST_PIXELS or not sum(weights):
            continue
        ends = [round(count * sum(weights[: i + 1]) / sum(weights)) for i in range(len(sources))]
        counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        chosen[part] = draw(own, count)
        others[part] = [
            draw(s.pixels[part], n) if n else s.pixels[part][:0] for s, n in zip(sources, counts, strict=True)
        ]
    return chosen, others


def _respond(
    image: Image, filters: Float[Tensor, "k 3 p p"], axes: Float[Tensor, "3 3"], ids: Int[Tensor, "n"]
) -> Float[Tensor, "_r n"]:
    """Of pixels in the flattened picture: colours along the axes, then filter responses in the picture and in its
    reductions, each to its share of the filters."""
    rows, columns = ids // image.shape[-1], ids % image.shape[-1]
    found = [axes @ image.flatten(1)[:, ids]]
    for own, reduction in zip(filters.chunk(len(_REDUCTIONS)), _REDUCTIONS, strict=True):
        reduced = F.avg_pool2d(image[None], reduction, ceil_mode=True) if reduction > 1 else image[None]
        response = F.conv2d(F.pad(reduced, [PATCH // 2] * 4, mode="replicate"), own)[0]
        found.append(response.flatten(1)[:, rows // reduction * response.shape[-1] + columns // reduction])
    return torch.cat(found)
