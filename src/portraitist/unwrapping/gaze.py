"""Where the eyes look: the irises' directions on the model's balls, from the detector's points or from the picture."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import HeadTexels, TexelColors
from portraitist.rendering.shader_math import luminance
from portraitist.types import HeadFit, Landmarks
from portraitist.unwrapping.texel_crop import TexelCrop

SIDES = {"right": slice(468, 473), "left": slice(473, 478)}  # iris points: center, then four on the limbus
SKIN_POINTS = 468
LARGEST_OFFSET = 0.9  # of a ball's radius, from its center in the picture: further out the ball says nothing
IRIS_SIZES = (0.8, 1.2)  # of the model's, that a detected iris may have

# Search for the gaze in the picture; scores are differences of luminance.
GAZE_SEARCH_DEG = 12.0  # to each side of straight ahead
GAZE_STEP_DEG = 1.0
TURN_PENALTY = 0.15  # for a turn by the whole search range
EACH_EYE_DEG = 3.0  # that one eye may differ from both eyes' common turn
EACH_EYE_PENALTY = 0.04  # for that difference
PEAK_WIDTH = 0.004  # score below the best at which a turn counts 1/e in the peak's center of mass
VISIBLE = 0.1  # weight from which a texel counts
FEWEST_TEXELS = 50  # of the ball, by weight
FEWEST_RING_TEXELS = 20  # of disc and of ring, by weight
GRAY_QUANTILES = [0.05, 0.9]  # brightness is clipped there: a highlight is no white, a lash no pupil
DISC = 0.92  # of the iris' radius: the disc ends
RING = (1.08, 1.7)  # of the iris' radius: the ring around it begins and ends


@dataclass(frozen=True)
class Eyeball:
    """One ball's texels, their directions from its center, and the model's iris.

    ``axis``: unit direction of the model's iris. ``iris_radius``: angle in radians at which the iris ends.
    """

    crop: TexelCrop
    directions: Float[np.ndarray, "e 3"]
    axis: Float[np.ndarray, "3"]
    iris_radius: float

    def turn(self, turns: Float[np.ndarray, "g 2"]) -> Float[np.ndarray, "g 3"]:
        """The axis turned by pairs of angles in radians, towards the viewer's right and up."""
        side = unit(np.cross([0.0, 1.0, 0.0], self.axis))
        frame = np.stack([side, np.cross(self.axis, side)])
        return unit(self.axis + np.tan(turns) @ frame).astype(np.float32)

    def angles_to(self, gaze: Float[np.ndarray, "3"]) -> Float[np.ndarray, "e"]:
        """Angle of each texel from ``gaze``; 1 at the limbus."""
        return np.arccos((self.directions @ gaze).clip(-1, 1)) / self.iris_radius


@functools.lru_cache(maxsize=2)
def locate_eyeballs(model: HeadModel, texels: HeadTexels) -> tuple[Eyeball, ...]:
    """Both balls of the model's mean head; a ball only turns and moves, so its texels' directions are for good."""
    vertices = to_numpy(model.mean)
    iris_points = to_numpy(model.landmarks478.positions(model.mean, model.faces))
    eyeballs = []
    for side, rows in SIDES.items():
        own = vertices[to_numpy(model.vertex_ids(f"eyeball_{side}"))]
        center = (own.min(0) + own.max(0)) / 2
        crop = TexelCrop.around(texels, texels.in_components(f"eyeball_{side}"))
        limbus = unit(iris_points[rows] - center)
        # The lids hide the limbus above and below in most photos, so that only the points to the sides are good.
        radius = np.arccos(limbus[1] @ limbus[3]) / 2
        directions = unit(texels.interpolation[crop.ids] @ vertices - center)
        eyeballs.append(Eyeball(crop, directions, limbus[0], float(radius)))
    return tuple(eyeballs)


def unit(vectors: Float[np.ndarray, "*k 3"]) -> Float[np.ndarray, "*k 3"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Iris:
    """``direction``: unit, from the center of the model's ball at rest. ``radius``: angle in radians where it ends."""

    direction: Float[np.ndarray, "3"]
    radius: float


def pick_irises(landmarks: Landmarks) -> Float[Tensor, "10 2"] | None:
    """The detector's iris points; None where there are only the 68, which have none."""
    return None if landmarks.dense is None else landmarks.dense[SKIN_POINTS:]


def unproject_irises(
    irises: Float[np.ndarray, "10 2"], fit: HeadFit, texels: HeadTexels, model: HeadModel
) -> tuple[Iris, ...]:
    """Where the fitted balls, seen by the fit's camera, have the detector's iris points (picture pixels)."""
    at_rest = to_numpy(model.landmarks478.positions(model.mean, model.faces))
    aimed = []
    for (side, rows), eyeball in zip(SIDES.items(), locate_eyeballs(model, texels), strict=True):
        ids = to_numpy(model.vertex_ids(f"eyeball_{side}"))
        rest, shown = to_numpy(model.mean)[ids], to_numpy(fit.mesh.vertices)[ids]
        arms, shown_arms = rest - rest.mean(0), shown - shown.mean(0)
        turn = Rotation.align_vectors(shown_arms, arms)[0]
        scale = np.linalg.norm(shown_arms) / np.linalg.norm(arms)
        center = (rest.min(0) + rest.max(0)) / 2
        radius = scale * np.linalg.norm(at_rest[rows.start] - center)
        center = shown.mean(0) + scale * turn.apply(center - rest.mean(0))
        origin = to_numpy(fit.camera.project(from_numpy(center[None], fit.neutral)))[0]
        points = irises[rows.start - SKIN_POINTS : rows.stop - SKIN_POINTS]
        across = (points - origin) * [1, -1] / (radius * fit.camera.scale_px)
        across *= np.minimum(LARGEST_OFFSET / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6), 1)
        seen = np.column_stack([across, np.sqrt(1 - (across**2).sum(1))])
        directions = turn.inv().apply(seen @ to_numpy(fit.camera.rotation))
        # Lids hide the limbus above and below in most photos: the points to the sides measure it.
        size = np.arccos((directions[1] @ directions[3]).clip(-1, 1)) / 2 / eyeball.iris_radius
        aimed.append(Iris(directions[0].astype(np.float32), float(size.clip(*IRIS_SIZES)) * eyeball.iris_radius))
    return tuple(aimed)


def search_gazes(eyeballs: tuple[Eyeball, ...], views: list[TexelColors]) -> list[Float[np.ndarray, "3"]]:
    """Directions of the irises in the photo: discs that are darkest against the ring around them.

    Both eyes first turn together, which an eye in shadow or behind a reflection cannot mislead, then each by a little.
    """
    steps = np.radians(np.arange(-GAZE_SEARCH_DEG, GAZE_SEARCH_DEG + 0.1, GAZE_STEP_DEG))
    turns = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    scores = np.stack([score_turns(eyeball, turns, view) for eyeball, view in zip(eyeballs, views, strict=True)])
    scores -= TURN_PENALTY * (turns**2).sum(1) / np.radians(GAZE_SEARCH_DEG) ** 2
    common = turns[np.argmax(scores.sum(0))]
    scores -= EACH_EYE_PENALTY * ((turns - common) ** 2).sum(1) / np.radians(EACH_EYE_DEG) ** 2
    # The peak's center of mass is finer than the grid.
    peaks = np.exp((scores - scores.max(1, keepdims=True)) / PEAK_WIDTH)
    return [eyeball.turn(peak @ turns / peak.sum())[0] for eyeball, peak in zip(eyeballs, peaks[:, None], strict=True)]


def score_turns(eyeball: Eyeball, turns: Float[np.ndarray, "g 2"], view: TexelColors) -> Float[np.ndarray, "g"]:
    """How much brighter the ring around each possible iris is than its disc; 0 where too little of either is seen."""
    visible = view.weights > VISIBLE
    weights = view.weights[visible]
    if weights.sum() < FEWEST_TEXELS:
        return np.zeros(len(turns))
    gray = luminance(view.colors[visible])
    gray = gray.clip(*np.quantile(gray, GRAY_QUANTILES))
    cosines = eyeball.directions[visible] @ eyeball.turn(turns).T
    radius = eyeball.iris_radius
    inside = (cosines > np.cos(DISC * radius)) * weights[:, None]
    ring = ((cosines < np.cos(RING[0] * radius)) & (cosines > np.cos(RING[1] * radius))) * weights[:, None]
    inside_sum, ring_sum = inside.sum(0), ring.sum(0)
    contrast = gray @ ring / np.maximum(ring_sum, 1) - gray @ inside / np.maximum(inside_sum, 1)
    return np.where((inside_sum > FEWEST_RING_TEXELS) & (ring_sum > FEWEST_RING_TEXELS), contrast, 0.0)
