"""Tracking: pose, expression and a smooth displacement of one frame of a video, the sitter's identity held.

The meshes of all frames less that of the neutral one are what a reenactment carries to the stylized head (Sec. 7.1).
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.devices import from_numpy, to_numpy
from portraitist.reconstruction.fitting import (
    FitConfig,
    ObservedLandmarks,
    embed_landmarks,
    estimate_head,
    fit_residual,
    lift_to_head,
    measure_missing_px,
    observe_landmarks,
    place_prior,
    residual_share,
)
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import Camera, HeadFit, Landmarks, Tracked


def track(
    landmarks: Landmarks,
    fit: HeadFit,
    model: HeadModel,
    config: FitConfig | None = None,
) -> Tracked:
    """Fit a sitter's head to one frame's landmarks (dense points if there, else the 68).

    ``fit``: the sitter, from ``reconstruct`` or ``fit_head``; ``fit.neutral`` is held. Each frame is fitted by itself;
    nothing is smoothed over time. Raises FitError when no pose and expression
    of the head explain the landmarks.
    """
    config = config or FitConfig()
    observed = observe_landmarks(landmarks, model, config)
    expression, camera = estimate_pose(landmarks, observed, fit, model, config)
    shown = fit.neutral + torch.einsum("e,end->nd", expression, fit.expression_deltas)
    displacement, residual_px = fit_residual(observed, shown, camera, model, config)
    return Tracked(
        camera=camera,
        expression=expression,
        displacement=displacement,
        mesh=fit.mesh.with_vertices(shown + displacement),
        residual_px=residual_px,
        residual_relative=residual_px / observed.eye_distance_px,
    )


def estimate_pose(
    landmarks: Landmarks, observed: ObservedLandmarks, fit: HeadFit, model: HeadModel, config: FitConfig
) -> tuple[Float[Tensor, "52"], Camera]:
    """The part of `track` that needs no displacement: expression weights 0..1 and camera. ``observed``: what
    ``observe_landmarks`` makes of ``landmarks``. Raises FitError when the landmarks lie on a line."""
    neutral, deltas = _embed_sitter(fit, model, observed.dense)
    return estimate_head(observed, place_prior(landmarks, neutral, deltas, 0, config), model, config)


def measure_displacement(
    observed: ObservedLandmarks,
    expression: Float[Tensor, "52"],
    camera: Camera,
    fit: HeadFit,
    model: HeadModel,
    config: FitConfig,
) -> Float[np.ndarray, "k 3"]:
    """What `track` spreads over the head: by how much dense landmarks are seen elsewhere than pose and expression have
    them, in the picture's plane; meters, head space."""
    neutral, deltas = _embed_sitter(fit, model, observed.dense)
    places = from_numpy(neutral + np.einsum("e,ekd->kd", to_numpy(expression), deltas), fit.neutral)
    missing_px = measure_missing_px(observed, places, camera)
    return to_numpy(residual_share(camera, config) * lift_to_head(missing_px, camera))


@functools.lru_cache(maxsize=4)
def _embed_sitter(fit: HeadFit, model: HeadModel, dense: bool) -> tuple[np.ndarray, np.ndarray]:
    """Neutral ``[k, 3]`` and expression deltas ``[52, k, 3]`` of the landmarks: the same in every frame."""
    return embed_landmarks(fit.neutral, model, dense), embed_landmarks(fit.expression_deltas, model, dense)
