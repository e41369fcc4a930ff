"""Labels of an artwork's pixels: the part of the face that each shows."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import InputError
from portraitist.segmentation.appearance import (
    MIN_PIXELS,
    PIXEL_WINDOW,
    classify_hair,
    connected_to,
    mahalanobis_distance,
    measure_appearance,
)
from portraitist.segmentation.parts import (
    BROWS,
    EYELIDS,
    EYES,
    FEATURES,
    HAIR,
    LIPS,
    MOUTH,
    NOSE,
    SKIN,
    UNLABELED,
    label_faces,
)
from portraitist.segmentation.person import fill_face_core, holds_face
from portraitist.types import REGIONS, Fragments, Image, Mesh

_FACE_IDS = [i for i, name in enumerate(REGIONS) if name not in ("ears", "scalp", "neck")]
# Outlines among the 68 points.
_EYES = (range(36, 42), range(42, 48))
_BROWS = (range(17, 22), range(22, 27))
_OUTER_LIPS = range(48, 60)
_INNER_LIPS = range(60, 68)
_OPEN_MOUTH = 0.25  # share of an open mouth in all of lips and mouth; less is a dark line between lips
_BROW_WIDTH = 0.09  # outer eye distances; the points of a brow run along its middle
_LID_WIDTH = 0.07  # outer eye distances: skin around an eye that counts as its lids
_EDGE_WIDTH = 0.05  # outer eye distances, left out along the edge of face and hair: fitted heads overlap what is behind
_LITTLE_HAIR = 0.1  # squared outer eye distances of hair on the fitted scalp; less is learnt from the head's upper rim
_RIM_WIDTH = 0.25  # outer eye distances
_STRANGE = 12.0  # squared Mahalanobis distance: an appearance further from a kind is not of it
_LOWEST_HAIR = 0.35  # height in the face, see _find_heights
_LIGHT_LIPS = 8.0  # by how much lighter than skin, in L of Lab, lips cannot be


def label_artwork(
    art: Image,
    mesh: Mesh,
    seen: Fragments,
    points_px: Float[Tensor, "68 2"],
    person: Float[Tensor, "h w"] | None = None,
) -> Int[Tensor, "h w"]:
    """Part of every pixel of an artwork, `UNLABELED` where it shows neither face nor hair.

    ``mesh``, ``seen``: the head fitted to the artwork, rasterized in its camera; it tells face from hair and ground.
    ``points_px``: the artwork's own landmarks; they tell the features, since a drawn mouth need not lie where the
    fitted one does. ``art`` itself tells how much of the face's outer parts is covered by hair. ``person``: how likely
    each pixel shows the person; it tells hair from ground, where the fitted skull is not as high as the drawn one, and
    finds the hair that stands out from it. It is not believed when it misses the face: segmenters know photos.
    """
    ids = seen.face_ids.clamp(min=0)
    labels = to_numpy(torch.where(seen.mask, label_faces(mesh)[ids], UNLABELED))
    face = to_numpy(seen.mask) & np.isin(to_numpy(mesh.regions[ids]), _FACE_IDS)
    points = to_numpy(points_px)
    unit = float(np.linalg.norm(points[36] - points[45]))
    core = fill_face_core(points_px, labels.shape)
    inside = to_numpy(person) > 0.5 if person is not None and holds_face(person, points_px) else None
    kept = _erode(face, _EDGE_WIDTH * unit) | _erode(labels == HAIR, _EDGE_WIDTH * unit)
    labels = np.where(kept, labels, UNLABELED)
    labels[face & np.isin(labels, FEATURES)] = SKIN  # drawn anew from the landmarks
    labels = _draw_features(labels, points, unit)
    outer, skin = (labels == SKIN) & ~core, np.isin(labels, (SKIN, NOSE)) & core
    appearance = measure_appearance(to_numpy(art), PIXEL_WINDOW * unit)
    hair, beside = labels == HAIR, np.zeros_like(core)
    if inside is not None:
        labels[~inside & ~core] = UNLABELED
        outer = outer & inside
        hair, beside = _guess_hair(appearance, labels, inside, skin, points, unit)
        labels[(labels == HAIR) & ~hair] = UNLABELED
    beyond = np.isin(labels, (HAIR, UNLABELED))
    labels[classify_hair(appearance, outer | beside, hair, skin, beyond, PIXEL_WINDOW * unit)] = HAIR
    lips = labels == LIPS
    if lips.any() and skin.any() and np.median(appearance[lips, 0]) > np.median(appearance[skin, 0]) + _LIGHT_LIPS:
        # A grin: the landmarks lie on its teeth, of which there are more beside and below.
        heights = _find_heights(labels.shape, points)
        labels[heights < heights[lips].max()] = UNLABELED
        labels[lips] = MOUTH
    return from_numpy(labels, mesh.regions)


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


def _guess_hair(
    appearance: Float[np.ndarray, "h w 4"],
    labels: Int[np.ndarray, "h w"],
    inside: Bool[np.ndarray, "h w"],
    skin: Bool[np.ndarray, "h w"],
    points: Float[np.ndarray, "68 2"],
    unit: float,
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Pixels that are hair for sure, and pixels beside the fitted head that look like it. ``inside``: the person.

    Sure is what the fitted scalp covers of the person. Where that is next to nothing, the drawn skull being lower than
    the fitted one, it is the upper rim of the person, as far as it does not look like skin.
    """
    inside = _erode(inside, _EDGE_WIDTH * unit)
    height = _find_heights(labels.shape, points)
    hair = (labels == HAIR) & inside
    if hair.sum() < _LITTLE_HAIR * unit**2 and skin.sum() >= MIN_PIXELS:
        depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
        rim = inside & np.isin(labels, (SKIN, UNLABELED)) & (height > 1) & (depth < _RIM_WIDTH * unit)
        hair[rim] |= mahalanobis_distance(appearance[rim], appearance[skin]) > _STRANGE
    if hair.sum() < MIN_PIXELS:
        return hair, np.zeros_like(hair)
    beside = inside & (labels == UNLABELED) & (height > _LOWEST_HAIR)
    beside[beside] = mahalanobis_distance(appearance[beside], appearance[hair]) < _STRANGE
    return hair, beside & connected_to(beside, hair)


def _find_heights(shape: tuple[int, ...], points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "h w"]:
    """How high in the face each pixel lies: 0 at the chin, 1 at the brows."""
    chin, brows = points[8], points[17:27].mean(0)
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return ((np.stack([x, y], -1) - chin) @ (brows - chin)) / ((brows - chin) @ (brows - chin))


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


def _erode(mask: np.ndarray, width: float) -> np.ndarray:
    """``mask`` without ``width`` pixels along its edge; all of it when nothing would be left."""
    size = 2 * max(round(width), 0) + 1
    kept = cv2.erode(mask.astype(np.uint8), np.ones((size, size), np.uint8), borderValue=1) > 0
    return kept if kept.any() else mask
