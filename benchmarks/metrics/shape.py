"""Does the head's shape go where the artwork's does, how far, and at what price in turned-over triangles.

Written apart from ``portraitist.geometry``: it looks only at the meshes that came out and at the landmarks that went
in. All landmark sets are 68 iBUG points in a frontal frame, (x, y) with y up. Before they are subtracted they are
brought to the mean normal face by the similarity (shift, turn, size) that fits best; deviations are therefore in its
units and hold nothing of where, how large or how tilted a face is.

Expression is not shape. The artwork's is taken out through its fitted head (the mean face's was, too), and the inner
lips (60-67) are left out altogether, since an open mouth is seen there first. The sitter's own expression is on the
unstylized and on the stylized head alike and cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from portraitist.types import REGIONS, Camera

SHAPE_POINT_IDS = tuple(range(60))
SKIN_REGIONS = tuple(name for name in REGIONS if name not in ("eyeballs", "mouth_inside", "teeth", "tongue"))


@dataclass(frozen=True)
class ShapeTransfer:
    """``cosine`` -1..1: does the head deviate in the artwork's direction. ``gain``: how far, 1 = all the way."""

    cosine: float
    gain: float


def measure_shape_transfer(content: Tensor, stylized: Tensor, art: Tensor, mean: Tensor) -> ShapeTransfer:
    """Compare what the head gained with what the artwork has; each argument ``[68, 2]`` in its own frontal frame.

    With m = stylized - content and a = artwork - mean: cosine = <m, a> / |m||a|, gain = <m, a> / |a|². A head that did
    not move has both 0.
    """
    kept = list(SHAPE_POINT_IDS)
    moved = align_by_similarity(stylized, mean, kept) - align_by_similarity(content, mean, kept)
    wanted = align_by_similarity(art, mean, kept) - mean[kept]
    product = (moved * wanted).sum().item()
    lengths = moved.norm().item(), wanted.norm().item()
    return ShapeTransfer(
        cosine=product / (lengths[0] * lengths[1]) if min(lengths) > 1e-9 else 0.0,
        gain=product / lengths[1] ** 2 if lengths[1] > 1e-9 else 0.0,
    )


def align_by_similarity(points: Tensor, reference: Tensor, ids: list[int]) -> Tensor:
    """``points[ids]`` ``[k, 2]`` under the least-squares shift, turn and size that bring them to ``reference[ids]``."""
    source, target = (torch.view_as_complex(p[ids].double().contiguous()) for p in (points, reference))
    source, center = source - source.mean(), target.mean()
    # In the plane a turn with a change of size is one complex factor; no mirroring can creep in.
    factor = (source.conj() * (target - center)).sum() / (source.abs() ** 2).sum()
    return torch.view_as_real(source * factor + center).to(points.dtype)


def frontalize_landmarks(points_px: Tensor, camera: Camera, shown: Tensor, neutral: Tensor) -> Tensor:
    """Landmarks ``[68, 2]`` (pixels, y down) of a turned face as seen from the front at rest, ``[68, 2]`` meters, y up.

    Each point keeps its place in the picture, takes its depth from the fitted head and is turned back by the fitted
    camera; then what the expression moves on that head is taken off. ``shown``, ``neutral``: the fitted head's
    landmarks ``[68, 3]`` in head space with and without expression (give ``shown`` twice to leave the expression in).
    """
    center = points_px.new_tensor(camera.center_px)
    flat = (points_px - center) / camera.scale_px * points_px.new_tensor([1.0, -1.0])
    in_camera = torch.cat([flat, camera.depth(shown)[:, None].to(flat)], dim=1)
    return (in_camera @ camera.rotation.to(flat) - shown + neutral)[:, :2]


def measure_flipped_share(before: Tensor, after: Tensor, faces: Tensor, regions: Tensor) -> float:
    """Share 0..1 of skin triangles that the deformation turned over.

    A triangle is turned over when its normal moved by more than 90 degrees *beyond the turn of its surroundings*: the
    best rotation of the edges around its three corners is taken out first, so that a part which swings round as a
    whole does not count. ``before``, ``after`` ``[n, 3]``; ``regions`` ``[f]`` as in ``Mesh``: eyeballs, teeth,
    tongue and the inside of the mouth are no skin.
    """
    rotations = _local_rotations(before, after, faces)
    turned = (rotations @ _normals(before, faces)[..., None])[..., 0]
    flipped = (turned * _normals(after, faces)).sum(-1) < 0
    skin = torch.isin(regions, torch.tensor([REGIONS.index(name) for name in SKIN_REGIONS]))
    return flipped[skin].double().mean().item()


def _local_rotations(before: Tensor, after: Tensor, faces: Tensor) -> Tensor:
    """Per triangle ``[f, 3, 3]``: the rotation that best carries the edges around its corners from before to after."""
    starts, ends = faces.reshape(-1), faces.roll(-1, dims=1).reshape(-1)
    outer = (after[ends] - after[starts]).double()[:, :, None] * (before[ends] - before[starts]).double()[:, None, :]
    around = outer.new_zeros(len(before), 3, 3)
    # Every inner edge comes once from either side, so a vertex sees all its edges, whichever way they run.
    around.index_add_(0, starts, outer)
    around.index_add_(0, ends, outer)
    left, _, right = torch.linalg.svd(around[faces].sum(1))
    proper = torch.ones(len(faces), 3, dtype=outer.dtype)
    proper[:, 2] = torch.det(left @ right).sign()
    return (left * proper[:, None, :]) @ right


def _normals(vertices: Tensor, faces: Tensor) -> Tensor:
    a, b, c = vertices[faces].double().unbind(1)
    return torch.linalg.cross(b - a, c - a)
