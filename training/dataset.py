"""From frontal shapes to what the trainer eats: deviations, principal components, style classes, folds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2
from torch import Tensor

from frontal_shapes import FrontalShapes, read_art_shapes, read_normal_shapes
from growth import complete_caricatures, grow_art, mirror
from portraitist.geometry.shape_space import ShapeSpace, align_to, measure_deviation, mirror_deviation

COMPONENTS, CLASSES, FOLDS = 32, 25, 8  # the first two as in Sec. 4.1
GROWN_ART = 11415  # as many as the paper had
FACES_PER_GROUP = 3  # that a group of many video frames may count as
MEAN_ROUNDS = 5


@dataclass(frozen=True)
class Faces:
    """Deviations [n, 68, 2] from ``mean`` in outer eye distances; ``weights``: how often a face may be drawn."""

    deviations: Float[np.ndarray, "n 68 2"]
    weights: Float[np.ndarray, "n"]
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> Faces:
        return Faces(self.deviations[rows], self.weights[rows], self.groups[rows])


@dataclass(frozen=True)
class TrainingSet:
    """What is drawn from in training, as coefficients of ``space``.

    ``art`` is grown from the training artworks; ``classes`` are its k-means classes around ``centers``.
    ``explained``: share of the variance of normal and art shapes that the components carry.
    """

    space: ShapeSpace
    normal: Float[Tensor, "n c"]
    normal_weights: Float[Tensor, "n"]
    art: Float[Tensor, "a c"]
    classes: Int[Tensor, "a"]
    centers: Float[Tensor, "k c"]
    explained: float


@dataclass(frozen=True)
class RealFaces:
    """The annotated faces: ``mean`` [68, 2] of the normal ones, and the deviations of both kinds from it."""

    mean: Float[np.ndarray, "68 2"]
    normal: Faces
    art: Faces


def read_real_faces(data: Path) -> RealFaces:
    """Read, turn to the front and align every annotated face of the development data."""
    normal, art = read_normal_shapes(data), read_art_shapes(data)
    normal, art = normal.take(normal.fitted), art.take(art.fitted)
    weights = weigh_groups(normal.group)
    mean = find_mean_shape(normal.points, weights)
    return RealFaces(
        mean, _to_faces(normal, mean, weights), _to_faces(art, mean, np.ones(len(art.points)))
    )  # fmt: skip


def weigh_groups(groups: np.ndarray) -> Float[np.ndarray, "n"]:
    """A video's many frames of one person together count as ``FACES_PER_GROUP`` faces at most."""
    _, rows, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.minimum(1.0, FACES_PER_GROUP / counts[rows])


def find_mean_shape(shapes: Float[np.ndarray, "n 68 2"], weights: Float[np.ndarray, "n"]) -> Float[np.ndarray, "68 2"]:
    """Procrustes mean, mirror-symmetric, centered, with an outer eye distance of 1."""
    points, weights_ = torch.from_numpy(shapes).double(), torch.from_numpy(weights / weights.sum())
    mean = points[0]
    for _ in range(MEAN_ROUNDS):
        mean = (align_to(points, mean)[0] * weights_[:, None, None]).sum(0)
        mean = (mean + mirror_deviation(mean)) / 2
        mean = mean - mean.mean(0)
        mean = mean / (mean[45] - mean[36]).norm()
    return mean.numpy()


def _to_faces(shapes: FrontalShapes, mean: np.ndarray, weights: np.ndarray) -> Faces:
    points = torch.from_numpy(shapes.points).double()
    return Faces(measure_deviation(points, torch.from_numpy(mean)).numpy(), weights, shapes.group)


def assign_folds(groups: np.ndarray, seed: int = 7) -> Int[np.ndarray, "n"]:
    """Fold of every face; a person's or picture's faces are all in one."""
    names, rows = np.unique(groups, return_inverse=True)
    folds = np.arange(len(names)) % FOLDS
    return np.random.default_rng(seed).permutation(folds)[rows]


def build_training_set(real: RealFaces, data: Path | None, seed: int, count: int = GROWN_ART) -> TrainingSet:
    """Grow the art set of ``real`` (training faces only), and find components and classes.

    ``data``: where the five-point caricatures are, None to do without.
    """
    random = np.random.default_rng(seed)
    normal = np.concatenate([real.normal.deviations, mirror(real.normal.deviations)])
    weights = np.concatenate([real.normal.weights] * 2)
    completed = real.art.deviations[:0]
    if data is not None:
        known = np.concatenate([real.normal.deviations[:: max(len(normal) // 1000, 1)], real.art.deviations])
        completed = complete_caricatures(data, known, real.mean, random)
    art = grow_art(real.art.deviations, normal, weights, completed, count, random, real.mean)
    return encode_training_set(real.mean, normal, weights, art, seed)


def encode_training_set(
    mean: np.ndarray, normal: np.ndarray, weights: np.ndarray, art: np.ndarray, seed: int
) -> TrainingSet:
    """Components of normal and art shapes together, both counting the same, and k-means classes of the art."""
    rows = [
        normal.reshape(len(normal), -1) * np.sqrt(weights / weights.sum())[:, None],
        art.reshape(len(art), -1) / np.sqrt(len(art)),
    ]
    variances, vectors = np.linalg.eigh(sum(part.T @ part for part in rows))
    basis = vectors[:, ::-1][:, :COMPONENTS].T
    spread = float(np.sqrt(((art.reshape(len(art), -1) @ basis.T) ** 2).mean()))
    tensors = [torch.from_numpy(np.ascontiguousarray(array)).float() for array in (mean, basis)]
    space = ShapeSpace(tensors[0], tensors[1], spread)
    encoded = space.encode(torch.from_numpy(art).float())
    centers, classes = kmeans2(encoded.numpy(), CLASSES, seed=seed, minit="++")
    return TrainingSet(
        space=space,
        normal=space.encode(torch.from_numpy(normal).float()),
        normal_weights=torch.from_numpy(weights).float(),
        art=encoded,
        classes=torch.from_numpy(classes).long(),
        centers=torch.from_numpy(centers),
        explained=float(variances[-COMPONENTS:].sum() / variances.sum()),
    )
