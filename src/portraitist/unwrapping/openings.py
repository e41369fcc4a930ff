"""Skin around eyes and mouth: the fit is a pixel or two off there, so it may carry lashes, iris, teeth or the dark.

While a photo's expression is worn nobody sees it; on a closed eye or closed lips it is a jagged black or white line. So
each texel is told apart: how far it is from the edge, and whether its color is that of the skin there or of what lies
inside, give the probability that the photo shows this skin. Where it does not, colors are continued from around it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import map_coordinates
from scipy.spatial import KDTree
from scipy.special import ndtr

from portraitist.devices import to_numpy
from portraitist.mesh.laplacian import triangle_areas
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels
from portraitist.rendering.shader_math import luminance, mix
from portraitist.types import EXPRESSION_NAMES
from portraitist.unwrapping.adaptation import density, skin_density, to_logs
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
LID_ERROR_MM = 0.5  # standard deviation of where the fit has an edge
LIPS_ERROR_MM = (0.9, 2.0)  # the same of closed lips, and of those of an open mouth, which is hard to fit
TOOTH_NOISE = 0.35  # standard deviation, log, of teeth around their color
INSIDE_DENSITY = 1.0  # in log colors, of what eyes and mouths show: white, iris, lashes, teeth, dark
FAR_ENOUGH = 2.0  # standard deviations from an edge, where there is hardly anything but skin
LOCAL_RADIUS = 6.0  # texels of 1024, over which the skin's color there is averaged
SOFTENING = 1.5  # texels of 1024, over which probabilities are softened
PHOTO_STRETCH = 2.0  # of the area of a texel by a closing lid, that does not show on skin
PAINT_STRETCH = 1.3  # the same on strokes
LINE_WIDTH_MM = 0.8  # of the line of lashes, or where lips meet, to 1/e
LASH_DARKNESS = 0.6  # log, expected of that line
LIP_DARKNESS = 0.35
LINE_REACH_MM = 3.0  # of lashes, eyeliner and the shade between lips, to 1/e
CELL_MM = 0.5  # height of the cells in which the darkness next to the edge is told
CELLS_ALONG = 40  # of them around an eye or the mouth
LEAST_SEEN = 1.0  # texels of 1024, by weight, that are worth as much as what is expected


@dataclass(frozen=True, eq=False)
class Margin:
    """Texels of the outer skin around an opening. ``distance_mm``: from its edge, negative inside. ``contour``:
    number of the nearest one. ``along``: place of its nearest point on it, 0..1 once around."""

    crop: TexelCrop
    distance_mm: Float[np.ndarray, "n"]
    contour: Int[np.ndarray, "n"]
    along: Float[np.ndarray, "n"]


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
    _, at_edge = KDTree(edge).query(texels.interpolation[crop.ids] @ vertices)
    counts = [len(ring) * EDGE_STEPS for ring in contours]
    contour = np.repeat(np.arange(len(contours)), counts)[at_edge]
    along = np.concatenate([np.arange(count) / count for count in counts])[at_edge].astype(np.float32)
    return Margin(crop, (texels.interpolation[crop.ids] @ signed).astype(np.float32), contour, along)


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
    # Around the eyes skin is seldom as it is on average: what is far enough from the edge tells.
    away = ndtr(distance / LID_ERROR_MM - FAR_ENOUGH)
    expected = margin.crop.smooth(margin.crop.fill(own, away, skin.median), LOCAL_RADIUS)
    shown = outside_probability(own, distance / LID_ERROR_MM, expected, INSIDE_DENSITY)
    # Where a closing lid unrolls, few pixels would become long streaks.
    shown = shown * keep_unstretched(model, texels, PHOTO_STRETCH)[margin.crop.ids]
    lids = margin.crop.fill(own, shown**2, skin.median)
    darkness = measure_line(own, lids, margin, weights[margin.crop.ids], LASH_DARKNESS)
    lids = lids * np.exp(-darkness)[:, None]
    replace_colors(colors, weights, margin.crop, lids, 1 - shown)


def unroll_lids(colors: Float[np.ndarray, "k 3"], texels: HeadTexels, model: HeadModel) -> Float[np.ndarray, "k 3"]:
    """A painted texture's colors with those of the lids continued where closing the eyes unrolls them: what was painted
    over a few texels would be long streaks."""
    crop = locate_margin(model, texels, EYE_CONTOURS, "eye_socket_left", "eye_socket_right").crop
    own, kept = colors[crop.ids], keep_unstretched(model, texels, PAINT_STRETCH)[crop.ids]
    unrolled = colors.copy()
    unrolled[crop.ids] = np.where(kept[:, None] < 1, mix(crop.fill(own, kept, own.mean(0)), own, kept[:, None]), own)
    return unrolled


@functools.lru_cache(maxsize=2)
def keep_unstretched(model: HeadModel, texels: HeadTexels, limit: float) -> Float[np.ndarray, "k"]:
    """Share 0..1 of each texel's color that stays when the lids unroll: 1 up to a stretch of ``limit``, then less."""
    return np.minimum(limit / measure_lid_stretch(model, texels), 1)


def measure_lid_stretch(model: HeadModel, texels: HeadTexels) -> Float[np.ndarray, "k"]:
    """By how much closing the eyes enlarges the skin at each texel; 1 where it does not."""
    closing = model.expression_deltas[[EXPRESSION_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]].sum(0)
    faces = to_numpy(model.faces)
    before, after = (
        np.bincount(faces.ravel(), np.repeat(triangle_areas(to_numpy(vertices, np.float64)[faces]), 3))
        for vertices in (model.mean, model.mean + closing)
    )
    stretch = np.maximum(after / before, 1.0)
    return (texels.interpolation @ stretch).astype(np.float32)


def measure_line(
    own: Float[np.ndarray, "n 3"],
    cleared: Float[np.ndarray, "n 3"],
    margin: Margin,
    weights: Float[np.ndarray, "n"],
    expected: float,
) -> Float[np.ndarray, "n"]:
    """How much darker, log, the photo is than the ``cleared`` skin next to the edge: lashes and eyeliner without their
    single hairs, which would be streaks on a closed lid, or the shade between lips.

    A mean over cells, narrow across the edge and long along it. ``expected``: at the edge, where the photo does not
    show it."""
    low, high = float(margin.distance_mm.min()), FAR_MM
    count = round((high - low) / CELL_MM)
    shape = (int(margin.contour.max()) + 1, count, CELLS_ALONG)
    rows = ((margin.distance_mm - low) / (high - low) * count - 0.5).clip(0, count - 1)
    columns = margin.along * CELLS_ALONG - 0.5
    cells = margin.contour, rows.round().astype(int), columns.round().astype(int) % CELLS_ALONG
    darker = (to_logs(luminance(cleared)) - to_logs(luminance(own))).clip(min=0)
    sums, seen = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, cells, weights * darker)
    np.add.at(seen, cells, weights)
    middles = (low + (np.arange(count) + 0.5) / count * (high - low))[:, None]
    sums += LEAST_SEEN * expected * np.exp(-((middles / LINE_WIDTH_MM) ** 2))
    profile = sums / (seen + LEAST_SEEN) * np.exp(-((middles.clip(0) / LINE_REACH_MM) ** 2))
    line = map_coordinates(profile, [margin.contour, rows, columns], order=1, mode="grid-wrap").astype(np.float32)
    return margin.crop.smooth(line, SOFTENING)


def clear_lips(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    lips: Float[np.ndarray, "3"],
    teeth: Float[np.ndarray, "3"],
    opened: float,
    skin: SkinColors,
    texels: HeadTexels,
    model: HeadModel,
) -> None:
    """Take teeth and the dark of the mouth off the lips, and let them meet in a soft line as dark as the photo's; in
    place. ``lips``, ``teeth``: their colors. ``opened``: how surely, 0..1, the photo shows the mouth's inside."""
    margin = locate_margin(model, texels, (INNER_LIP,), "mouth_cavity")
    own, distance = colors[margin.crop.ids], margin.distance_mm
    error = mix(*LIPS_ERROR_MM, opened)
    on_lips = texels.in_regions("lips", "mouth_inside")[margin.crop.ids]
    # Lips are lit from one side, and the skin beside them may be in the shade: what is far enough from the edge tells.
    away = ndtr(distance / LIPS_ERROR_MM[1] - FAR_ENOUGH)
    local = [
        margin.crop.smooth(margin.crop.fill(own, away**2 * part, usual), LOCAL_RADIUS)
        for part, usual in ((on_lips, lips), (~on_lips, skin.median))
    ]
    # Between closed lips there is no dark but their own shade.
    inside = density(to_logs(own) - to_logs(teeth), TOOTH_NOISE) + opened * INSIDE_DENSITY
    shown = outside_probability(own, distance / error, np.where(on_lips[:, None], *local), inside)
    fill = margin.crop.fill(own, shown**2, lips)
    fill = fill * np.exp(-measure_line(own, fill, margin, weights[margin.crop.ids], LIP_DARKNESS))[:, None]
    replace_colors(colors, weights, margin.crop, fill, 1 - shown**2)


def outside_probability(
    colors: Float[np.ndarray, "n 3"],
    distance: Float[np.ndarray, "n"],
    expected: Float[np.ndarray, "*n 3"],
    inside_density: Float[np.ndarray, "*n"] | float,
) -> Float[np.ndarray, "n"]:
    """Probability 0..1 that the photo shows the skin of a color ``expected`` at a ``distance`` from an opening's
    edge (in standard deviations of that edge), and not what is seen through the opening, whose colors have
    ``inside_density`` (in log colors) there."""
    prior = ndtr(distance)
    expected_density = skin_density(to_logs(colors) - to_logs(expected))
    outside, inside = prior * expected_density, (1 - prior) * inside_density
    # What is like neither stays.
    return ((outside + 1e-9) / (outside + inside + 1e-9)).astype(np.float32)


def replace_colors(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    crop: TexelCrop,
    target: Float[np.ndarray, "n 3"],
    share: Float[np.ndarray, "n"],
) -> None:
    """Blend ``target`` in by a softened share, in place; the photo's weight goes down by as much."""
    # Widened, then softened, outward only: what is only half of another color is not left.
    share = np.maximum(share, crop.smooth((2 * crop.smooth(share, SOFTENING)).clip(0, 1), SOFTENING / 2))
    colors[crop.ids] = mix(colors[crop.ids], target, share[:, None])
    weights[crop.ids] *= 1 - share
