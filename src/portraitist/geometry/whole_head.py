"""How a whole head goes with its face: cranium, neck, ears and hairline, told by the displacement of 68 landmarks.

An artist who widens a face widens the head that it sits on. Here a quadratic velocity field stretches, tapers and bends
the space around the head; followed for one unit of time it is a map that folds nothing, however strong (Arsigny et al.
2006). Its Gaussian prior is what the head model's heads do, enlarged as artworks enlarge it, with any shift and size
and a free elongation. Given the landmarks, the most probable field is linear in their displacement (a regression as in
``depth.py``). What it misses at the landmarks is theirs alone and is left to the smooth field of ``deformation.py``.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from portraitist.devices import to_numpy
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import build_surface

STEPS = 4  # of Euler's method along the field
FREE = 1.0  # standard deviation of what the landmarks decide alone: shift in meters, size as a factor
# By maximum likelihood of the frontal deviations of annotated paintings (training/whole_head_priors.py):
ENLARGEMENT = 1.4  # of the head model's standard deviations
LOCAL_M, LOCAL_REACH_M = 0.0025, 0.018  # what a feature moves for itself, and how far its surroundings go with it
POINT_M = 0.0009  # what a point is off alone
ELONGATION = 0.07  # of width over height; fitted without the head model, whose skulls hardly follow their faces
DEPTH_DOUBT = 5.0  # chosen: times LOCAL_M and POINT_M, since depth is itself predicted and tells little of its own


@dataclass(frozen=True)
class WholeHead:
    """``middle``, ``extent`` (meters): what monomials are measured from and in. ``regression`` [30, 204]: their most
    probable coefficients (meters; x, y, z of one monomial after the other) per flattened displacement of landmarks."""

    middle: Float[np.ndarray, "3"]
    extent: Float[np.ndarray, "3"]
    regression: Float[np.ndarray, "30 204"]

    def displace(self, places: Float[np.ndarray, "m 3"], moved: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "m 3"]:
        """Where the field takes the places (meters), less where they were."""
        coefficients = (self.regression @ moved.ravel()).reshape(10, 3)
        step = (coefficients / self.extent / STEPS).T
        start = np.ascontiguousarray(((places - self.middle) / self.extent).T)
        reached = start
        for _ in range(STEPS):
            reached = reached + step @ _monomials(reached)
        return (reached - start).T * self.extent


@functools.lru_cache(maxsize=2)
def predict_whole_head(model: HeadModel) -> WholeHead:
    """Cov(coefficients, landmarks) Cov(landmarks)^-1, landmarks with noise."""
    ids = build_surface(model).vertex_ids
    vertices = to_numpy(model.mean, np.float64)
    corners = to_numpy(model.faces[model.landmarks68.face_ids])
    weights = to_numpy(model.landmarks68.barycentrics, np.float64)[..., None]
    points = (vertices[corners] * weights).sum(1)
    middle, extent = (vertices[ids].max(0) + vertices[ids].min(0)) / 2, np.ptp(vertices[ids], 0) / 2

    heads = _symmetric_basis(model)
    monomials = _monomials(((vertices[ids] - middle) / extent).T)
    fitted = np.linalg.lstsq(monomials.T, np.hstack(list(ENLARGEMENT * heads[:, ids])), rcond=None)[0]
    # The landmarks of the very heads, not of the fitted fields: features tell of the cranium, too.
    seen = ENLARGEMENT * (heads[:, corners] * weights).sum(2)
    free = _free_fields(extent)
    coefficients = np.concatenate([fitted.reshape(10, -1, 3).transpose(1, 0, 2), free]).reshape(-1, 30)
    landmarks = np.concatenate([seen, _monomials(((points - middle) / extent).T).T @ free]).reshape(-1, 204)
    covariance = landmarks.T @ landmarks + _own_movement(points)
    return WholeHead(middle, extent, np.linalg.solve(covariance, landmarks.T @ coefficients).T)


def _monomials(places: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, "10 n"]:
    """1, x, y, z and their products. Cubic ones would run away behind the ears, of which no landmark tells."""
    pairs = [places[i] * places[j] for i, j in itertools.combinations_with_replacement(range(3), 2)]
    return np.stack([np.ones_like(places[0]), *places, *pairs])


def _symmetric_basis(model: HeadModel) -> Float[np.ndarray, "k n 3"]:
    """The identity basis and its mirror image: as probable a head is the other way round."""
    basis = to_numpy(model.identity_basis, np.float64)
    mirrored = basis[:, to_numpy(model.mirror)] * np.array([-1.0, 1.0, 1.0])
    return np.concatenate([basis, mirrored]) / np.sqrt(2)


def _free_fields(extent: Float[np.ndarray, "3"]) -> Float[np.ndarray, "5 10 3"]:
    """Coefficients of shift along x, y and z, of size, and of elongation (of width and depth against height)."""
    fields = np.zeros((5, 10, 3))
    fields[:3, 0] = FREE * np.eye(3)
    fields[3, 1:4] = FREE * np.diag(extent)
    fields[4, 1:4] = ELONGATION * np.diag(extent * np.array([1, -2, 1]) / 3)
    return fields


def _own_movement(points: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "204 204"]:
    """Covariance of what landmarks do without the head: locally, and as features of any size within the outline."""
    scaled = np.zeros((3, 68, 3))
    for axis, place in enumerate(points[17:].T):  # all but the outline
        scaled[axis, 17:, axis] = FREE * (place - place.mean())
    scaled = scaled.reshape(3, 204)
    local = find_local_movement(points) + POINT_M**2 * np.eye(68)
    return np.kron(local, np.diag([1, 1, DEPTH_DOUBT**2])) + scaled.T @ scaled


def find_local_movement(points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k k"]:
    """Covariance (square meters) of what features of artworks move for themselves, along any axis."""
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    return LOCAL_M**2 * np.exp(-((apart / LOCAL_REACH_M) ** 2) / 2)
