"""Frontal shapes of 68 landmarks: alignment, deviation from the mean normal face, and its principal components.

Compared in a frontal frame, since most of the difference between raw landmarks is pose, and aligned by a similarity:
the affine map through three points of Sec. 4.1 is exact on these and swallows elongation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

# Alignment leaves out the inner lips: they open and close.
ALIGNMENT_POINTS = tuple(range(60))
OUTER_EYE_CORNERS = (36, 45)
# (upper, lower) inner lip points, and inner lip corners with the outer corner they follow.
LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
LIP_CORNERS = ((60, 48), (64, 54))
# iBUG point that mirrors each point.
MIRROR_IDS = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
)  # fmt: skip


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


def similarity_2d(
    source: Float[Tensor, "*b k 2"], target: Float[Tensor, "k 2"]
) -> tuple[Float[Tensor, "*b 2 2"], Float[Tensor, "*b 2"]]:
    """Least-squares similarity: ``source @ linear.mT + shift`` comes closest to ``target``; no reflection.

    In closed form, many shapes at once (``scipy.spatial.procrustes`` takes one, scales both, and may reflect).
    """
    middle_source, middle_target = source.mean(-2), target.mean(-2)
    a, b = source - middle_source[..., None, :], target - middle_target
    scale = (a * a).sum((-1, -2))
    cosine = (a * b).sum((-1, -2)) / scale
    sine = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(-1) / scale
    linear = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)
    return linear, middle_target - (linear @ middle_source[..., None])[..., 0]


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


def outer_eye_distance(shape: Float[Tensor, "68 2"]) -> Float[Tensor, ""]:
    right, left = OUTER_EYE_CORNERS
    return (shape[right] - shape[left]).norm()
