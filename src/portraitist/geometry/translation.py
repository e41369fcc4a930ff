"""Landmark translation (paper Sec. 4.1): which 68 landmarks the sitter would have if drawn like the artwork.

On frontal shapes without expression (``shape_space.py``) the sitter takes the artwork's deviation from the mean normal
face, and what the network finds special for the sitter, scaled by strength and region, kept from folding over
(``foldover.py``), and given depth (``depth.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.assets import asset_path
from portraitist.devices import from_numpy, random_normal
from portraitist.errors import InputError
from portraitist.geometry.depth import predict_depth, scale_depth, turn_to_front
from portraitist.geometry.exaggeration import weigh_by_curvature
from portraitist.geometry.foldover import prevent_foldover
from portraitist.geometry.shape_space import align_to, close_lips, frontal_landmarks, measure_deviation
from portraitist.geometry.translation_network import TrainedTranslator, load_translator
from portraitist.landmarks.ibug68 import outer_eye_distance
from portraitist.landmarks.refinement import load_annotated_deviation
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import HeadFit, Landmarks

REGION_POINTS = {
    "outline": range(0, 17),
    "brows": range(17, 27),
    "nose": range(27, 36),
    "eyes": range(36, 48),
    "mouth": range(48, 68),
}


@dataclass(frozen=True)
class RegionStrengths:
    """What ``GeometryConfig.strength`` is multiplied by in each region of the face; ``outline`` is jaw and cheeks."""

    eyes: float = 1.0
    brows: float = 1.0
    nose: float = 1.0
    mouth: float = 1.0
    outline: float = 1.0


@dataclass(frozen=True)
class GeometryConfig:
    """``strength``: 0 leaves the shape alone, 1 is the artwork's own exaggeration, up to 2 extrapolates.
    ``exaggeration``: how much of the sitter's own deviation from the mean face is added, weighted by curvature; 0 for
    none. ``random_style``: draw the style from N(0, 1) instead of taking the artwork's; network only. ``depth``:
    ``model`` lets depth follow from the head model's covariance, ``paper`` only scales it (Sec. 4.2). ``stiffness``:
    of the deformation.
    """

    strength: float = 1.0
    regions: RegionStrengths = field(default_factory=RegionStrengths)
    exaggeration: float = 0.0
    random_style: bool = False
    depth: Literal["model", "paper"] = "model"
    stiffness: float = 1e-4


@dataclass(frozen=True)
class ShapeExemplar:
    """An artwork's shape. ``deviation``: from the mean normal face, outer eye distances. ``weight``: in a mixture.
    ``depth``: what it shows of depth beyond what the deviation predicts (``depth.py``); None seen from the front."""

    deviation: Float[Tensor, "68 2"]
    weight: float = 1.0
    depth: Float[Tensor, "68"] | None = None


@runtime_checkable
class Translator(Protocol):
    """``move``: displacement of a normal face (given as its deviation) by the style of the exemplars, in the frame and
    unit of the mean face. ``move_randomly``: by a style drawn from N(0, 1)."""

    def move(self, content: Float[Tensor, "68 2"], exemplars: Sequence[ShapeExemplar]) -> Float[Tensor, "68 2"]: ...

    def move_randomly(self, content: Float[Tensor, "68 2"], generator: torch.Generator) -> Float[Tensor, "68 2"]: ...


@dataclass(frozen=True)
class DirectTranslator:
    """Training-free: the exemplars' deviations from the mean normal face, added to whom they are given."""

    def move(self, content: Float[Tensor, "68 2"], exemplars: Sequence[ShapeExemplar]) -> Float[Tensor, "68 2"]:
        return _mix(torch.stack([e.deviation for e in exemplars]), exemplars)

    def move_randomly(self, content: Float[Tensor, "68 2"], generator: torch.Generator) -> Float[Tensor, "68 2"]:
        raise InputError("Direct transfer knows no styles to draw from. Use --translator network with --random-style.")


@dataclass(frozen=True)
class NetworkTranslator:
    """The exemplars' deviations, and what the network finds special for the sitter: its move less the mean face's."""

    trained: TrainedTranslator

    def move(self, content: Float[Tensor, "68 2"], exemplars: Sequence[ShapeExemplar]) -> Float[Tensor, "68 2"]:
        """Of several exemplars the style codes are mixed, too (Sec. 4.1: style codes are near N(0, 1))."""
        codes = self.trained.network.style_code(
            self.trained.space.encode(torch.stack([e.deviation for e in exemplars]))
        )
        style = _mix(codes, exemplars)
        special = self._move_by(content, style) - self._move_by(torch.zeros_like(content), style)
        return _mix(torch.stack([e.deviation for e in exemplars]), exemplars) + special

    def move_randomly(self, content: Float[Tensor, "68 2"], generator: torch.Generator) -> Float[Tensor, "68 2"]:
        return self._move_by(content, random_normal([self.trained.network.size.style], generator, content.device))

    def _move_by(self, content: Float[Tensor, "68 2"], style: Float[Tensor, "s"]) -> Float[Tensor, "68 2"]:
        space = self.trained.space
        return close_lips(space.decode(self.trained.move(space.encode(content[None]), style[None]))[0])


def _mix(values: Float[Tensor, "k *d"], exemplars: Sequence[ShapeExemplar]) -> Float[Tensor, "*d"]:
    weights = values.new_tensor([exemplar.weight for exemplar in exemplars])
    return torch.tensordot(weights / weights.sum(), values, dims=1)


def make_translator(name: str, model: HeadModel) -> Translator:
    """``network`` (that of the package), ``direct``, or the path of a translator file. Raises InputError."""
    if name == "direct":
        return DirectTranslator()
    return NetworkTranslator(load_translator(asset_path("translator.safetensors") if name == "network" else Path(name)))


def mean_face(model: HeadModel) -> Float[Tensor, "68 2"]:
    """The head model's mean normal face from the front, outer eye distance 1."""
    frontal = model.landmarks68.positions(model.mean, model.faces)[:, :2]
    return frontal / outer_eye_distance(frontal)


def measure_shape(landmarks: Landmarks, fit: HeadFit, model: HeadModel, weight: float = 1.0) -> ShapeExemplar:
    """Deviation of an artwork from the mean normal face whose points are set as its own are: as annotators set them (by
    hand, or read again by ``landmarks/refinement.py``), or detected."""
    mean = mean_face(model)
    if landmarks.dense is None:
        mean = mean + from_numpy(load_annotated_deviation(), mean)
    frontal = frontal_landmarks(landmarks, fit, model)
    seen = measure_deviation(frontal[:, :2], mean)
    deviation, depth = turn_to_front(frontal, seen, fit.camera.rotation, model)
    return ShapeExemplar(deviation, weight, depth)


@dataclass(frozen=True)
class SitterShape:
    """The sitter's landmarks as translation needs them.

    ``posed``: with the expression, in head space (meters). ``frontal``: without it, seen from the front (meters).
    ``mean``: the mean normal face. ``deviation``: of ``frontal`` from it, in outer eye distances. ``to_head``: linear
    map from the frame of the mean face (outer eye distances) to head space (meters).
    """

    posed: Float[Tensor, "68 3"]
    frontal: Float[Tensor, "68 2"]
    mean: Float[Tensor, "68 2"]
    deviation: Float[Tensor, "68 2"]
    to_head: Float[Tensor, "2 2"]


@dataclass(frozen=True)
class LandmarkTranslation:
    """All of a translation that does not depend on strengths: computed once, then displaced in well under 1 ms.

    ``style``: displacement by the artwork's style at strength 1, in the frame of the mean face (outer eye distances).
    ``shown_depth``: what the artworks show of depth beyond what follows from it. ``depth``: as in ``GeometryConfig``.
    """

    fit: HeadFit
    sitter: SitterShape
    style: Float[Tensor, "68 2"]
    shown_depth: Float[Tensor, "68"]
    depth: Literal["model", "paper"]
    model: HeadModel

    @functools.cached_property
    def own_features(self) -> Float[Tensor, "68 2"]:
        """Displacement by the sitter's own features at exaggeration 1, in the frame of ``style``; some 20 ms, once."""
        return close_lips(weigh_by_curvature(self.fit.neutral, self.model) * self.sitter.deviation)

    def displace(
        self, strength: float = 1.0, regions: RegionStrengths | None = None, exaggeration: float = 0.0
    ) -> Float[Tensor, "68 3"]:
        """Displacement of the sitter's landmarks in head space (meters), linear in the strengths until a triangle of
        landmarks would fold over; depth that artworks show is not extrapolated. ``regions``: None for 1 everywhere."""
        weights = _weigh_regions(regions or RegionStrengths(), self.style)
        moved = strength * self.style
        if exaggeration:
            moved = moved + exaggeration * self.own_features
        moved = prevent_foldover(self.sitter.mean + self.sitter.deviation, weights * moved)
        # Extrapolated, depth would fold the face: what keeps the plane from it knows nothing of depth.
        shown = (strength * weights[:, 0]).clamp(max=1) * self.shown_depth
        return add_depth(moved, shown, self.sitter, self.model, self.depth)

    def find_targets(
        self, strength: float = 1.0, regions: RegionStrengths | None = None, exaggeration: float = 0.0
    ) -> Float[Tensor, "68 3"]:
        """Target landmarks on the sitter's head with its expression, head space (meters); l_z in the paper. Without
        strength and exaggeration they are the sitter's own, exactly."""
        return self.sitter.posed + self.displace(strength, regions, exaggeration)


def measure_sitter(fit: HeadFit, model: HeadModel) -> SitterShape:
    """Landmarks of a fitted head, with and without its expression."""
    posed = model.landmarks68.positions(fit.mesh.vertices, model.faces)
    frontal = model.landmarks68.positions(fit.neutral, model.faces)[:, :2]
    mean = mean_face(model)
    aligned, to_mean = align_to(frontal, mean)
    return SitterShape(posed, frontal, mean, close_lips(aligned - mean), torch.linalg.inv(to_mean))


def precompute_translation(
    fit: HeadFit,
    exemplars: Sequence[ShapeExemplar],
    model: HeadModel,
    translator: Translator,
    config: GeometryConfig | None = None,
    generator: torch.Generator | None = None,
) -> LandmarkTranslation:
    """Run the translator once. Of ``config`` only ``random_style`` and ``depth`` are used; strengths come later.

    ``generator`` draws a random style.
    """
    config = config or GeometryConfig()
    sitter = measure_sitter(fit, model)
    if config.random_style:
        style = translator.move_randomly(sitter.deviation, generator or torch.Generator().manual_seed(0))
        shown_depth = style.new_zeros(68)
    else:
        style = translator.move(sitter.deviation, exemplars)
        whole = sum(exemplar.weight for exemplar in exemplars)
        depths = [exemplar.weight / whole * exemplar.depth for exemplar in exemplars if exemplar.depth is not None]
        shown_depth = sum(depths, style.new_zeros(68))
    return LandmarkTranslation(fit, sitter, style, shown_depth, config.depth, model)


def translate_landmarks(
    fit: HeadFit,
    exemplars: Sequence[ShapeExemplar],
    model: HeadModel,
    translator: Translator,
    config: GeometryConfig | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "68 3"]:
    """`precompute_translation` and ``LandmarkTranslation.find_targets`` at the strengths of ``config``, in one."""
    config = config or GeometryConfig()
    translation = precompute_translation(fit, exemplars, model, translator, config, generator)
    return translation.find_targets(config.strength, config.regions, config.exaggeration)


def add_depth(
    moved: Float[Tensor, "68 2"],
    shown: Float[Tensor, "68"],
    sitter: SitterShape,
    model: HeadModel,
    depth: Literal["model", "paper"],
) -> Float[Tensor, "68 3"]:
    """A frontal displacement in the frame of the mean face, taken to head space (meters) and given depth: that which
    follows from it, and what the artwork shows beyond."""
    in_plane = moved @ sitter.to_head.mT
    if depth == "paper":
        added = scale_depth(sitter.frontal, in_plane, sitter.posed[:, 2])
    else:
        added = sitter.to_head.det().sqrt() * (predict_depth(moved, model) + shown)
    return torch.cat([in_plane, added[:, None]], 1)


def measure_displacement(fit: HeadFit, targets: Float[Tensor, "68 3"], model: HeadModel) -> float:
    """Root mean square distance of targets from the sitter's landmarks, frontal and aligned, in outer eye distances."""
    own = model.landmarks68.positions(fit.mesh.vertices, model.faces)[:, :2]
    moved = align_to(targets[:, :2], own)[0] - own
    return float(moved.square().sum(1).mean().sqrt() / outer_eye_distance(own))


def _weigh_regions(regions: RegionStrengths, moved: Float[Tensor, "68 2"]) -> Float[Tensor, "68 1"]:
    weights = moved.new_ones(68, 1)
    for name, points in REGION_POINTS.items():
        weights[list(points)] = getattr(regions, name)
    return weights
