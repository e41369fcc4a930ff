"""Delighting: taking strong light and shade out of a photo's skin, and out of an artwork's face.

Photo: a face is nearly the same left and right, so what its skin differs by in brightness, over a few centimeters, is
light. Skin tone, make-up and wrinkles stay, and so does what both sides of the front share (light from above). On
cheeks, temples and neck, from which the unseen rest of the head is continued, part of the fall-off is taken out, too.

Artwork: no symmetry can be trusted in a drawing, but its light is simple. It is fitted by spherical harmonics and taken
out before the style is measured; otherwise the shaded half of a Rembrandt is a shaded half of the sitter.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.mesh.laplacian import vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_poisson import build_head_poisson
from portraitist.reconstruction.head_surface import vertex_share
from portraitist.reconstruction.head_texels import DARKEST, HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.segmentation.parts import EYELIDS, HAIR, LIPS, NOSE, SKIN
from portraitist.types import Camera, Fragments, Image, Mesh
from portraitist.unwrapping.appearance_models import SkinColors

LIT_REGIONS = ("skin", "nose", "neck")  # bare skin as a rule: the rest follows it
# 1 cm, or the light's own harmonics, would even out more and cost 0.02 to 0.04 of identity distance.
BLUR = 0.025  # meters: shades over less than that are what a face is known by
REACH = 0.15  # meters from compared skin at which a correction has died away
HAIR_REACH = 0.012  # meters: the same in hair
SIDE_DIFFERENCE = (0.04, 0.20)  # log brightness: less than the first is left alone, more than the second taken out
LIFTED_SHARE = 0.6  # of the difference: the shaded side is lifted more than the lit one is lowered
FALL_OFF = 0.4  # share taken out of what the turned-away skin of both sides differs by from the face's median
NECK_FALL_OFF = 1.0  # the same on the neck: the chin's shadow would end where the picture of the neck ends
TURNED_AWAY = (0.75, 1.0)  # sideways part of the unit normal at which that begins and is full
LARGEST_GAIN = 0.9  # log brightness: more would only lift noise
BRIGHTEST = 0.97  # sRGB to which a gain may lift

ARTWORK_LIT_PARTS = (SKIN, NOSE, EYELIDS, LIPS)
ARTWORK_DARKEST = 0.02  # luminance below which logarithms are noise
ARTWORK_LARGEST_GAIN = 1.0  # log luminance
ARTWORK_OUTLIER = 0.25  # log luminance off by which a pixel counts half: beards, brush strokes, lines
ARTWORK_ROUNDS = 4  # of robust fitting
HARMONICS_DAMPING = 1e-3  # on the squared coefficients, per pixel: a profile shows too few normals to tell them apart
FEWEST_PIXELS = 100  # of lit skin, without which nothing is fitted
BLUR_SIDES = 40  # sides of a square face in one side of the box that softens the gains' edge


def delight_photo(
    seen: TexelColors, skin: SkinColors, texels: HeadTexels, model: HeadModel, strength: float
) -> TexelColors:
    """The colors with ``strength`` (0..1) of the light's difference between left and right taken out."""
    gains = strength * (texels.interpolation @ estimate_log_gains(seen, skin, texels, model))
    # Scaling all channels alike keeps the tone. What the photo shows near white has to stay below it.
    colors = seen.colors * np.exp(gains)[:, None]
    peak = np.maximum(colors.max(axis=1, keepdims=True), 1e-6)
    limit = np.maximum(seen.colors.max(axis=1, keepdims=True), BRIGHTEST)
    return TexelColors(colors * np.minimum(limit / peak, 1), seen.weights, seen.view_cosines)


def estimate_log_gains(
    seen: TexelColors, skin: SkinColors, texels: HeadTexels, model: HeadModel
) -> Float[np.ndarray, "n"]:
    """Logarithm of the factor that takes the light out, for each vertex."""
    poisson, mirror = build_head_poisson(model), to_numpy(model.mirror)
    bare = seen.weights * skin.likelihood(seen.colors) * texels.in_regions(*LIT_REGIONS)
    brightness, known = texels.vertex_means(np.log(luminance(seen.colors) + DARKEST)[:, None], bare)
    brightness, compared = brightness[:, 0], np.minimum(known, known[mirror])
    area = np.zeros(len(known))
    area[poisson.ids] = poisson.areas
    data = area / BLUR**2 * compared**2
    still = area / mix(REACH, HAIR_REACH, vertex_share(model, "scalp") * (1 - compared)) ** 2
    own = data + still + 1e-12
    difference, common = brightness - brightness[mirror], (brightness + brightness[mirror]) / 2 - skin.center[2]
    solved = poisson.solve(np.column_stack([difference, common]) * (data / own)[:, None], own)
    side = (solved[:, 0] - solved[mirror, 0]) / 2
    side = side * smoothstep(np.abs(side), *SIDE_DIFFERENCE)
    gains = -side * np.where(side < 0, LIFTED_SHARE, 1 - LIFTED_SHARE)
    share = mix(FALL_OFF * find_turned_away(model), NECK_FALL_OFF, vertex_share(model, "neck"))
    gains = gains - share * solved[:, 1]
    return gains[find_carriers(model)].clip(-LARGEST_GAIN, LARGEST_GAIN).astype(np.float32)


@functools.lru_cache(maxsize=2)
def find_turned_away(model: HeadModel) -> Float[np.ndarray, "n"]:
    """1 on the sides of the face, 0 on its front."""
    sideways = np.abs(vertex_normals(to_numpy(model.mean), to_numpy(model.faces))[:, 0])
    return smoothstep(sideways, *TURNED_AWAY) * (1 - vertex_share(model, "nose"))


@functools.lru_cache(maxsize=2)
def find_carriers(model: HeadModel) -> Int[np.ndarray, "n"]:
    """For every vertex the nearest one of the surface: eyes and teeth stand in the light of the skin around them."""
    ids = build_head_poisson(model).ids
    return ids[KDTree(to_numpy(model.mean)[ids]).query(to_numpy(model.mean))[1]]


def delight_artwork(
    art: Image, labels: Int[Tensor, "h w"], mesh: Mesh, camera: Camera, seen: Fragments, strength: float
) -> Image:
    """The artwork with ``strength`` (0..1) of its face's shading taken out.

    Shading is what second-order spherical harmonics of the fitted head's normals (Ramamoorthi and Hanrahan, 2001)
    explain of the skin's log luminance. Hue and everything outside the face stay as they are. ``seen``: ``mesh``
    rasterized in ``camera``.
    """
    if strength == 0:
        return art
    face = to_numpy((labels >= 0) & (labels != HAIR))
    harmonics = measure_harmonics(mesh, camera, seen)
    known = np.isin(to_numpy(labels), ARTWORK_LIT_PARTS) & np.isfinite(harmonics[..., 0])
    if known.sum() < FEWEST_PIXELS:
        return art
    gray = to_numpy(art.mean(0), np.float64).clip(ARTWORK_DARKEST)
    coefficients = fit_harmonics(harmonics[known], np.log(gray[known]))
    shading = np.where(face, np.nan_to_num(harmonics) @ coefficients, 0.0)
    gains = np.where(face, strength * (np.median(shading[known]) - shading), 0.0)
    gains = gains.clip(-ARTWORK_LARGEST_GAIN, ARTWORK_LARGEST_GAIN)
    side = 2 * (int(np.sqrt(face.sum())) // BLUR_SIDES) + 1
    gains = from_numpy(cv2.blur(gains, (side, side)), art)
    return (art * gains.exp()).clamp(0, 1)


def fit_harmonics(basis: Float[np.ndarray, "k 9"], brightness: Float[np.ndarray, "k"]) -> Float[np.ndarray, "9"]:
    """Coefficients that explain the log brightness, by iteratively reweighted least squares (Cauchy weights)."""
    weights = np.ones(len(brightness))
    for _ in range(ARTWORK_ROUNDS):
        system = basis.T * weights
        damping = HARMONICS_DAMPING * len(basis) * np.eye(basis.shape[1])
        coefficients = np.linalg.solve(system @ basis + damping, system @ brightness)
        weights = 1 / (1 + (np.abs(basis @ coefficients - brightness) / ARTWORK_OUTLIER) ** 2)
    return coefficients


def measure_harmonics(mesh: Mesh, camera: Camera, seen: Fragments) -> Float[np.ndarray, "h w 9"]:
    """Real spherical harmonics of each pixel's normal in the camera's frame, up to constants; NaN beside the head."""
    normals = from_numpy(vertex_normals(to_numpy(mesh.vertices), to_numpy(mesh.faces)), mesh.vertices)
    corners = (normals @ camera.rotation.T)[mesh.faces[seen.face_ids.clamp(min=0)]]
    smooth = torch.nn.functional.normalize((corners * seen.barycentrics[..., None]).sum(-2), dim=-1)
    x, y, z = to_numpy(smooth, np.float64).transpose(2, 0, 1)
    values = np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], -1)
    return np.where(to_numpy(seen.mask)[..., None], values, np.nan)
