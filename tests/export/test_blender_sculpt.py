"""A head that Blender imported, sculpted, painted and exported is read again as it was left there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import add_layers, make_marked_head, make_quick_config
from export.blender import needs_blender, run_blender
from portraitist import (
    InputError,
    import_glb,
    reconstruct,
    study_artwork,
    transfer_geometry,
    transfer_texture,
)
from portraitist.apps.edited_head import UNTOUCHED_M
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import UNSIGNED
from portraitist.types import EXPRESSION_NAMES, Head

UNTESTED = "what it sculpts is NOT read"
JOB = {"pushes": [], "paint": None, "key": None, "delete": None, "split": False}
RADIUS, WAY = 0.04, (0.005, -0.01, -0.015)
"""Of a pushed chin, meters, in Blender's space."""

pytestmark = needs_blender(UNTESTED)


@pytest.fixture(scope="module")
def layered() -> Head:
    head = add_layers(make_marked_head(64))
    layers = [dataclasses.replace(layer, texture=(255 * layer.texture).round() / 255) for layer in head.layers]
    return dataclasses.replace(head, texture=(255 * head.texture).round() / 255, layers=tuple(layers))


def edit(head: Head, profile: str, folder: Path, **job: Any) -> Path:
    PROFILES[profile].write(folder / "head.glb", head, provenance=UNSIGNED)
    (folder / "job.json").write_text(json.dumps(JOB | job))
    files = [folder / "head.glb", folder / "job.json", folder / "edited.glb"]
    run_blender("blender_sculpt.py", *files, untested=UNTESTED)
    return folder / "edited.glb"


def find_chin(head: Head) -> torch.Tensor:
    return head.landmarks68.positions(head.neutral, head.mesh.faces)[8]


def ask_for_chin(head: Head) -> list:
    """Our (x, y, z) is Blender's (x, -z, y)."""
    x, y, z = find_chin(head).tolist()
    return [((x, -z, y), RADIUS, WAY)]


def push(head: Head) -> torch.Tensor:
    """Neutral vertices with the chin pushed as the script does it."""
    share = (1 - (head.neutral - find_chin(head)).norm(dim=1) / RADIUS).clamp(0, 1)
    return head.neutral + share[:, None] * torch.tensor([WAY[0], WAY[2], -WAY[1]])


def assert_pushed(got: torch.Tensor, head: Head) -> None:
    """What was pushed by less than rounding alone may do is left as it was."""
    expected = push(head)
    off, moved = (got - expected).norm(dim=1), (expected - head.neutral).norm(dim=1)
    assert moved.max() > 0.01
    assert off[moved > UNTOUCHED_M].max() < 1e-5
    assert off.max() <= UNTOUCHED_M


@pytest.mark.parametrize("profile", ["blender", "unity"])
def test_the_sculpted_shape_is_read_to_a_tenth_of_a_millimeter(profile: str, layered: Head, tmp_path: Path):
    got = import_glb(edit(layered, profile, tmp_path, pushes=ask_for_chin(layered), paint=(1.0, 0.0, 0.0)), layered)
    assert_pushed(got.neutral, layered)
    painted = got.texture[:, :32, :32]
    np.testing.assert_allclose(painted, torch.tensor([1.0, 0, 0])[:, None, None].expand_as(painted), atol=1 / 255)
    assert torch.equal(got.texture[:, 32:], layered.texture[:, 32:])
    assert all(torch.equal(mine.texture, own.texture) for mine, own in zip(got.layers, layered.layers, strict=True))


def test_untouched_it_is_the_same_head(layered: Head, tmp_path: Path):
    got = import_glb(edit(layered, "blender", tmp_path), layered)
    for field in ("neutral", "expression_deltas", "texture"):
        assert torch.equal(getattr(got, field), getattr(layered, field)), field


def test_a_sculpted_shape_key_is_read(layered: Head, tmp_path: Path):
    got = import_glb(edit(layered, "blender", tmp_path, pushes=ask_for_chin(layered), key="jawOpen"), layered)
    jaw = EXPRESSION_NAMES.index("jawOpen")
    expected = layered.expression_deltas[jaw] + push(layered) - layered.neutral
    assert (got.expression_deltas[jaw] - expected).norm(dim=1).max() < 1e-5
    assert torch.equal(got.neutral, layered.neutral)


def test_a_deleted_layer_is_left_out_and_another_topology_is_refused(layered: Head, tmp_path: Path):
    got = import_glb(edit(layered, "blender", tmp_path, delete="Hair"), layered)
    assert [layer.name for layer in got.layers] == ["headwear"]
    with pytest.raises(InputError, match=r"UVs that the head does not have|topology was changed"):
        import_glb(edit(layered, "blender", tmp_path, split=True), layered)


def test_the_imported_head_can_be_painted(hopper, brush, models, tmp_path: Path):
    """Stylized again it keeps the shape that it was given."""
    config = make_quick_config()
    sitter, exemplar = reconstruct(hopper, models, config), study_artwork(brush, models, config)
    head = transfer_geometry(sitter, [exemplar], models, config).head
    sculpted = import_glb(edit(head, "blender", tmp_path, pushes=ask_for_chin(head)), head)
    painted = transfer_texture(sculpted, sitter, [exemplar], models, config)
    assert_pushed(painted.neutral, head)
    assert (painted.texture - head.texture).abs().mean() > 0.01
