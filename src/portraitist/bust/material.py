"""What a garment is made of: its color, the light on it, and its weave, found where the photo shows them."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.patch_noise import Example, lay_out

ALIKE = 0.3  # of logarithms: colors of one cloth in light and shade
MODE_SAMPLES = 1500  # of the colors among which the most frequent is sought
SKIN_DOUBT = 0.9  # how much less likely cloth has the very color of the wearer's skin
LIT_PLAIN = 0.3  # share of what is seen that speaks for no light at all, against wild slopes from few normals
WEAVE = 0.006  # meters: what is finer is the weave, or a pattern; folds and shadows are broader
PIECE_RADIUS = 0.03  # meters, of the pieces that unseen cloth is made of
QUIET = 0.35  # share of them that is used: the loudest are badges, buttons and edges


def find_main_color(
    logs: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    around: Float[np.ndarray, "m 3"],
    skin: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "3"]:
    """The most frequent color, not the mean of all, which nobody wears: the mode of their density, less likely where
    that of the background (``around``) is as high, and near the color of the sitter's ``skin``, which a segmentation
    takes for cloth sooner than another. All are logarithms of sRGB."""
    colors, shares = _thin_out(logs[weights > 0], weights[weights > 0])
    nearness = shares * _compare(colors, colors)
    own = nearness.sum(1) / shares.sum()
    others = 0.0
    if len(around):
        behind, counts = _thin_out(around, np.ones(len(around)))
        others = (_compare(colors, behind) @ counts) / counts.sum()
    likely = own * own / (own + others) * (1 - SKIN_DOUBT * compare_to(colors, skin))
    most = nearness[np.argmax(likely)]
    return (most[:, None] * colors).sum(0) / most.sum()


def _thin_out(colors: Float[np.ndarray, "k 3"], weights: Float[np.ndarray, "k"]) -> tuple[np.ndarray, np.ndarray]:
    """Not many more than `MODE_SAMPLES` of them."""
    step = max(len(colors) // MODE_SAMPLES, 1)
    return colors[::step], weights[::step]


def _compare(colors: Float[np.ndarray, "k 3"], others: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "k m"]:
    """1 where two are equal, 0 where they are of different cloth."""
    return np.exp(-((np.linalg.norm(colors[:, None] - others, axis=2) / ALIKE) ** 2))


def find_light(
    logs: Float[np.ndarray, "k 3"],
    normals: Float[np.ndarray, "k 3"],
    weights: Float[np.ndarray, "k"],
    main: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "k"]:
    """Logarithm of the light on every texel, 0 on average where cloth of the color ``main`` is seen: linear in the
    normal, and the same behind as in front."""
    facing = normals * [1, 1, 0] + np.abs(normals) * [0, 0, 1]
    alike = weights * compare_to(logs, main)
    total = alike.sum()
    if total == 0:
        return np.zeros(len(logs))
    facing = facing - (alike @ facing) / total
    slopes = facing.T @ (alike[:, None] * facing) + LIT_PLAIN * total * np.eye(3)
    gray = (logs - main).mean(1)
    return facing @ np.linalg.solve(slopes, facing.T @ (alike * gray))


def compare_to(logs: Float[np.ndarray, "*k 3"], main: Float[np.ndarray, "3"]) -> Float[np.ndarray, "*k"]:
    """How likely colors are those of cloth of the color ``main``, 0..1, in any light."""
    return np.exp(-((np.linalg.norm(logs - main, axis=-1) / (2 * ALIKE)) ** 2))


def lay_out_weave(
    photo: Float[np.ndarray, "h w 3"],
    own: Bool[np.ndarray, "h w"],
    main: Float[np.ndarray, "3"],
    px_per_m: float,
    places: Float[np.ndarray, "k 3"],
    normals: Float[np.ndarray, "k 3"],
) -> Float[np.ndarray, "k 3"]:
    """Logarithms of fine detail at ``places`` (meters) with unit ``normals``: pieces of the photo's cloth (``own``)
    around the color ``main``."""
    logs = np.log(photo + DARKEST).astype(np.float32)
    inside = own.astype(np.float32)
    blurred = cv2.GaussianBlur(np.dstack([logs * inside[..., None], inside]), (0, 0), WEAVE * px_per_m)
    broad = blurred[..., :3] / np.maximum(blurred[..., 3:], 1e-6)
    usable = own & (np.linalg.norm(broad - main, axis=2) < 2 * ALIKE)
    detail = (logs - broad) * inside[..., None]
    example = Example.cut(detail, usable, PIECE_RADIUS * px_per_m, px_per_m, QUIET)
    return lay_out(example, places, normals, np.random.default_rng(0))
