"""Labels of an artwork's pixels: the part of the face that each shows."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import InputError
from portraitist.segmentation.parts import (
    BROWS,
    EYELIDS,
    EYES,
    HAIR,
    LIPS,
    MOUTH,
    NOSE,
    SKIN,
    UNLABELED,
    label_faces,
)
from portraitist.segmentation.picture import PART_NAMES, PictureParts
from portraitist.types import Fragments, Mesh

# Outlines among the 68 points.
_EYES = (range(36, 42), range(42, 48))
_BROWS = (range(17, 22), range(22, 27))
_OUTER_LIPS = range(48, 60)
_INNER_LIPS = range(60, 68)
_OPEN_MOUTH = 0.25  # share of an open mouth in all of lips and mouth; less is a dark line between lips
_BROW_WIDTH = 0.09  # outer eye distances; the points of a brow run along its middle
_LID_WIDTH = 0.07  # outer eye distances: skin around an eye that counts as its lids


def label_artwork(
    parts: PictureParts, mesh: Mesh, seen: Fragments, points_px: Float[Tensor, "68 2"]
) -> Int[Tensor, "h w"]:
    """Part of every pixel of an artwork, `UNLABELED` where it shows neither face nor hair.

    ``parts``: tell hair and skin from all else. ``mesh``, ``seen``: the head fitted to the artwork, rasterized in its
    camera; of all bare skin only what it covers is the head's, and it tells where the nose is. ``points_px``: the
    artwork's own landmarks; they tell the features, since a drawn mouth need not lie where the fitted one does.
    """
    shown = np.array(PART_NAMES)[to_numpy(parts.labels())]
    of_mesh = to_numpy(torch.where(seen.mask, label_faces(mesh)[seen.face_ids.clamp(min=0)], UNLABELED))
    bare = np.isin(shown, ("skin", "beard"))
    labels = np.where(bare & (of_mesh >= 0), np.where(of_mesh == NOSE, NOSE, SKIN), UNLABELED)
    points = to_numpy(points_px)
    unit = float(np.linalg.norm(points[36] - points[45]))
    labels = np.where(bare, _draw_features(labels, points, unit), labels)
    return from_numpy(np.where(shown == "hair", HAIR, labels), mesh.regions)


def apply_style_mask(labels: Int[Tensor, "h w"], mask: Float[Tensor, "m n"]) -> Int[Tensor, "h w"]:
    """``labels`` with the user's word on where style comes from: nowhere where ``mask`` is below one half, and as skin
    is painted where it is above and no part was found. Raises InputError for a mask of another size, or all black."""
    if mask.shape != labels.shape:
        got, needed = (f"{size[1]} x {size[0]}" for size in (mask.shape, labels.shape))
        raise InputError(f"The style mask is {got} pixels, the artwork {needed}: paint it over the artwork itself.")
    inside = mask >= 0.5
    if not inside.any():
        raise InputError("The style mask is black all over: paint white where the style is to be taken from.")
    return torch.where(inside, torch.where(labels >= 0, labels, SKIN), UNLABELED)


def _draw_features(labels: np.ndarray, points: np.ndarray, unit: float) -> np.ndarray:
    """The features' outlines filled, wherever the artwork has them."""
    canvas = np.ascontiguousarray(labels, np.int32)
    for ids in _EYES:
        outline = _to_pixels(points[list(ids)])
        cv2.polylines(canvas, [outline], True, EYELIDS, max(round(2 * _LID_WIDTH * unit), 1))
        cv2.fillPoly(canvas, [outline], EYES)
    for ids in _BROWS:
        cv2.polylines(canvas, [_to_pixels(points[list(ids)])], False, BROWS, max(round(_BROW_WIDTH * unit), 1))
    cv2.fillPoly(canvas, [_to_pixels(points[list(_OUTER_LIPS)])], LIPS)
    inner = points[list(_INNER_LIPS)]
    lips = canvas == LIPS
    cv2.fillPoly(canvas, [_to_pixels(inner)], MOUTH)
    if (canvas == MOUTH).sum() < _OPEN_MOUTH * lips.sum():
        canvas[lips] = LIPS
    return canvas.astype(np.int64)


def _to_pixels(points: np.ndarray) -> np.ndarray:
    return np.round(points - 0.5).astype(np.int32)
