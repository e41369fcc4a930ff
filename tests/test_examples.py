"""The examples run, and show what they say."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import paint_any_mesh
import reuse_stages
import slider_loop
import track_clip
from portraitist import Config, load_image, save_image


def quick_config() -> Config:
    draft = Config.draft()
    texture = replace(draft.texture, view_px=48, steps=2, samples=64, near_views=2, stroke_px=48, stroke_steps=1)
    return replace(draft, unwrap=replace(draft.unwrap, texture_size=128), texture=texture)


def test_two_sitters_and_three_artworks_need_two_reconstructions_and_three_studies(tmp_path, monkeypatch):
    calls: list[str] = []
    for name in ("reconstruct", "study_artwork"):
        original = getattr(reuse_stages, name)

        def counted(*given, _original=original, _name=name):
            calls.append(_name)
            return _original(*given)

        monkeypatch.setattr(reuse_stages, name, counted)
    seconds = reuse_stages.main(["-o", str(tmp_path)], quick_config())
    assert (calls.count("reconstruct"), calls.count("study_artwork")) == (2, 3)
    assert set(seconds) == {"reconstructions", "studies", "pairs"}
    assert len(list(tmp_path.glob("*.glb"))) == 6
    fronts = [load_image(path) for path in sorted(tmp_path.glob("*.png"))]
    assert len(fronts) == 6
    for number, front in enumerate(fronts):
        for other in fronts[:number]:
            assert (front - other).abs().mean() > 0.01  # each pair is its own


def test_texture_style_needs_no_face(tmp_path):
    art = torch.full((3, 96, 96), 0.1)
    art[0, :48], art[2, 48:] = 0.9, 0.9  # red above, blue below
    art = (art + 0.1 * torch.rand(1, 96, 96, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    save_image(tmp_path / "art.png", art)
    out = tmp_path / "ring.png"
    small = ["--texture-size", "128", "--view-px", "64", "--steps", "30"]
    painted = paint_any_mesh.main(["-o", str(out), "--art", str(tmp_path / "art.png"), *small])
    assert load_image(out).std() > 0.05
    above, below = (painted["texture"][:, painted["labels"] == label].mean(1) for label in (0, 1))
    assert above[0] - above[2] > 0.2  # each half after its own half
    assert below[2] - below[0] > 0.2


def test_a_clip_is_tracked_with_one_identity(tmp_path):
    out = tmp_path / "clip.json"
    rows = track_clip.main(["-o", str(out), "--count", "6"], quick_config())
    assert json.loads(out.read_text()) == rows
    assert len(rows) == 6
    yaw_errors = [abs(row["yaw_deg"] - row["true_yaw_deg"]) for row in rows]
    assert sum(yaw_errors) / len(rows) < 5
    assert max(row["residual_percent"] for row in rows) < 5


def test_a_slider_moves_the_head_in_steps(tmp_path):
    result = slider_loop.main(["-o", str(tmp_path / "slider.webp"), "--steps", "4"], quick_config())
    assert result["strength"] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert result["moved_mm"][0] == 0
    assert result["moved_mm"] == sorted(result["moved_mm"])
    assert (tmp_path / "slider.webp").stat().st_size > 1000


@pytest.mark.slow
def test_a_whole_clip_of_thirty_frames(tmp_path):
    rows = track_clip.main(["-o", str(tmp_path / "clip.json")], quick_config())
    assert len(rows) == 30
    opened = torch.tensor([[row["jawOpen"], row["true_jawOpen"]] for row in rows])
    assert torch.corrcoef(opened.T)[0, 1] > 0.8
