"""Teeth, tongue and cavity: painted from the colors of lips and eye white, with the photo where it shows them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import PARTS, HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.eyes import keep_gray, redness
from portraitist.unwrapping.texel_patch import TexelPatch

MOUTH_PARTS = ("mouth_cavity", "upper_teeth", "lower_teeth", "tongue")
# Mesiodistal crown widths in mm from the midline backwards, average adult; only their ratios count.
CROWN_WIDTHS = {
    "upper_teeth": (8.5, 6.5, 7.6, 7.0, 7.0, 10.0, 9.5, 9.0),
    "lower_teeth": (5.3, 5.7, 6.8, 7.0, 7.1, 11.0, 10.5, 10.0),
}
ARCH_BINS = 18
GAP_WIDTH = 0.0005  # meters, at least; and at least 0.8 texels, or it would vanish between them
GUM_HEIGHT = 0.3  # of the modeled band, whose crowns are longer than real ones
TOOTH_OF_WHITE = np.array([1.02, 0.97, 0.87], np.float32)
GUM_OF_LIPS = np.array([0.80, 0.62, 0.62], np.float32)
TONGUE_OF_LIPS = np.array([0.98, 0.80, 0.80], np.float32)
CAVITY_OF_LIPS = np.array([0.55, 0.32, 0.32], np.float32)
ROW_LIGHT = {"upper_teeth": 0.92, "lower_teeth": 0.80}
SPREAD_RADIUS = 4.0  # texels of 1024


@dataclass(frozen=True)
class ToothRow:
    """Places of one row's texels along and across the arch.

    ``along``: 0 at the midline, 1 behind the last molar. ``height``: 0 at the gum's end, 1 at the biting edge.
    ``gap``: 1 between two teeth, 0 within one. ``scallop``: 0 at the middle of a tooth, 1 at its sides. ``inner``: 1 on
    the side of the tongue.
    """

    along: Float[np.ndarray, "e"]
    height: Float[np.ndarray, "e"]
    gap: Float[np.ndarray, "e"]
    scallop: Float[np.ndarray, "e"]
    inner: Float[np.ndarray, "e"]


@functools.lru_cache(maxsize=4)
def locate_teeth(model: HeadModel, atlas: HeadTexels, row: str) -> ToothRow:
    """Arch coordinates of a row of teeth: its outer contour seen from above, unrolled."""
    texels = atlas.in_parts(row)
    x, y, z = (atlas.interpolation[texels] @ model.mean.numpy()).T
    middle = z.max() - np.abs(x).max()  # the front of an arch is close to a half circle
    polar, radius = np.arctan2(np.abs(x), z - middle), np.hypot(x, z - middle)
    bins = np.linspace(0, polar.max(), ARCH_BINS + 1)
    rise = y if row == "upper_teeth" else -y  # grows towards the gum
    gum, edge = follow_largest(rise, polar, bins), -follow_largest(-rise, polar, bins)
    outer = follow_largest(radius, polar, bins)
    middles = (bins[1:] + bins[:-1]) / 2
    length = np.cumsum((0, *np.hypot(outer * np.diff(bins), np.gradient(outer))))
    along = np.interp(polar, bins, length)
    gum, edge, outer = (np.interp(polar, middles, contour) for contour in (gum, edge, outer))
    sides = np.cumsum((0, *CROWN_WIDTHS[row]))
    sides = sides / sides[-1] * length[-1]
    tooth = (np.searchsorted(sides, along, side="right") - 1).clip(0, len(sides) - 2)
    width = sides[tooth + 1] - sides[tooth]
    position = ((along - sides[tooth]) / width).clip(0, 1)
    gap_width = max(GAP_WIDTH, 0.8 * measure_texel(model, atlas, row))
    gap = np.exp(-((np.minimum(position, 1 - position) * width / gap_width) ** 2))
    return ToothRow(
        along=(along / length[-1]).astype(np.float32),
        height=((gum - rise) / np.maximum(gum - edge, 1e-4)).clip(0, 1).astype(np.float32),
        gap=gap.astype(np.float32),
        scallop=((2 * position - 1) ** 2).astype(np.float32),
        inner=smoothstep(outer - radius, 0.0015, 0.005).astype(np.float32),
    )


def follow_largest(
    values: Float[np.ndarray, "e"], places: Float[np.ndarray, "e"], bins: Float[np.ndarray, "b"]
) -> Float[np.ndarray, "c"]:
    """Largest of the values in each bin of the places; an empty bin lies between its neighbors."""
    own = (np.digitize(places, bins) - 1).clip(0, len(bins) - 2)
    largest = np.full(len(bins) - 1, -np.inf)
    np.maximum.at(largest, own, values)
    filled = np.flatnonzero(np.isfinite(largest))
    return np.interp(np.arange(len(largest)), filled, largest[filled])


def measure_texel(model: HeadModel, atlas: HeadTexels, part: str) -> float:
    """Mean side of a part's texels in meters."""
    corners = model.mean.numpy()[model.faces[model.face_mask(part)].numpy()]
    doubled = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return float(np.sqrt(doubled.sum() / 2 / atlas.in_parts(part).sum()))


def paint_teeth(
    teeth: ToothRow, light: float, white: Float[np.ndarray, "3"], gum: Float[np.ndarray, "3"], chroma: float
) -> Float[np.ndarray, "e 3"]:
    """Off-white crowns with soft gaps, darker to the back and where they meet the gum."""
    crown = white * keep_gray(TOOTH_OF_WHITE, chroma)
    shade = light * mix(1.0, 0.4, smoothstep(teeth.along, 0.3, 0.95)) * (1 - 0.4 * teeth.inner)
    shade *= 1 - 0.26 * teeth.gap
    shade *= mix(0.8, 1.0, smoothstep(teeth.height, GUM_HEIGHT, GUM_HEIGHT + 0.3))
    line = GUM_HEIGHT + 0.12 * (teeth.scallop - 0.5)
    on_gum = smoothstep(teeth.height - line, 0.09, -0.09)
    back = mix(1.0, 0.4, smoothstep(teeth.along, 0.3, 0.95))
    return mix(crown * shade[:, None], gum * back[:, None], on_gum[:, None]).astype(np.float32)


@functools.lru_cache(maxsize=2)
def light_tongue(model: HeadModel, atlas: HeadTexels) -> Float[np.ndarray, "t"]:
    """How much of the light at the lips reaches the tongue's texels: less at the back, the sides and in the furrow."""
    own = atlas.interpolation[atlas.in_parts("tongue")]
    x, _, z = (own @ model.mean.numpy()).T
    upward = (own @ vertex_normals(model.mean.numpy(), model.faces.numpy()))[:, 1]
    depth = (z.max() - z) / np.ptp(z)
    furrow = 0.30 * np.exp(-((x / 0.0022) ** 2)) * smoothstep(depth, 0.06, 0.3)
    sides = 0.25 * smoothstep(np.abs(x) / np.abs(x).max(), 0.4, 0.95)
    below = mix(0.55, 1.0, smoothstep(upward, -0.4, 0.3))
    return (mix(1.0, 0.22, smoothstep(depth, 0.03, 0.45)) * (1 - furrow) * (1 - sides) * below).astype(np.float32)


@functools.lru_cache(maxsize=2)
def light_cavity(model: HeadModel, atlas: HeadTexels) -> Float[np.ndarray, "c"]:
    """1 where the cavity hangs on the lips, falling off to 0 in the throat."""
    vertices = model.mean.numpy()
    rim = np.intersect1d(model.vertex_ids("mouth_cavity").numpy(), model.vertex_ids("outer_skin").numpy())
    distance, _ = KDTree(vertices[rim]).query(vertices)
    depth = atlas.interpolation[atlas.in_parts("mouth_cavity")] @ distance
    return (0.15 + 0.85 * np.exp(-depth / 0.012)).astype(np.float32)


def paint_mouth(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    seen: TexelColors,
    white: Float[np.ndarray, "3"],
    lips: Float[np.ndarray, "3"],
    chroma: float,
    atlas: HeadTexels,
    model: HeadModel,
) -> None:
    """Paint teeth, tongue and cavity into ``colors``, and set their ``weights``, in place.

    ``white``: of the eyes. ``lips``: their median color. ``chroma``: 0 for a black-and-white photo, else 1.
    """
    patch = cut_mouth(atlas)
    photo, trust = seen.colors[patch.ids], seen.weights[patch.ids]
    part = atlas.parts[patch.ids]
    painted = np.zeros_like(photo)
    for row, light in ROW_LIGHT.items():
        gums = lips * keep_gray(GUM_OF_LIPS, chroma)
        painted[part == PARTS.index(row)] = paint_teeth(locate_teeth(model, atlas, row), light, white, gums, chroma)
    tongue, cavity = part == PARTS.index("tongue"), part == PARTS.index("mouth_cavity")
    painted[tongue] = lips * keep_gray(TONGUE_OF_LIPS, chroma) * light_tongue(model, atlas)[:, None]
    light = light_cavity(model, atlas)[:, None]
    painted[cavity] = light * mix(lips * keep_gray(CAVITY_OF_LIPS, chroma), lips, light**2)
    # What is seen spreads a little, or its border would be ragged: what it differs from the paint by fades out.
    nearby = patch.smooth(np.column_stack([(photo - painted) * trust[:, None], trust]), SPREAD_RADIUS)
    painted += smoothstep(nearby[:, 3:], 0.0, 0.5) * nearby[:, :3] / np.maximum(nearby[:, 3:], 1e-3)
    colors[patch.ids] = mix(painted, photo, trust[:, None]).clip(0, 1)
    weights[patch.ids] = trust


@functools.lru_cache(maxsize=2)
def cut_mouth(atlas: HeadTexels) -> TexelPatch:
    return TexelPatch.cut(atlas, atlas.in_parts(*MOUTH_PARTS))


def resembles_tooth(
    colors: Float[np.ndarray, "e 3"], white: Float[np.ndarray, "3"], lips: Float[np.ndarray, "3"], chroma: float
) -> Float[np.ndarray, "e"]:
    """1 for what is clearly less red than the lips and bright as teeth are; in a gray photo for what is bright."""
    bright = smoothstep(luminance(colors) / np.maximum(luminance(white), 0.02), 0.45, 0.7)
    pale = smoothstep(redness(colors) / np.maximum(redness(lips), 0.05), 0.85, 0.55)
    return (bright * mix(smoothstep(luminance(colors) - luminance(lips), 0.05, 0.2), pale, chroma)).astype(np.float32)
