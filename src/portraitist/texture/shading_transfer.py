"""Shading transfer: the light painted into the artwork's face, brought to the same places of the head.

Recoloring gives a face as much light and shade as the artwork has, but puts the shade where the photo has some: eye
sockets get black where the artwork has one side of the face in the dark.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.rendering.uv_layout import find_nearest_inside
from portraitist.segmentation.parts import BROWS, EYELIDS, FACE_REGIONS, LIPS, NOSE, SKIN, is_one_of, select_faces
from portraitist.segmentation.texels import mark_face_texels
from portraitist.texture.exemplar import StyleSource
from portraitist.texture.label_colors import blur_mask
from portraitist.texture.views import Subject
from portraitist.types import Fragments, Image, Mesh

CELLS = 64  # along the layout; a face is some thirty wide
BLUR_CELLS = 3.0  # standard deviation
FAR_BLUR_CELLS = 4.0  # the same beyond what an artwork shows
MEASURED = (SKIN, NOSE, EYELIDS)  # labels whose colors tell the light
LIT = (SKIN, NOSE, EYELIDS, LIPS, BROWS)  # labels that the light falls on
LEAST_COVERAGE = 0.2  # of a cell by skin, to be compared
FEWEST_CELLS = 50  # that artwork and head share
EDGE_CELLS = 5  # width of the window that known cells have to fill
SOFT_BORDER = 48  # of the texture's side: width over which the light fades


def unwrap_shading(art: Image, labels: Int[Tensor, "h w"], mesh: Mesh, seen: Fragments) -> Float[Tensor, "4 g g"]:
    """Mean colors of the artwork's skin in a coarse canonical texture, and 1 where it shows any.

    ``labels``: part of each pixel. ``mesh``, ``seen``: the head fitted to the artwork, rasterized in its camera.
    """
    shown = is_one_of(labels, MEASURED) & seen.show(select_faces(mesh, FACE_REGIONS))
    columns, rows = (seen.uv[shown] * CELLS).long().clamp(0, CELLS - 1).unbind(1)
    pixels = torch.cat([art[:, shown], torch.ones_like(art[:1, shown])])
    sums = art.new_zeros(4, CELLS * CELLS).index_add(1, rows * CELLS + columns, pixels).view(4, CELLS, CELLS)
    return torch.cat([sums[:3] / sums[3:].clamp(min=1), sums[3:].clamp(max=1)])


def transfer_shading(texture: Image, subject: Subject, sources: Sequence[StyleSource]) -> Image:
    """``texture`` with broad light and shade where the artworks have them; beyond what an artwork shows, as on the
    nearest places that it does. Artworks without light, or with hardly any face, leave it as it is."""
    size = texture.shape[-1]
    measured = (subject.labels.is_one_of(MEASURED) & mark_face_texels(subject.mesh, size))[None].to(texture)
    coverage = F.adaptive_avg_pool2d(measured, CELLS)
    own = F.adaptive_avg_pool2d(texture * measured, CELLS) / coverage.clamp(min=1e-3)
    change = torch.zeros_like(own)
    for source in sources:
        if source.shading is None:
            continue
        known = (source.shading[3] > 0) & (coverage[0] > LEAST_COVERAGE)
        if known.sum() >= FEWEST_CELLS:
            change += source.weight * _spread(source.shading[:3] - own, known)
    change = F.interpolate(change[None], (size, size), mode="bicubic", align_corners=False)[0]
    lit = blur_mask(subject.labels.is_one_of(LIT)[None].to(texture), SOFT_BORDER)
    return (texture + lit * change).clamp(0, 1)


def _spread(values: Float[Tensor, "c g g"], known: Bool[Tensor, "g g"]) -> Float[Tensor, "c g g"]:
    """Smooth field through the values of the ``known`` cells; the others take the mean of those nearest to them.

    Known cells along the edge do not count: where the fitted head reaches beyond the drawn one, they show the ground.
    """
    trusted = cv2.erode(to_numpy(known).astype(np.uint8), np.ones((EDGE_CELLS, EDGE_CELLS), np.uint8))
    unknown = trusted == 0 if trusted.any() else ~to_numpy(known)
    rows, columns = find_nearest_inside(~unknown)
    filled = to_numpy(values)[:, rows, columns]
    fields = [np.where(unknown, cv2.GaussianBlur(channel, (0, 0), FAR_BLUR_CELLS), channel) for channel in filled]
    return from_numpy(np.stack([cv2.GaussianBlur(field, (0, 0), BLUR_CELLS) for field in fields]), values)
