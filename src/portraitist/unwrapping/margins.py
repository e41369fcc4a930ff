"""Lid and lip margins: the fit is a pixel or two off there, so the skin may carry lashes, iris or teeth.

While a photo's expression is worn nobody sees it; on a closed eye or closed lips it is a jagged black or white line.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from portraitist.devices import to_numpy
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.unwrapping.appearance_models import SkinColors, brightness_ratio
from portraitist.unwrapping.eyes import scale_saturation
from portraitist.unwrapping.mouth import crop_mouth, tooth_likelihood
from portraitist.unwrapping.texel_crop import TexelCrop

EYE_CONTOURS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398),
)  # of the dense landmarks, where lids meet the ball
INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
EDGE_STEPS = 8  # points of a contour between two of its landmarks
FAR_MM = 12.0  # from an edge, beyond which nothing is looked at

# Distances are millimeters from the edge, negative inside; radii are texels of a 1024 texture.
FILL_RADII = (30.0, 12.0, 6.0)  # over which colors are averaged; a narrower one counts where it finds any
SHARE_RADIUS = 2.0  # over which every replacement is softened
UNSEEN_WEIGHT = 0.05  # of colors that are invented, as a source
DENSE_SOURCE = 100  # inverse of the mean weight from which a radius' mean is taken whole

LID_SKIN = (0.7, 0.2)  # likelihood of skin: lid, eye
LID_DARK = (0.3, 0.5)  # brightness of the skin's: lash, white of the eye
LID_SOURCE_IN = (-0.5, 0.5)  # distances between which colors begin to be the lid's own
LID_SOURCE_OUT = (4.0, 2.0)  # and cease to be
LID_INSIDE = (0.3, -0.7)  # distance: outside, inside of the lid
LID_TINT = np.array([1.03, 0.95, 0.94], np.float32)  # of its inside, of the lid's color
LID_EYE = (1.5, 0.5)  # distance within which what looks like the eye is replaced
LASH_SOFTENING = 0.15  # share of the fill in the photo's own lash line
LASH_WIDTH = (2.0, 0.5)  # distance: no lash line, lash line

REACH_MM = (2.0, 6.0)  # to which teeth are taken off the lips: of a closed mouth, of an open one, which is hard to fit
MOUTH_SEEN = (0.05, 0.3)  # mean weight of the mouth's inside: closed, open
REACH_FALL_OFF = 2.0  # millimeters
LIP_DARK = (0.6, 0.35)  # brightness of the lips': lip, dark of the mouth
LIP_SOURCE = (0.5, 2.0)  # distances between which colors begin to be the lip's own
LIP_LINE = 0.7  # brightness where lips meet, of the lips'
LIP_LINE_WIDTH = (-0.5, 1.0)  # distance: line, lip
LIP_INSIDE = (0.5, -0.5)  # distance: outside, inside of the lip
DARK_STRENGTH = 0.6  # share by which the dark of the mouth is replaced
DARK_FALL_OFF = 1.5  # millimeters


@dataclass(frozen=True, eq=False)
class Margin:
    """Texels of the outer skin around an opening. ``distance_mm``: from its edge, negative inside."""

    crop: TexelCrop
    distance_mm: Float[np.ndarray, "n"]


@functools.lru_cache(maxsize=4)
def locate_margin(model: HeadModel, texels: HeadTexels, contours: tuple[tuple[int, ...], ...], *inner: str) -> Margin:
    """The skin around closed ``contours`` of dense landmarks; behind them it goes on until it meets ``inner`` parts."""
    vertices, outer = to_numpy(model.mean, np.float64), to_numpy(model.vertex_ids("outer_skin"))
    landmarks = to_numpy(model.landmarks478.positions(model.mean, model.faces), np.float64)
    share = np.arange(EDGE_STEPS)[:, None, None] / EDGE_STEPS
    edge = np.concatenate([mix(landmarks[list(ring)], np.roll(landmarks[list(ring)], -1, 0), share).reshape(-1, 3)
                           for ring in contours])  # fmt: skip
    joint = KDTree(vertices[np.intersect1d(to_numpy(model.vertex_ids(*inner)), outer)])
    distance, nearest = KDTree(edge).query(vertices)
    behind = joint.query(vertices)[0] < joint.query(edge)[0][nearest]
    signed = np.where(behind, -distance, distance) * 1000
    near = texels.in_components("outer_skin") & (texels.interpolation @ distance < FAR_MM / 1000)
    crop = TexelCrop.around(texels, near)
    return Margin(crop, (texels.interpolation[crop.ids] @ signed).astype(np.float32))


def repair_lids(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    skin: SkinColors,
    chroma: float,
    texels: HeadTexels,
    model: HeadModel,
) -> None:
    """Give the lid margins the color of the lids, the photo's own lash line softened; in place."""
    margin = locate_margin(model, texels, EYE_CONTOURS, "eye_socket_left", "eye_socket_right")
    own, distance = colors[margin.crop.ids], margin.distance_mm
    brightness = brightness_ratio(own, skin.median)
    eye = smoothstep(skin.likelihood(own), *LID_SKIN) * smoothstep(brightness, *LID_DARK)
    source = (1 - eye) * smoothstep(distance, *LID_SOURCE_IN) * smoothstep(distance, *LID_SOURCE_OUT)
    fill = spread_colors(margin.crop, own, source * (UNSEEN_WEIGHT + weights[margin.crop.ids]), skin.median)
    inside = smoothstep(distance, *LID_INSIDE)
    target = fill * mix(np.ones(3, np.float32), scale_saturation(LID_TINT, chroma), inside[:, None])
    soft = LASH_SOFTENING * smoothstep(distance, *LASH_WIDTH)
    share = np.maximum(np.maximum(inside, soft), eye * smoothstep(distance, *LID_EYE))
    replace_colors(colors, weights, margin.crop, target, share)


def repair_lips(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    sclera: Float[np.ndarray, "3"],
    lips: Float[np.ndarray, "3"],
    chroma: float,
    texels: HeadTexels,
    model: HeadModel,
) -> None:
    """Take teeth and the dark of the mouth off the lips, and let them meet in a soft dark line; in place."""
    margin = locate_margin(model, texels, (INNER_LIP,), "mouth_cavity")
    own, distance = colors[margin.crop.ids], margin.distance_mm
    shown = weights[crop_mouth(texels).ids].mean()
    reach = float(mix(*REACH_MM, smoothstep(shown, *MOUTH_SEEN)))
    tooth = tooth_likelihood(own, sclera, lips, chroma)
    dark = smoothstep(brightness_ratio(own, lips), *LIP_DARK)
    source = (1 - tooth) * (1 - dark) * smoothstep(distance, *LIP_SOURCE)
    source = source * (UNSEEN_WEIGHT + weights[margin.crop.ids]) * texels.in_regions("lips")[margin.crop.ids]
    fill = spread_colors(margin.crop, own, source, lips)
    target = fill * mix(LIP_LINE, 1.0, smoothstep(distance, *LIP_LINE_WIDTH))[:, None]
    off_teeth = tooth * smoothstep(distance, reach + REACH_FALL_OFF, reach)
    off_dark = DARK_STRENGTH * dark * smoothstep(distance, reach, reach - DARK_FALL_OFF)
    share = np.maximum(smoothstep(distance, *LIP_INSIDE), np.maximum(off_teeth, off_dark))
    replace_colors(colors, weights, margin.crop, target, share)


def spread_colors(
    crop: TexelCrop,
    colors: Float[np.ndarray, "n 3"],
    source: Float[np.ndarray, "n"],
    default: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "n 3"]:
    """Mean of the colors around each texel, weighted by ``source``; the default where there is no source."""
    fill = np.broadcast_to(default, colors.shape).astype(np.float32)
    weighted = np.column_stack([colors * source[:, None], source])
    for radius in FILL_RADII:
        sums = crop.smooth(weighted, radius)
        fill = mix(fill, sums[:, :3] / np.maximum(sums[:, 3:], 1e-6), (DENSE_SOURCE * sums[:, 3:]).clip(0, 1))
    return fill.astype(np.float32)


def replace_colors(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    crop: TexelCrop,
    target: Float[np.ndarray, "n 3"],
    share: Float[np.ndarray, "n"],
) -> None:
    """Blend ``target`` in by a softened share, in place; the photo's weight goes down by as much."""
    share = crop.smooth(share, SHARE_RADIUS)
    colors[crop.ids] = mix(colors[crop.ids], target, share[:, None])
    weights[crop.ids] *= 1 - share
