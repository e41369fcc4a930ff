"""Distances between heads of one topology, between poses, and how well distances tell persons apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from portraitist.types import REGIONS

HEAD_HEIGHT_MM = 230.0
"""Every head is brought to this height, chin to crown, before its errors are read."""
FACE_REGIONS = ("skin", "lips", "eyelids", "brows", "nose")


@dataclass(frozen=True)
class Similarity:
    """``x -> scale * rotation @ x + shift``."""

    rotation: Float[np.ndarray, "3 3"]
    scale: float
    shift: Float[np.ndarray, "3"]

    def apply(self, points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
        return self.scale * points @ self.rotation.T + self.shift


def find_similarity(points: Float[np.ndarray, "k 3"], targets: Float[np.ndarray, "k 3"]) -> Similarity:
    """The similarity that brings ``points`` closest to ``targets`` in least squares; it never mirrors (Umeyama,
    "Least-squares estimation of transformation parameters between two point patterns", 1991)."""
    middle, middle_of_targets = points.mean(0), targets.mean(0)
    arms, arms_of_targets = points - middle, targets - middle_of_targets
    left, values, right = np.linalg.svd(arms_of_targets.T @ arms)
    proper = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * proper) @ right
    scale = float((values * proper).sum() / (arms**2).sum())
    return Similarity(rotation, scale, middle_of_targets - scale * rotation @ middle)


def measure_vertex_errors(
    estimate: Float[np.ndarray, "n 3"], truth: Float[np.ndarray, "n 3"], ids: Int[np.ndarray, "k"], height: float
) -> Float[np.ndarray, "k"]:
    """Distance of every vertex in ``ids`` to its true place in millimeters, after the best similarity over just them.

    ``height``: of the true head, chin to crown, in its own units; the head is thought scaled to ``HEAD_HEIGHT_MM``.
    """
    aligned = find_similarity(estimate[ids], truth[ids]).apply(estimate[ids])
    return np.linalg.norm(aligned - truth[ids], axis=1) * HEAD_HEIGHT_MM / height


def find_face_vertices(faces: Int[np.ndarray, "f 3"], regions: Int[np.ndarray, "f"]) -> Int[np.ndarray, "k"]:
    """Ids of the vertices of the face: forehead to chin, ear to ear, without ears, scalp, neck and inner parts."""
    return np.unique(faces[np.isin(regions, [REGIONS.index(name) for name in FACE_REGIONS])])


def measure_head_height(vertices: Float[np.ndarray, "n 3"], faces: np.ndarray, regions: np.ndarray) -> float:
    """From the lowest point of the face (the chin) to the crown, along y."""
    chin = vertices[find_face_vertices(faces, regions), 1].min()
    return float(vertices[np.unique(faces[regions == REGIONS.index("scalp")]), 1].max() - chin)


def measure_turn_deg(first: Float[np.ndarray, "3 3"], second: Float[np.ndarray, "3 3"]) -> float:
    """Angle of the rotation between two rotations (geodesic distance), degrees."""
    return float(np.degrees(np.arccos(((np.trace(first.T @ second) - 1) / 2).clip(-1, 1))))


def read_angles_deg(rotation: Float[np.ndarray, "3 3"]) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of ``roll about z @ cameras.rotation_from_yaw_pitch(yaw, pitch)``."""
    yaw = np.arctan2(-rotation[2, 0], rotation[2, 2])
    pitch = np.arcsin((-rotation[2, 1]).clip(-1, 1))
    roll = np.arctan2(-rotation[0, 1], rotation[1, 1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def measure_separation(same: Float[np.ndarray, "s"], different: Float[np.ndarray, "d"]) -> float:
    """Area under the ROC curve: chance that a distance out of ``same`` is below one out of ``different``; ties half."""
    ranks = rankdata(np.concatenate([same, different]))
    smaller = ranks[len(same) :].sum() - len(different) * (len(different) + 1) / 2
    return float(smaller / (len(same) * len(different)))
