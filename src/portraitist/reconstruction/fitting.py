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

from portraitist.errors import FitError
from portraitist.mesh.handles import HandleSystem, factor_handles
from portraitist.reconstruction.contour_landmarks import JAW_POINTS, JawSections, find_jaw_sections, find_seen_points
from portraitist.reconstruction.gauss_newton import HeadPoints, read_angles, solve_jointly
from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_surface import build_surface
from portraitist.reconstruction.landmark_noise import (
    LandmarkErrors,
    assume_independent_errors,
    load_detector_errors,
)
from portraitist.types import EXPRESSION_NAMES, Camera, HeadFit, LandmarkEmbedding, Landmarks

SKIN_POINTS = 468  # of the dense points; the last ten are irises
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LEAST_RESIDUAL_SHARE = 0.1
OUTER_EYE_CORNERS = (36, 45)  # iBUG


@dataclass(frozen=True)
class FitConfig:
    """``noise``: expected error of points set by hand, in outer eye distances of the mean head.
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


@dataclass(frozen=True)
class _Observation:
    points: np.ndarray  # [k, 2] px
    weights: np.ndarray  # [k]
    errors: LandmarkErrors
    eye_distance_px: float


def _observe(landmarks: Landmarks, model: HeadModel, config: FitConfig) -> _Observation:
    corners = landmarks.points[list(OUTER_EYE_CORNERS)].double()
    eye_distance = float((corners[1] - corners[0]).norm())
    if not np.isfinite(eye_distance) or eye_distance < 2:
        raise FitError(
            f"The outer eye corners are {eye_distance:.1f} px apart; a face needs at least 2 px. "
            "Check the landmark file (68 points in iBUG order) or use a larger picture."
        )
    if landmarks.dense is None:
        weights = np.ones(68)
        weights[:17] = config.oval_weight
        corners = model.landmarks68.positions(model.mean, model.faces)[list(OUTER_EYE_CORNERS)]
        spread = config.noise * float((corners[1] - corners[0]).norm()) / np.sqrt(weights)
        errors = assume_independent_errors(spread)
        return _Observation(landmarks.points.double().numpy(), weights, errors, eye_distance)
    weights = np.ones(SKIN_POINTS)
    weights[list(FACE_OVAL)] = config.oval_weight
    points = landmarks.dense[:SKIN_POINTS].double().numpy()
    return _Observation(points, weights, load_detector_errors(), eye_distance)


def _embed_skin_points(model: HeadModel) -> LandmarkEmbedding:
    dense = model.landmarks478
    return LandmarkEmbedding(dense.face_ids[:SKIN_POINTS], dense.barycentrics[:SKIN_POINTS])


def solve_camera(points: np.ndarray, targets: np.ndarray, weights: np.ndarray, steps: int = 6):
    """Scaled orthographic pose of 3D points [k,3] seen at ``targets`` [k,2] px (y down), weighted least squares.

    Returns rotation [3,3], scale (px per meter) and the image of the origin [2]. The affine start is orthonormalized,
    then refined by Gauss-Newton on the rotation vector.
    """
    flipped = targets * [1, -1]
    share = weights / weights.sum()
    middle3, middle2 = share @ points, share @ flipped
    arms3, arms2 = points - middle3, flipped - middle2
    root = np.sqrt(weights)[:, None]
    affine = np.linalg.lstsq(root * arms3, root * arms2, rcond=None)[0].T
    u, s, vt = np.linalg.svd(affine, full_matrices=False)
    if s[0] <= 0 or s[1] < 1e-3 * s[0]:
        raise FitError("The landmarks lie on a line, so no head pose explains them. Check the landmark file.")
    two_rows = u @ vt
    rotation = np.stack([*two_rows, np.cross(*two_rows)])
    scale = s.mean()
    for _ in range(steps):
        turned = arms3 @ rotation.T
        residual = (arms2 - scale * turned[:, :2]).ravel()
        zero = np.zeros(len(turned))
        by_turn = np.stack(
            [np.stack([zero, turned[:, 2], -turned[:, 1]], 1), np.stack([-turned[:, 2], zero, turned[:, 0]], 1)], 1
        )
        jacobian = np.concatenate([scale * by_turn.reshape(-1, 3), turned[:, :2].reshape(-1, 1)], axis=1)
        rows = np.repeat(root[:, 0], 2)
        step = np.linalg.lstsq(rows[:, None] * jacobian, rows * residual, rcond=None)[0]
        rotation = Rotation.from_rotvec(step[:3]).as_matrix() @ rotation
        scale = max(scale + step[3], 1e-6)
    return rotation, scale, (middle2 - scale * (rotation[:2] @ middle3)) * [1, -1]


@functools.lru_cache(maxsize=4)
def _residual_system(model: HeadModel, dense: bool, stiffness: float, oval_weight: float) -> HandleSystem:
    """The handles of the residual never change, so their system is factored once per process."""
    if not dense:
        return factor_handles(build_surface(model), model.faces, model.landmarks68, torch.ones(68), stiffness)
    weights = torch.ones(SKIN_POINTS)
    weights[list(FACE_OVAL)] = oval_weight
    handles = _embed_skin_points(model)
    return factor_handles(build_surface(model), model.faces, handles, weights * 68 / SKIN_POINTS, stiffness)


def fit_head(landmarks: Landmarks, model: HeadModel, config: FitConfig | None = None) -> HeadFit:
    """Fit the head model to one picture's landmarks (dense points if there, else the 68).

    Raises FitError when no human head explains the landmarks.
    """
    config = config or FitConfig()
    observation = _observe(landmarks, model, config)
    head = _place_prior(landmarks, model, config)
    sections = find_jaw_sections(model) if landmarks.dense is None else None
    value, camera = _solve(observation, head, sections, landmarks.size, config)
    return _add_residual(landmarks, model, config, observation, value, camera)


def _place_prior(landmarks: Landmarks, model: HeadModel, config: FitConfig) -> HeadPoints:
    """Mean, basis and prior at the landmarks: a standard normal identity, and the expression that the detector saw.

    Of 68 points, those of the jaw are followed by all the places that they may slide to."""
    identities, actions = len(model.identity_basis), len(EXPRESSION_NAMES)
    prior, spread = np.zeros(identities + actions), np.ones(identities + actions)
    spread[identities:] = config.expression_spread_68
    if landmarks.expressions is not None:
        prior[identities:] = landmarks.expressions.double().numpy()
        spread[identities:] = config.expression_spread
    return HeadPoints(*_read_points(model, landmarks.dense is not None), prior, spread, identities)


@functools.lru_cache(maxsize=4)
def _read_points(model: HeadModel, dense: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``[k, 3]`` and basis ``[c, k, 3]`` of the landmarks."""
    embeddings = [_embed_skin_points(model)] if dense else [model.landmarks68, find_jaw_sections(model).places]
    columns = torch.cat([model.identity_basis, model.expression_deltas])
    means, bases = [], []
    for embedding in embeddings:
        corners = model.faces[embedding.face_ids]
        bases.append((columns[:, corners] * embedding.barycentrics[None, :, :, None]).sum(2).double().numpy())
        means.append(embedding.positions(model.mean, model.faces).double().numpy())
    return np.concatenate(means), np.concatenate(bases, axis=1)


def _solve(
    observation: _Observation,
    head: HeadPoints,
    sections: JawSections | None,
    size: tuple[int, int],
    config: FitConfig,
) -> tuple[np.ndarray, Camera]:
    """Coefficients and camera. The errors are known for upright heads, so the picture is turned upright meanwhile."""
    start = head.place(head.prior)[: len(observation.points)]
    rotation, scale_px, _ = solve_camera(start, observation.points, observation.weights)
    roll = Rotation.from_euler("z", read_angles(rotation)[2]).as_matrix()
    flipped = observation.points * [1, -1]
    middle = flipped.mean(0)
    targets = (flipped - middle) @ roll[:2, :2] / scale_px
    find_seen = None if sections is None else functools.partial(_find_seen, sections)
    found = solve_jointly(targets, roll.T @ rotation, head, observation.errors, config.rounds, find_seen)
    center = (middle + scale_px * roll[:2, :2] @ found.center) * [1, -1]
    rotation = torch.from_numpy(roll @ found.rotation).float()
    camera = Camera(rotation, float(scale_px * found.scale), (float(center[0]), float(center[1])), size)
    return found.coefficients, camera


def _find_seen(sections: JawSections, points: np.ndarray, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the points of ``_place_prior`` the 68 landmarks show in a view, see ``joint_solve.SeenPoints``."""
    places = points[68:].reshape(JAW_POINTS, -1, 3)
    ids, along = np.arange(68), np.zeros((68, 2))
    picked, along[:JAW_POINTS] = sections.pick(places, rotation)
    ids[:JAW_POINTS] = 68 + np.arange(JAW_POINTS) * places.shape[1] + picked
    return ids, along


def _add_residual(
    landmarks: Landmarks,
    model: HeadModel,
    config: FitConfig,
    observation: _Observation,
    value: np.ndarray,
    camera: Camera,
) -> HeadFit:
    """What identity and expression could not say, spread smoothly over the neutral head in the picture's plane.

    What the detector is known to add in this view is taken off the points first, and does not count in the residual.
    On a turned head most of what is left is its error too, so that only the part in ``_residual_share`` is taken over.
    """
    identity, expression = torch.from_numpy(value).float().split([len(model.identity_basis), len(EXPRESSION_NAMES)])
    neutral = model.mean + torch.einsum("k,knd->nd", identity, model.identity_basis)
    shown = neutral + torch.einsum("e,end->nd", expression, model.expression_deltas)
    if landmarks.dense is None:  # what an outline point misses is missing from its jaw, wherever it slid to
        seen_points = find_seen_points(shown, camera.rotation, model)
        embedding, along = seen_points.embedding, seen_points.along * torch.tensor([1.0, -1.0])
    else:
        embedding, along = _embed_skin_points(model), torch.zeros(SKIN_POINTS, 2)
    seen = torch.from_numpy(observation.points).float() - _expected_error_px(observation, camera)
    missing = _across(seen - camera.project(embedding.positions(shown, model.faces)), along) / camera.scale_px
    relative = float(missing.norm(dim=1).mean()) * camera.scale_px / observation.eye_distance_px
    if not np.isfinite(relative) or relative > 0.5:
        raise FitError(
            f"The landmarks are {100 * relative:.0f} % of the eye distance away from any human head. "
            "Check that they are 68 points in iBUG order, in pixels of this picture."
        )
    in_head = (
        torch.cat([missing * missing.new_tensor([1.0, -1.0]), missing.new_zeros(len(missing), 1)], 1) @ camera.rotation
    )
    if landmarks.dense is not None:
        in_head = in_head * _residual_share(camera, config)
    system = _residual_system(model, landmarks.dense is not None, config.residual_stiffness, config.oval_weight)
    displacement = system.displace(shown, in_head)
    neutral, shown = neutral + displacement, shown + displacement
    error = _across(camera.project(embedding.positions(shown, model.faces)) - seen, along).norm(dim=1)
    residual_px = float(error.square().mean().sqrt())
    return HeadFit(
        identity=identity,
        expression=expression,
        mesh=model.template.with_vertices(shown),
        neutral=neutral,
        expression_deltas=model.expression_deltas,
        camera=camera,
        residual_px=residual_px,
        residual_relative=residual_px / observation.eye_distance_px,
    )


def _across(vectors: Float[Tensor, "k 2"], along: Float[Tensor, "k 2"]) -> Float[Tensor, "k 2"]:
    return vectors - along * (along * vectors).sum(1, keepdim=True)


def _expected_error_px(observation: _Observation, camera: Camera) -> Tensor:
    """Mean error [k,2] px of the points in the camera's view, turned as the picture is."""
    yaw, pitch, roll = read_angles(camera.rotation.double().numpy())
    upright = observation.errors.bias(yaw, pitch).reshape(-1, 2)
    turn = Rotation.from_euler("z", roll).as_matrix()[:2, :2]
    return torch.from_numpy(camera.scale_px * (upright @ turn.T) * [1, -1]).float()


def _residual_share(camera: Camera, config: FitConfig) -> float:
    """1 for a head seen from the front, falling with the angle between its axis and the line of sight to a little."""
    off_axis_deg = np.degrees(np.hypot(*read_angles(camera.rotation.double().numpy())[:2]))
    return float(max(np.exp(-0.5 * (off_axis_deg / config.residual_view_deg) ** 2), LEAST_RESIDUAL_SHARE))
