"""Matching the artwork's small patches themselves, without a network: colors, strokes and grain, label by label.

Hypercolumns say what kind of thing is where, and leave a faint dot pattern; the distribution of patches says what paint
looks like close up. Sliced Wasserstein distance of patches, after Elnekave and Weiss, "Generating natural images with
direct patch distribution matching" (ECCV 2022), here within each label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.devices import CPU, from_numpy, move, random_integers, random_normal, random_order, to_numpy
from portraitist.rendering.uv_layout import find_nearest_inside
from portraitist.segmentation.parts import UNLABELED
from portraitist.types import Image

PATCH = 7
_REDUCTIONS = (1, 2, 4)  # of the picture: strokes from two pixels to a quarter of a face
_DIRECTIONS = 48  # random filters per step
_WHITENED_FROM = 8192  # patches whose principal axes are found
_MOST_PIXELS = 1024  # compared per label and step
_FEWEST_PIXELS = 16  # of a label, to be compared at all
_WHITENING = 0.25  # exponent on the variances of the patches' axes: 0 leaves them as they are, 0.5 whitens fully
_FLOOR = 1e-4  # of those variances, squared sRGB
_FILTER_SCALE = 1 / 68  # makes strokes weigh about as much as colors


@dataclass(frozen=True)
class PatchPlaces:
    """Where patches are taken in a picture. ``labels``: of each pixel, `UNLABELED` where none are. ``pixels``: of each
    label, in the flattened picture. ``nearest``: index of the object's pixel nearest to each."""

    labels: Int[Tensor, "h w"]
    pixels: list[Int[Tensor, "_k"]]
    nearest: Int[Tensor, "_n"]

    @classmethod
    def make(
        cls, labels: Int[Tensor, "h w"], label_count: int, shown: Bool[Tensor, "h w"] | None = None
    ) -> PatchPlaces:
        """``shown``: the pixels of the object, when some of them have no label; else those with one."""
        inside = to_numpy((labels != UNLABELED) if shown is None else shown)
        rows, columns = find_nearest_inside(inside)
        nearest = from_numpy(rows * labels.shape[1] + columns, labels).flatten()
        flat = labels.flatten()
        return cls(labels, [torch.nonzero(flat == label)[:, 0] for label in range(label_count)], nearest)

    def extend(self, image: Image) -> Image:
        """The picture with every pixel beside the object as the nearest of it, so that its outline is no stroke."""
        return _pick(image, self.nearest).view_as(image)


@dataclass(frozen=True)
class PatchSource:
    """An artwork at the size of the views, extended beyond the object. ``whitening``: turns white noise into filters
    that respond to fine and coarse strokes alike. ``weight``: share in a mix of artworks."""

    image: Image
    pixels: list[Int[Tensor, "_k"]]
    whitening: Float[Tensor, "d d"]
    weight: float


def make_patch_source(image: Image, places: PatchPlaces, weight: float, generator: torch.Generator) -> PatchSource:
    """Find the principal axes of the artwork's patches, each divided by a root of its spread."""
    image, inside = places.extend(image), torch.cat(places.pixels)
    chosen = inside[random_order(len(inside), generator, inside.device)[:_WHITENED_FROM]]
    patches = _cut_patches(image, *_find_rows_and_columns(image, chosen))
    patches = patches - patches.view(len(patches), 3, -1).mean(2).repeat_interleave(PATCH * PATCH, 1)
    sizes, axes = torch.linalg.eigh(patches.T @ patches / len(patches))
    return PatchSource(image, places.pixels, axes * (sizes.clamp(min=0) + _FLOOR).pow(-_WHITENING), weight)


def sliced_wasserstein_distances(
    image: Image, places: PatchPlaces, sources: Sequence[PatchSource], generator: torch.Generator
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Sliced Wasserstein distances of colors and of patches between the labels of ``image`` and the same labels of the
    artworks; mean over the labels, large ones counting more. Labels missing on either side are left out, and are not
    changed by what lies next to them."""
    noise = random_normal([len(sources[0].whitening), _DIRECTIONS], generator, image.device)
    filters = (_FILTER_SCALE * (sources[0].whitening @ noise).T).view(_DIRECTIONS, 3, PATCH * PATCH)
    filters = (filters - filters.mean(2, keepdim=True)).flatten(1)
    axes = move(torch.linalg.qr(random_normal([3, 3], generator, CPU)).Q, image.device)
    chosen, others = _pick_pixels(places.pixels, sources, generator)
    if not chosen:
        return image.new_zeros(()), image.new_zeros(())
    compared = torch.isin(places.labels, places.labels.new_tensor(list(chosen)))
    image = places.extend(torch.where(compared, image, image.detach()))
    ours = _respond(image, filters, axes, torch.cat(list(chosen.values())))
    with torch.no_grad():
        theirs = [
            _respond(source.image, filters, axes, torch.cat([ids[i] for ids in others.values()]))
            for i, source in enumerate(sources)
        ]
    apart, weights, starts = [], [], [0] * len(sources)
    for (label, own), mine in zip(chosen.items(), ours.split([len(ids) for ids in chosen.values()], 1), strict=True):
        wanted = []
        for i, ids in enumerate(others[label]):
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
    """Random pixels of every label that both sides show: of the picture, and as many of the artworks by weight."""

    def draw(ids: Int[Tensor, "_k"], count: int) -> Int[Tensor, "_n"]:
        return ids[random_integers(len(ids), count, generator, ids.device)]

    chosen, others = {}, {}
    for label, own in enumerate(pixels):
        count = min(len(own), _MOST_PIXELS)
        weights = [s.weight if len(s.pixels[label]) >= _FEWEST_PIXELS else 0.0 for s in sources]
        if count < _FEWEST_PIXELS or not sum(weights):
            continue
        ends = [round(count * sum(weights[: i + 1]) / sum(weights)) for i in range(len(sources))]
        counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        chosen[label] = draw(own, count)
        others[label] = [
            draw(s.pixels[label], n) if n else s.pixels[label][:0] for s, n in zip(sources, counts, strict=True)
        ]
    return chosen, others


def _respond(
    image: Image, filters: Float[Tensor, "k d"], axes: Float[Tensor, "3 3"], ids: Int[Tensor, "n"]
) -> Float[Tensor, "_r n"]:
    """Of pixels in the flattened picture: colors along the axes, then filter responses in the picture and in its
    reductions, each to its share of the filters."""
    found = [axes @ _pick(image, ids)]
    rows, columns = _find_rows_and_columns(image, ids)
    for own, reduction in zip(filters.chunk(len(_REDUCTIONS)), _REDUCTIONS, strict=True):
        reduced = F.avg_pool2d(image[None], reduction, ceil_mode=True)[0] if reduction > 1 else image
        found.append(own @ _cut_patches(reduced, rows // reduction, columns // reduction).T)
    return torch.cat(found)


def _find_rows_and_columns(image: Image, ids: Int[Tensor, "n"]) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    return ids // image.shape[-1], ids % image.shape[-1]


def _cut_patches(image: Image, rows: Int[Tensor, "n"], columns: Int[Tensor, "n"]) -> Float[Tensor, "n _d"]:
    """Patches about the pixels, channel by channel; beyond the picture its border repeats."""
    height, width = image.shape[1:]
    offsets = torch.arange(PATCH, device=rows.device) - PATCH // 2
    down, across = (rows[:, None] + offsets).clamp(0, height - 1), (columns[:, None] + offsets).clamp(0, width - 1)
    ids = (down[:, :, None] * width + across[:, None, :]).flatten(1)
    return _pick(image, ids.flatten()).view(3, *ids.shape).permute(1, 0, 2).flatten(1)


def _pick(image: Image, ids: Int[Tensor, "n"]) -> Float[Tensor, "3 n"]:
    """Colors of pixels. Gathered, not indexed: gradients of an index add up in any order on several threads."""
    return image.flatten(1).gather(1, ids.expand(3, -1))
