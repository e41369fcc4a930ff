"""Colors read from a photo at texels, how far to trust them, and which of them look like this person's skin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.shader_math import luminance, smoothstep

AVERAGE_SKIN = np.array([0.72, 0.54, 0.45], np.float32)
HAIR_DISTANCE = 1.3  # from the skin's median, in `scaled_lab`
DISTINCT = (1.5, 3.0)  # the same, from there and to where hair is told from skin in any light
REFINEMENTS = 3
BALD_SHARE = 0.3  # of the visible scalp: with less that differs from skin, a head is bald


@dataclass(frozen=True)
class SkinColors:
    """Robust model of one face's skin in log space, where shading only shifts the brightness.

    ``center`` and ``spread``: median and deviation of (log red/green, log blue/green, log luminance).
    ``median``: the sRGB color.
    """

    center: Float[np.ndarray, "3"]
    spread: Float[np.ndarray, "3"]
    median: Float[np.ndarray, "3"]

    @classmethod
    def learn(cls, colors: Float[np.ndarray, "k 3"], weights: Float[np.ndarray, "k"]) -> SkinColors:
        """From texels of the face; an average skin where nothing is seen."""
        (ids,) = np.nonzero(weights > 0.7)
        samples = colors[ids[:: max(len(ids) // 20000, 1)]] if len(ids) >= 100 else AVERAGE_SKIN[None]
        features = log_features(samples)
        center, spread = np.median(features, axis=0), np.array([0.12, 0.12, 0.35])
        for _ in range(3):  # bangs, glasses and beard are on the face too: forget what is far away
            near = (np.abs(features - center) < 2.5 * spread).all(1)
            samples, features = samples[near], features[near]
            center = np.median(features, axis=0)
            deviation = 1.4826 * np.median(np.abs(features - center), axis=0)
            spread = deviation.clip([0.05, 0.05, 0.18], [0.12, 0.12, 0.35])
        return cls(center.astype(np.float32), spread.astype(np.float32), np.median(samples, axis=0))

    def likeness(self, colors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
        """1 for skin, 0 for what is surely something else. Shadow on skin is skin: darkness counts little."""
        offset = (log_features(colors) - self.center) / self.spread
        offset[:, 2] *= np.where(offset[:, 2] < 0, 0.6, 1.0)
        return smoothstep(lengths(offset), 4.0, 2.5)


@dataclass(frozen=True)
class HairColors:
    """What covers this head where hair grows (hair, a hat), told from its skin. Centers are in scaled CIELAB
    (see `scaled_lab`), ``median`` is the sRGB color."""

    center: Float[np.ndarray, "3"]
    skin_center: Float[np.ndarray, "3"]
    median: Float[np.ndarray, "3"]

    @classmethod
    def learn(
        cls,
        colors: Float[np.ndarray, "k 3"],
        weights: Float[np.ndarray, "k"],
        skin: SkinColors,
        stranded: bool = False,
    ) -> HairColors | None:
        """From texels where hair grows; None when they look like skin: a bald head. ``stranded``: it is no bald head,
        whatever the colors say; then the half that differs most from skin is the hair."""
        (ids,) = np.nonzero(weights > 0.3)
        samples = colors[ids[:: max(len(ids) // 20000, 1)]]
        skin_center = scaled_lab(skin.median[None])[0]
        lab = scaled_lab(samples)
        to_skin = lengths(lab - skin_center)
        unlike = to_skin > HAIR_DISTANCE
        if unlike.mean() < BALD_SHARE:
            if not stranded:
                return None
            unlike = to_skin > np.median(to_skin)
        # Along the hairline colors are mixed: what is nearer to the skin than to the hair does not count.
        for _ in range(REFINEMENTS):
            center = np.median(lab[unlike], axis=0)
            unlike = lengths(lab - center) < to_skin
        return cls(np.median(lab[unlike], axis=0), skin_center, np.median(samples[unlike], axis=0))

    @property
    def distinctness(self) -> float:
        """0 when shaded skin has this hair's color, as that of many blonds: outside the scalp it proves nothing."""
        return float(smoothstep(np.linalg.norm(self.center - self.skin_center), *DISTINCT))

    def likeness(self, colors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
        """1 for what is closer to the hair than to the skin, 0 for the contrary."""
        lab = scaled_lab(colors)
        to_hair, to_skin = (lengths(lab - center) for center in (self.center, self.skin_center))
        return smoothstep((to_skin - to_hair) / (to_skin + to_hair + 0.3), -0.3, 0.3)


def lengths(vectors: Float[np.ndarray, "k c"]) -> Float[np.ndarray, "k"]:
    """Euclidean norms; NumPy's own takes several times as long on short rows."""
    return np.sqrt(np.einsum("kc,kc->k", vectors, vectors))


def log_features(colors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    logs = np.log(colors + DARKEST)
    brightness = np.log(luminance(colors) + DARKEST)
    return np.stack([logs[:, 0] - logs[:, 1], logs[:, 2] - logs[:, 1], brightness], axis=1)


def scaled_lab(colors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """CIELAB over the usual variation within one face's skin: 18 in lightness, 8 in a and b."""
    lab = cv2.cvtColor(np.ascontiguousarray(colors[None], np.float32), cv2.COLOR_RGB2LAB)[0]
    return lab / np.array([18, 8, 8], np.float32)
