"""Rims of lids and lips: the fit is a pixel or two off there, so the skin may carry lashes, iris or teeth.

While a photo's expression is worn nobody sees it; on a closed eye or closed lips it is a jagged black or white line.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.eyes import keep_gray
from portraitist.unwrapping.mouth import cut_mouth, resembles_tooth
from portraitist.unwrapping.observation import SkinColors
from portraitist.unwrapping.texel_patch import TexelPatch

FAR_MM = 12.0  # from a rim, beyond which nothing is looked at
EYE_CONTOURS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398),
)  # of the dense landmarks, where lids meet the ball
INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
LID_TINT = np.array([1.03, 0.95, 0.94], np.float32)
LIP_LINE = 0.7  # brightness where lips meet, of the lips'
LASH_SOFTENING = 0.15
FILL_RADII = (30.0, 12.0, 6.0)  # texels of 1024, as is
SOFTNESS = 2.0


@dataclass(frozen=True, eq=False)
class Rim:
    """Texels of the outer skin around an opening. ``distance_mm``: from its edge, negative inside."""

    patch: TexelPatch
    distance_mm: Float[np.ndarray, "n"]


@functools.lru_cache(maxsize=4)
def locate_rim(model: HeadModel, atlas: HeadTexels, contours: tuple[tuple[int, ...], ...], *inner: str) -> Rim:
    """The skin around closed ``contours`` of dense landmarks; behind them it goes on until it meets ``inner`` parts."""
    vertices, outer = model.mean.double().numpy(), model.vertex_ids("outer_skin").numpy()
    landmarks = model.landmarks478.positions(model.mean, model.faces).double().numpy()
    share = np.arange(8)[:, None, None] / 8
    edge = np.concatenate([mix(landmarks[list(ring)], np.roll(landmarks[list(ring)], -1, 0), share).reshape(-1, 3)
                           for ring in contours])  # fmt: skip
    joint = KDTree(vertices[np.intersect1d(model.vertex_ids(*inner).numpy(), outer)])
    distance, nearest = KDTree(edge).query(vertices)
    behind = joint.query(vertices)[0] < joint.query(edge)[0][nearest]
    signed = np.where(behind, -distance, distance) * 1000
    near = atlas.in_parts("outer_skin") & (atlas.interpolation @ distance < FAR_MM / 1000)
    patch = TexelPatch.cut(atlas, near)
    return Rim(patch, (atlas.interpolation[patch.ids] @ signed).astype(np.float32))


def repair_lids(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    skin: SkinColors,
    chroma: float,
    atlas: HeadTexels,
    model: HeadModel,
) -> None:
    """Give the lids' rims the color of the lids, the photo's own lash line softened; in place."""
    rim = locate_rim(model, atlas, EYE_CONTOURS, "eye_socket_left", "eye_socket_right")
    own, distance = colors[rim.patch.ids], rim.distance_mm
    likeness, brightness = skin.likeness(own), luminance(own)
    eye = smoothstep(likeness, 0.7, 0.2) * smoothstep(brightness / max(float(luminance(skin.median)), 0.02), 0.3, 0.5)
    source = (1 - eye) * smoothstep(distance, -0.5, 0.5) * smoothstep(distance, 4.0, 2.0)
    fill = spread_colors(rim.patch, own, source * (0.05 + weights[rim.patch.ids]), skin.median)
    inside = smoothstep(distance, 0.3, -0.7)
    target = fill * mix(np.ones(3, np.float32), keep_gray(LID_TINT, chroma), inside[:, None])
    soft = LASH_SOFTENING * smoothstep(distance, 2.0, 0.5)
    share = np.maximum(np.maximum(inside, soft), eye * smoothstep(distance, 1.5, 0.5))
    replace_colors(colors, weights, rim.patch, target, share)


def repair_lips(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    white: Float[np.ndarray, "3"],
    lips: Float[np.ndarray, "3"],
    chroma: float,
    atlas: HeadTexels,
    model: HeadModel,
) -> None:
    """Take teeth and the dark of the mouth off the lips, and let them meet in a soft dark line; in place."""
    rim = locate_rim(model, atlas, (INNER_LIP,), "mouth_cavity")
    own, distance = colors[rim.patch.ids], rim.distance_mm
    shown = weights[cut_mouth(atlas).ids].mean()
    reach = float(mix(2.0, 6.0, smoothstep(shown, 0.05, 0.3)))  # a wide open mouth is harder to fit
    tooth = resembles_tooth(own, white, lips, chroma)
    dark = smoothstep(luminance(own) / np.maximum(luminance(lips), 0.02), 0.6, 0.35)
    source = (1 - tooth) * (1 - dark) * smoothstep(distance, 0.5, 2.0) * (0.05 + weights[rim.patch.ids])
    source *= atlas.in_regions("lips")[rim.patch.ids]
    fill = spread_colors(rim.patch, own, source, lips)
    target = fill * mix(LIP_LINE, 1.0, smoothstep(distance, -0.5, 1.0))[:, None]
    foreign = np.maximum(
        tooth * smoothstep(distance, reach + 2, reach), 0.6 * dark * smoothstep(distance, reach, reach - 1.5)
    )
    replace_colors(colors, weights, rim.patch, target, np.maximum(smoothstep(distance, 0.5, -0.5), foreign))


def spread_colors(
    patch: TexelPatch,
    colors: Float[np.ndarray, "n 3"],
    source: Float[np.ndarray, "n"],
    default: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "n 3"]:
    """Mean of the colors around each texel, weighted by ``source``; the default where there is no source."""
    fill = np.broadcast_to(default, colors.shape).astype(np.float32)
    weighted = np.column_stack([colors * source[:, None], source])
    for radius in FILL_RADII:
        sums = patch.smooth(weighted, radius)
        fill = mix(fill, sums[:, :3] / np.maximum(sums[:, 3:], 1e-6), (100 * sums[:, 3:]).clip(0, 1))
    return fill.astype(np.float32)


def replace_colors(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    patch: TexelPatch,
    target: Float[np.ndarray, "n 3"],
    share: Float[np.ndarray, "n"],
) -> None:
    """Blend ``target`` in by a softened share, in place; the photo's weight goes down by as much."""
    share = patch.smooth(share, SOFTNESS)
    colors[patch.ids] = mix(colors[patch.ids], target, share[:, None])
    weights[patch.ids] *= 1 - share
