"""Joints as weighted means of vertices around them, so that they are found on any body of the same topology."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from anny_bodies import Source
from portraitist.body.skeleton import JOINT_NAMES, JOINTS

NEIGHBORS = 64  # vertices that tell where a joint is
CANDIDATES = 800  # of them, the nearest to the joint; those that are used lie far apart
RIDGE = 0.1  # meters: weights that are no larger than they need to be


def regress_joints(
    source: Source, own: np.ndarray, default: np.ndarray, joints: np.ndarray, corners: np.ndarray, placed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and weights [j, k] of each joint; weights sum to 1. Joints of the right are told by the mirrored
    vertices, those in the middle by both sides alike."""
    template = source.data.template_vertices.numpy()
    mirror = KDTree(template[own]).query(template[own] * [-1, 1, 1])[1]
    tree = KDTree(default[own])
    ids, weights = np.zeros((len(joints), NEIGHBORS), int), np.zeros((len(joints), NEIGHBORS))
    for number, name in enumerate(JOINT_NAMES):
        if name.startswith("right"):
            left = JOINTS["left" + name[5:]]
            ids[number], weights[number] = mirror[ids[left]], weights[left]
            continue
        near = tree.query(joints[number], CANDIDATES)[1]
        middle = not name.startswith("left")
        chosen = _spread(default[own[near]], NEIGHBORS // 2 if middle else NEIGHBORS)
        chosen = near[chosen]
        if middle:
            chosen = np.concatenate([chosen, mirror[chosen]])
        ids[number], weights[number] = chosen, _solve(corners[:, own[chosen]], placed[:, number])
        if middle:
            half = weights[number].reshape(2, -1).mean(0)
            weights[number] = np.concatenate([half, half])
    return own[ids], weights


def _spread(points: np.ndarray, count: int) -> list[int]:
    """So many of the points, far from each other."""
    chosen, distance = [0], np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def _solve(points: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """Weights that sum to 1 and bring points [s, k, 3] to joints [s, 3], the smallest that do."""
    count = points.shape[1]
    even = np.full(count, 1 / count)
    rows = (points - joint[:, None]).transpose(0, 2, 1).reshape(-1, count)
    rows = np.concatenate([rows, RIDGE * np.eye(count)])
    basis = np.linalg.svd(np.ones((1, count)))[2][1:]  # changes that keep the sum
    missed = np.concatenate([rows[:-count] @ even, np.zeros(count)])
    return even - np.linalg.lstsq(rows @ basis.T, missed, rcond=None)[0] @ basis
