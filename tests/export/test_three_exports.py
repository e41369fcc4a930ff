"""three.js in Chromium shows the exported files as our own pictures show the head, in every look."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import make_layer, make_marked_head
from export.three_page import needs_three, show_in_three
from portraitist import render, view_camera
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import UNSIGNED
from portraitist.mesh.carrying import pose_head
from portraitist.types import EXPRESSION_NAMES, Head

pytestmark = [pytest.mark.slow, needs_three]
SIZE = 192
EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "open": {"jawOpen": 1.0},
    "smile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "pucker": {"mouthPucker": 1.0},
    "brows": {"browInnerUp": 1.0, "browOuterUpLeft": 1.0, "browOuterUpRight": 1.0},
}


@pytest.fixture(scope="module")
def layered() -> Head:
    """With a hat that leaves the brows free."""
    head = make_marked_head(64)
    return dataclasses.replace(head, layers=(make_layer(head, "headwear"),))


def show(profile: str, head: Head, folder: Path, moments: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    PROFILES[profile].write(folder / "head.glb", head, provenance=UNSIGNED, **options)
    low, high = head.neutral.amin(0), head.neutral.amax(0)
    middle = ((low + high) / 2).tolist()
    return show_in_three(
        folder / "head.glb", moments, folder / "profile", size=SIZE, target=middle, radius=0.25, lamps=True
    )


@pytest.mark.parametrize(("profile", "options"), [("web", {}), ("web", {"compressed": True}), ("unity", {})])
def test_six_expressions_look_like_our_own_pictures(
    profile: str, options: dict[str, Any], layered: Head, tmp_path: Path
):
    moments = [{"weights": weights, "yaw": 25} for weights in EXPRESSIONS.values()]
    shown = show(profile, layered, tmp_path, moments, **options)
    middle = (layered.neutral.amin(0) + layered.neutral.amax(0)) / 2
    camera = view_camera(layered.neutral, -25.0, 0.0, SIZE)
    scale = SIZE / 0.5
    x, y, _ = (camera.rotation @ middle).tolist()
    camera = type(camera)(camera.rotation, scale, (SIZE / 2 - scale * x, SIZE / 2 + scale * y), (SIZE, SIZE))
    for moment, weights in zip(shown, EXPRESSIONS.values(), strict=True):
        assert {*moment["parts"]} == {"Head", "Headwear"}
        asked = torch.tensor([weights.get(name, 0.0) for name in EXPRESSION_NAMES])
        expected = render(pose_head(layered, asked), camera).permute(1, 2, 0).numpy()
        got = moment["picture"] / 255
        assert np.abs(got - expected).mean() < 0.02
        assert (np.abs(got - expected).max(2) > 0.25).mean() < 0.06  # edges
    pictures = [moment["picture"].astype(int) for moment in shown]
    assert min((np.abs(picture - pictures[0]).max(2) > 12).sum() for picture in pictures[1:]) > 30


def test_every_look_is_seen(layered: Head, tmp_path: Path):
    looks = ("unlit", "lit", "toon")
    shown = show("web", layered, tmp_path, [{}, *({"variant": look} for look in looks)], looks=looks)
    first, unlit, lit, toon = (moment["picture"].astype(int) for moment in shown)
    np.testing.assert_array_equal(first, unlit)
    head = (unlit != 255).any(2)
    assert np.abs(lit - unlit)[head].mean() > 10
    outlined = (np.abs(toon - unlit).max(2) > 60).mean() / head.mean()
    assert 0.005 < outlined < 0.2
    assert (toon != 255).any(2).sum() > head.sum()
