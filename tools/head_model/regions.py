"""Region of every triangle (``portraitist.types.REGIONS``) from parts, detector contours and profile lines."""

from __future__ import annotations

import numpy as np
from matplotlib.path import Path

from portraitist.types import REGIONS
from source import PARTS, Source

# Contours in the detector's point numbers (image left = the sitter's right side first).
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
RIGHT_EYE = (226, 247, 30, 29, 27, 28, 56, 190, 243, 112, 26, 22, 23, 24, 110, 25)
LEFT_EYE = (446, 467, 260, 259, 257, 258, 286, 414, 463, 341, 256, 252, 253, 254, 339, 255)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
NOSE = (168, 417, 465, 412, 399, 437, 420, 429, 358, 327, 326, 2, 97, 98, 129, 209, 198, 217, 174, 188, 245, 193)

# Hair line and jaw line in profile: height above the eyes (meters) at a depth (meters, 0 at the eyeballs, back < 0).
HAIR_LINE = (
    (-0.20, -0.115),
    (-0.155, -0.10),
    (-0.125, -0.055),
    (-0.105, 0.0),
    (-0.092, 0.034),
    (-0.072, 0.022),
    (-0.062, 0.03),
    (-0.045, 0.055),
    (0.0, 0.072),
    (0.05, 0.078),
)
JAW_LINE = (
    (-0.20, -0.115),
    (-0.13, -0.085),
    (-0.095, -0.06),
    (-0.075, -0.078),
    (-0.05, -0.098),
    (-0.02, -0.114),
    (0.01, -0.121),
    (0.06, -0.125),
)

NAPE_DEPTH = -0.105  # behind the ears, what is not scalp is neck

EAR_CENTER, EAR_RADII = np.array([-0.022, -0.081]), np.array([0.034, 0.024])  # (height, depth) in profile


def label_regions(source: Source, vertices: np.ndarray, frontal: np.ndarray, dense: np.ndarray) -> np.ndarray:
    """[f] region ids. ``frontal`` [n,3] and ``dense`` [478,2] share a frontal frame, ``vertices`` the head frame."""
    region = {name: index for index, name in enumerate(REGIONS)}
    part = {name: source.parts == index for index, name in enumerate(PARTS)}
    labels = np.full(len(source.faces), region["skin"])
    eyes = vertices[np.unique(source.faces[part["eyeball_left"] | part["eyeball_right"]])].mean(0)
    centers = vertices[source.faces].mean(1) - eyes
    front_centers = frontal[source.faces].mean(1)
    labels[centers[:, 1] > np.interp(centers[:, 2], *zip(*HAIR_LINE, strict=True))] = region["scalp"]
    nape = (centers[:, 2] < NAPE_DEPTH) & (labels != region["scalp"])
    labels[nape | (centers[:, 1] < np.interp(centers[:, 2], *zip(*JAW_LINE, strict=True)))] = region["neck"]

    on_front = part["outer_skin"] & (front_centers[:, 2] > dense_depth(frontal, source, part["outer_skin"]))
    for name, contours in (
        ("nose", (NOSE,)),
        ("brows", (RIGHT_BROW, LEFT_BROW)),
        ("eyelids", (RIGHT_EYE, LEFT_EYE)),
        ("lips", (OUTER_LIPS,)),
    ):
        for contour in contours:
            inside = Path(dense[list(contour)]).contains_points(front_centers[:, :2], radius=0.0004)
            labels[on_front & inside] = region[name]

    in_ear = ((centers[:, 1:] - EAR_CENTER) / EAR_RADII) ** 2
    labels[part["outer_skin"] & (in_ear.sum(1) < 1) & (np.abs(centers[:, 0]) > 0.055)] = region["ears"]
    labels[part["eyeball_left"] | part["eyeball_right"]] = region["eyeballs"]
    labels[part["eye_socket_left"] | part["eye_socket_right"]] = region["eyelids"]
    labels[part["mouth_cavity"]] = region["mouth_inside"]
    labels[part["upper_teeth"] | part["lower_teeth"]] = region["teeth"]
    labels[part["tongue"]] = region["tongue"]
    return labels


def dense_depth(frontal: np.ndarray, source: Source, skin: np.ndarray) -> float:
    """Depth that separates the face's front from the back of the head: 6 cm behind the tip of the nose."""
    return frontal[np.unique(source.faces[skin]), 2].max() - 0.075
