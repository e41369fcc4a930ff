"""Swatches: how an artwork paints each material of a figure, tone by tone, in that material's own hues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.apps.character_manner import Manner
from portraitist.apps.character_palette import Ramp
from portraitist.devices import from_numpy, to_numpy
from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.patch_noise import Example
from portraitist.rendering.shader_math import luminance
from portraitist.segmentation.parts import UNLABELED
from portraitist.texture.exemplar import StyleSource
from portraitist.texture.labels import LabelRoles
from portraitist.types import Image

TONES = 4  # of a material that are told apart: each is painted as the artwork paints what is as light
STROKE = 0.02  # of a face's size: what is finer is stroke, broader is tone
PIECE = 0.06  # of a face's size: radius of the pieces that strokes are laid out in
QUIET = 0.8  # share of them that is used: the others are buttons, hairlines and other edges
EXTREMES = (0.05, 0.95)  # quantiles of the artwork's tones: materials darker or lighter than these are shifted to them

Logs = Float[np.ndarray, "h w 3"]


def read_logs(picture: Image) -> Logs:
    """Logarithms of its colors."""
    return np.log(to_numpy(picture, np.float64).transpose(1, 2, 0) + DARKEST)


def blur_inside(logs: Logs, mask: Bool[np.ndarray, "h w"], sigma: float) -> Logs:
    """Means over what is around and on the mask: of colors, since black lines on white are seen as gray."""
    own = mask.astype(np.float64)[..., None]
    blurred = cv2.GaussianBlur(np.dstack([np.exp(logs) * own, own]), (0, 0), sigma)
    return np.log((blurred[..., :3] / blurred[..., 3:].clip(1e-6)).clip(DARKEST))


def find_tone(logs: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k"]:
    """Logarithm of the luminance."""
    return np.log(luminance(np.exp(logs)))


@dataclass(frozen=True, eq=False)
class Swatch:
    """``picture``: paint of one material, sRGB, of its middle color beside the example. ``detail``: strokes alone, as
    changes of the logarithms. ``tones``: which of `TONES` each pixel is, `UNLABELED` beside the example. ``edges``:
    tones at which each begins, and at which the last one ends. ``face_px``: as in `Manner`."""

    picture: Float[np.ndarray, "h w 3"]
    detail: Logs
    tones: Int[np.ndarray, "h w"]
    edges: Float[np.ndarray, "e"]
    face_px: float

    @classmethod
    def make(cls, manner: Manner, mask: Bool[Tensor, "h w"], colors: Float[np.ndarray, "k 3"]) -> Swatch:
        """After the example on the ``mask``, for a material with these ``colors``, sRGB. The artwork's strokes stay,
        and its tones as far as the material has them, so that an engraving's black and white stay what they are."""
        rows, columns = np.nonzero(to_numpy(mask))
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        inside, logs = to_numpy(mask)[box], read_logs(manner.picture)[box]
        broad = blur_inside(logs, inside, STROKE * manner.face_px)
        tones, ramp = find_tone(broad), Ramp.measure(colors)
        steps = find_tone(ramp.logs)
        middle = float(steps[len(steps) // 2])
        low, high = np.quantile(tones[inside], EXTREMES)
        tones = tones + middle - np.clip(middle, low, high)
        order = np.argsort(steps)
        hues = [np.interp(tones, steps[order], axis[order]) for axis in (ramp.logs - steps[:, None]).T]
        detail = np.where(inside[..., None], logs - broad, 0.0)
        painted = np.exp(detail + np.stack(hues, 2) + tones[..., None]) - DARKEST
        edges = np.quantile(tones[inside], np.linspace(0, 1, TONES + 1))
        ranks = np.where(inside, np.searchsorted(edges[1:-1], tones), UNLABELED)
        picture = np.where(inside[..., None], painted, ramp.middle).clip(0, 1)
        return cls(picture, detail, ranks, edges, manner.face_px)

    def rank(self, tones: Float[np.ndarray, "k"], chance: Float[np.ndarray, "k"]) -> Int[np.ndarray, "k"]:
        """Which of its tones are painted like these; by ``chance``, 0..1, the one or the other between two of them, so
        that no border is seen."""
        at = np.interp(tones, self.edges, np.arange(TONES + 1))
        return np.floor(at + chance - 0.5).clip(0, TONES - 1).astype(np.int64)

    def cut_strokes(self, face_m: float, ranks: Int[np.ndarray, "k"]) -> Example:
        """Pieces of its strokes, for faces ``face_m`` meters large, from where it has the tones of which most of
        ``ranks`` are: in a drawing there are more in the shade."""
        inside, counts = self.tones != UNLABELED, np.bincount(ranks, minlength=TONES)
        cut = Example.cut(self.detail.astype(np.float32), inside, PIECE * self.face_px, self.face_px / face_m, QUIET)
        alike = counts[self.tones[tuple(cut.centers.T)]] > len(ranks) / (2 * TONES)
        return replace(cut, centers=cut.centers[alike], upright=cut.upright[alike]) if alike.any() else cut

    def list_colors(self, like: Tensor) -> Float[Tensor, "n 3"]:
        """Of its paint."""
        return from_numpy(self.picture[self.tones != UNLABELED].astype(np.float32), like)


def join_swatches(swatches: Sequence[Swatch], like: Tensor) -> StyleSource:
    """All of them side by side as one artwork, in which each tone of each material has a label of its own."""
    height = max(len(swatch.tones) for swatch in swatches)
    pictures, labels = [], []
    for number, swatch in enumerate(swatches):
        below = height - len(swatch.tones), swatch.tones.shape[1]
        tones = np.where(swatch.tones == UNLABELED, UNLABELED, swatch.tones + number * TONES)
        labels.append(np.concatenate([tones, np.full(below, UNLABELED)]))
        pictures.append(np.concatenate([swatch.picture, np.broadcast_to(swatch.picture.mean((0, 1)), (*below, 3))]))
    image = from_numpy(np.concatenate(pictures, 1).astype(np.float32).transpose(2, 0, 1), like)
    return StyleSource(image, from_numpy(np.concatenate(labels, 1), image[0].long()), image.mean((1, 2)))


def tone_roles(materials: int) -> LabelRoles:
    """Each tone of each material is painted like itself."""
    everything = tuple(range(materials * TONES))
    return LabelRoles(1 - torch.eye(len(everything)), moments=(), content=(), patches=everything)
