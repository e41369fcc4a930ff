"""Teeth as long as a photo shows them, found on rendered photos of heads whose teeth are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from portraitist.reconstruction.head_model import HeadModel
from portraitist.reconstruction.head_texels import locate_head_texels
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.sampling import render_view
from portraitist.types import EXPRESSION_NAMES, HeadFit, Image
from portraitist.unwrapping.teeth import fit_teeth

SIZE, PHOTO_PX = 512, 700
COLORS = {  # sRGB
    "lips": (0.70, 0.40, 0.38),
    "mouth_cavity": (0.20, 0.10, 0.10),
    "tongue": (0.55, 0.30, 0.30),
    "upper_teeth": (0.90, 0.88, 0.80),
    "lower_teeth": (0.90, 0.88, 0.80),
}


@pytest.fixture(scope="module")
def texture(model: HeadModel) -> Image:
    texels = locate_head_texels(model, SIZE)
    colors = np.broadcast_to(np.array([0.80, 0.60, 0.50], np.float32), (len(texels.texel_ids), 3)).copy()
    for name, color in COLORS.items():
        colors[texels.in_regions("lips") if name == "lips" else texels.in_components(name)] = color
    return torch.from_numpy(colors[texels.nearest_ids]).permute(2, 0, 1).contiguous()


def smile(model: HeadModel, **weights: float) -> HeadFit:
    expression = torch.tensor([weights.get(name, 0.0) for name in EXPRESSION_NAMES])
    shown = model.mean + torch.einsum("e,env->nv", expression, model.expression_deltas)
    return HeadFit(
        identity=torch.zeros(len(model.identity_basis)),
        expression=expression,
        mesh=model.template.with_vertices(shown),
        neutral=model.mean,
        expression_deltas=model.expression_deltas,
        camera=view_camera(model.mean, 10.0, 5.0, PHOTO_PX),
        residual_px=0.0,
        residual_relative=0.0,
    )


OPEN = {
    "jawOpen": 0.3,
    "mouthSmileLeft": 0.6,
    "mouthSmileRight": 0.6,
    "mouthUpperUpLeft": 0.4,
    "mouthUpperUpRight": 0.4,
}


@pytest.mark.parametrize("longer", [0.0, 0.0025])
def test_upper_teeth_are_as_long_as_the_photo_shows(longer: float, model: HeadModel, texture: Image) -> None:
    fit, upper = smile(model, **OPEN), model.vertex_ids("upper_teeth")
    heights = model.mean[upper, 1]
    vertices = fit.mesh.vertices.clone()
    vertices[upper, 1] -= longer * (heights.max() - heights) / (heights.max() - heights.min())
    photo = render_view(fit.mesh.with_vertices(vertices), texture, fit.camera, torch.ones(3))
    found = fit_teeth(photo, fit, model)
    moved = found.neutral - fit.neutral
    assert float(-moved[upper, 1].min()) == pytest.approx(longer, abs=0.001)
    assert float(moved[upper, 1].max()) == pytest.approx(0, abs=1e-6)  # at the gums
    assert float(moved[model.vertex_ids("lower_teeth")].abs().max()) <= 0.001
    others = torch.ones(len(moved), dtype=torch.bool)
    others[model.vertex_ids("upper_teeth", "lower_teeth")] = False
    assert not moved[others].any()
    again = found.neutral + torch.einsum("e,env->nv", found.expression, found.expression_deltas)
    assert torch.allclose(found.mesh.vertices, again, atol=1e-6)


def test_a_closed_mouth_tells_nothing(model: HeadModel, texture: Image) -> None:
    fit = smile(model)
    photo = render_view(fit.mesh, texture, fit.camera, torch.ones(3))
    assert fit_teeth(photo, fit, model) is fit


def test_a_dark_mouth_keeps_the_models_teeth(model: HeadModel, texture: Image) -> None:
    """Teeth in the shade, or none at all, are no reason for shorter or longer ones."""
    fit = smile(model, **OPEN)
    photo = render_view(fit.mesh, texture, fit.camera, torch.ones(3))
    inside = dataclasses.replace(fit.mesh, faces=fit.mesh.faces)
    dark = render_view(inside, torch.full_like(texture, 0.08), fit.camera, torch.ones(3))
    lips = render_view(fit.mesh, (texture[:1] > 0.85).float().expand(3, -1, -1), fit.camera, torch.zeros(3)) > 0.5
    shown = torch.where(lips, dark, photo)
    assert float((fit_teeth(shown, fit, model).neutral - fit.neutral).abs().max()) <= 0.001
