"""What the likeness metrics run in its worker processes: the product's reconstruction, nothing after it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from portraitist import Config, Models
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.pipeline import Sitter
from portraitist.pipeline import reconstruct as reconstruct_sitter
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.reconstruction.silhouette import fit_photo
from portraitist.segmentation.person import PersonSegmenter, segment_person
from portraitist.segmentation.picture import BARE_PARTS, PictureSegmenter, load_picture_segmenter, segment_picture
from portraitist.types import HeadFit, Image, LandmarkEmbedding, Landmarks
from portraitist.unwrapping.gaze import pick_irises
from portraitist.unwrapping.teeth import fit_teeth
from portraitist.unwrapping.unwrap import Unwrapped, unwrap_photo
from portraitist.vgg import VGG, load_vgg

SKIN_POINTS = 468  # of the dense points; the last ten are irises
OVAL_IDS = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""Of the dense points, those on the outline of the face: they belong to another place of the skin in every view."""
HIDDEN_IDS = tuple(range(0, SKIN_POINTS, 4))
"""Every fourth dense point, hidden from the fit to be foretold by it."""


@dataclass(frozen=True)
class Reconstruction:
    """A photo and what the product made of it. ``bare``: how much of each pixel is the head itself, 0..1."""

    photo: Image
    landmarks: Landmarks
    fit: HeadFit
    person: Tensor
    bare: Tensor
    unwrapped: Unwrapped


@cache
def load_models() -> tuple[HeadModel, LandmarkDetector, PersonSegmenter]:
    """Once per process, which works with one thread so that several do not wait for one another."""
    torch.set_num_threads(1)
    return load_head_model(), LandmarkDetector(), PersonSegmenter()


def reconstruct(photo: Image) -> Reconstruction:
    """Landmarks, fit, masks and texture as in ``pipeline.stylize``, no layers. Raises NoFaceError and FitError."""
    model, detector, segmenter = load_models()
    landmarks, _ = detect_landmarks(photo, detector)
    person = segment_person(photo, landmarks, segmenter)
    fit = fit_teeth(photo, fit_photo(landmarks, person, model), model)
    bare = segment_bare_head(photo, landmarks, fit, person)
    unwrapped = unwrap_photo(photo, fit, bare, model, irises=pick_irises(landmarks))
    return Reconstruction(photo, landmarks, fit, person, bare, unwrapped)


def segment_bare_head(photo: Image, landmarks: Landmarks, fit: HeadFit, person: Tensor) -> Tensor:
    """How much of each pixel [h, w] is the head itself, 0..1: what is unwrapped."""
    parts = segment_picture(photo, landmarks, fit.mesh, fit.camera, person, *load_part_networks())
    return parts.share(*BARE_PARTS)


@cache
def load_part_networks() -> tuple[PictureSegmenter, VGG]:
    """Once per process."""
    return load_picture_segmenter(), load_vgg()


@cache
def load_all_models() -> Models:
    """All that the pipeline loads, once per process, which works with one thread."""
    torch.set_num_threads(1)
    return Models.load("cpu")


def reconstruct_whole(photo: Image, config: Config | None = None) -> Sitter:
    """What the product makes of a photo: the head and its layers. Raises NoFaceError and FitError."""
    return reconstruct_sitter(photo, load_all_models(), config)


def fit_without_hidden(landmarks: Landmarks) -> HeadFit:
    """Fit with the points of ``HIDDEN_IDS`` out of its sight.

    The fit has no switch for that. Each hidden point is replaced by a copy of a visible neighbor instead, both in the
    picture and on the model, so that the fit learns nothing about it and the neighbor counts twice.
    """
    stand_ins, model = hide_points()
    assert landmarks.dense is not None
    return fit_head(dataclasses.replace(landmarks, dense=landmarks.dense[stand_ins]), model)


@cache
def hide_points() -> tuple[Tensor, HeadModel]:
    """For each of the 478 points the one that stands for it, and the head model with its points so replaced."""
    model, _, _ = load_models()
    places = model.landmarks478.positions(model.mean, model.faces).numpy()
    oval = np.isin(np.arange(len(places)), OVAL_IDS)
    skin = np.arange(len(places)) < SKIN_POINTS
    visible = skin & ~np.isin(np.arange(len(places)), HIDDEN_IDS)
    stand_ins = np.arange(len(places))
    for hidden in HIDDEN_IDS:
        # Outline points stand for outline points only: the fit trusts them less.
        (candidates,) = np.nonzero(visible & (oval == oval[hidden]))
        stand_ins[hidden] = candidates[np.linalg.norm(places[candidates] - places[hidden], axis=1).argmin()]
    ids = torch.from_numpy(stand_ins)
    embedding = LandmarkEmbedding(model.landmarks478.face_ids[ids], model.landmarks478.barycentrics[ids])
    return ids, dataclasses.replace(model, landmarks478=embedding)
