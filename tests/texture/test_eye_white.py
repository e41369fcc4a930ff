"""Eyes and mouth stay readable when they are painted: lit as the artwork's eyes are."""

from __future__ import annotations

import pytest
import torch

from portraitist.rendering.shader_math import luminance
from portraitist.segmentation.parts import EYES, LIPS, MOUTH, SKIN
from portraitist.texture.exemplar import StyleSource
from portraitist.texture.eye_white import measure_white, relight
from portraitist.texture.label_colors import match_colors, share_palettes

SKIN_COLOR = torch.tensor([0.55, 0.42, 0.36])


def draw(skin: torch.Tensor, eyes: list[torch.Tensor], mouth: torch.Tensor | None = None) -> StyleSource:
    """A face of plain stripes: skin, eyes of several colors, lips and, if asked for, mouth."""
    stripes = [(skin, SKIN)] * 4 + [(color, EYES) for color in eyes] + [(skin * torch.tensor([1.0, 0.7, 0.7]), LIPS)]
    if mouth is not None:
        stripes.append((mouth, MOUTH))
    image = torch.stack([color for color, _ in stripes], 1)[:, :, None].repeat_interleave(12, 1).expand(3, -1, 64)
    labels = torch.tensor([label for _, label in stripes])[:, None].repeat_interleave(12, 0).expand(-1, 64)
    noise = 0.01 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return StyleSource((image + noise).clamp(0, 1), labels.contiguous(), skin)


@pytest.mark.parametrize("light", [1.3, 0.6])
def test_white_is_found_among_iris_and_lashes(light: float) -> None:
    white, iris, lashes = torch.tensor([0.52, 0.50, 0.48]), torch.tensor([0.25, 0.15, 0.1]), torch.full((3,), 0.04)
    source = draw(light * SKIN_COLOR, [light * white, light * iris, light * lashes])
    assert (measure_white(source.image, source.labels) - light * white).abs().max() < 0.06


def test_eyes_that_show_no_white_have_what_the_skin_lets_expect() -> None:
    source = draw(SKIN_COLOR, [torch.full((3,), 0.03)])
    white = measure_white(source.image, source.labels)
    assert 0.35 < float(luminance(white.numpy())) < 0.6


def test_relighting_is_undone_by_its_inverse() -> None:
    colors, white, target = (
        0.2 + 0.4 * torch.rand(50, 3),
        torch.tensor([0.8, 0.75, 0.7]),
        torch.tensor([0.5, 0.45, 0.4]),
    )
    there = relight(colors, white, target)
    assert torch.allclose(relight(there, target, white), colors, atol=1e-5)
    assert torch.allclose(relight(white[None], white, target)[0], target, atol=1e-6)


def test_teeth_stay_light_though_the_artworks_eyes_are_dark_lines() -> None:
    teeth = torch.tensor([0.85, 0.8, 0.72])
    front = draw(1.3 * SKIN_COLOR, [torch.tensor([0.7, 0.68, 0.66])], teeth)
    art = draw(SKIN_COLOR, [torch.full((3,), 0.05)])
    shares = share_palettes(front.image, front.labels)
    recolored = match_colors(front.image, front.labels, shares, front, [art], torch.Generator().manual_seed(0))
    inside = front.labels == MOUTH
    assert float(luminance(recolored[:, inside].mean(1).numpy())) > float(luminance(SKIN_COLOR.numpy()))


def test_bright_teeth_below_shaded_eyes_are_not_blown_out() -> None:
    """What shows single teeth, their shades, stays."""
    teeth, shaded = torch.tensor([0.92, 0.9, 0.86]), torch.tensor([0.5, 0.48, 0.46])
    front = draw(SKIN_COLOR, [shaded], teeth)
    art = draw(SKIN_COLOR, [torch.tensor([0.75, 0.73, 0.7])])
    shares = share_palettes(front.image, front.labels)
    recolored = match_colors(front.image, front.labels, shares, front, [art], torch.Generator().manual_seed(0))
    inside = recolored[:, front.labels == MOUTH]
    assert float((inside == 1).float().mean()) < 0.01
    assert float(luminance(inside.mean(1).numpy())) > 0.65


def test_tongue_keeps_its_hue_beside_the_teeth() -> None:
    teeth, tongue, white = torch.tensor([0.92, 0.9, 0.86]), torch.tensor([0.6, 0.36, 0.35]), torch.tensor([0.5] * 3)
    front = draw(SKIN_COLOR, [white], teeth)
    tongues = draw(SKIN_COLOR, [white], tongue)
    image, labels = (torch.cat(pair, -1) for pair in ((front.image, tongues.image), (front.labels, tongues.labels)))
    both = StyleSource(image, labels, SKIN_COLOR)
    art = draw(SKIN_COLOR, [torch.tensor([0.75, 0.73, 0.7])])
    recolored = match_colors(
        image, labels, share_palettes(image, labels), both, [art], torch.Generator().manual_seed(0)
    )
    painted = recolored[:, :, 64:][:, tongues.labels == MOUTH].mean(1)
    assert float(painted[0] / painted[1]) > 1.3
