"""Fast pictures of a moving head are those of ``render``."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conftest import add_layers, make_head, make_marked_head
from portraitist.io.images import image_to_uint8
from portraitist.rendering.cameras import head_camera, view_camera
from portraitist.rendering.frames import FrameRenderer
from portraitist.rendering.layers import list_parts
from portraitist.rendering.sampling import render
from portraitist.types import Head


def draw(head: Head, camera, **ground) -> np.ndarray:
    parts = list_parts(head)
    return FrameRenderer(parts).draw(np.concatenate([mesh.vertices.numpy() for mesh, _ in parts]), camera, **ground)


@pytest.mark.parametrize("yaw_deg", [0.0, 35.0, 160.0])
@pytest.mark.parametrize("layered", [False, True])
def test_pictures_are_those_of_render(yaw_deg: float, layered: bool):
    head = add_layers(make_marked_head()) if layered else make_marked_head()
    camera = head_camera(head, yaw_deg, 10.0, 200)
    expected = image_to_uint8(render(head, camera)).astype(int)
    off = np.abs(draw(head, camera).astype(int) - expected)
    assert off.mean() < 2.5
    assert (off.max(2) > 60).mean() < 0.02  # textures have edges, too, that one ray per pixel meets or misses


def test_outlines_are_smooth():
    """A white head on black: at the outline there are grays, as with four rays."""
    head = make_head()
    white = Head(**{**vars(head), "texture": torch.ones_like(head.texture)})
    picture = draw(white, view_camera(head.mesh.vertices, 0.0, 0.0, 100), background=(0, 0, 0))[..., 0]
    assert ((picture > 20) & (picture < 235)).sum() > 60
    assert (picture[40:60, 40:60] == 255).all()
    assert (picture[:3] == 0).all()


def test_a_head_outside_of_the_picture_leaves_the_ground():
    head = make_head()
    camera = view_camera(head.mesh.vertices + 10.0, 0.0, 0.0, 64)
    assert (draw(head, camera, background=(1, 2, 3)) == [1, 2, 3]).all()
