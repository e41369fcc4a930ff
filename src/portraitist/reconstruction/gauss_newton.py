"""MAP estimate of pose, identity and expression at once: Gauss-Newton on the landmarks of an upright picture.

Solved in turn, pose and shape each keep what the other got wrong; together, the covariance of the landmark noise
decides what a displacement is put down to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from portraitist.reconstruction.landmark_noise import LandmarkNoise

CONVERGED = 1e-5  # radians: the last step of the pose
PINNING_ROUNDS = 4  # of the active set: later ones pin nothing
POSE_COLUMNS = 6  # yaw, pitch, roll, scale, center (2)


@dataclass(frozen=True)
class LandmarkModel:
    """A head at k landmarks: ``mean + coefficients @ basis`` in meters, with the Gaussian prior of the coefficients.

    The first ``identities`` coefficients are identity, the others expression weights, which stay in 0..1.
    """

    mean: Float[np.ndarray, "k 3"]
    basis: Float[np.ndarray, "c k 3"]
    prior_mean: Float[np.ndarray, "c"]
    prior_deviation: Float[np.ndarray, "c"]
    identities: int

    def place(self, coefficients: Float[np.ndarray, "c"]) -> Float[np.ndarray, "k 3"]:
        return self.mean + np.einsum("c,ckj->kj", coefficients, self.basis)

    def select(self, ids: Int[np.ndarray, "s"]) -> LandmarkModel:
        """The same head at some of its points."""
        return replace(self, mean=self.mean[ids], basis=self.basis[:, ids])


SelectPoints = Callable[
    [Float[np.ndarray, "k 3"], Float[np.ndarray, "3 3"]], tuple[Int[np.ndarray, "t"], Float[np.ndarray, "t 2"]]
]
"""From the head's points and its rotation to the ids of those that the targets show, since contours slide as a head
turns, and the contour's tangent at each target: along this unit vector it says nothing (zero: it says all)."""


@dataclass(frozen=True)
class MapEstimate:
    """``targets`` are ``scale * (points @ rotation[:2].T + bias) + center + error``, ``scale`` near 1.

    ``angles``: yaw, pitch, roll in radians, of ``rotation = roll about z @ cameras.rotation_from_yaw_pitch``.
    """

    coefficients: Float[np.ndarray, "c"]
    angles: Float[np.ndarray, "3"]
    scale: float
    center: Float[np.ndarray, "2"]

    @property
    def rotation(self) -> Float[np.ndarray, "3 3"]:
        return angles_to_rotation(self.angles)


def angles_to_rotation(angles: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation of yaw, pitch, roll (radians)."""
    yaw, pitch, roll = angles
    return Rotation.from_euler("ZXY", [roll, -pitch, yaw]).as_matrix()


def rotation_to_angles(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Yaw, pitch, roll (radians) of a rotation."""
    roll, minus_pitch, yaw = Rotation.from_matrix(rotation).as_euler("ZXY")
    return np.array([yaw, -minus_pitch, roll])


def estimate_map(
    targets: Float[np.ndarray, "k 2"],
    rotation: Float[np.ndarray, "3 3"],
    head: LandmarkModel,
    noise: LandmarkNoise,
    rounds: int,
    select_points: SelectPoints | None = None,
) -> MapEstimate:
    """Most probable pose and coefficients.

    ``targets``: points in meters, x right and y up. ``rotation``: to start from. In both, the head has (nearly) no
    roll. ``select_points``: see there; without it the targets are the head's points one by one.
    """
    coefficients, angles, scale = head.prior_mean.copy(), rotation_to_angles(rotation), 1.0
    seen = head if select_points is None else head.select(select_points(head.place(coefficients), rotation)[0])
    center = (targets - seen.place(coefficients) @ rotation[:2].T).mean(0)
    for _ in range(rounds):
        estimate = MapEstimate(coefficients, angles, scale, center)
        if select_points is None:
            error, jacobian = linearize(targets, estimate, head, noise)
        else:
            ids, tangents = select_points(head.place(coefficients), estimate.rotation)
            error, jacobian = linearize(targets, estimate, head.select(ids), noise)
            error, jacobian = point_to_line_residual(error, tangents), point_to_line_residual(jacobian, tangents)
        weighted = noise.apply_precision(jacobian)
        # A picture as unlike the learnt ones as a caricature has larger errors, not a head from beyond the prior.
        weight = noise.robust_weight(error)
        normal, right = weight * weighted.T @ jacobian, weight * weighted.T @ error
        prior_ids = range(POSE_COLUMNS, len(normal))
        normal[prior_ids, prior_ids] += head.prior_deviation**-2.0
        right[POSE_COLUMNS:] += (head.prior_mean - coefficients) / head.prior_deviation**2
        low, high = np.full(len(normal), -np.inf), np.full(len(normal), np.inf)
        first = POSE_COLUMNS + head.identities
        low[first:], high[first:] = -coefficients[head.identities :], 1 - coefficients[head.identities :]
        step = solve_box_constrained(normal, right, low, high)
        angles, scale, center = angles + step[:3], max(scale + step[3], 1e-3), center + step[4:6]
        coefficients = coefficients + step[POSE_COLUMNS:]
        if np.abs(step[:3]).max() < CONVERGED:
            break
    return MapEstimate(coefficients, angles, scale, center)


def linearize(
    targets: Float[np.ndarray, "k 2"], estimate: MapEstimate, head: LandmarkModel, noise: LandmarkNoise
) -> tuple[Float[np.ndarray, "d"], Float[np.ndarray, "d p"]]:
    """What is missing to the targets, and the Jacobian of the expected landmarks by yaw, pitch, roll, scale, center (2)
    and the coefficients."""
    rotation, scale, (yaw, pitch, roll) = estimate.rotation, estimate.scale, estimate.angles
    turned = head.place(estimate.coefficients) @ rotation.T
    expected = turned[:, :2] + noise.bias(yaw, pitch).reshape(-1, 2)
    axes = (rotation[:, 1], -np.array([np.cos(roll), np.sin(roll), 0.0]), np.array([0.0, 0.0, 1.0]))
    jacobian = np.empty((targets.size, POSE_COLUMNS + len(head.basis)))
    for column, axis in enumerate(axes):
        jacobian[:, column] = scale * np.cross(axis, turned)[:, :2].ravel()
    jacobian[:, :2] += scale * noise.bias_jacobian(yaw, pitch).T
    jacobian[:, 3] = expected.ravel()
    jacobian[:, 4:6] = np.tile(np.eye(2), (len(targets), 1))
    jacobian[:, POSE_COLUMNS:] = scale * (head.basis @ rotation[:2].T).reshape(len(head.basis), -1).T
    return (targets - scale * expected - estimate.center).ravel(), jacobian


def point_to_line_residual(
    rows: Float[np.ndarray, "d *c"], tangents: Float[np.ndarray, "t 2"]
) -> Float[np.ndarray, "d *c"]:
    """Residuals, or columns of their Jacobian, without what lies along each target's tangent."""
    pairs = rows.reshape(len(tangents), 2, -1)
    return (pairs - tangents[:, :, None] * np.einsum("td,tdc->tc", tangents, pairs)[:, None]).reshape(rows.shape)


def solve_box_constrained(
    normal: Float[np.ndarray, "p p"],
    right: Float[np.ndarray, "p"],
    low: Float[np.ndarray, "p"],
    high: Float[np.ndarray, "p"],
) -> Float[np.ndarray, "p"]:
    """Solution of ``normal @ x = right`` with what leaves ``low .. high`` pinned at its bound (active set)."""
    free, step = np.ones(len(right), bool), np.zeros(len(right))
    for _ in range(PINNING_ROUNDS):
        step[free] = np.linalg.solve(
            normal[np.ix_(free, free)], right[free] - normal[np.ix_(free, ~free)] @ step[~free]
        )
        outside = free & ((step < low) | (step > high))
        if not outside.any():
            break
        step[outside] = step[outside].clip(low[outside], high[outside])
        free &= ~outside
    return step.clip(low, high)
