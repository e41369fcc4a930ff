"""Growing the scarce art set. What is grown is for training only; no test set ever holds it.

All shapes are deviations from the mean normal face in outer eye distances (``shape_space.measure_deviation``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from portraitist.geometry.shape_space import measure_deviation, mirror_deviation
from portraitist.landmarks.alignment import similarity_2d

REGIONS = (range(0, 17), range(17, 27), range(27, 36), range(36, 48), range(48, 68))  # jaw, brows, nose, eyes, mouth
FIVE_POINTS = ((range(36, 42)), (range(42, 48)), (30,), (48,), (54,))  # eye centers, nose tip, mouth corners
MOST_OFF_CENTER = 0.12  # of the nose tip, in distances of the eye centers: beyond it the head is turned
RIDGE = 1e-3
JITTER = 0.04  # of scale across, and of shear
# Warps of the plane: size, and reach over which they stay alike, in outer eye distances.
WARPS, DETAILS = (0.11, 0.45), (0.03, 0.12)  # of whole parts of the face, of their outlines
DISTORTION = 0.7  # of grown artworks: real ones are distorted as they are
IDENTITY_SHARE = 0.5  # of the difference of two normal faces that may be added to an artwork


@dataclass(frozen=True)
class GrowthShares:
    """Shares of the grown set: artworks as they are, between two artworks, exaggerated normal faces, and completed
    five-point caricatures."""

    annotated: float = 0.25
    between: float = 0.35
    exaggerated: float = 0.2
    completed: float = 0.2


def grow_art(
    art: Float[np.ndarray, "a 68 2"],
    normal: Float[np.ndarray, "n 68 2"],
    weights: Float[np.ndarray, "n"],
    completed: Float[np.ndarray, "m 68 2"],
    count: int,
    random: np.random.Generator,
    mean: Float[np.ndarray, "68 2"],
    shares: GrowthShares | None = None,
) -> Float[np.ndarray, "count 68 2"]:
    """``count`` art shapes grown from ``art`` (and its mirror image) with small changes of everything."""
    shares = shares or GrowthShares()
    art = np.concatenate([art, mirror(art)])
    kinds = [shares.annotated, shares.between, shares.exaggerated, shares.completed if len(completed) else 0.0]
    counts = random.multinomial(count, np.array(kinds) / sum(kinds))
    grown = [
        art[random.integers(len(art), size=counts[0])],
        _between(art, counts[1], random),
        exaggerate(_draw(normal, weights, counts[2], random), random),
        completed[random.integers(max(len(completed), 1), size=counts[3])] if counts[3] else art[:0],
    ]
    shapes = np.concatenate(grown)
    share = IDENTITY_SHARE * random.random((count, 1, 1))
    share[: counts[0]] *= random.random((counts[0], 1, 1)) < 0.5  # half of the artworks stay who they are
    shapes = shapes + share * (_draw(normal, weights, count, random) - _draw(normal, weights, count, random))
    return _jitter(distort(mean + shapes, mean, random, DISTORTION) - mean, mean, random)


def mirror(shapes: Float[np.ndarray, "n 68 2"]) -> Float[np.ndarray, "n 68 2"]:
    return mirror_deviation(torch.from_numpy(shapes)).numpy()


def _draw(shapes: np.ndarray, weights: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    return shapes[random.choice(len(shapes), count, p=weights / weights.sum())]


def _between(art: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Between two artworks, mostly near one of both."""
    share = random.beta(0.4, 0.4, (count, 1, 1))
    first, second = random.integers(len(art), size=(2, count))
    return (1 - share) * art[first] + share * art[second]


def exaggerate(normal: Float[np.ndarray, "n 68 2"], random: np.random.Generator) -> Float[np.ndarray, "n 68 2"]:
    """Classical exaggeration: each face's own deviation from the mean, enlarged, in every region differently."""
    factor = np.ones((len(normal), 68, 1))
    overall = random.uniform(1.5, 3.5, len(normal))
    for region in REGIONS:
        factor[:, list(region), 0] = (overall * random.uniform(0.6, 1.4, len(normal)))[:, None]
    return factor * normal


def distort(
    shapes: Float[np.ndarray, "n 68 2"], mean: Float[np.ndarray, "68 2"], random: np.random.Generator, size: float = 1.0
) -> Float[np.ndarray, "n 68 2"]:
    """As draughtsmen do and no known artwork did: regions resized and moved, the plane warped. How much of each differs
    from face to face, down to nearly nothing. A network that has not seen them draws new styles too weakly."""
    shares = size * random.beta(0.8, 1.2, (3, len(shapes), 1, 1))
    shapes = shapes + shares[0] * (resize_regions(shapes, random) - shapes)
    for share, warps in zip(shares[1:], (WARPS, DETAILS), strict=True):
        shapes = shapes + share * draw_warps(mean, len(shapes), *warps, random)
    return shapes


def resize_regions(shapes: Float[np.ndarray, "n 68 2"], random: np.random.Generator) -> Float[np.ndarray, "n 68 2"]:
    """Each region about its own middle: wider, higher, turned (eyes and brows as mirrored pairs), and moved."""
    changed = shapes.copy()
    count = len(shapes)
    jaw, brows, nose, eyes, mouth = (list(region) for region in REGIONS)
    for region, pairs in ((nose, False), (mouth, False), (eyes, True), (brows, True)):
        size = np.exp(random.normal(0, 0.2, (count, 1, 2)))
        shift = random.normal(0, 0.045, (count, 1, 2))
        angle = random.normal(0, 0.12, count)
        halves = ((region[: len(region) // 2], 1.0), (region[len(region) // 2 :], -1.0)) if pairs else ((region, 0.0),)
        for points, side in halves:
            part = shapes[:, points]
            middle = part.mean(1, keepdims=True)
            cos, sin = np.cos(side * angle), np.sin(side * angle)
            turn = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
            mirrored = shift * np.array([side, 1.0])  # a lone region stays on the midline
            changed[:, points] = middle + mirrored + ((part - middle) * size) @ turn
    # The jaw about the height of the ears: narrower or wider, shorter or longer, more so the farther down.
    top = shapes[:, [0, 16]].mean(1, keepdims=True)
    arms = shapes[:, jaw] - top
    down = (arms[..., 1:] / arms[..., 1:].min(1, keepdims=True)).clip(0, 1)
    factor = 1 + down * (np.exp(random.normal(0, 0.16, (count, 1, 2))) - 1)
    changed[:, jaw] = top + arms * factor * np.exp(random.normal(0, 0.05, (count, 1, 1)))
    return changed


def draw_warps(
    mean: Float[np.ndarray, "68 2"], count: int, size: float, reach: float, random: np.random.Generator
) -> Float[np.ndarray, "n 68 2"]:
    """Gaussian displacements of the points, ``size`` eye distances large, alike within ``reach``; half of each is
    mirror-symmetric."""
    apart = np.linalg.norm(mean[:, None] - mean[None], axis=2)
    factor = np.linalg.cholesky(np.exp(-0.5 * (apart / reach) ** 2) + 1e-6 * np.eye(68))
    drawn = size * np.einsum("pq,nqj->npj", factor, random.standard_normal((count, 68, 2)))
    return (drawn + mirror(drawn)) / 2 + (drawn - mirror(drawn)) * random.uniform(0, 0.5, (count, 1, 1))


def _jitter(shapes: np.ndarray, mean: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Slightly stretched and sheared, aligned again."""
    linear = np.eye(2) + random.normal(0, JITTER / 2, (len(shapes), 2, 2))
    moved = torch.from_numpy((mean + shapes) @ linear)
    return measure_deviation(moved, torch.from_numpy(mean)).numpy()


def complete_caricatures(
    data: Path,
    known: Float[np.ndarray, "k 68 2"],
    mean: Float[np.ndarray, "68 2"],
    random: np.random.Generator,
) -> Float[np.ndarray, "m 68 2"]:
    """Caricatures of which five points are known, completed to 68 by what fully annotated faces (``known``) tell.

    Linear regression plus a draw from its residuals, so that completed shapes vary as much as the known ones.
    """
    with np.load(data / "landmarks" / "webcaricature5.npz") as file:
        points = file["points"][file["kind"] == "caricature"].astype(np.float64) * [1, -1]
    eyes = points[:, 1] - points[:, 0]
    along = ((points[:, 2] - points[:, :2].mean(1)) * eyes).sum(1) / (eyes**2).sum(1)
    points = points[np.abs(along) < MOST_OFF_CENTER]
    reference = _five_points(mean[None])[0]
    inputs = _align_five(_five_points(mean + known), reference)
    design = np.column_stack([inputs, np.ones(len(inputs))])
    normal_matrix = design.T @ design / len(design) + RIDGE * np.diag([*np.var(inputs, 0) + 1e-6, 0.0])
    flat = known.reshape(len(known), -1)
    solution = np.linalg.solve(normal_matrix, design.T @ flat / len(design))
    residuals = flat - design @ solution
    wanted = _align_five(points, reference)
    # Beyond twice what was ever seen, linear regression is guessing.
    wanted = wanted[(np.abs(wanted) < 2 * np.abs(inputs).max(0)).all(1)]
    drawn = residuals[random.integers(len(residuals), size=len(wanted))]
    completed = np.column_stack([wanted, np.ones(len(wanted))]) @ solution + drawn
    return completed.reshape(-1, 68, 2)


def _five_points(shapes: Float[np.ndarray, "n 68 2"]) -> Float[np.ndarray, "n 5 2"]:
    return np.stack([shapes[:, list(ids)].mean(1) for ids in FIVE_POINTS], axis=1)


def _align_five(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    moved, target = torch.from_numpy(np.ascontiguousarray(points, np.float64)), torch.from_numpy(reference)
    linear, shift = similarity_2d(moved, target)
    return ((moved @ linear.mT + shift[:, None]) - target).flatten(1).numpy()
