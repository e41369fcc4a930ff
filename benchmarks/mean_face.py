"""The mean normal face from which an artwork deviates, measured the way the artwork is measured.

Not the head model's own mean: that would count what detector and annotators place differently from the model, on every
face alike, as exaggeration. There are two, because the detector's points and hand-set points differ as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metrics.shape import frontalize_landmarks
from portraitist.landmarks.ibug68 import MIRROR_IDS
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import HeadFit, Landmarks

_ANNOTATED_FACES = 100


def frontalize_fit(landmarks: Landmarks, fit: HeadFit, model: HeadModel, keep_expression: bool = False) -> Tensor:
    """The 68 points of one picture in the frontal frame ``[68, 2]`` (meters, y up), through its fitted head."""
    shown = model.landmarks68.positions(fit.mesh.vertices, model.faces)
    neutral = shown if keep_expression else model.landmarks68.positions(fit.neutral, model.faces)
    return frontalize_landmarks(landmarks.points, fit.camera, shown, neutral)


def measure_mean_face(data: Path, model: HeadModel, *, annotated: bool) -> Tensor:
    """Mean of normal faces in the frontal frame ``[68, 2]``, meters, made mirror-symmetric.

    Over the development photos with the detector's points, or (``annotated``) over 100 photos with hand-set points.
    """
    landmarks = _read_annotated_photos(data) if annotated else _detect_photos(data)
    return average_faces(landmarks, model)


def average_faces(landmarks: list[Landmarks], model: HeadModel) -> Tensor:
    """Mean in the frontal frame ``[68, 2]``, meters, made mirror-symmetric."""
    fits = [fit_head(points, model) for points in landmarks]
    shapes = [frontalize_fit(points, fit, model) for points, fit in zip(landmarks, fits, strict=True)]
    mean = torch.stack([shape - shape.mean(0) for shape in shapes]).mean(0)  # fitted heads are all in life size
    return (mean + mean[list(MIRROR_IDS)] * torch.tensor([-1.0, 1.0])) / 2


def _detect_photos(data: Path) -> list[Landmarks]:
    from portraitist import load_image
    from portraitist.landmarks.detection import detect_landmarks
    from portraitist.landmarks.detector import LandmarkDetector

    detector = LandmarkDetector()
    return [detect_landmarks(load_image(path), detector)[0] for path in sorted((data / "photos").glob("*.jpg"))]


def _read_annotated_photos(data: Path) -> list[Landmarks]:
    with np.load(data / "landmarks" / "photo68.npz") as file:
        points = file["points"][file["source"] == "300w"]
    points = points[:: len(points) // _ANNOTATED_FACES][:_ANNOTATED_FACES]
    return [Landmarks(points=torch.from_numpy(face).float(), size=(512, 512)) for face in points]
