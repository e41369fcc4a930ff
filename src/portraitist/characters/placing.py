"""Where a stylized head belongs on a character: its landmarks on the points that they hit on its surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from portraitist.characters.viewing import View

JAW = 17  # points of the jaw come first: they lie on the outline, where a ray may pass by
DEPTH_SPREAD = 3.0  # times the median distance from their middle: a point farther off is on hair or behind the head


@dataclass(frozen=True)
class Similarity:
    """``scale * rotation @ x + shift``."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]

    def apply(self, points: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k 3"]:
        return self.scale * points @ self.rotation.T + self.shift

    def undo(self, points: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k 3"]:
        return (points - self.shift) @ self.rotation / self.scale


@dataclass(frozen=True)
class Hits:
    """What the inner landmarks, all but the jaw's, show of a character: ``face_ids`` (-1 for none), ``points`` in the
    scene."""

    face_ids: Int[np.ndarray, "51"]
    points: Float[np.ndarray, "51 3"]


def find_hits(view: View, landmarks: Float[np.ndarray, "68 2"]) -> Hits:
    """The surface under the inner landmarks of a portrait, pixels."""
    seen = [view.hit(x, y) for x, y in landmarks[JAW:]]
    return Hits(np.array([face for face, _ in seen]), np.stack([point for _, point in seen]))


def place_head(landmarks: Float[np.ndarray, "68 3"], hits: Hits, view: View) -> Similarity:
    """From head space to the scene: brings the inner ``landmarks`` (head space, meters) closest to the hits, in the
    sense of least squares (Umeyama 1991)."""
    depths = hits.points @ view.camera.rotation.numpy().astype(np.float64)[2]
    on = hits.face_ids >= 0
    off = np.abs(depths - np.median(depths[on]))
    used = on & (off <= DEPTH_SPREAD * np.median(off[on]) + 1e-12)
    return fit_similarity(landmarks[JAW:][used], hits.points[used])


def fit_similarity(source: Float[np.ndarray, "k 3"], target: Float[np.ndarray, "k 3"]) -> Similarity:
    """The one that brings ``source`` closest to ``target``; no reflection."""
    arms, wished = source - source.mean(0), target - target.mean(0)
    u, sizes, vt = np.linalg.svd(wished.T @ arms)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(signs) @ vt
    scale = float((sizes * signs).sum() / (arms**2).sum())
    return Similarity(scale, rotation, target.mean(0) - scale * rotation @ source.mean(0))
