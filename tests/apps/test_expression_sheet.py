"""Stickers, read again: on nothing, in one frame, small enough, and with the expression that their name says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from PIL import ImageSequence

from conftest import add_layers, make_marked_head
from portraitist import (
    Cancelled,
    ExpressionPreset,
    InputError,
    OutputError,
    Progress,
    draw_expression,
    write_expression_sheet,
)
from portraitist.apps import expression_sheet
from portraitist.apps.expression_presets import PRESETS
from portraitist.types import EXPRESSION_NAMES, Head

SIZE_PX = 96
FEW = tuple(preset for preset in PRESETS if preset.name in ("neutral", "laugh", "sleepy"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expression_sheet, "EASE_FRAMES", 3)


@pytest.fixture(scope="module")
def head() -> Head:
    return add_layers(make_marked_head())


@pytest.fixture(scope="module")
def written(head: Head, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stickers") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expression_sheet, "EASE_FRAMES", 3)
        write_expression_sheet(out, head, FEW, size=SIZE_PX)
    return out


def read(path: Path) -> np.ndarray:
    """All frames ``[frames, h, w, 4]``."""
    with PillowImage.open(path) as picture:
        return np.stack([np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(picture)])


def test_there_are_sixteen_presets_of_known_actions():
    assert len({preset.name for preset in PRESETS}) == len(PRESETS) == 16
    weights = torch.stack([preset.as_tensor() for preset in PRESETS])
    assert weights.min() == 0
    assert weights.max() == 1
    assert not weights[0].any()
    for preset in PRESETS:
        assert preset.name.isidentifier()  # a name of a file everywhere
        assert max(abs(preset.yaw_deg), abs(preset.pitch_deg), abs(preset.roll_deg)) <= 25


def test_a_name_without_a_side_means_both():
    weights = ExpressionPreset("test", {"mouthSmile": 0.5, "eyeBlinkLeft": 1.0, "jawOpen": 0.2}).as_tensor()
    named = {name: weight for name, weight in zip(EXPRESSION_NAMES, weights.tolist(), strict=True) if weight}
    expected = {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5, "eyeBlinkLeft": 1.0, "jawOpen": 0.2}
    assert named == pytest.approx(expected)
    with pytest.raises(InputError, match="mouthGrin"):
        ExpressionPreset("test", {"mouthGrin": 1.0}).as_tensor()


def test_every_preset_is_told_from_every_other(head: Head):
    weights = torch.stack([preset.as_tensor() for preset in PRESETS])
    shapes = torch.einsum("pe,end->pnd", weights, head.expression_deltas)
    apart = (shapes[:, None] - shapes[None]).norm(dim=-1).amax(-1)
    assert apart[~torch.eye(16, dtype=torch.bool)].min() > 0.004  # meters, where they differ most


def test_files_are_those_of_the_presets(written: Path):
    names = {f"{preset.name}{end}" for preset in FEW for end in (".png", ".webp", "_moving.webp", "_moving.webm")}
    assert {path.name for path in written.iterdir()} == names | {"sheet.png", "run.json"}


def test_stickers_fill_the_same_frame_up_to_the_margin(written: Path):
    margin = int(expression_sheet.MARGIN * SIZE_PX)
    opacity = np.concatenate([read(path)[..., 3] for path in written.glob("*_moving.webp")])
    opacity = np.concatenate([opacity, *(read(written / f"{preset.name}.png")[..., 3] for preset in FEW)])
    assert opacity.shape[1:] == (SIZE_PX, SIZE_PX)
    rows, columns = (np.flatnonzero((opacity > 40).any((0, other))) for other in (2, 1))
    assert min(rows[0], columns[0]) >= margin
    assert max(rows[-1], columns[-1]) < SIZE_PX - margin
    assert max(np.ptp(rows), np.ptp(columns)) >= SIZE_PX - 2 * margin - 4


def test_the_neck_stays_in_place(written: Path):
    """About which the head turns: the middle of what the lowest rows show."""
    low = [read(written / f"{preset.name}.png")[0, -12:, :, 3] for preset in FEW]
    middles = [(picture.sum(0) * np.arange(SIZE_PX)).sum() / picture.sum() for picture in low]
    assert np.ptp(middles) < 0.1 * SIZE_PX


def test_animation_goes_to_the_expression_and_back(written: Path):
    with PillowImage.open(written / "laugh_moving.webp") as animation:
        durations = []
        for frame in ImageSequence.Iterator(animation):
            frame.load()
            durations.append(frame.info["duration"])
        assert animation.info["loop"] == 0
    assert durations == [400, 40, 40, 1200, 40, 40]
    frames = read(written / "laugh_moving.webp").astype(int)
    neutral, laugh = (read(written / f"{name}.png")[0].astype(int) for name in ("neutral", "laugh"))
    to_neutral, to_laugh = (np.abs(frames - still).mean((1, 2, 3)) for still in (neutral, laugh))
    assert to_neutral.argmin() == 0
    assert to_laugh.argmin() == 3
    np.testing.assert_allclose(to_laugh[1:3], to_laugh[:3:-1], atol=1)  # the way back is the way there


def test_layers_follow_the_expression(head: Head):
    """Brows that go up take the hair over them with them."""
    up = ExpressionPreset("up", {"browInnerUp": 1.0, "browOuterUp": 1.0})
    stage = expression_sheet._set_stage(head, (up,), SIZE_PX)
    (posed, _), (neutral, _) = stage.pose(up), stage.pose(up, 0.0)
    moved = (posed.layers[0].mesh.vertices - neutral.layers[0].mesh.vertices).norm(dim=1)
    assert moved.max() > 0.001


def test_one_expression_can_be_drawn_alone(head: Head):
    mine = ExpressionPreset("mine", {"jawOpen": 1.0}, roll_deg=40)
    picture = draw_expression(head, mine, 64)
    assert picture.shape == (4, 64, 64)
    opaque = torch.nonzero(picture[3] > 0.2)
    assert opaque.min() >= 2
    assert opaque.max() <= 61
    assert (picture - draw_expression(head, dataclasses.replace(mine, roll_deg=0), 64)).abs().mean() > 0.01


def test_cancelling_leaves_nothing(head: Head, tmp_path: Path):
    def cancel(progress: Progress) -> None:
        assert (progress.stage, progress.steps) == ("stickers", len(FEW))
        if progress.step == 1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        write_expression_sheet(tmp_path / "out", head, FEW, size=32, progress=cancel)
    assert not list(tmp_path.iterdir())


def test_former_stickers_are_replaced_and_nothing_else(head: Head, tmp_path: Path):
    write_expression_sheet(tmp_path / "out", head, FEW[:2], size=32)
    with pytest.raises(OutputError, match="--overwrite"):
        write_expression_sheet(tmp_path / "out", head, FEW[:1], size=32)
    write_expression_sheet(tmp_path / "out", head, FEW[:1], size=32, overwrite=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "neutral.png", "neutral.webp", "neutral_moving.webp", "neutral_moving.webm", "run.json", "sheet.png",
    }  # fmt: skip
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"mine\.txt"):
        write_expression_sheet(tmp_path / "out", head, FEW[:1], size=32, overwrite=True)
