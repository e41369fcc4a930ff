"""Landmarks to head: camera, identity and expression by Gauss-Newton together, then a smooth residual.

Takes the place of the FaceWarehouse reconstruction of Sec. 4.2. Only x and y of the landmarks are used: the
detector's z tilts heads. The same code fits photos and artworks; an artwork's exaggeration ends up in the residual.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.errors import FitError
from portraitist.landmarks.camera_pose import solve_camera
from portraitist.landmarks.ibug68 import OUTER_EYE_CORNERS
from portraitist.mesh.handles import HandleSystem, factor_handles
from portraitist.reconstruction.contour_landmarks import JAW_POINTS, find_contour_candidates, find_contour_landmarks
from portraitist.reconstruction.gauss_newton import LandmarkModel, estimate_map, rotation_to_angles
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import build_surface
from portraitist.reconstruction.landmark_noise import LandmarkNoise, independent_noise, load_detector_noise
from portraitist.reconstruction.neutral_face import (
    carry_opening,
    close_lips,
    personalize_actions,
    pick_lip_pairs,
)
from portraitist.types import EXPRESSION_NAMES, Camera, HeadFit, LandmarkEmbedding, Landmarks

SKIN_POINTS = 468  # of the dense points; the last ten are irises
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LEAST_EYE_DISTANCE_PX = 2  # a smaller face has no shape
LARGEST_MISS = 0.5  # outer eye distances, on average: beyond, the landmarks are no face's
CONTACT_WEIGHT = 30.0  # of lips that touch, against 68 landmarks: skin does not pass through skin
LEAST_RESIDUAL_SHARE = 0.1  # of the residual, on a head in profile


@dataclass(frozen=True)
class FitConfig:
    """How landmarks are fitted, in pictures (``fit_head``) and in videos (``tracking.track``).

    ``noise``: expected error of points set by hand, in outer eye distances of the mean head.
    ``expression_spread``: how far an expression weight may stray from the detector's score (standard deviation);
    ``expression_spread_68`` when there is no score. ``rounds``: Gauss-Newton steps at most. ``residual_stiffness``:
    smoothness of the last step, see ``handles.factor_handles``. ``residual_view_deg``: how far a head may be turned for
    what its dense points say beyond the model to be believed (standard deviation of a Gaussian)."""

    noise: float = 0.02
    expression_spread: float = 0.15
    expression_spread_68: float = 0.25
    rounds: int = 12
    residual_stiffness: float = 3e-4
    residual_view_deg: float = 15.0
    oval_weight: float = 0.3  # contour points slide along the face as it turns


@dataclass(frozen=True, eq=False)
class ObservedLandmarks:
    """The landmarks that are fitted: the skin's dense points, or the 68. ``size``: (height, width) of the picture."""

    points_px: Float[np.ndarray, "k 2"]
    weights: Float[np.ndarray, "k"]
    noise: LandmarkNoise
    dense: bool
    eye_distance_px: float
    size: tuple[int, int]


def fit_head(landmarks: Landmarks, model: HeadModel, config: FitConfig | None = None) -> HeadFit:
    """Fit the head model to one picture's landmarks (dense points if there, else the 68).

    Raises FitError when no human head explains the landmarks.
    """
    config = config or FitConfig()
    observed = observe_landmarks(landmarks, model, config)
    mean, basis = _embed_model(model, observed.dense)
    head = place_prior(landmarks, mean, basis, len(model.identity_basis), config)
    coefficients, camera = estimate_head(observed, head, model, config)
    identity, expression = coefficients.split([len(model.identity_basis), len(EXPRESSION_NAMES)])
    neutral = model.mean + torch.einsum("k,knd->nd", identity, model.identity_basis)
    shown = neutral + torch.einsum("e,end->nd", expression, model.expression_deltas)
    embedding = embed_skin_points(model) if observed.dense else model.landmarks68
    missing_px = measure_missing_px(observed, embedding.positions(shown, model.faces), camera)
    deltas = personalize_actions(missing_px, embedding, expression, camera, observed.noise, model)
    shown = neutral + torch.einsum("e,end->nd", expression, deltas)
    displacement, residual_px = fit_residual(observed, shown, camera, model, config)
    # What of it parts the lips is expression.
    at_rest, _ = fit_residual(observed, shown, camera, model, config, lips_closed=True)
    deltas = carry_opening(displacement - at_rest, expression, deltas, embedding, model, observed.dense)
    neutral = neutral + at_rest
    return HeadFit(
        identity=identity,
        expression=expression,
        mesh=model.template.with_vertices(neutral + torch.einsum("e,end->nd", expression, deltas)),
        neutral=neutral,
        expression_deltas=deltas,
        camera=camera,
        residual_px=residual_px,
        residual_relative=residual_px / observed.eye_distance_px,
    )


def observe_landmarks(landmarks: Landmarks, model: HeadModel, config: FitConfig) -> ObservedLandmarks:
    """The points to fit, with their weights and noise. Raises FitError for a face of no size."""
    corners_px = to_numpy(landmarks.points, np.float64)[list(OUTER_EYE_CORNERS)]
    eye_distance_px = float(np.linalg.norm(corners_px[1] - corners_px[0]))
    if not np.isfinite(eye_distance_px) or eye_distance_px < LEAST_EYE_DISTANCE_PX:
        raise FitError(
            f"The outer eye corners are {eye_distance_px:.1f} px apart; a face needs at least "
            f"{LEAST_EYE_DISTANCE_PX} px. Check the landmark file (68 points in iBUG order) or use a larger picture."
        )
    if landmarks.dense is None:
        points_px, weights = to_numpy(landmarks.points, np.float64), np.ones(68)
        weights[:JAW_POINTS] = config.oval_weight
        corners = model.landmarks68.positions(model.mean, model.faces)[list(OUTER_EYE_CORNERS)]
        noise = independent_noise(config.noise * float((corners[1] - corners[0]).norm()) / np.sqrt(weights))
    else:
        points_px, weights = to_numpy(landmarks.dense[:SKIN_POINTS], np.float64), np.ones(SKIN_POINTS)
        weights[list(FACE_OVAL)] = config.oval_weight
        noise = load_detector_noise()
    return ObservedLandmarks(points_px, weights, noise, landmarks.dense is not None, eye_distance_px, landmarks.size)


def place_prior(
    landmarks: Landmarks,
    mean: Float[np.ndarray, "k 3"],
    basis: Float[np.ndarray, "c k 3"],
    identities: int,
    config: FitConfig,
) -> LandmarkModel:
    """The prior of a head at its landmarks: a standard normal identity, and the expression that the detector saw."""
    prior_mean, deviation = np.zeros(len(basis)), np.ones(len(basis))
    deviation[identities:] = config.expression_spread_68
    if landmarks.expressions is not None:
        prior_mean[identities:] = to_numpy(landmarks.expressions, np.float64)
        deviation[identities:] = config.expression_spread
    return LandmarkModel(mean, basis, prior_mean, deviation, identities)


def embed_skin_points(model: HeadModel) -> LandmarkEmbedding:
    """Where the detector's dense points lie on the head, without the irises."""
    dense = model.landmarks478
    return LandmarkEmbedding(dense.face_ids[:SKIN_POINTS], dense.barycentrics[:SKIN_POINTS])


def embed_landmarks(vectors: Float[Tensor, "*c n 3"], model: HeadModel, dense: bool) -> Float[np.ndarray, "*c k 3"]:
    """Vectors of all vertices at the landmarks. The 68 points are followed by the candidates of their contour."""
    embeddings = [embed_skin_points(model)] if dense else [model.landmarks68, find_contour_candidates(model).places]
    at_points = [
        (vectors[..., model.faces[embedding.face_ids], :] * embedding.barycentrics[..., None]).sum(-2)
        for embedding in embeddings
    ]
    return to_numpy(torch.cat(at_points, dim=-2), np.float64)


@functools.lru_cache(maxsize=4)
def _embed_model(model: HeadModel, dense: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``[k, 3]`` and basis ``[c, k, 3]`` of the landmarks."""
    columns = torch.cat([model.identity_basis, model.expression_deltas])
    return embed_landmarks(model.mean, model, dense), embed_landmarks(columns, model, dense)


def estimate_head(
    observed: ObservedLandmarks,
    head: LandmarkModel,
    model: HeadModel,
    config: FitConfig,
) -> tuple[Float[Tensor, "c"], Camera]:
    """Most probable coefficients and camera. The noise is known for upright heads, so the picture is turned upright
    meanwhile."""
    points = head.place(head.prior_mean)[: len(observed.points_px)]
    rotation, scale_px, _ = solve_camera(points, observed.points_px, observed.weights)
    roll = Rotation.from_euler("z", rotation_to_angles(rotation)[2]).as_matrix()
    flipped = observed.points_px * [1, -1]
    middle = flipped.mean(0)
    targets = (flipped - middle) @ roll[:2, :2] / scale_px
    select = None if observed.dense else functools.partial(_select_contour, model)
    found = estimate_map(targets, roll.T @ rotation, head, observed.noise, config.rounds, select)
    center = (middle + scale_px * roll[:2, :2] @ found.center) * [1, -1]
    turned = from_numpy(roll @ found.rotation, model.mean)
    camera = Camera(turned, float(scale_px * found.scale), (float(center[0]), float(center[1])), observed.size)
    return from_numpy(found.coefficients, model.mean), camera


def _select_contour(model: HeadModel, points: np.ndarray, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the points of ``embed_landmarks`` the 68 landmarks show in a view, see ``gauss_newton.SelectPoints``."""
    places = points[68:].reshape(JAW_POINTS, -1, 3)
    ids, tangents = np.arange(68), np.zeros((68, 2))
    selected, tangents[:JAW_POINTS] = find_contour_candidates(model).select(places, rotation)
    ids[:JAW_POINTS] = 68 + np.arange(JAW_POINTS) * places.shape[1] + selected
    return ids, tangents


def fit_residual(
    observed: ObservedLandmarks,
    shown: Float[Tensor, "n 3"],
    camera: Camera,
    model: HeadModel,
    config: FitConfig,
    *,
    lips_closed: bool = False,
) -> tuple[Float[Tensor, "n 3"], float]:
    """What the coefficients could not say, spread smoothly over the head ``shown``, in the picture's plane.

    Returns the displacement (meters) and what the landmarks miss after it (root mean square, px). What the detector is
    known to add in this view is taken off the points first, and does not count in the residual. On a turned head most
    of what is left is its error too, so that only the part in ``residual_share`` is taken over. Raises FitError when
    the landmarks are far from the head.
    """
    if observed.dense:
        embedding, tangents = embed_skin_points(model), shown.new_zeros(SKIN_POINTS, 2)
    else:  # what a contour point misses is missing from its jaw, wherever it slid to
        contour = find_contour_landmarks(shown, camera.rotation, model)
        embedding, tangents = contour.embedding, contour.tangents * shown.new_tensor([1.0, -1.0])
    missing_px = _across(measure_missing_px(observed, embedding.positions(shown, model.faces), camera), tangents)
    relative = float(missing_px.norm(dim=1).mean()) / observed.eye_distance_px
    if not np.isfinite(relative) or relative > LARGEST_MISS:
        raise FitError(
            f"The landmarks are {100 * relative:.0f} % of the eye distance away from any human head. "
            "Check that they are 68 points in iBUG order, in pixels of this picture."
        )
    share = residual_share(camera, config) if observed.dense else 1.0
    system = _factor_residual(model, observed.dense, config.residual_stiffness, config.oval_weight, lips_closed)
    targets = share * lift_to_head(missing_px, camera)
    displacement = system.displace(shown, close_lips(targets, observed.dense) if lips_closed else targets)
    moved = embedding.positions(shown + displacement, model.faces)
    error_px = _across(measure_missing_px(observed, moved, camera), tangents).norm(dim=1)
    return displacement, float(error_px.square().mean().sqrt())


def measure_missing_px(
    observed: ObservedLandmarks, places: Float[Tensor, "k 3"], camera: Camera
) -> Float[Tensor, "k 2"]:
    """From landmarks at ``places`` (meters, head space) to where they are seen, without what the detector is known to
    add in this view."""
    seen = from_numpy(observed.points_px - _expected_error_px(observed, camera), places)
    return seen - camera.project(places)


def lift_to_head(offsets_px: Float[Tensor, "k 2"], camera: Camera) -> Float[Tensor, "k 3"]:
    """Offsets in the picture as those in its plane in head space, meters."""
    offsets = offsets_px / camera.scale_px
    return (
        torch.cat([offsets * offsets.new_tensor([1.0, -1.0]), offsets.new_zeros(len(offsets), 1)], 1) @ camera.rotation
    )


@functools.lru_cache(maxsize=4)
def _factor_residual(
    model: HeadModel, dense: bool, stiffness: float, oval_weight: float, lips_closed: bool
) -> HandleSystem:
    """The handles of the residual never change, so their system is factored once per process."""
    if dense:
        weights, handles = torch.full((SKIN_POINTS,), 68 / SKIN_POINTS), embed_skin_points(model)
        weights[list(FACE_OVAL)] *= oval_weight
    else:
        weights, handles = torch.ones(68), model.landmarks68
    if lips_closed:
        weights[torch.tensor(pick_lip_pairs(dense))] = CONTACT_WEIGHT
    return factor_handles(build_surface(model), model.faces, handles, weights, stiffness)


def _across(vectors: Float[Tensor, "k 2"], tangents: Float[Tensor, "k 2"]) -> Float[Tensor, "k 2"]:
    return vectors - tangents * (tangents * vectors).sum(1, keepdim=True)


def _expected_error_px(observed: ObservedLandmarks, camera: Camera) -> Float[np.ndarray, "k 2"]:
    """Mean error of the points in the camera's view, turned as the picture is."""
    yaw, pitch, roll = rotation_to_angles(to_numpy(camera.rotation, np.float64))
    upright = observed.noise.bias(yaw, pitch).reshape(-1, 2)
    turn = Rotation.from_euler("z", roll).as_matrix()[:2, :2]
    return camera.scale_px * (upright @ turn.T) * [1, -1]


def residual_share(camera: Camera, config: FitConfig) -> float:
    """1 for a head seen from the front, falling with the angle between its axis and the line of sight to a little."""
    off_axis_deg = np.degrees(np.hypot(*rotation_to_angles(to_numpy(camera.rotation, np.float64))[:2]))
    return float(max(np.exp(-0.5 * (off_axis_deg / config.residual_view_deg) ** 2), LEAST_RESIDUAL_SHARE))
