"""What no photo shows well, drawn once: teeth, tongue, mouth cavity, iris and sclera (``tools/eyes_and_mouth``).

Colors are those of an average person in white light. ``adaptation.py`` tints them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file

from portraitist.assets import asset_path
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels
from portraitist.rendering.shader_math import luminance, mix, smoothstep
from portraitist.unwrapping.gaze import Eyeball, unit

MOUTH_PARTS = ("mouth_cavity", "upper_teeth", "lower_teeth", "tongue")
INSIDE_BOX = (0.5, 0.85, 0.86)  # left, top and right of the mouth's picture in the UV layout; it ends below
FARTHEST = 4.0  # iris radii: where the picture of the sclera ends
SHADE_DEG = 60.0  # elevation over the ball's axis, to both sides, where that of the lids' shade ends
LIMBUS = (0.93, 1.08)  # iris radii over which iris becomes sclera


@dataclass(frozen=True)
class AuthoredMouth:
    """Of the texels of `MOUTH_PARTS`. ``enamel``: share of tooth, against gum and tongue. ``lip``: share of what
    continues the lips."""

    colors: Float[np.ndarray, "e 3"]
    enamel: Float[np.ndarray, "e"]
    lip: Float[np.ndarray, "e"]


@dataclass(frozen=True)
class AuthoredEye:
    """Of a ball's texels, for one gaze. ``relief``: brightness of the iris against its own color. ``iris``, ``pupil``:
    shares. ``sclera``: colors. ``shade``: what the lids leave of the light."""

    relief: Float[np.ndarray, "e"]
    pupil: Float[np.ndarray, "e"]
    iris: Float[np.ndarray, "e"]
    sclera: Float[np.ndarray, "e 3"]
    shade: Float[np.ndarray, "e"]


@functools.cache
def load_authored() -> dict[str, np.ndarray]:
    """Pictures [c, h, w] or [n], 0..1. Raises AssetError when the file is missing or damaged."""
    stored = load_file(asset_path("eyes_and_mouth.safetensors"))
    return {name: values.astype(np.float32) / 255 for name, values in stored.items()}


@functools.lru_cache(maxsize=2)
def draw_mouth(model: HeadModel, texels: HeadTexels, chroma: float) -> AuthoredMouth:
    """The authored inside of the mouth at the texels of `MOUTH_PARTS`, its saturation times ``chroma``."""
    inside = texels.in_components(*MOUTH_PARTS)
    rows, columns = np.divmod(texels.texel_ids[inside], texels.size)
    u, v = (columns + 0.5) / texels.size, (rows + 0.5) / texels.size
    picture = load_authored()["inside"]
    left, top, right = INSIDE_BOX
    x = (np.maximum(u, 1 - u) - left) / (right - left) * picture.shape[2]
    y = (v - top) / (1 - top) * picture.shape[1]
    # A texel that covers several of the picture's takes their mean.
    sampled = sample_picture(picture, x, y, picture.shape[1] / ((1 - top) * texels.size))
    teeth = texels.in_components("upper_teeth", "lower_teeth")[inside]
    return AuthoredMouth(scale_saturation(sampled[:, :3], chroma), sampled[:, 3] * teeth, sampled[:, 3] * ~teeth)


def draw_eye(eyeball: Eyeball, gaze: Float[np.ndarray, "3"], chroma: float) -> AuthoredEye:
    """The authored eye looking along ``gaze``, a unit vector from the ball's center; saturation times ``chroma``."""
    angle = eyeball.angles_to(gaze)
    side = unit(np.cross([0.0, 1.0, 0.0], gaze))
    up = np.cross(gaze, side)
    turn = np.arctan2(eyeball.directions @ up, eyeball.directions @ side)
    pictures = load_authored()
    iris = _sample_polar(pictures["iris"], angle, turn, 1.0)
    sclera = _sample_polar(pictures["sclera"], angle, turn, FARTHEST)
    lift = np.degrees(np.arcsin(eyeball.directions[:, 1]) - np.arcsin(eyeball.axis[1]))
    shade = pictures["lid_shade"]
    places = ((lift / SHADE_DEG + 1) / 2 * len(shade) - 0.5).clip(0, len(shade) - 1)
    return AuthoredEye(
        relief=2 * iris[:, 0],
        pupil=iris[:, 1],
        iris=smoothstep(angle, *LIMBUS[::-1]).astype(np.float32),
        sclera=scale_saturation(sclera, chroma),
        shade=np.interp(places, np.arange(len(shade)), shade).astype(np.float32),
    )


def scale_saturation(color: Float[np.ndarray, "*k 3"], chroma: float) -> Float[np.ndarray, "*k 3"]:
    """``color`` with its saturation times ``chroma``."""
    return mix(luminance(color)[..., None], color, chroma).astype(np.float32)


def _sample_polar(
    picture: Float[np.ndarray, "c h w"], angle: np.ndarray, turn: np.ndarray, farthest: float
) -> Float[np.ndarray, "e c"]:
    columns = turn / (2 * np.pi) % 1 * picture.shape[2]
    return sample_picture(np.pad(picture, ((0, 0), (0, 0), (1, 1)), mode="wrap"), columns + 1,
                          angle / farthest * picture.shape[1])  # fmt: skip


def sample_picture(
    picture: Float[np.ndarray, "c h w"], x: np.ndarray, y: np.ndarray, footprint: float = 1.0
) -> Float[np.ndarray, "e c"]:
    """Bilinear look-up at pixel coordinates (centers at halves); ``footprint``: side of what one look-up covers."""
    width = max(round(footprint), 1)
    channels = np.ascontiguousarray(picture.transpose(1, 2, 0))
    blurred = cv2.blur(channels, (width, width), borderType=cv2.BORDER_REPLICATE) if width > 1 else channels
    maps = ((values - 0.5).astype(np.float32)[:, None] for values in (x, y))
    # OpenCV's remap takes at most 32,767 rows.
    x_map, y_map = maps
    pieces = [
        cv2.remap(blurred, x_map[first : first + 30_000], y_map[first : first + 30_000], cv2.INTER_LINEAR,
                  borderMode=cv2.BORDER_REPLICATE)
        for first in range(0, len(x_map), 30_000)
    ]  # fmt: skip
    return np.concatenate(pieces).reshape(len(x_map), -1)
