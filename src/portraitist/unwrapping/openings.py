"""Skin around eyes and mouth: the fit is a pixel or two off there, so it may carry lashes, iris, teeth or the dark.

While a photo's expression is worn nobody sees it; on a closed eye or closed lips it is a jagged black or white line. So
each texel is told apart: how far it is from the edge, and whether its color is that of the skin there or of what lies
inside, give the probability that the photo shows this skin. Where it does not, colors are continued from around it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree
from scipy.special import ndtr

from portraitist.devices import to_numpy
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.types import EXPRESSION_NAMES
from portraitist.unwrapping.adaptation import to_logs
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.texel_crop import TexelCrop

EYE_CONTOURS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398),
)  # of the dense landmarks, where lids meet the ball
INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
EDGE_STEPS = 8  # points of a contour between two of its landmarks
FAR_MM = 12.0  # from an edge, beyond which nothing is looked at

# Distances are millimeters from the edge, negative inside.
LIP_ERROR_MM = 2.0  # standard deviation of where the fit has the lips' inner edge
LASH_LENGTH_MM = 4.0  # of lashes, which lie over the lids in the same way
BRIGHTNESS_NOISE = 0.35  # standard deviations, log, of skin or lip around its median
HUE_NOISE = 0.10
INSIDE_DENSITY = 1.0  # in log colors, of what eyes and mouths show: white, iris, lashes, teeth, dark
SOFTENING = 1.5  # texels of 1024, over which probabilities are softened
LIP_LINE = 0.7  # brightness where lips meet, of the lips'
LIP_LINE_MM = (-0.5, 1.0)  # distance: line, lip
LASH_WIDTH_MM = 0.8  # of an average line of lashes, to 1/e
LASH_DARKNESS = 0.6  # log, of that line
LASH_REACH_MM = 2.0  # of lashes and eyeliner, to 1/e
PROFILE_STEP_MM = 0.25  # in which the darkness next to the edge is told apart
LEAST_SEEN = 20.0  # texels of 1024, by weight, that are worth as much as what is expected


@dataclass(frozen=True, eq=False)
class Margin:
    """Texels of the outer skin around an opening. ``distance_mm``: from its edge, negative inside. ``upper``: nearest
    to the second half of a contour."""

    crop: TexelCrop
    distance_mm: Float[np.ndarray, "n"]
    upper: Bool[np.ndarray, "n"]


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
    second_half = np.concatenate([np.arange(len(ring) * EDGE_STEPS) >= len(ring) * EDGE_STEPS // 2 for ring in contours])
    upper = texels.interpolation[crop.ids] @ second_half[nearest] > 0.5
    return Margin(crop, (texels.interpolation[crop.ids] @ signed).astype(np.float32), upper)


def clear_lids(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    skin: SkinColors,
    texels: HeadTexels,
    model: HeadModel,
) -> None:
    """Give the lids their own color to the edge and a line of lashes as dark as the photo's; in place."""
    margin = locate_margin(model, texels, EYE_CONTOURS, "eye_socket_left", "eye_socket_right")
    own, distance = colors[margin.crop.ids], margin.distance_mm
    shown = outside_probability(own, distance / LASH_LENGTH_MM, skin.median)
    # Where a closing lid unrolls, few pixels would become long streaks.
    shown = shown / measure_lid_stretch(model, texels)[margin.crop.ids]
    lids = continue_colors(margin.crop, own, shown, skin.median)
    for lid in (margin.upper, ~margin.upper):
        darkness = measure_lashes(own[lid], lids[lid], distance[lid], weights[margin.crop.ids[lid]])
        lids[lid] *= np.exp(-darkness)[:, None]
    replace_colors(colors, weights, margin.crop, lids, 1 - shown)


@functools.lru_cache(maxsize=2)
def measure_lid_stretch(model: HeadModel, texels: HeadTexels) -> Float[np.ndarray, "k"]:
    """By how much closing the eyes enlarges the skin at each texel; 1 where it does not."""
    closing = model.expression_deltas[[EXPRESSION_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]].sum(0)
    faces, areas = to_numpy(model.faces), []
    for vertices in (model.mean, model.mean + closing):
        corners = to_numpy(vertices, np.float64)[faces]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas.append(np.bincount(faces.ravel(), np.repeat(np.linalg.norm(across, axis=1), 3), len(model.mean)))
    stretch = np.maximum(areas[1] / areas[0], 1.0)
    return (texels.interpolation @ stretch).astype(np.float32)


def measure_lashes(
    own: Float[np.ndarray, "n 3"],
    lids: Float[np.ndarray, "n 3"],
    distance_mm: Float[np.ndarray, "n"],
    weights: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """How much darker, log, the photo is than the lid alone at each distance from its edge: lashes and eyeliner, without
    their single hairs, which would be streaks on a closed lid."""
    edges = np.arange(distance_mm.min(), FAR_MM + PROFILE_STEP_MM, PROFILE_STEP_MM)
    steps = np.digitize(distance_mm, edges)
    darker = (to_logs(luminance(lids)) - to_logs(luminance(own))).clip(min=0)
    sums = np.bincount(steps, weights * darker, len(edges) + 1)
    seen = np.bincount(steps, weights, len(edges) + 1)
    middles = edges - PROFILE_STEP_MM / 2
    expected = LASH_DARKNESS * np.exp(-((middles / LASH_WIDTH_MM) ** 2))
    profile = (sums[:-1] + LEAST_SEEN * expected) / (seen[:-1] + LEAST_SEEN)
    profile *= np.exp(-((middles.clip(0) / LASH_REACH_MM) ** 2))
    return np.interp(distance_mm, middles, profile).astype(np.float32)


def clear_lips(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    lips: Float[np.ndarray, "3"],
    skin: SkinColors,
    texels: HeadTexels,
    model: HeadModel,
) -> None:
    """Take teeth and the dark of the mouth off the lips, and let them meet in a soft dark line; in place."""
    margin = locate_margin(model, texels, (INNER_LIP,), "mouth_cavity")
    own, distance = colors[margin.crop.ids], margin.distance_mm
    on_lips = texels.in_regions("lips", "mouth_inside")[margin.crop.ids]
    expected = np.where(on_lips[:, None], lips, skin.median)
    shown = outside_probability(own, distance / LIP_ERROR_MM, expected)
    fill = continue_colors(margin.crop, own, shown, lips)
    fill = fill * mix(LIP_LINE, 1.0, smoothstep(distance, *LIP_LINE_MM))[:, None]
    replace_colors(colors, weights, margin.crop, fill, 1 - shown)


def outside_probability(
    colors: Float[np.ndarray, "n 3"], distance: Float[np.ndarray, "n"], expected: Float[np.ndarray, "*n 3"]
) -> Float[np.ndarray, "n"]:
    """Probability 0..1 that the photo shows the skin of a color ``expected`` at a ``distance`` from an opening's
    edge (in standard deviations of that edge), and not what is seen through the opening."""
    prior = ndtr(distance)
    residuals = to_logs(colors) - to_logs(expected)
    common = residuals.mean(1, keepdims=True)
    squares = ((residuals - common) ** 2).sum(1) / HUE_NOISE**2 + 3 * common[:, 0] ** 2 / (3 * BRIGHTNESS_NOISE**2)
    density = np.exp(-0.5 * squares) / ((2 * np.pi) ** 1.5 * HUE_NOISE**2 * np.sqrt(3) * BRIGHTNESS_NOISE)
    outside, inside = prior * density, (1 - prior) * INSIDE_DENSITY
    return (outside / (outside + inside + 1e-9)).astype(np.float32)


def continue_colors(
    crop: TexelCrop,
    colors: Float[np.ndarray, "n 3"],
    known: Float[np.ndarray, "n"],
    default: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "n 3"]:
    """``colors`` where they are ``known`` (0..1), elsewhere those around: pull-push over halved pictures (Gortler et
    al. 1996); the default where nothing is known at all."""
    picture = np.zeros((*crop.mask.shape, 4), np.float32)
    picture.reshape(-1, 4)[crop.pixel_ids] = np.column_stack([colors * known[:, None], known])
    levels = [picture]
    while min(levels[-1].shape[:2]) > 1:
        halved = cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        levels.append(halved / np.maximum(halved[..., 3:], 1.0))
    filled = np.broadcast_to(default, (*levels[-1].shape[:2], 3)).astype(np.float32)
    for level in reversed(levels):
        grown = cv2.resize(filled, level.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        share = np.minimum(level[..., 3:], 1)
        own = level[..., :3] / np.maximum(level[..., 3:], 1e-6)
        filled = grown + (own - grown) * share
    return filled.reshape(-1, 3)[crop.pixel_ids]


def replace_colors(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    crop: TexelCrop,
    target: Float[np.ndarray, "n 3"],
    share: Float[np.ndarray, "n"],
) -> None:
    """Blend ``target`` in by a softened share, in place; the photo's weight goes down by as much."""
    share = np.maximum(share, crop.smooth(share, SOFTENING))
    colors[crop.ids] = mix(colors[crop.ids], target, share[:, None])
    weights[crop.ids] *= 1 - share
