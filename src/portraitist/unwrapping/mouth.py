"""Teeth, tongue and cavity: painted from the colors of lips and eye white, with the photo where it shows them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from portraitist.devices import to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import COMPONENTS, HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.appearance_models import brightness_ratio
from portraitist.unwrapping.eyes import redness, scale_saturation
from portraitist.unwrapping.projection import MOUTH_PARTS
from portraitist.unwrapping.texel_crop import TexelCrop

# Mesiodistal crown widths in mm from the midline backwards, average adult; only their ratios count.
CROWN_WIDTHS = {
    "upper_teeth": (8.5, 6.5, 7.6, 7.0, 7.0, 10.0, 9.5, 9.0),
    "lower_teeth": (5.3, 5.7, 6.8, 7.0, 7.1, 11.0, 10.5, 10.0),
}
ARCH_BINS = 18  # of the angle along an arch, in which its contours are measured
LEAST_CROWN_HEIGHT = 1e-4  # meters
GAP_WIDTH = 0.0005  # meters, at least
GAP_TEXELS = 0.8  # at least, or a gap would vanish between texels
GAP_SHADE = 0.26
INNER_SIDE = (0.0015, 0.005)  # meters behind the outer contour: outer, inner side of a tooth
INNER_SHADE = 0.4
TOOTH_OF_SCLERA = np.array([1.02, 0.97, 0.87], np.float32)
ROW_BRIGHTNESS = {"upper_teeth": 0.92, "lower_teeth": 0.80}
ARCH_BACK = (0.3, 0.95)  # place along the arch at which light begins to fall off and is least
ARCH_BACK_BRIGHTNESS = 0.4
GUM_HEIGHT = 0.3  # of the modeled band, whose crowns are longer than real ones
GUM_SHADOW_HEIGHT = 0.3  # of the band, over which crowns are darker next to the gum
GUM_SHADOW_BRIGHTNESS = 0.8
GUM_SCALLOP = 0.12  # of the band, from the middle of a tooth to its sides
GUM_SOFTNESS = 0.09  # of the band, to both sides of the gum line
GUM_OF_LIPS = np.array([0.80, 0.62, 0.62], np.float32)

TONGUE_OF_LIPS = np.array([0.98, 0.80, 0.80], np.float32)
TONGUE_BACK = (0.03, 0.45)  # share of its length at which light begins to fall off and is least
TONGUE_BACK_BRIGHTNESS = 0.22
FURROW_SHADE = 0.30
FURROW_WIDTH = 0.0022  # meters
FURROW_START = (0.06, 0.3)  # share of the tongue's length: no furrow, full
TONGUE_SIDES = (0.4, 0.95)  # share of its half width: shade begins, is full
TONGUE_SIDE_SHADE = 0.25
TONGUE_UPWARD = (-0.4, 0.3)  # upward part of the unit normal: below, above
TONGUE_BELOW_BRIGHTNESS = 0.55

CAVITY_OF_LIPS = np.array([0.55, 0.32, 0.32], np.float32)
CAVITY_DEPTH = 0.012  # meters from the lips at which the light is down to 1/e
THROAT_BRIGHTNESS = 0.15

SPREAD_RADIUS = 4.0  # texels of 1024, over which the photo's colors are spread
TOOTH_BRIGHTNESS = (0.45, 0.7)  # of the sclera's: none, tooth
TOOTH_REDNESS = (0.85, 0.55)  # of the lips': lip, tooth
LEAST_LIP_REDNESS = 0.05
TOOTH_EXCESS = (0.05, 0.2)  # luminance above the lips', in a gray photo: lip, tooth


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
def locate_teeth(model: HeadModel, texels: HeadTexels, row: str) -> ToothRow:
    """Arch coordinates of a row of teeth: its outer contour seen from above, unrolled."""
    inside = texels.in_components(row)
    x, y, z = (texels.interpolation[inside] @ to_numpy(model.mean)).T
    middle = z.max() - np.abs(x).max()  # the front of an arch is close to a half circle
    polar, radius = np.arctan2(np.abs(x), z - middle), np.hypot(x, z - middle)
    bins = np.linspace(0, polar.max(), ARCH_BINS + 1)
    rise = y if row == "upper_teeth" else -y  # grows towards the gum
    gum, edge = trace_contour(rise, polar, bins), -trace_contour(-rise, polar, bins)
    outer = trace_contour(radius, polar, bins)
    middles = (bins[1:] + bins[:-1]) / 2
    length = np.cumsum((0, *np.hypot(outer * np.diff(bins), np.gradient(outer))))
    along = np.interp(polar, bins, length)
    gum, edge, outer = (np.interp(polar, middles, contour) for contour in (gum, edge, outer))
    sides = np.cumsum((0, *CROWN_WIDTHS[row]))
    sides = sides / sides[-1] * length[-1]
    tooth = (np.searchsorted(sides, along, side="right") - 1).clip(0, len(sides) - 2)
    width = sides[tooth + 1] - sides[tooth]
    position = ((along - sides[tooth]) / width).clip(0, 1)
    gap_width = max(GAP_WIDTH, GAP_TEXELS * measure_texel_side(model, texels, row))
    gap = np.exp(-((np.minimum(position, 1 - position) * width / gap_width) ** 2))
    return ToothRow(
        along=(along / length[-1]).astype(np.float32),
        height=((gum - rise) / np.maximum(gum - edge, LEAST_CROWN_HEIGHT)).clip(0, 1).astype(np.float32),
        gap=gap.astype(np.float32),
        scallop=((2 * position - 1) ** 2).astype(np.float32),
        inner=smoothstep(outer - radius, *INNER_SIDE).astype(np.float32),
    )


def trace_contour(
    values: Float[np.ndarray, "e"], places: Float[np.ndarray, "e"], bins: Float[np.ndarray, "b"]
) -> Float[np.ndarray, "c"]:
    """Largest of the values in each bin of the places; an empty bin lies between its neighbors."""
    own = (np.digitize(places, bins) - 1).clip(0, len(bins) - 2)
    largest = np.full(len(bins) - 1, -np.inf)
    np.maximum.at(largest, own, values)
    filled = np.flatnonzero(np.isfinite(largest))
    return np.interp(np.arange(len(largest)), filled, largest[filled])


def measure_texel_side(model: HeadModel, texels: HeadTexels, part: str) -> float:
    """Mean side of a part's texels in meters."""
    corners = to_numpy(model.mean)[to_numpy(model.faces[model.face_mask(part)])]
    doubled = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return float(np.sqrt(doubled.sum() / 2 / texels.in_components(part).sum()))


def paint_teeth(
    teeth: ToothRow, brightness: float, sclera: Float[np.ndarray, "3"], gum: Float[np.ndarray, "3"], chroma: float
) -> Float[np.ndarray, "e 3"]:
    """Off-white crowns with soft gaps, darker to the back and where they meet the gum."""
    crown = sclera * scale_saturation(TOOTH_OF_SCLERA, chroma)
    back = mix(1.0, ARCH_BACK_BRIGHTNESS, smoothstep(teeth.along, *ARCH_BACK))
    shade = brightness * back * (1 - INNER_SHADE * teeth.inner)
    shade *= 1 - GAP_SHADE * teeth.gap
    shade *= mix(GUM_SHADOW_BRIGHTNESS, 1.0, smoothstep(teeth.height, GUM_HEIGHT, GUM_HEIGHT + GUM_SHADOW_HEIGHT))
    line = GUM_HEIGHT + GUM_SCALLOP * (teeth.scallop - 0.5)
    on_gum = smoothstep(teeth.height - line, GUM_SOFTNESS, -GUM_SOFTNESS)
    return mix(crown * shade[:, None], gum * back[:, None], on_gum[:, None]).astype(np.float32)


@functools.lru_cache(maxsize=2)
def shade_tongue(model: HeadModel, texels: HeadTexels) -> Float[np.ndarray, "t"]:
    """How much of the light at the lips reaches the tongue's texels: less at the back, the sides and in the furrow."""
    own = texels.interpolation[texels.in_components("tongue")]
    x, _, z = (own @ to_numpy(model.mean)).T
    upward = (own @ vertex_normals(to_numpy(model.mean), to_numpy(model.faces)))[:, 1]
    depth = (z.max() - z) / np.ptp(z)
    furrow = FURROW_SHADE * np.exp(-((x / FURROW_WIDTH) ** 2)) * smoothstep(depth, *FURROW_START)
    sides = TONGUE_SIDE_SHADE * smoothstep(np.abs(x) / np.abs(x).max(), *TONGUE_SIDES)
    below = mix(TONGUE_BELOW_BRIGHTNESS, 1.0, smoothstep(upward, *TONGUE_UPWARD))
    back = mix(1.0, TONGUE_BACK_BRIGHTNESS, smoothstep(depth, *TONGUE_BACK))
    return (back * (1 - furrow) * (1 - sides) * below).astype(np.float32)


@functools.lru_cache(maxsize=2)
def shade_cavity(model: HeadModel, texels: HeadTexels) -> Float[np.ndarray, "c"]:
    """1 where the cavity hangs on the lips, falling off to 0 in the throat."""
    vertices = to_numpy(model.mean)
    lips = np.intersect1d(to_numpy(model.vertex_ids("mouth_cavity")), to_numpy(model.vertex_ids("outer_skin")))
    distance, _ = KDTree(vertices[lips]).query(vertices)
    depth = texels.interpolation[texels.in_components("mouth_cavity")] @ distance
    return (THROAT_BRIGHTNESS + (1 - THROAT_BRIGHTNESS) * np.exp(-depth / CAVITY_DEPTH)).astype(np.float32)


def paint_mouth(
    colors: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    seen: TexelColors,
    sclera: Float[np.ndarray, "3"],
    lips: Float[np.ndarray, "3"],
    chroma: float,
    texels: HeadTexels,
    model: HeadModel,
) -> None:
    """Paint teeth, tongue and cavity into ``colors``, and set their ``weights``, in place.

    ``sclera``: color of the eyes' white. ``lips``: their median color. ``chroma``: 0 for a black-and-white photo, 1 for
    a colored one.
    """
    crop = crop_mouth(texels)
    photo, own_weights = seen.colors[crop.ids], seen.weights[crop.ids]
    part = texels.parts[crop.ids]
    painted = np.zeros_like(photo)
    for row, brightness in ROW_BRIGHTNESS.items():
        gums = lips * scale_saturation(GUM_OF_LIPS, chroma)
        teeth = locate_teeth(model, texels, row)
        painted[part == COMPONENTS.index(row)] = paint_teeth(teeth, brightness, sclera, gums, chroma)
    tongue, cavity = part == COMPONENTS.index("tongue"), part == COMPONENTS.index("mouth_cavity")
    painted[tongue] = lips * scale_saturation(TONGUE_OF_LIPS, chroma) * shade_tongue(model, texels)[:, None]
    light = shade_cavity(model, texels)[:, None]
    painted[cavity] = light * mix(lips * scale_saturation(CAVITY_OF_LIPS, chroma), lips, light**2)
    # What is seen spreads a little, or its border would be ragged: what it differs from the paint by fades out.
    nearby = crop.smooth(np.column_stack([(photo - painted) * own_weights[:, None], own_weights]), SPREAD_RADIUS)
    painted += smoothstep(nearby[:, 3:], 0.0, 0.5) * nearby[:, :3] / np.maximum(nearby[:, 3:], 1e-3)
    colors[crop.ids] = mix(painted, photo, own_weights[:, None]).clip(0, 1)
    weights[crop.ids] = own_weights


@functools.lru_cache(maxsize=2)
def crop_mouth(texels: HeadTexels) -> TexelCrop:
    return TexelCrop.around(texels, texels.in_components(*MOUTH_PARTS))


def tooth_likelihood(
    colors: Float[np.ndarray, "e 3"], sclera: Float[np.ndarray, "3"], lips: Float[np.ndarray, "3"], chroma: float
) -> Float[np.ndarray, "e"]:
    """1 for what is clearly less red than the lips and bright as teeth are; in a gray photo for what is bright."""
    bright = smoothstep(brightness_ratio(colors, sclera), *TOOTH_BRIGHTNESS)
    pale = smoothstep(redness(colors) / np.maximum(redness(lips), LEAST_LIP_REDNESS), *TOOTH_REDNESS)
    brighter = smoothstep(luminance(colors) - luminance(lips), *TOOTH_EXCESS)
    return (bright * mix(brighter, pale, chroma)).astype(np.float32)
