"""The region of a picture in which style is measured: the inside of the 68 landmarks, every face at the same size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.spatial import ConvexHull
from torch import Tensor

FACE_HEIGHT_PX = 256
"""Every face is brought to this height, hairline to chin, before anything is measured."""
_HULL_HEIGHT_PX = round(0.7 * FACE_HEIGHT_PX)  # the 68 points reach from brows to chin, about 0.7 of that height
_MARGIN_PX = 48
_EROSION_PX = 4


@dataclass(frozen=True)
class FaceCrop:
    """One face at the common size.

    ``image``: float ``[3, h, w]``, sRGB 0..1; outside the face it repeats the nearest face pixel, so that neither
    ground nor hair, nor an edge that a mask would make, gets into the descriptors. ``inside``: bool ``[h, w]``, the
    face.
    """

    image: Tensor
    inside: Tensor


def crop_face(image: Tensor, points: Tensor) -> FaceCrop:
    """Cut the hull of the 68 ``points`` ``[68, 2]`` (x, y) px out of an sRGB image ``[3, h, w]``.

    The hull goes from the brows to the chin: a forehead would be hair in one picture and skin in the other.
    """
    factor = _HULL_HEIGHT_PX / (points[:, 1].amax() - points[:, 1].amin()).item()
    corner = (points.amin(0) - _MARGIN_PX / factor).floor()
    far_corner = (points.amax(0) + _MARGIN_PX / factor).ceil()
    window = _cut_window(image, corner.long().tolist(), far_corner.long().tolist())
    height, width = (round(side * factor) for side in window.shape[1:])
    resized = F.interpolate(window[None], (height, width), mode="bicubic", antialias=True)[0].clamp(0, 1)
    hull = _fill_hull(((points - corner) * factor).double().numpy(), (height, width))
    inside = binary_erosion(hull, iterations=_EROSION_PX)  # resampling has mixed the outermost pixels with the ground
    rows, columns = distance_transform_edt(~inside, return_distances=False, return_indices=True)
    filled = resized[:, torch.from_numpy(rows).long(), torch.from_numpy(columns).long()]
    return FaceCrop(filled, torch.from_numpy(inside))


def _cut_window(image: Tensor, corner: list[int], far_corner: list[int]) -> Tensor:
    """Pixels from ``corner`` to ``far_corner`` (x, y); beyond the picture its border repeats."""
    height, width = image.shape[1:]
    columns = torch.arange(corner[0], far_corner[0]).clamp(0, width - 1)
    rows = torch.arange(corner[1], far_corner[1]).clamp(0, height - 1)
    return image[:, rows][:, :, columns]


def _fill_hull(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bool ``[h, w]``: pixels whose center lies in the convex hull of ``points`` ``[k, 2]`` (x, y)."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    inside = np.ones(size, dtype=bool)
    for a, b, c in ConvexHull(points).equations:
        inside &= a * x + b * y + c <= 0
    return inside
