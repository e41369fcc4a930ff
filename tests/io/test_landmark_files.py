"""Landmark files: every format comes back, ``.pts`` is offset, and bad files are named by what is wrong with them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from portraitist.errors import InputError, OutputError
from portraitist.io.images import load_image
from portraitist.io.landmark_files import (
    check_landmarks,
    read_landmarks,
    read_landmarks_of_picture,
    write_landmarks,
    write_landmarks_of_picture,
)


@pytest.fixture
def points() -> torch.Tensor:
    return torch.rand(68, 2, generator=torch.Generator().manual_seed(0)) * 300 + 50


@pytest.mark.parametrize("name", ["a.txt", "a.pts", "a.npy", "a.json"])
def test_written_points_come_back(tmp_path: Path, points: torch.Tensor, name: str) -> None:
    write_landmarks(tmp_path / name, points)
    assert (read_landmarks(tmp_path / name) - points).abs().max() < 1e-3


@pytest.mark.parametrize("name", ["a.txt", "a.pts", "a.npy", "a.json"])
def test_points_of_a_large_picture_come_back(tmp_path: Path, points: torch.Tensor, name: str) -> None:
    """Loaded smaller than it is, it has its own pixels in the file."""
    PIL.Image.new("RGB", (4000, 3000)).save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    size = (image.shape[1], image.shape[2])
    write_landmarks_of_picture(tmp_path / name, points, tmp_path / "a.png", size)
    assert (read_landmarks(tmp_path / name)[:, 0] / points[:, 0]).median() == pytest.approx(4000 / size[1], rel=1e-4)
    assert (read_landmarks_of_picture(tmp_path / name, tmp_path / "a.png", size) - points).abs().max() < 1e-2


def test_a_landmark_file_is_written_whole_or_not_at_all(tmp_path: Path, points: torch.Tensor) -> None:
    (tmp_path / "a.json").write_text("former")
    with pytest.raises(OutputError, match="cannot be written"):
        write_landmarks(tmp_path / "none" / "a.json", points)
    with pytest.raises(InputError, match="suffix must be"):
        write_landmarks(tmp_path / "a", points)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "former")]


def test_pts_counts_pixels_from_one(tmp_path: Path) -> None:
    lines = "\n".join(["1 1"] * 67 + ["10.25 20"])
    (tmp_path / "a.pts").write_text(f"version: 1\nn_points:  68\n{{\n{lines}\n}}\n")
    points = read_landmarks(tmp_path / "a.pts")
    assert points[0].tolist() == [0.5, 0.5]  # the center of the top left pixel
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


@pytest.mark.parametrize("size", [[400], [0, 400], [400, 1e3], [400, 10**9], "400", {"height": 400}, [True, 400]])
def test_size_that_is_none_is_named(tmp_path: Path, points: torch.Tensor, size: object) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"points": points.tolist(), "size": size}))
    with pytest.raises(InputError, match="height, width"):
        read_landmarks_of_picture(tmp_path / "a.json", tmp_path / "unread.jpg", (400, 400))


def test_size_of_another_picture_is_refused(tmp_path: Path, points: torch.Tensor) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"points": points.tolist(), "size": [400, 300]}))
    read = read_landmarks_of_picture(tmp_path / "a.json", tmp_path / "unread.jpg", (800, 600))
    assert torch.allclose(read, 2 * points)
    with pytest.raises(InputError, match="made for a picture of 300 x 400"):
        read_landmarks_of_picture(tmp_path / "a.json", tmp_path / "unread.jpg", (400, 400))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "large.txt").write_text("1 2\n" * 300_000)
    with pytest.raises(InputError, match="MB, which 68 points never take"):
        read_landmarks(tmp_path / "large.txt")
    with pytest.raises(InputError, match="a folder"):
        read_landmarks(tmp_path)
    with pytest.raises(InputError, match="cannot be opened"):
        read_landmarks(tmp_path / ("x" * 300))


def test_missing_file_and_unknown_suffix(tmp_path: Path, points: torch.Tensor) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_landmarks(tmp_path / "none.txt")
    with pytest.raises(InputError, match="suffix must be"):
        write_landmarks(tmp_path / "a.xml", points)


def make_face() -> torch.Tensor:
    """68 points of a rough face in a picture of 400 x 400: jaw and brows on an oval, the rest inside."""
    angle = torch.linspace(0, torch.pi, 17)
    jaw = torch.stack([200 - 100 * angle.cos(), 200 + 120 * angle.sin()], dim=1)
    brows = torch.stack([torch.linspace(110, 290, 10), torch.full((10,), 150.0)], dim=1)
    inner = torch.tensor([200.0, 220.0]).expand(41, 2).clone()
    inner[9:15] = torch.tensor([150.0, 180.0])
    inner[9, 0], inner[12, 0] = 130, 165
    inner[15:21] = torch.tensor([250.0, 180.0])
    inner[15, 0], inner[18, 0] = 235, 270
    return torch.cat([jaw, brows, inner])


def test_points_in_the_wrong_order_are_named() -> None:
    points = make_face()
    check_landmarks(points, (400, 400))
    check_landmarks(400 - points, (400, 400))  # upside down, as a turned picture is
    with pytest.raises(InputError, match="mirrored"):
        check_landmarks(points * torch.tensor([-1.0, 1.0]) + torch.tensor([400.0, 0.0]), (400, 400))
    with pytest.raises(InputError, match="x and y are exchanged"):
        check_landmarks(points.flip(1), (400, 400))
    with pytest.raises(InputError, match="no face"):
        check_landmarks((points - 200) * torch.tensor([1.0, 0.1]) + 200, (400, 400))


def test_points_are_checked_against_the_picture() -> None:
    points = make_face()
    check_landmarks(points, (400, 400))
    check_landmarks(points - 100, (400, 400))  # a face that reaches over the border
    with pytest.raises(InputError, match="picture is 100 x 80 pixels"):
        check_landmarks(points, (80, 100))
    with pytest.raises(InputError, match="reach from"):
        check_landmarks(torch.cat([points[:67], torch.tensor([[200.0, 4000.0]])]), (400, 400))
    with pytest.raises(InputError, match="less than 8 pixels"):
        check_landmarks(points / 100 + 50, (400, 400))
