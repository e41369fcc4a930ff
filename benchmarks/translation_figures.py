"""Figures of a landmark translation, from shapes alone. All shapes are deviations from the mean normal face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import sqrtm

COMPONENTS = 32
PERCENT = 100.0  # FIDs are in percent of the outer eye distance, squared
RETRIEVED_AMONG = 20


@dataclass(frozen=True)
class Translated:
    """Translations [s, c, 136] of ``contents`` [c, 136] by held-out ``styles`` [s, 136]."""

    shapes: Float[np.ndarray, "s c 136"]
    contents: Float[np.ndarray, "c 136"]
    styles: Float[np.ndarray, "s 136"]

    @property
    def moved(self) -> Float[np.ndarray, "s c 136"]:
        return self.shapes - self.contents


def find_components(*sets: Float[np.ndarray, "n 136"]) -> Float[np.ndarray, "136 32"]:
    """Leading directions of several sets, each counting the same."""
    moments = sum(rows.T @ rows / len(rows) for rows in sets)
    return np.linalg.eigh(moments)[1][:, ::-1][:, :COMPONENTS]


def frechet_distance(first: Float[np.ndarray, "n c"], second: Float[np.ndarray, "m c"]) -> float:
    """Between the Gaussians with the means and covariances of both sets (Heusel et al. 2017)."""
    covariances = np.cov(first.T), np.cov(second.T)
    root = sqrtm(covariances[0] @ covariances[1])
    apart = ((first.mean(0) - second.mean(0)) ** 2).sum()
    return float(apart + np.trace(covariances[0] + covariances[1] - 2 * np.real(root)))


def cosines(first: Float[np.ndarray, "*n d"], second: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n"]:
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return (first * second).sum(-1) / np.maximum(lengths, 1e-9)


def style_transfer(result: Translated) -> tuple[Float[np.ndarray, "s c"], Float[np.ndarray, "s c"]]:
    """Cosine and gain of what was moved against what the exemplar deviates."""
    styles = result.styles[:, None]
    gains = (result.moved * styles).sum(-1) / np.maximum((styles**2).sum(-1), 1e-9)
    return cosines(result.moved, styles), gains


def retrieve_styles(result: Translated) -> float:
    """Share of translations whose movement is nearest in direction to that of its own exemplar, among 20."""
    moved, styles = result.moved[:RETRIEVED_AMONG], result.styles[:RETRIEVED_AMONG]
    found = cosines(moved[:, :, None], styles[None, None]).argmax(2)
    return float((found == np.arange(len(styles))[:, None]).mean())


def retrieve_contents(result: Translated) -> float:
    """Share of translations nearest in direction to their own content among all, after the mean of each style's
    translations (and of the contents) is taken off."""
    own = result.contents - result.contents.mean(0)
    centered = result.shapes - result.shapes.mean(1, keepdims=True)
    found = np.stack([cosines(shapes[:, None], own[None]).argmax(1) for shapes in centered])
    return float((found == np.arange(len(own))).mean())


def measure_diversity(result: Translated) -> float:
    """Mean distance between translations of one content by different styles, against that between the styles."""

    def spread(rows: np.ndarray) -> float:
        return float(np.linalg.norm(rows[:, None] - rows[None], axis=-1).sum() / (len(rows) * (len(rows) - 1)))

    return float(np.mean([spread(result.shapes[:, c]) for c in range(result.shapes.shape[1])]) / spread(result.styles))


def bootstrap_frechet(
    generated: dict[str, Float[np.ndarray, "s c d"]], real: Float[np.ndarray, "s d"], draws: int, seed: int = 0
) -> dict[str, Float[np.ndarray, "draws"]]:
    """Distances of several systems to the real art faces under the same redrawn artworks: row by row they are paired.

    Row s of every system is translated by artwork s; both sides of the distance are redrawn together.
    """
    random = np.random.default_rng(seed)
    rows = [random.integers(len(real), size=len(real)) for _ in range(draws)]
    return {
        name: np.array([frechet_distance(shapes[r].reshape(-1, shapes.shape[-1]), real[r]) for r in rows])
        for name, shapes in generated.items()
    }
