"""Landmark files: every format comes back, ``.pts`` is offset, and bad files are named by what is wrong with them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from portraitist.files.landmark_files import check_landmarks, read_landmarks, write_landmarks
from portraitist.types import InputError


@pytest.fixture
def points() -> torch.Tensor:
    return torch.rand(68, 2, generator=torch.Generator().manual_seed(0)) * 300 + 50


@pytest.mark.parametrize("name", ["a.txt", "a.pts", "a.npy", "a.json"])
def test_written_points_come_back(tmp_path: Path, points: torch.Tensor, name: str) -> None:
    write_landmarks(tmp_path / name, points)
    assert (read_landmarks(tmp_path / name) - points).abs().max() < 1e-3


def test_pts_counts_pixels_from_one(tmp_path: Path) -> None:
    lines = "\n".join(["1 1"] * 67 + ["10.25 20"])
    (tmp_path / "a.pts").write_text(f"version: 1\nn_points:  68\n{{\n{lines}\n}}\n")
    points = read_landmarks(tmp_path / "a.pts")
    assert points[0].tolist() == [0.5, 0.5]  # the centre of the top left pixel
    assert points[67].tolist() == [9.75, 19.5]


def test_text_may_have_commas_comments_and_a_byte_order_mark(tmp_path: Path) -> None:
    lines = "".join(f"{i}, {i + 0.5}\r\n" for i in range(68))
    (tmp_path / "a.csv").write_text("\ufeff# x, y\r\n\r\n" + lines, encoding="utf-8")
    assert read_landmarks(tmp_path / "a.csv")[3].tolist() == [3.0, 3.5]


def test_json_may_be_a_bare_list(tmp_path: Path, points: torch.Tensor) -> None:
    (tmp_path / "a.json").write_text(json.dumps(points.tolist()))
    assert torch.allclose(read_landmarks(tmp_path / "a.json"), points)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "1 2\n" * 67, "holds 67 points"),
        ("a.txt", "1 2\n" * 67 + "3\n", "point 68 has 1 values"),
        ("a.txt", "1 2\n" * 67 + "x y\n", "cannot be read"),
        ("a.txt", "1 2\n" * 67 + "nan 2\n", "Point 68 .* not a finite number"),
        ("a.txt", "", "holds .*needed: 68 lines"),
        ("a.pts", "1 2\n" * 68, "between { and }"),
        ("a.json", '{"landmarks": []}', 'no "points"'),
        ("a.json", "[[1, 2], [3]]", "cannot be read"),
        ("a.json", "[1, 2", "cannot be read"),
        ("a.json", '{"points": null}', "not a finite number|holds"),
        ("a.npy", "not numpy", "cannot be read"),
    ],
)
def test_bad_content_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_landmarks(tmp_path / name)


def test_arrays_of_another_shape_or_with_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((68, 3)))
    with pytest.raises(InputError, match="shape 68 x 3"):
        read_landmarks(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([pickle], dtype=object).repeat(68).astype(str).astype(object))
    with pytest.raises(InputError, match="cannot be read"):
        read_landmarks(tmp_path / "b.npy")


def test_missing_file_and_unknown_suffix(tmp_path: Path, points: torch.Tensor) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_landmarks(tmp_path / "none.txt")
    with pytest.raises(InputError, match="suffix must be"):
        write_landmarks(tmp_path / "a.xml", points)


def test_points_are_checked_against_the_picture(points: torch.Tensor) -> None:
    check_landmarks(points, (400, 400))
    check_landmarks(points - 100, (400, 400))  # a face that reaches over the border
    with pytest.raises(InputError, match="picture is 100 x 80 pixels"):
        check_landmarks(points, (80, 100))
    with pytest.raises(InputError, match="reach from"):
        check_landmarks(torch.cat([points[:67], torch.tensor([[200.0, 4000.0]])]), (400, 400))
    with pytest.raises(InputError, match="less than 8 pixels"):
        check_landmarks(points / 100 + 50, (400, 400))
