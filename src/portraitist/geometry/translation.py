"""Landmark translation (paper Sec. 4.1): which 68 landmarks the sitter would have if drawn like the artwork.

This is the training-free choice: the artwork's deviation from the mean normal face is added to the sitter's shape.
Both are compared in a frontal frame, since most of the difference between raw landmarks is pose, and aligned by a
similarity: the paper's affine map through three points swallows elongation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import HeadFit, LandmarkEmbedding, Landmarks

# Alignment leaves out the inner lips: they open and close.
ALIGNMENT_POINTS = tuple(range(60))
# (upper, lower) inner lip points, and inner lip corners with the outer corner they follow.
LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
LIP_CORNERS = ((60, 48), (64, 54))


@dataclass(frozen=True)
class GeometryConfig:
    """``strength``: 0 leaves the shape alone, 1 is the artwork's own exaggeration, up to 2 extrapolates."""

    strength: float = 1.0
    stiffness: float = 1e-4


def frontal_landmarks(landmarks: Landmarks, fit: HeadFit, embedding: LandmarkEmbedding) -> Float[Tensor, "68 3"]:
    """The picture's 68 landmarks on its own head without pose and expression, in head space (metres).

    Depth comes from the fitted head; what fitting missed in the picture's plane is put back, so a drawing no head model
    can reach keeps its own proportions.
    """
    faces = fit.mesh.faces
    on_head = embedding.positions(fit.mesh.vertices, faces)
    missing = (landmarks.points - fit.camera.project(on_head)) / fit.camera.scale_px
    in_plane = torch.cat([missing * missing.new_tensor([1.0, -1.0]), missing.new_zeros(68, 1)], 1)
    return embedding.positions(fit.neutral, faces) + in_plane @ fit.camera.rotation


def similarity_2d(
    source: Float[Tensor, "k 2"], target: Float[Tensor, "k 2"]
) -> tuple[Float[Tensor, "2 2"], Float[Tensor, "2"]]:
    """Least-squares similarity: ``source @ linear.T + shift`` comes closest to ``target``; no reflection."""
    middle_source, middle_target = source.mean(0), target.mean(0)
    a, b = source - middle_source, target - middle_target
    scale = (a * a).sum()
    cosine = (a * b).sum() / scale
    sine = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / scale
    linear = torch.stack([torch.stack([cosine, -sine]), torch.stack([sine, cosine])])
    return linear, middle_target - linear @ middle_source


def align_to(
    shape: Float[Tensor, "68 2"], reference: Float[Tensor, "68 2"]
) -> tuple[Float[Tensor, "68 2"], Float[Tensor, "2 2"]]:
    """The shape moved onto the reference by a similarity, and that map's linear part."""
    points = list(ALIGNMENT_POINTS)
    linear, shift = similarity_2d(shape[points], reference[points])
    return shape @ linear.T + shift, linear


def shape_deviation(shape: Float[Tensor, "68 3"], model: HeadModel) -> Float[Tensor, "68 2"]:
    """Frontal deviation from the mean normal face, metres in the mean face's frame, mouth opening taken out."""
    mean = model.landmarks68.positions(model.mean, model.faces)[:, :2]
    deviation = align_to(shape[:, :2], mean)[0] - mean
    return _close_lips(deviation)


def _close_lips(deviation: Float[Tensor, "68 2"]) -> Float[Tensor, "68 2"]:
    """Upper and lower inner lip move together, so the sitter's own opening stays."""
    closed = deviation.clone()
    for upper, lower in LIP_PAIRS:
        closed[[upper, lower]] = (deviation[upper] + deviation[lower]) / 2
    for inner, outer in LIP_CORNERS:
        closed[inner] = deviation[outer]
    return closed


def translate_landmarks(
    photo_fit: HeadFit, art_shape: Float[Tensor, "68 3"], model: HeadModel, strength: float
) -> Float[Tensor, "68 3"]:
    """Target landmarks on the sitter's head with its expression, head space (metres); l_z in the paper.

    Depth as in the revised paper (Sec. 4.2): the sitter's own, scaled by the ratio of the bounding box diagonals, here
    about the mean landmark depth, or the whole head would slide along its axis.
    """
    own = model.landmarks68.positions(photo_fit.mesh.vertices, model.faces)
    neutral = model.landmarks68.positions(photo_fit.neutral, model.faces)
    mean = model.landmarks68.positions(model.mean, model.faces)[:, :2]
    to_mean = align_to(neutral[:, :2], mean)[1]
    moved = strength * shape_deviation(art_shape, model) @ torch.linalg.inv(to_mean).T
    target = own[:, :2] + moved
    ratio = _diagonal(neutral[:, :2] + moved) / _diagonal(neutral[:, :2])
    depth = own[:, 2] + (ratio - 1) * (own[:, 2] - own[:, 2].mean())  # exact at strength 0
    return torch.cat([target, depth[:, None]], 1)


def _diagonal(points: Float[Tensor, "k 2"]) -> Float[Tensor, ""]:
    return (points.amax(0) - points.amin(0)).norm()
