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
from growth import REGIONS, exaggerate, mirror
from portraitist.files.images import load_image
from portraitist.geometry.shape_space import measure_deviation
from portraitist.geometry.translation import frontal_landmarks, mean_face
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.reconstruction.landmarks import LandmarkDetector, detect_landmarks

NORMAL_FACES, ART_FACES = 8000, 11415
# Warps of the plane: size, and reach over which they stay alike, in outer eye distances.
MEASUREMENT_NOISE = ((0.012, 0.25), (0.012, 0.08))  # what detectors and annotators add
WARPS, DETAILS = (0.11, 0.45), (0.03, 0.12)  # of art: of whole parts of the face, of their outlines
PUBLIC_DOMAIN = ("a09", "a10", "a16", "a26", "a29", "a35", "a36", "a37", "a38", "a39")
"""Paintings of the development data whose authors died more than 70 years ago, as its manifest says."""


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


def draw_warps(
    mean: Float[np.ndarray, "68 2"], count: int, size: float, reach: float, random: np.random.Generator
) -> Float[np.ndarray, "n 68 2"]:
    """Gaussian displacements of the points, ``size`` eye distances large, alike within ``reach``; half of each is
    mirror-symmetric."""
    apart = np.linalg.norm(mean[:, None] - mean[None], axis=2)
    factor = np.linalg.cholesky(np.exp(-0.5 * (apart / reach) ** 2) + 1e-6 * np.eye(68))
    drawn = size * np.einsum("pq,nqj->npj", factor, random.standard_normal((count, 68, 2)))
    return (drawn + mirror(drawn)) / 2 + (drawn - mirror(drawn)) * random.uniform(0, 0.5, (count, 1, 1))


def draw_art(
    normal: Float[np.ndarray, "n 68 2"], mean: Float[np.ndarray, "68 2"], random: np.random.Generator
) -> Float[np.ndarray, "n 68 2"]:
    """Normal faces exaggerated: their own deviation enlarged, regions resized and moved as draughtsmen do, the plane
    warped; how much of each differs from face to face, down to nearly nothing."""
    count = len(normal)
    own = exaggerate(normal, random) - normal
    share = random.beta(0.8, 1.2, (count, 1, 1))
    shapes = mean + normal + random.uniform(0, 1, (count, 1, 1)) * own
    shapes += share * (resize_regions(shapes, random) - shapes)
    for warps in (WARPS, DETAILS):
        shapes += random.beta(0.8, 1.2, (count, 1, 1)) * draw_warps(mean, count, *warps, random)
    shapes = stretch_face(shapes, random)
    return measure_deviation(torch.from_numpy(shapes), torch.from_numpy(mean)).numpy()


def resize_regions(shapes: Float[np.ndarray, "n 68 2"], random: np.random.Generator) -> Float[np.ndarray, "n 68 2"]:
    """Each region about its own middle: wider, higher, turned (eyes and brows as mirrored pairs), and moved."""
    changed = shapes.copy()
    count = len(shapes)
    jaw, brows, nose, eyes, mouth = (list(region) for region in REGIONS)
    for region, pairs in ((nose, False), (mouth, False), (eyes, True), (brows, True)):
        size = np.exp(random.normal(0, 0.2, (count, 1, 2)))
        shift = random.normal(0, 0.045, (count, 1, 2))
        angle = random.normal(0, 0.12, count)
        halves = ((region[: len(region) // 2], 1.0), (region[len(region) // 2 :], -1.0)) if pairs else ((region, 0.0),)
        for points, side in halves:
            part = shapes[:, points]
            middle = part.mean(1, keepdims=True)
            cos, sin = np.cos(side * angle), np.sin(side * angle)
            turn = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
            mirrored = shift * np.array([side, 1.0])  # a lone region stays on the midline
            changed[:, points] = middle + mirrored + ((part - middle) * size) @ turn
    # The jaw about the height of the ears: narrower or wider, shorter or longer, more so the farther down.
    top = shapes[:, [0, 16]].mean(1, keepdims=True)
    arms = shapes[:, jaw] - top
    down = (arms[..., 1:] / arms[..., 1:].min(1, keepdims=True)).clip(0, 1)
    factor = 1 + down * (np.exp(random.normal(0, 0.16, (count, 1, 2))) - 1)
    changed[:, jaw] = top + arms * factor * np.exp(random.normal(0, 0.05, (count, 1, 1)))
    return changed


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
