"""Identity basis: phenotypes and head sliders sampled as a population, similarity-aligned, reduced by PCA."""

from __future__ import annotations

import numpy as np
import torch
from anny.models.model_data import PHENOTYPE_LABELS
from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights

from source import Source

HEAD_SLIDERS = ("cheek", "chin", "ear", "eyebrows", "eye", "forehead", "head", "mouth", "neck", "nose")
# Sliders that move or tilt the head as a whole, or push one feature sideways, are pose or asymmetry, not identity.
NOT_IDENTITY = ("head-trans", "head-angle", "neck-trans", "mouth-trans-out", "nose-trans-out")


def sample_phenotypes(count: int, rng: np.random.Generator) -> np.ndarray:
    """[count, 11] in PHENOTYPE_LABELS order: mostly adults, all sexes and ancestries, moderate body shapes."""
    gender = rng.uniform(0, 1, count)
    is_child, children, adults = rng.random(count) < 0.12, rng.uniform(0.25, 0.55, count), rng.normal(0.74, 0.13, count)
    columns = {
        "gender": gender,
        "age": np.clip(np.where(is_child, children, adults), 0.2, 1),
        "muscle": np.clip(rng.normal(0.5, 0.15, count), 0, 1),
        "weight": np.clip(rng.normal(0.5, 0.2, count), 0, 1),
        "height": np.clip(rng.normal(0.5, 0.12, count), 0, 1),
        "proportions": np.clip(rng.normal(0.5, 0.15, count), 0, 1),
    }  # fmt: skip
    ancestry = rng.dirichlet((0.6, 0.6, 0.6), count)
    columns |= {"african": ancestry[:, 0], "asian": ancestry[:, 1], "caucasian": ancestry[:, 2]}
    return np.stack([columns.get(label, np.full(count, 0.5)) for label in PHENOTYPE_LABELS], axis=1)


def sample_sliders(source: Source, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Weights [count, 2s] and the delta rows [2s] of the head sliders. Left and right move together up to a tenth."""
    first = next(i for i, label in enumerate(source.labels) if label.startswith("local_change:"))
    names = [label.split(":")[1] for label in source.labels[first::2]]
    weights, rows, shared = [], [], {}
    for index, name in enumerate(names):
        bare = name[2:] if name[:2] in ("l-", "r-") else name
        if not bare.startswith(HEAD_SLIDERS) or bare.startswith(NOT_IDENTITY):
            continue
        common = shared.setdefault(bare, rng.normal(0, 0.27, count))
        value = np.clip(common + rng.normal(0, 0.06, count), -1, 1)
        weights += [value.clip(min=0), (-value).clip(min=0)]
        rows += [first + 2 * index, first + 2 * index + 1]
    return np.stack(weights, axis=1), np.array(rows)


def sample_heads(source: Source, count: int, seed: int) -> np.ndarray:
    """[count, n, 3] float32 neutral heads."""
    rng = np.random.default_rng(seed)
    phenotype_weights = phenotype_blendshape_weights(
        torch.from_numpy(sample_phenotypes(count, rng)), list(PHENOTYPE_LABELS), make_phenotype_anchors(torch.float64),
        source.phenotype_mask, extrapolate=False).numpy()  # fmt: skip
    sliders, rows = sample_sliders(source, count, rng)
    weights = np.concatenate([phenotype_weights, sliders], axis=1).astype(np.float32)
    deltas = np.concatenate([source.deltas[: phenotype_weights.shape[1]], source.deltas[rows]])
    return source.template.astype(np.float32) + (weights @ deltas.reshape(len(deltas), -1)).reshape(count, -1, 3)


def align_heads(heads: np.ndarray, anchor_ids: np.ndarray, rounds: int = 3) -> np.ndarray:
    """Translation and scale (no rotation: sliders do not turn the head) onto the mean, judged at the anchors.

    Size is dropped because a scaled orthographic photo cannot show it; the mean keeps its size in meters.
    """
    target = heads[:, anchor_ids].mean(0)
    size = np.linalg.norm(heads[:, anchor_ids] - heads[:, anchor_ids].mean(1, keepdims=True), axis=(1, 2)).mean()
    for _ in range(rounds):
        centered = target - target.mean(0)
        centered *= size / np.linalg.norm(centered)
        points = heads[:, anchor_ids]
        middle = points.mean(1, keepdims=True)
        scale = (centered * (points - middle)).sum((1, 2)) / ((points - middle) ** 2).sum((1, 2))
        heads = (heads - middle) * scale[:, None, None]
        target = heads[:, anchor_ids].mean(0)
    return heads


def build_basis(heads: np.ndarray, vertex_weights: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean [n,3], basis [k,n,3] scaled to one standard deviation, and the explained (weighted) variance share.

    PCA in a weighted norm, so that the face counts more than ears and scalp; by the small Gram matrix.
    """
    mean = heads.mean(0)
    centered = heads - mean
    weighted = (centered * np.sqrt(vertex_weights)[:, None]).reshape(len(heads), -1)
    values, vectors = np.linalg.eigh(weighted.astype(np.float64) @ weighted.T.astype(np.float64))
    order = np.argsort(values)[::-1][:components]
    # Basis = regression of the unweighted shapes on unit-variance scores: orthogonal in the weighted norm.
    scores = vectors[:, order] * np.sqrt(len(heads))
    basis = np.einsum("sk,snd->knd", scores, centered) / len(heads)
    return mean, basis.astype(np.float32), float(values[order].sum() / values.sum())
