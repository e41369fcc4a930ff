"""Geometry style for sliders: the expensive part is computed once, then any strength takes about 3 ms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.geometry.deformation import Deformer, build_deformer
from portraitist.geometry.translation import (
    GeometryConfig,
    LandmarkTranslation,
    RegionStrengths,
    ShapeExemplar,
    Translator,
    measure_displacement,
    precompute_translation,
)
from portraitist.reconstruction.head_model import HeadModel
from portraitist.types import Head, HeadFit

NEAR_NORMAL = 0.02  # outer eye distances, root mean square over the landmarks
NEAR_NORMAL_WARNING = (
    "The artwork's face is shaped nearly like a normal one, so that the head's shape hardly changes "
    "({:.1f} % of the eye distance). To exaggerate the sitter's own features instead, use --exaggeration 1."
)


@dataclass(frozen=True)
class GeometryTransfer:
    """One sitter in the style of one or more artworks, ready for every strength."""

    fit: HeadFit
    translation: LandmarkTranslation
    deformer: Deformer

    def displace(
        self, strength: float = 1.0, regions: RegionStrengths | None = None, exaggeration: float = 0.0
    ) -> Float[Tensor, "n 3"]:
        """Vertices of the sitter's head with its expression (head space, meters) for one setting of the sliders.

        The arguments mean what they mean in ``GeometryConfig``; ``regions`` None is 1 everywhere. At strength 0 without
        exaggeration these are the sitter's own vertices, exactly.

        A slider leaves out two steps of ``deform_to_landmarks``: pushing skin out of the eyeballs, and fitting the
        expression to the new shape (the sitter's own is added as it is). At strength 1 skin moves by 12 to 20 mm on
        average on strong caricatures and is then 0.1 to 0.4 mm from the final head on average, 2 to 5 mm at most,
        around the eyes and where the expression is strong; teeth and tongue 2 mm at most.
        """
        moved = self.translation.displace(strength, regions, exaggeration)
        return self.fit.mesh.vertices + self.deformer.displace(self.fit.neutral, moved)

    def doubt(self, asked: GeometryConfig) -> list[str]:
        """A warning when the whole style has little shape to give, to those who asked for nothing but its shape."""
        if asked.random_style or asked.exaggeration or not asked.strength or not any(vars(asked.regions).values()):
            return []
        given = measure_displacement(self.fit, self.translation.find_targets(), self.translation.model)
        return [NEAR_NORMAL_WARNING.format(100 * given)] if given < NEAR_NORMAL else []


def precompute_transfer(
    fit: HeadFit,
    exemplars: Sequence[ShapeExemplar],
    model: HeadModel,
    translator: Translator,
    config: GeometryConfig | None = None,
    generator: torch.Generator | None = None,
) -> GeometryTransfer:
    """Translate once and factor the deformation once per head model and stiffness.

    Of ``config`` the strengths are not used: they are given to ``GeometryTransfer.displace``. ``generator`` draws a
    random style.
    """
    config = config or GeometryConfig()
    translation = precompute_translation(fit, exemplars, model, translator, config, generator)
    return GeometryTransfer(fit, translation, build_deformer(model, config.stiffness))


@dataclass(frozen=True)
class StylizedGeometry:
    """``head``: the stylized head with the sitter's own texture. ``targets``: where its landmarks were led, meters in
    head space. ``movement``: how far the landmarks moved, root mean square in outer eye distances."""

    head: Head
    targets: Float[Tensor, "68 3"]
    movement: float
    transfer: GeometryTransfer

    def displace(
        self, strength: float = 1.0, regions: RegionStrengths | None = None, exaggeration: float = 0.0
    ) -> Float[Tensor, "n 3"]:
        """Vertices of the head for other strengths, in milliseconds, for sliders: see ``GeometryTransfer.displace``."""
        return self.transfer.displace(strength, regions, exaggeration)
