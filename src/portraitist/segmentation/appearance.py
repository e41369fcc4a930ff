"""Hair told from skin by its appearance: color and contrast around a pixel, each kind a Gaussian."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

pass

# Hair told from skin by its looks. Windows: in outer eye distances of a picture, and in sides of a texture.
_PIXEL_WINDOW, _TEXEL_WINDOW = 0.05, 0.008
_FEWEST_PIXELS, _LOOKS_NOISE, _DOUBT, _HAIR_VOTES = 50, 4.0, 4.0, 0.3  # the noise in units of Lab


def measure_appearance(image: Float[np.ndarray, "3 h w"], window: float) -> Float[np.ndarray, "h w 4"]:
    """Mean Lab color and contrast around each pixel; a drawn head of hair may be as white as skin."""
    lab = cv2.cvtColor(np.ascontiguousarray(image.transpose(1, 2, 0), np.float32), cv2.COLOR_RGB2LAB)
    size = (2 * max(round(window), 1) + 1,) * 2
    mean, mean_square = (cv2.blur(x, size) for x in (lab, lab[..., 0] ** 2))
    return np.dstack([mean, np.sqrt((mean_square - mean[..., 0] ** 2).clip(0))])


def classify_hair(
    looks: Float[np.ndarray, "h w 4"],
    asked: Bool[np.ndarray, "h w"],
    hair: Bool[np.ndarray, "h w"],
    skin: Bool[np.ndarray, "h w"],
    beyond: Bool[np.ndarray, "h w"],
    window: float,
) -> Bool[np.ndarray, "h w"]:
    """Which of the pixels ``asked`` look more like ``hair`` than like ``skin``, each kind a Gaussian, and join what is
    ``beyond`` the face."""
    kinds = [looks[hair], looks[skin]]
    if min(len(kind) for kind in kinds) < _FEWEST_PIXELS or not asked.any():
        return np.zeros_like(asked)
    of_hair, of_skin = (
        mahalanobis_distance(looks[asked], kind) + np.linalg.slogdet(appearance_covariance(kind))[1] for kind in kinds
    )
    votes = np.zeros(asked.shape, np.float32)
    votes[asked] = of_hair + _DOUBT < of_skin
    found = asked & (cv2.blur(votes, (2 * max(round(window), 1) + 1,) * 2) > _HAIR_VOTES)
    # Hair comes from the edge of the face: a spot within it is a shadow or a mole.
    return found & connected_to(found, beyond)


def mahalanobis_distance(looks: Float[np.ndarray, "n 4"], kind: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n"]:
    """Squared distances from a kind of pixels in units of its spread."""
    apart = looks - kind.mean(0)
    return (apart @ np.linalg.inv(appearance_covariance(kind)) * apart).sum(1)


def appearance_covariance(kind: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "4 4"]:
    return np.cov(kind.T) + _LOOKS_NOISE**2 * np.eye(4)


def connected_to(pixels: Bool[np.ndarray, "h w"], roots: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Which pixels lie in one piece with any of the ``roots``."""
    islands = cv2.connectedComponents((pixels | roots).astype(np.uint8))[1]
    return np.isin(islands, np.unique(islands[roots]))
