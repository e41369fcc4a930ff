"""Color model of one person's skin, learned from the texels that a photo shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from portraitist.reconstruction.head_texels import DARKEST
from portraitist.rendering.shader_math import luminance, smoothstep

DARKEST_DIVISOR = 0.02  # luminance below which a ratio of brightnesses is noise
MAD_TO_DEVIATION = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
LARGEST_SAMPLE = 20000  # texels that a model is learned from

AVERAGE_SKIN = np.array([0.72, 0.54, 0.45], np.float32)  # sRGB, where none is seen
SKIN_SEEN = 0.7  # weight from which a texel counts
FEWEST_SKIN_TEXELS = 100
LEAST_SPREAD = np.array([0.05, 0.05, 0.18])  # of the three log features within one face
LARGEST_SPREAD = np.array([0.12, 0.12, 0.35])  # also the first guess
OUTLIER_SPREADS = 2.5  # from the center, where a sample is forgotten: bangs, glasses and beard are on the face too
SKIN_SPREADS = (4.0, 2.5)  # from the center: surely no skin, skin
SHADOW_DISCOUNT = 0.6  # on distances towards the dark: shadow on skin is skin
DEEP_SHADE = (-1.2, -0.7)  # log brightness against the skin's: not to be relied on, relied on

REFINEMENTS = 3  # rounds of robust estimation


@dataclass(frozen=True)
class SkinColors:
    """Robust model of one face's skin in log space, where shading only shifts the brightness.

    ``center`` and ``spread``: median and deviation of the three `log_features`. ``median``: the sRGB color.
    """

    center: Float[np.ndarray, "3"]
    spread: Float[np.ndarray, "3"]
    median: Float[np.ndarray, "3"]

    @classmethod
    def learn(cls, colors: Float[np.ndarray, "k 3"], weights: Float[np.ndarray, "k"]) -> SkinColors:
        """From texels of the face; an average skin where nothing is seen."""
        (ids,) = np.nonzero(weights > SKIN_SEEN)
        samples = colors[subsample(ids)] if len(ids) >= FEWEST_SKIN_TEXELS else AVERAGE_SKIN[None]
        features = log_features(samples)
        center, spread = np.median(features, axis=0), LARGEST_SPREAD
        for _ in range(REFINEMENTS):
            near = (np.abs(features - center) < OUTLIER_SPREADS * spread).all(1)
            samples, features = samples[near], features[near]
            center = np.median(features, axis=0)
            deviation = MAD_TO_DEVIATION * np.median(np.abs(features - center), axis=0)
            spread = deviation.clip(LEAST_SPREAD, LARGEST_SPREAD)
        return cls(center.astype(np.float32), spread.astype(np.float32), np.median(samples, axis=0))

    def likelihood(self, colors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
        """1 for skin, 0 for what is surely something else; darkness counts less than color."""
        offset = (log_features(colors) - self.center) / self.spread
        offset[:, 2] *= np.where(offset[:, 2] < 0, SHADOW_DISCOUNT, 1.0)
        return smoothstep(row_norms(offset), *SKIN_SPREADS)

    def bareness(self, colors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
        """1 for skin in a light that shows what it is like; 0 for anything else, and in deep shade."""
        return self.likelihood(colors) * smoothstep(self.relative_log_brightness(colors), *DEEP_SHADE)

    def relative_log_brightness(self, colors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
        """Log luminance against the skin's median."""
        return log_features(colors)[:, 2] - self.center[2]


def subsample(ids: np.ndarray) -> np.ndarray:
    """Every so many-th of the ids, about `LARGEST_SAMPLE` of them."""
    return ids[:: max(len(ids) // LARGEST_SAMPLE, 1)]


def row_norms(vectors: Float[np.ndarray, "k c"]) -> Float[np.ndarray, "k"]:
    """Euclidean norms; NumPy's own takes several times as long on short rows."""
    return np.sqrt(np.einsum("kc,kc->k", vectors, vectors))


def log_features(colors: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """Log chromaticities and brightness: (log red/green, log blue/green, log luminance)."""
    logs = np.log(colors + DARKEST)
    brightness = np.log(luminance(colors) + DARKEST)
    return np.stack([logs[:, 0] - logs[:, 1], logs[:, 2] - logs[:, 1], brightness], axis=1)


def brightness_ratio(
    colors: Float[np.ndarray, "*k 3"], reference: Float[np.ndarray, "*j 3"]
) -> Float[np.ndarray, "*k"]:
    """Luminance of ``colors`` over that of ``reference`` (one color, or as many as colors)."""
    return np.asarray(luminance(colors) / np.maximum(luminance(reference), DARKEST_DIVISOR))
