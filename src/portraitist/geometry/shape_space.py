"""Frontal shapes of 68 landmarks: alignment, deviation from the mean normal face, and its principal components.

Compared in a frontal frame, since most of the difference between raw landmarks is pose, and aligned by a similarity:
the affine map through three points of Sec. 4.1 is exact on these and swallows elongation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.landmarks.alignment import similarity_2d
from portraitist.landmarks.ibug68 import MIRROR_IDS
from portraitist.reconstruction.contour_landmarks import find_contour_landmarks
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import HeadFit, Landmarks

# Alignment leaves out the inner lips: they open and close.
ALIGNMENT_POINTS = tuple(range(60))
# (upper, lower) inner lip points, and inner lip corners with the outer corner they follow.
LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
LIP_CORNERS = ((60, 48), (64, 54))


@dataclass(frozen=True)
class ShapeSpace:
    """Principal components of deviations from the mean normal face, in outer eye distances of that face.

    ``mean``: normal face, x right and y up. ``basis``: orthonormal rows over the 136 flattened coordinates.
    ``spread``: root mean square of a coefficient over artworks, eye distances; coefficients are divided by it, so that
    networks see numbers near 1.
    """

    mean: Float[Tensor, "68 2"]
    basis: Float[Tensor, "c 136"]
    spread: float

    def encode(self, deviation: Float[Tensor, "*b 68 2"]) -> Float[Tensor, "*b c"]:
        return deviation.flatten(-2) @ self.basis.T / self.spread

    def decode(self, coefficients: Float[Tensor, "*b c"]) -> Float[Tensor, "*b 68 2"]:
        return (self.spread * coefficients @ self.basis).unflatten(-1, (68, 2))


def frontal_landmarks(landmarks: Landmarks, fit: HeadFit, model: HeadModel) -> Float[Tensor, "68 3"]:
    """The picture's 68 landmarks on its own head without pose and expression, in head space (meters).

    Depth comes from the fitted head; what fitting missed in the picture's plane is put back, so a drawing no head model
    can reach keeps its own proportions. Points set by hand show the outline of a turned jaw: what they miss is measured
    there, across the outline.
    """
    faces = fit.mesh.faces
    if landmarks.dense is None:
        seen = find_contour_landmarks(fit.mesh.vertices, fit.camera.rotation, model)
        along = seen.tangents * seen.tangents.new_tensor([1.0, -1.0])
        missing = landmarks.points - fit.camera.project(seen.embedding.positions(fit.mesh.vertices, faces))
        missing = missing - along * (along * missing).sum(1, keepdim=True)
    else:
        missing = landmarks.points - fit.camera.project(model.landmarks68.positions(fit.mesh.vertices, faces))
    missing = missing / fit.camera.scale_px
    in_plane = torch.cat([missing * missing.new_tensor([1.0, -1.0]), missing.new_zeros(68, 1)], 1)
    return model.landmarks68.positions(fit.neutral, faces) + in_plane @ fit.camera.rotation


def align_to(
    shape: Float[Tensor, "*b 68 2"], reference: Float[Tensor, "68 2"]
) -> tuple[Float[Tensor, "*b 68 2"], Float[Tensor, "*b 2 2"]]:
    """The shape moved onto the reference by a similarity, and that map's linear part."""
    points = list(ALIGNMENT_POINTS)
    linear, shift = similarity_2d(shape[..., points, :], reference[points])
    return shape @ linear.mT + shift[..., None, :], linear


def measure_deviation(shape: Float[Tensor, "*b 68 2"], mean: Float[Tensor, "68 2"]) -> Float[Tensor, "*b 68 2"]:
    """Deviation of a frontal shape from the mean normal face, in its frame and unit, mouth opening taken out."""
    return close_lips(align_to(shape, mean)[0] - mean)


def close_lips(deviation: Float[Tensor, "*b 68 2"]) -> Float[Tensor, "*b 68 2"]:
    """Upper and lower inner lip move together, so that the sitter's own opening stays."""
    closed = deviation.clone()
    for upper, lower in LIP_PAIRS:
        closed[..., [upper, lower], :] = (deviation[..., [upper], :] + deviation[..., [lower], :]) / 2
    for inner, outer in LIP_CORNERS:
        closed[..., inner, :] = deviation[..., outer, :]
    return closed


def mirror_deviation(deviation: Float[Tensor, "*b 68 2"]) -> Float[Tensor, "*b 68 2"]:
    """Of the mirrored picture."""
    return deviation[..., list(MIRROR_IDS), :] * deviation.new_tensor([-1.0, 1.0])
