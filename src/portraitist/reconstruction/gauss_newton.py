"""Pose, identity and expression at once: Gauss-Newton on the landmarks of an upright picture.

Solved in turn, pose and shape each keep what the other got wrong; together, the covariance of the landmark errors
decides what a displacement is put down to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from portraitist.reconstruction.landmark_noise import LandmarkErrors

CONVERGED = 1e-5  # radians
PINNING_ROUNDS = 4


@dataclass(frozen=True)
class HeadPoints:
    """The head model at k landmarks: ``mean + coefficients @ basis`` in meters, with the Gaussian prior of the
    coefficients. The first ``identities`` of them are identity, the others expression weights, which stay in 0..1."""

    mean: Float[np.ndarray, "k 3"]
    basis: Float[np.ndarray, "c k 3"]
    prior: Float[np.ndarray, "c"]
    spread: Float[np.ndarray, "c"]
    identities: int

    def place(self, coefficients: Float[np.ndarray, "c"]) -> Float[np.ndarray, "k 3"]:
        return self.mean + np.einsum("c,ckj->kj", coefficients, self.basis)

    def select(self, ids: Int[np.ndarray, "s"]) -> HeadPoints:
        """The same head at some of its points."""
        return replace(self, mean=self.mean[ids], basis=self.basis[:, ids])


SeenPoints = Callable[
    [Float[np.ndarray, "k 3"], Float[np.ndarray, "3 3"]], tuple[Int[np.ndarray, "t"], Float[np.ndarray, "t 2"]]
]
"""From the head's points and its rotation to the ids of those that the targets show, since outlines slide as a head
turns, and the unit vector in the picture along which each target says nothing (zero: it says all)."""


@dataclass(frozen=True)
class JointSolution:
    """``targets`` are ``scale * (points @ rotation[:2].T + bias) + center + error``, ``scale`` near 1.

    ``angles``: yaw, pitch, roll in radians, of ``rotation = roll about z @ types.rotation_from_yaw_pitch``.
    """

    coefficients: Float[np.ndarray, "c"]
    angles: Float[np.ndarray, "3"]
    scale: float
    center: Float[np.ndarray, "2"]

    @property
    def rotation(self) -> Float[np.ndarray, "3 3"]:
        return rotate(self.angles)


def rotate(angles: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation of yaw, pitch, roll (radians)."""
    yaw, pitch, roll = angles
    return Rotation.from_euler("ZXY", [roll, -pitch, yaw]).as_matrix()


def read_angles(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Yaw, pitch, roll (radians) of a rotation."""
    roll, minus_pitch, yaw = Rotation.from_matrix(rotation).as_euler("ZXY")
    return np.array([yaw, -minus_pitch, roll])


def solve_jointly(
    targets: Float[np.ndarray, "k 2"],
    rotation: Float[np.ndarray, "3 3"],
    head: HeadPoints,
    errors: LandmarkErrors,
    rounds: int,
    find_seen: SeenPoints | None = None,
) -> JointSolution:
    """Most probable pose and coefficients. ``targets``: points in meters, x right and y up; ``rotation``: to start
    from, both of a picture in which the head has (nearly) no roll. ``find_seen``: see there; without it the targets are
    the head's points one by one."""
    coefficients, angles, scale = head.prior.copy(), read_angles(rotation), 1.0
    seen = head if find_seen is None else head.select(find_seen(head.place(coefficients), rotation)[0])
    center = (targets - seen.place(coefficients) @ rotation[:2].T).mean(0)
    for _ in range(rounds):
        solution = JointSolution(coefficients, angles, scale, center)
        if find_seen is None:
            error, slopes = linearize(targets, solution, head, errors)
        else:
            ids, along = find_seen(head.place(coefficients), solution.rotation)
            error, slopes = linearize(targets, solution, head.select(ids), errors)
            error, slopes = drop_along(error, along), drop_along(slopes, along)
        weighted = errors.apply_precision(slopes)
        # A picture as unlike the learnt ones as a caricature has larger errors, not a head from beyond the prior.
        trust = min(1.0, errors.tolerated / max(float(error @ errors.apply_precision(error)), 1e-12))
        normal, right = trust * weighted.T @ slopes, trust * weighted.T @ error
        normal[range(6, len(normal)), range(6, len(normal))] += head.spread**-2.0
        right[6:] += (head.prior - coefficients) / head.spread**2
        low, high = np.full(len(normal), -np.inf), np.full(len(normal), np.inf)
        first = 6 + head.identities
        low[first:], high[first:] = -coefficients[head.identities :], 1 - coefficients[head.identities :]
        step = solve_within(normal, right, low, high)
        angles, scale, center = angles + step[:3], max(scale + step[3], 1e-3), center + step[4:6]
        coefficients = coefficients + step[6:]
        if np.abs(step[:3]).max() < CONVERGED:
            break
    return JointSolution(coefficients, angles, scale, center)


def linearize(
    targets: Float[np.ndarray, "k 2"], solution: JointSolution, head: HeadPoints, errors: LandmarkErrors
) -> tuple[Float[np.ndarray, "d"], Float[np.ndarray, "d p"]]:
    """What is missing to the targets, and how the expected landmarks move with yaw, pitch, roll, scale, center (2) and
    the coefficients."""
    rotation, scale, (yaw, pitch, roll) = solution.rotation, solution.scale, solution.angles
    turned = head.place(solution.coefficients) @ rotation.T
    expected = turned[:, :2] + errors.bias(yaw, pitch).reshape(-1, 2)
    axes = (rotation[:, 1], -np.array([np.cos(roll), np.sin(roll), 0.0]), np.array([0.0, 0.0, 1.0]))
    slopes = np.empty((targets.size, 6 + len(head.basis)))
    for column, axis in enumerate(axes):
        slopes[:, column] = scale * np.cross(axis, turned)[:, :2].ravel()
    slopes[:, :2] += scale * errors.bias_slope(yaw, pitch).T
    slopes[:, 3] = expected.ravel()
    slopes[:, 4:6] = np.tile(np.eye(2), (len(targets), 1))
    slopes[:, 6:] = scale * (head.basis @ rotation[:2].T).reshape(len(head.basis), -1).T
    return (targets - scale * expected - solution.center).ravel(), slopes


def drop_along(rows: Float[np.ndarray, "d *c"], along: Float[np.ndarray, "t 2"]) -> Float[np.ndarray, "d *c"]:
    """x and y rows of each target without what lies along its vector."""
    pairs = rows.reshape(len(along), 2, -1)
    return (pairs - along[:, :, None] * np.einsum("td,tdc->tc", along, pairs)[:, None]).reshape(rows.shape)


def solve_within(
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
