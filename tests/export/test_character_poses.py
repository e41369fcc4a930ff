"""Somebody in a moment of a motion stays one piece, and the preview shows all of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conftest import make_marked_head
from portraitist import build_character
from portraitist.body.body_model import load_body_model
from portraitist.body.standing import stand
from portraitist.export.body_joints import list_clips
from portraitist.export.character_folder import draw_character
from portraitist.export.character_poses import pose_character
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import Head

MODEL = load_body_model()


@pytest.fixture(scope="module")
def standing() -> Head:
    return stand(build_character(make_marked_head(64)))


def test_head_and_body_stay_together_and_clothes_over_the_body(standing):
    for clip in list_clips(standing):
        for moment in (0, len(clip.times) // 3):
            posed = pose_character(standing, clip, moment)
            body, clothes = (layer.mesh.vertices for layer in posed.layers)
            assert torch.allclose(posed.mesh.vertices[MODEL.ring_head], body[MODEL.ring], atol=1e-6)
            normals = vertex_normals(body.double().numpy(), MODEL.faces)[MODEL.clothes_sources]
            height = ((clothes - body[MODEL.clothes_sources]).numpy() * normals).sum(1)
            cloth = MODEL.clothes_ease > 0
            assert (height[cloth] > 0).mean() > 0.98, (clip.name, moment)
            assert not torch.equal(body, standing.layers[0].mesh.vertices)


def test_the_preview_shows_figures_and_faces(standing):
    picture = draw_character(standing).numpy()
    assert picture.shape[0] == 3
    assert picture.shape[2] == 1572
    filled = (picture < 1).any(0)
    upper, lower = filled[: filled.shape[0] // 2], filled[filled.shape[0] // 2 :]
    assert 0.15 < upper.mean() < 0.6
    assert 0.15 < lower.mean() < 0.8
    assert np.ptp(picture) > 0.5
