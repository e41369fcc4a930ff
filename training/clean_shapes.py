"""Training faces that anybody may use commercially: nothing here comes from research-only data.

Normal faces are drawn from the CC0 head model and seen as the detector sees them; art shapes are normal faces under
exaggeration models, and the detector's own readings of public-domain paintings and of this project's exemplars.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from dataset import TrainingSet, encode_training_set
from growth import distort, draw_warps, exaggerate, mirror
from portraitist.geometry.shape_space import frontal_landmarks, measure_deviation
from portraitist.geometry.translation import mean_face
from portraitist.io.images import load_image
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model

NORMAL_FACES, ART_FACES = 8000, 11415
# Warps of the plane, as in growth.py.
MEASUREMENT_NOISE = ((0.012, 0.25), (0.012, 0.08))  # what detectors and annotators add
PUBLIC_DOMAIN = ("a09", "a10", "a16", "a26", "a35", "a36", "a37", "a38", "a39")
"""Paintings of the development data whose authors died more than 70 years ago, as its manifest says. Not a29, which is
among the annotated artworks that the benchmark tests with."""


def build_clean_set(data: Path | None, seed: int) -> TrainingSet:
    """Training set of the translator in the package. ``data``: where the paintings are, None to do without."""
    random = np.random.default_rng(seed)
    model = load_head_model()
    mean = mean_face(model).double().numpy()
    normal = draw_normal(model, mean, NORMAL_FACES, random)
    bases = normal[random.integers(len(normal), size=ART_FACES)]
    art = draw_art(bases, mean, random)
    paintings = detect_paintings(data, model, mean)
    if len(paintings):  # a tenth of the set: paintings with some other sitters' differences
        rows = random.permutation(len(art))[: len(art) // 10]
        change = 0.5 * random.random((len(rows), 1, 1))
        pick = paintings[random.integers(len(paintings), size=len(rows))]
        art[rows] = pick + change * (bases[rows] - normal[random.integers(len(normal), size=len(rows))])
    return encode_training_set(mean, normal, np.ones(len(normal)), art, seed)


def draw_normal(model: HeadModel, mean: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Deviations of random people from the mean face, with what a detector adds."""
    corners = model.faces[model.landmarks68.face_ids]
    columns = (model.identity_basis[:, corners] * model.landmarks68.barycentrics[None, :, :, None]).sum(2)[..., :2]
    unit = float(torch.linalg.norm(_frontal(model)[45] - _frontal(model)[36]))
    weights = torch.from_numpy(random.standard_normal((count, len(columns)))).float()
    shapes = mean + (torch.einsum("nk,kpj->npj", weights, columns) / unit).double().numpy()
    for noise in MEASUREMENT_NOISE:
        shapes += draw_warps(mean, count, *noise, random)
    return measure_deviation(torch.from_numpy(shapes), torch.from_numpy(mean)).numpy()


def _frontal(model: HeadModel) -> torch.Tensor:
    return model.landmarks68.positions(model.mean, model.faces)[:, :2]


def draw_art(
    normal: Float[np.ndarray, "n 68 2"], mean: Float[np.ndarray, "68 2"], random: np.random.Generator
) -> Float[np.ndarray, "n 68 2"]:
    """Normal faces exaggerated: their own deviation enlarged, then distorted, then longer or broader."""
    own = exaggerate(normal, random) - normal
    shapes = mean + normal + random.uniform(0, 1, (len(normal), 1, 1)) * own
    shapes = stretch_face(distort(shapes, mean, random), random)
    return measure_deviation(torch.from_numpy(shapes), torch.from_numpy(mean)).numpy()


def stretch_face(shapes: Float[np.ndarray, "n 68 2"], random: np.random.Generator) -> Float[np.ndarray, "n 68 2"]:
    """The whole face longer or broader, most of it below the eyes."""
    eyes = shapes[:, 36:48, 1].mean(1)[:, None]
    height = shapes[..., 1] - eyes
    factor = np.exp(random.normal(0, 0.1, (len(shapes), 1)))
    stretched = shapes.copy()
    stretched[..., 1] = eyes + np.where(height < 0, factor, np.sqrt(factor)) * height
    return stretched


def detect_paintings(data: Path | None, model: HeadModel, mean: np.ndarray) -> Float[np.ndarray, "p 68 2"]:
    """Deviations of the paintings and of this project's exemplars, mirrored too, by the detector of the package."""
    pictures = sorted((Path(__file__).resolve().parents[1] / "src/portraitist/assets/exemplars").glob("*.jpg"))
    if data is not None:
        pictures += [data / "art" / f"{name}.jpg" for name in PUBLIC_DOMAIN]
    detector, deviations = LandmarkDetector(), []
    for path in pictures:
        landmarks, _ = detect_landmarks(load_image(path), detector, what="art")
        shape = frontal_landmarks(landmarks, fit_head(landmarks, model), model)[:, :2]
        deviations.append(measure_deviation(shape.double(), torch.from_numpy(mean)).numpy())
    found = np.array(deviations).reshape(-1, 68, 2)
    return np.concatenate([found, mirror(found)])
