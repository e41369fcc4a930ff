"""Geometry style for sliders: what the full path gives, without translating again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
import torch

from portraitist.geometry.deformation import build_deformer
from portraitist.geometry.transfer import GeometryTransfer, precompute_transfer
from portraitist.geometry.translation import (
    GeometryConfig,
    RegionStrengths,
    ShapeExemplar,
    translate_landmarks,
)
from portraitist.types import EXPRESSION_NAMES, Camera, HeadFit


@dataclass(frozen=True)
class CountingTranslator:
    """Displaces every face alike, and counts how often it is asked."""

    displacement: torch.Tensor
    calls: list[str] = field(default_factory=list)

    def move(self, content, exemplars):
        self.calls.append("move")
        return self.displacement

    def move_randomly(self, content, generator):
        self.calls.append("move_randomly")
        return torch.randn(68, 2, generator=generator) * self.displacement


@pytest.fixture(scope="module")
def sitter(model) -> HeadFit:
    """A smiling person of the head model."""
    identity = 0.7 * torch.randn(len(model.identity_basis), generator=torch.Generator().manual_seed(3))
    neutral = model.mean + torch.einsum("k,knd->nd", identity, model.identity_basis)
    expression = torch.zeros(52)
    expression[EXPRESSION_NAMES.index("mouthSmileLeft")] = 0.5
    mesh = model.template.with_vertices(neutral + torch.einsum("e,end->nd", expression, model.expression_deltas))
    camera = Camera(torch.eye(3), 2000.0, (256.0, 256.0), (512, 512))
    return HeadFit(identity, expression, mesh, neutral, model.expression_deltas, camera, 0.0, 0.0)


@pytest.fixture
def translator() -> CountingTranslator:
    """A little longer below the eyes: far from folding at twice its strength."""
    displacement = torch.zeros(68, 2)
    displacement[:17, 1] = torch.linspace(-1, 1, 17).square() * 0.08 - 0.08
    displacement[48:, 1] = -0.03
    return CountingTranslator(displacement)


@pytest.fixture
def transfer(model, sitter, translator) -> GeometryTransfer:
    return precompute_transfer(sitter, [ShapeExemplar(torch.zeros(68, 2))], model, translator)


def test_strength_zero_gives_the_sitter_back_exactly(transfer, sitter):
    assert torch.equal(transfer.displace(0.0), sitter.mesh.vertices)
    assert torch.equal(transfer.displace(regions=RegionStrengths(*5 * [0.0])), sitter.mesh.vertices)


def test_displacement_is_linear_while_nothing_folds(transfer, sitter):
    """Landmarks exactly; of the head that goes with them, nearly."""
    once, twice = (transfer.translation.displace(strength) for strength in (1.0, 2.0))
    torch.testing.assert_close(twice, 2 * once, atol=1e-6, rtol=0)
    once, twice = (transfer.displace(strength) - sitter.mesh.vertices for strength in (1.0, 2.0))
    assert once.norm(dim=1).max() > 2e-3
    assert (twice - 2 * once).norm(dim=1).max() < 0.1 * twice.norm(dim=1).max()


def test_strengths_that_fold_are_prevented(model, sitter, translator):
    strong = replace(translator, displacement=-20 * translator.displacement)
    moved = precompute_transfer(sitter, [], model, strong).translation
    assert moved.displace(1.0)[8].norm() < 0.95 * 20 * moved.displace(0.05)[8].norm()


def test_a_region_of_strength_zero_keeps_its_landmarks(transfer):
    chin, mouth = 8, 57
    moved = transfer.translation.displace(regions=RegionStrengths(outline=0.0))
    assert moved[chin, :2].norm() < 1e-7
    assert moved[mouth, :2].norm() > 1e-3


@pytest.mark.parametrize("depth", ["model", "paper"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"strength": 1.7}, {"strength": 0.4, "exaggeration": 0.6}, {"regions": RegionStrengths(mouth=0.2)}],
)
def test_it_is_what_the_full_path_deforms_to(model, sitter, translator, settings, depth):
    config = GeometryConfig(**settings, depth=depth)
    slid = precompute_transfer(sitter, [], model, translator, config).displace(**settings)
    targets = translate_landmarks(sitter, [], model, translator, config)
    asked = targets - model.landmarks68.positions(sitter.mesh.vertices, model.faces)
    displacement = build_deformer(model, config.stiffness).displace(sitter.neutral, asked)
    torch.testing.assert_close(slid - sitter.mesh.vertices, displacement, atol=1e-6, rtol=0)


def test_the_translator_is_asked_once_for_all_strengths(transfer, translator):
    for strength in (0.0, 0.5, 1.0):
        transfer.displace(strength, exaggeration=strength)
    assert translator.calls == ["move"]


def test_a_random_style_is_drawn_once_from_the_generator(model, sitter, translator):
    def draw(seed: int) -> GeometryTransfer:
        generator = torch.Generator().manual_seed(seed)
        return precompute_transfer(sitter, [], model, translator, GeometryConfig(random_style=True), generator)

    assert torch.equal(draw(1).displace(), draw(1).displace())
    assert not torch.equal(draw(1).displace(), draw(2).displace())
    assert translator.calls == 4 * ["move_randomly"]
