"""Pose of a scaled orthographic camera from points of known shape."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from portraitist.errors import FitError


def solve_camera(
    points: Float[np.ndarray, "k 3"],
    targets: Float[np.ndarray, "k 2"],
    weights: Float[np.ndarray, "k"],
    steps: int = 6,
) -> tuple[Float[np.ndarray, "3 3"], float, Float[np.ndarray, "2"]]:
    """Scaled orthographic pose of 3D points seen at ``targets`` px (y down), weighted least squares.

    Returns rotation, scale (px per meter) and the image of the origin. Starts from the orthonormalized
    affine solution and refines by Gauss-Newton on the rotation vector. Raises FitError for points on a line.
    """
    flipped = targets * [1, -1]
    share = weights / weights.sum()
    middle3, middle2 = share @ points, share @ flipped
    arms3, arms2 = points - middle3, flipped - middle2
    root = np.sqrt(weights)[:, None]
    affine = np.linalg.lstsq(root * arms3, root * arms2, rcond=None)[0].T
    u, s, vt = np.linalg.svd(affine, full_matrices=False)
    if s[0] <= 0 or s[1] < 1e-3 * s[0]:
        raise FitError("The landmarks lie on a line, so no head pose explains them. Check the landmark file.")
    two_rows = u @ vt
    rotation = np.stack([*two_rows, np.cross(*two_rows)])
    scale = float(s.mean())
    for _ in range(steps):
        turned = arms3 @ rotation.T
        residual = (arms2 - scale * turned[:, :2]).ravel()
        zero = np.zeros(len(turned))
        by_turn = np.stack(
            [np.stack([zero, turned[:, 2], -turned[:, 1]], 1), np.stack([-turned[:, 2], zero, turned[:, 0]], 1)], 1
        )
        jacobian = np.concatenate([scale * by_turn.reshape(-1, 3), turned[:, :2].reshape(-1, 1)], axis=1)
        rows = np.repeat(root[:, 0], 2)
        step = np.linalg.lstsq(rows[:, None] * jacobian, rows * residual, rcond=None)[0]
        rotation = Rotation.from_rotvec(step[:3]).as_matrix() @ rotation
        scale = max(scale + float(step[3]), 1e-6)
    return rotation, scale, (middle2 - scale * (rotation[:2] @ middle3)) * [1, -1]
