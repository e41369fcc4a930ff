"""The light painted into the artwork's face, carried to the same places of the head.

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
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from portraitist.rendering.rasterizer import rasterize
from portraitist.segmentation.parts import BROWS, EYELIDS, FACE_REGIONS, LIPS, NOSE, SKIN, is_one_of, select_faces
from portraitist.texture.exemplar import StyleSource
from portraitist.texture.part_colors import blur_mask
from portraitist.texture.views import Subject, mark_face
from portraitist.types import Camera, Image, Mesh

_SIDE = 64  # cells along the layout; a face is some thirty wide
_BLUR, _FAR_BLUR = 3.0, 4.0  # cells; beyond what an artwork shows
_MEASURED, _LIT = (SKIN, NOSE, EYELIDS), (SKIN, NOSE, EYELIDS, LIPS, BROWS)
_COVERED, _FEWEST_CELLS, _EDGE = 0.2, 50, 5
_SOFT_BORDER = 48


def read_light(art: Image, labels: Int[Tensor, "h w"], mesh: Mesh, camera: Camera) -> Float[Tensor, "4 g g"]:
    """Mean colors of the artwork's skin in a coarse canonical texture, and 1 where it shows any.

    ``labels``: part of each pixel. ``mesh``, ``camera``: the head fitted to the artwork.
    """
    seen = rasterize(mesh, camera)
    shown = is_one_of(labels, _MEASURED) & seen.mask & select_faces(mesh, FACE_REGIONS)[seen.face_ids.clamp(min=0)]
    columns, rows = (seen.uv[shown] * _SIDE).long().clamp(0, _SIDE - 1).unbind(1)
    pixels = torch.cat([art[:, shown], torch.ones_like(art[:1, shown])])
    sums = art.new_zeros(4, _SIDE * _SIDE).index_add(1, rows * _SIDE + columns, pixels).view(4, _SIDE, _SIDE)
    return torch.cat([sums[:3] / sums[3:].clamp(min=1), sums[3:].clamp(max=1)])


def carry_light(texture: Image, subject: Subject, exemplars: Sequence[StyleSource]) -> Image:
    """``texture`` with broad light and shade where the artworks have them; beyond what an artwork shows, as on the
    nearest places that it does. Artworks without light, or with hardly any face, leave it as it is."""
    size = texture.shape[-1]
    measured = (is_one_of(subject.labels, _MEASURED) & mark_face(subject.mesh, size))[None].to(texture)
    coverage = F.adaptive_avg_pool2d(measured, _SIDE)
    own = F.adaptive_avg_pool2d(texture * measured, _SIDE) / coverage.clamp(min=1e-3)
    change = torch.zeros_like(own)
    for exemplar in exemplars:
        if exemplar.light is None:
            continue
        known = (exemplar.light[3] > 0) & (coverage[0] > _COVERED)
        if known.sum() >= _FEWEST_CELLS:
            change += exemplar.weight * _spread(exemplar.light[:3] - own, known)
    change = F.interpolate(change[None], (size, size), mode="bicubic", align_corners=False)[0]
    lit = blur_mask(is_one_of(subject.labels, _LIT)[None].to(texture), _SOFT_BORDER)
    return (texture + lit * change).clamp(0, 1)


def _spread(values: Float[Tensor, "c g g"], known: Bool[Tensor, "g g"]) -> Float[Tensor, "c g g"]:
    """Smooth field through the values of the ``known`` cells; the others take the mean of those nearest to them.

    Known cells along the edge do not count: where the fitted head reaches beyond the drawn one, they show the ground.
    """
    trusted = cv2.erode(known.cpu().numpy().astype(np.uint8), np.ones((_EDGE, _EDGE), np.uint8))
    unknown = trusted == 0 if trusted.any() else ~known.cpu().numpy()
    rows, columns = np.asarray(distance_transform_edt(unknown, return_distances=False, return_indices=True))
    filled = values.cpu().numpy()[:, rows, columns]
    fields = [np.where(unknown, cv2.GaussianBlur(channel, (0, 0), _FAR_BLUR), channel) for channel in filled]
    return torch.from_numpy(np.stack([cv2.GaussianBlur(field, (0, 0), _BLUR) for field in fields])).to(values)
