"""Colours read from a photo at texels, how far to trust them, and which of them look like this person's skin."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float

AVERAGE_SKIN = np.array([0.72, 0.54, 0.45], np.float32)
HAIR_DISTANCE = 1.3  # from the skin's median, in `scaled_lab`
DISTINCT = (1.5, 3.0)  # the same, from there and to where hair is told from skin in any light
REFINEMENTS = 3
BALD_SHARE = 0.3  # of the visible scalp: with less that differs from skin, a head is bald
DARKEST = 0.03  # added before logarithms: below it, sRGB ratios are noise


Values = np.ndarray | np.floating | float


def smoothstep(x: np.ndarray | np.floating, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between. ``low`` may exceed ``high``."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def mix(a: Values, b: Values, share: Values) -> np.ndarray:
    """``a`` where share is 0, ``b`` where it is 1."""
    return np.asarray(a + (b - a) * share)


def luminance(colours: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k"]:
    """Rec. 709 weights on sRGB values: a perceptual grey, not radiometric."""
    return np.asarray(colours @ np.array([0.2126, 0.7152, 0.0722], colours.dtype))


@dataclass(frozen=True)
class TexelColours:
    """``colours``: sRGB of the photo at k texels. ``weights``: trust, 0..1. ``facing``: cosine to the line of sight."""

    colours: Float[np.ndarray, "k 3"]
    weights: Float[np.ndarray, "k"]
    facing: Float[np.ndarray, "k"]

    def weighted(self, factor: Float[np.ndarray, "k"]) -> TexelColours:
        return replace(self, weights=self.weights * factor)


@dataclass(frozen=True)
class SkinColours:
    """Robust model of one face's skin in log space, where shading only shifts the brightness.

    ``centre`` and ``spread``: median and deviation of (log red/green, log blue/green, log luminance).
    ``median``: the sRGB colour.
    """

    centre: Float[np.ndarray, "3"]
    spread: Float[np.ndarray, "3"]
    median: Float[np.ndarray, "3"]

    @classmethod
    def learn(cls, colours: Float[np.ndarray, "k 3"], weights: Float[np.ndarray, "k"]) -> SkinColours:
        """From texels of the face; an average skin where nothing is seen."""
        (ids,) = np.nonzero(weights > 0.7)
        samples = colours[ids[:: max(len(ids) // 20000, 1)]] if len(ids) >= 100 else AVERAGE_SKIN[None]
        features = log_features(samples)
        centre, spread = np.median(features, axis=0), np.array([0.12, 0.12, 0.35])
        for _ in range(3):  # bangs, glasses and beard are on the face too: forget what is far away
            near = (np.abs(features - centre) < 2.5 * spread).all(1)
            samples, features = samples[near], features[near]
            centre = np.median(features, axis=0)
            deviation = 1.4826 * np.median(np.abs(features - centre), axis=0)
            spread = deviation.clip([0.05, 0.05, 0.18], [0.12, 0.12, 0.35])
        return cls(centre.astype(np.float32), spread.astype(np.float32), np.median(samples, axis=0))

    def likeness(self, colours: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
        """1 for skin, 0 for what is surely something else. Shadow on skin is skin: darkness counts little."""
        offset = (log_features(colours) - self.centre) / self.spread
        offset[:, 2] *= np.where(offset[:, 2] < 0, 0.6, 1.0)
        return smoothstep(lengths(offset), 4.0, 2.5)


@dataclass(frozen=True)
class HairColours:
    """What covers this head where hair grows (hair, a hat), told from its skin. Centres are in scaled CIELAB
    (see `scaled_lab`), ``median`` is the sRGB colour."""

    centre: Float[np.ndarray, "3"]
    skin_centre: Float[np.ndarray, "3"]
    median: Float[np.ndarray, "3"]

    @classmethod
    def learn(
        cls,
        colours: Float[np.ndarray, "k 3"],
        weights: Float[np.ndarray, "k"],
        skin: SkinColours,
        stranded: bool = False,
    ) -> HairColours | None:
        """From texels where hair grows; None when they look like skin: a bald head. ``stranded``: it is no bald head,
        whatever the colours say; then the half that differs most from skin is the hair."""
        (ids,) = np.nonzero(weights > 0.3)
        samples = colours[ids[:: max(len(ids) // 20000, 1)]]
        skin_centre = scaled_lab(skin.median[None])[0]
        lab = scaled_lab(samples)
        to_skin = lengths(lab - skin_centre)
        unlike = to_skin > HAIR_DISTANCE
        if unlike.mean() < BALD_SHARE:
            if not stranded:
                return None
            unlike = to_skin > np.median(to_skin)
        # Along the hairline colours are mixed: what is nearer to the skin than to the hair does not count.
        for _ in range(REFINEMENTS):
            centre = np.median(lab[unlike], axis=0)
            unlike = lengths(lab - centre) < to_skin
        return cls(np.median(lab[unlike], axis=0), skin_centre, np.median(samples[unlike], axis=0))

    @property
    def distinctness(self) -> float:
        """0 when shaded skin has this hair's colour, as that of many blonds: outside the scalp it proves nothing."""
        return float(smoothstep(np.linalg.norm(self.centre - self.skin_centre), *DISTINCT))

    def likeness(self, colours: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k"]:
        """1 for what is closer to the hair than to the skin, 0 for the contrary."""
        lab = scaled_lab(colours)
        to_hair, to_skin = (lengths(lab - centre) for centre in (self.centre, self.skin_centre))
        return smoothstep((to_skin - to_hair) / (to_skin + to_hair + 0.3), -0.3, 0.3)


def lengths(vectors: Float[np.ndarray, "k c"]) -> Float[np.ndarray, "k"]:
    """Euclidean norms; NumPy's own takes several times as long on short rows."""
    return np.sqrt(np.einsum("kc,kc->k", vectors, vectors))


def log_features(colours: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    logs = np.log(colours + DARKEST)
    brightness = np.log(luminance(colours) + DARKEST)
    return np.stack([logs[:, 0] - logs[:, 1], logs[:, 2] - logs[:, 1], brightness], axis=1)


def scaled_lab(colours: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """CIELAB over the usual variation within one face's skin: 18 in lightness, 8 in a and b."""
    lab = cv2.cvtColor(np.ascontiguousarray(colours[None], np.float32), cv2.COLOR_RGB2LAB)[0]
    return lab / np.array([18, 8, 8], np.float32)
