"""Likeness on the rendered faces, whose shape, pose and expression are known."""

from __future__ import annotations

from functools import cache

import numpy as np

from metrics.head_shape import (
    find_face_vertices,
    find_similarity,
    measure_head_height,
    measure_turn_deg,
    measure_vertex_errors,
    read_angles_deg,
)
from portraitist import load_image
from portraitist.errors import PortraitistError
from portraitist.landmarks.detection import detect_landmarks
from portraitist.reconstruction.fitting import fit_head
from portraitist.types import HeadFit, Landmarks
from reconstruction_runs import load_models
from rendered_faces import RenderedFace


def measure_rendered_face(face: RenderedFace) -> dict[str, float | str]:
    """All figures of one face; ``error`` when none was found. Lengths in mm on a head of 230 mm, angles in degrees."""
    model, detector, _ = load_models()
    scene = {"expression": face.plan.expression, "hair": face.plan.hair, "light": face.plan.light}
    scene |= {name: round(getattr(face.plan, name)) for name in ("yaw_deg", "pitch_deg", "roll_deg", "focal_mm")}
    try:
        landmarks, _ = detect_landmarks(load_image(face.picture), detector)
        fit = fit_head(landmarks, model)
    except PortraitistError as error:
        return {**scene, "error": str(error)}
    return {
        **scene,
        "detector_error": measure_detector(face, landmarks),
        **measure_shape(face, fit),
        **measure_pose(face, fit),
        "expression_weights": float(np.abs(fit.expression.numpy() - face.shape.expression).mean()),
    }


@cache
def find_vertices() -> tuple[np.ndarray, np.ndarray]:
    """Ids of the outer skin (neck and ears included) and of the face alone."""
    model, _, _ = load_models()
    return model.vertex_ids("outer_skin").numpy(), find_face_vertices(
        model.faces.numpy(), model.template.regions.numpy()
    )


def measure_shape(face: RenderedFace, fit: HeadFit) -> dict[str, float]:
    """Vertex errors of the neutral head and of the mean head; of the shown face, too."""
    model, _, _ = load_models()
    truth = face.shape.neutral
    height = measure_head_height(truth, model.faces.numpy(), model.template.regions.numpy())
    skin, own_face = find_vertices()
    figures = {}
    for name, estimate in (("fit", fit.neutral.double().numpy()), ("mean_head", model.mean.double().numpy())):
        for part, ids in (("skin", skin), ("face", own_face)):
            errors = measure_vertex_errors(estimate, truth, ids, height)
            figures[f"{name}_{part}_mean_mm"] = float(errors.mean())
            figures[f"{name}_{part}_median_mm"] = float(np.median(errors))
    shown = measure_vertex_errors(fit.mesh.vertices.double().numpy(), face.shape.expressive, own_face, height)
    return {**figures, "fit_shown_face_mean_mm": float(shown.mean())}


def measure_pose(face: RenderedFace, fit: HeadFit) -> dict[str, float]:
    """Rotation errors against the line of sight. ``turn_deg``: between the head frames, as the front view needs it.
    ``turn_shape_deg``: of the face's surface, i.e. after taking out how the fitted shape lies tilted in its frame."""
    estimate, truth = fit.camera.rotation.double().numpy(), face.rotation_seen
    _, own_face = find_vertices()
    tilt = find_similarity(face.shape.neutral[own_face], fit.neutral.double().numpy()[own_face]).rotation
    angles, true_angles = read_angles_deg(estimate), read_angles_deg(truth)
    offsets = {
        f"{name}_off_deg": mine - true
        for name, mine, true in zip(("yaw", "pitch", "roll"), angles, true_angles, strict=True)
    }
    return {
        "turn_deg": measure_turn_deg(estimate, truth),
        "turn_shape_deg": measure_turn_deg(estimate @ tilt, truth),
        **offsets,
    }


def measure_detector(face: RenderedFace, landmarks: Landmarks) -> float:
    """Mean distance of the 68 detected points from the true ones, in outer eye distances: is the picture sane."""
    import torch

    model, _, _ = load_models()
    places = model.landmarks68.positions(torch.from_numpy(face.shape.expressive).float(), model.faces)
    true = face.camera.project(places.double().numpy())
    eyes = np.linalg.norm(true[36] - true[45])
    return float(np.linalg.norm(landmarks.points.numpy() - true, axis=1).mean() / eyes)
