"""Hair told from skin by appearance: color and contrast around a pixel, a Gaussian for each of the two."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

PIXEL_WINDOW = 0.05  # outer eye distances: half of the window around a pixel of a picture
TEXEL_WINDOW = 0.008  # sides of a texture: half of the window around a texel
MIN_PIXELS = 50  # fewer tell no Gaussian
APPEARANCE_NOISE = 4.0  # in units of Lab: no two kinds are told apart more finely
HAIR_MARGIN = 4.0  # twice a log-likelihood ratio: hair must be that much more likely than skin
HAIR_VOTES = 0.3  # share of a window's pixels


def measure_appearance(image: Float[np.ndarray, "3 h w"], window: float) -> Float[np.ndarray, "h w 4"]:
    """Mean Lab color and contrast around each pixel; a drawn head of hair may be as white as skin."""
    lab = cv2.cvtColor(np.ascontiguousarray(image.transpose(1, 2, 0), np.float32), cv2.COLOR_RGB2LAB)
    size = (2 * max(round(window), 1) + 1,) * 2
    mean, mean_square = (cv2.blur(x, size) for x in (lab, lab[..., 0] ** 2))
    return np.dstack([mean, np.sqrt((mean_square - mean[..., 0] ** 2).clip(0))])


def classify_hair(
    appearance: Float[np.ndarray, "h w 4"],
    asked: Bool[np.ndarray, "h w"],
    hair: Bool[np.ndarray, "h w"],
    skin: Bool[np.ndarray, "h w"],
    beyond: Bool[np.ndarray, "h w"],
    window: float,
) -> Bool[np.ndarray, "h w"]:
    """Which of the pixels ``asked`` look more like ``hair`` than like ``skin``, each kind a Gaussian, and join what is
    ``beyond`` the face."""
    kinds = [appearance[hair], appearance[skin]]
    if min(len(kind) for kind in kinds) < MIN_PIXELS or not asked.any():
        return np.zeros_like(asked)
    of_hair, of_skin = (
        mahalanobis_distance(appearance[asked], kind) + np.linalg.slogdet(appearance_covariance(kind))[1]
        for kind in kinds
    )
    votes = np.zeros(asked.shape, np.float32)
    votes[asked] = of_hair + HAIR_MARGIN < of_skin
    found = asked & (cv2.blur(votes, (2 * max(round(window), 1) + 1,) * 2) > HAIR_VOTES)
    # Hair comes from the edge of the face: a spot within it is a shadow or a mole.
    return found & connected_to(found, beyond)


def mahalanobis_distance(
    appearance: Float[np.ndarray, "n 4"], kind: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n"]:
    """Squared Mahalanobis distance of each pixel from a kind of pixels."""
    apart = appearance - kind.mean(0)
    return (apart @ np.linalg.inv(appearance_covariance(kind)) * apart).sum(1)


def appearance_covariance(kind: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "4 4"]:
    """Covariance of one kind of pixels."""
    return np.cov(kind.T) + APPEARANCE_NOISE**2 * np.eye(4)


def connected_to(pixels: Bool[np.ndarray, "h w"], roots: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Which pixels lie in one piece with any of the ``roots``."""
    islands = cv2.connectedComponents((pixels | roots).astype(np.uint8))[1]
    return np.isin(islands, np.unique(islands[roots]))
