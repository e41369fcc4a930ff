"""Texture by example: what is laid out looks like the example, equally large, and has its contrast everywhere."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
import pytest

from portraitist.rendering.patch_noise import Example, lay_out

SIDE = 240  # pixels of the examples
RADIUS = 24.0
QUIET = 0.75
PX_PER_M = 2000.0
PERIOD = 8  # pixels of the stripes
PLANE_SIDE = 320  # points across the planes, a pixel of the example apart
ACROSS_AND_UP = ((2, 1), (0, 2), (0, 1))  # axes in planes that face along x, y and z: where it can be, up is up


def make_noise(channels: int = 1) -> np.ndarray:
    """Soft spots of mean 0 and standard deviation 1, in another strength in each channel."""
    spots = np.random.default_rng(0).standard_normal((SIDE, SIDE, channels)).astype(np.float32)
    spots = cv2.GaussianBlur(spots, (0, 0), 1.5).reshape(SIDE, SIDE, channels)
    spots -= spots.mean((0, 1))
    return spots / spots.std((0, 1)) * np.arange(1, channels + 1, dtype=np.float32)


def make_stripes(tilt_deg: float) -> np.ndarray:
    """Upright stripes, turned clockwise by this angle."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    across = math.cos(math.radians(tilt_deg)) * columns + math.sin(math.radians(tilt_deg)) * rows
    return np.sin(2 * np.pi * across / PERIOD)[..., None].astype(np.float32)


def cut(detail: np.ndarray, usable: np.ndarray | None = None) -> Example:
    return Example.cut(detail, np.ones((SIDE, SIDE), bool) if usable is None else usable, RADIUS, PX_PER_M, QUIET)


def make_plane(axis: int, side: int = PLANE_SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Places and normals of a square that faces along an axis: rows go up, columns across."""
    across, up = ACROSS_AND_UP[axis]
    rows, columns = np.mgrid[:side, :side] / PX_PER_M
    places = np.zeros((side**2, 3))
    places[:, across], places[:, up], places[:, axis] = columns.ravel(), rows.ravel(), 0.1
    normals = np.zeros_like(places)
    normals[:, axis] = 1.0
    return places, normals


def cover(example: Example, axis: int, seed: int = 0) -> np.ndarray:
    """One channel laid out on a plane, as a picture."""
    laid = lay_out(example, *make_plane(axis), np.random.default_rng(seed))
    return laid[:, 0].reshape(PLANE_SIDE, PLANE_SIDE)


@functools.cache
def make_ball(count: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    """Places all over a ball as large as a head, and its normals."""
    normals = np.random.default_rng(1).standard_normal((count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return 0.1 * normals, normals


def measure_period(picture: np.ndarray) -> float:
    """In pixels, along the columns: of the mean frequency, around which pieces in random phases spread."""
    power = (np.abs(np.fft.rfft(picture - picture.mean(), axis=1)) ** 2).mean(0)
    frequencies = np.fft.rfftfreq(picture.shape[1])
    return float(power.sum() / (frequencies * power).sum())


def test_mean_and_contrast_are_the_examples() -> None:
    """In each channel, on a surface that faces all ways. A plain mean of pieces would be flatter."""
    laid = lay_out(cut(make_noise(3)), *make_ball(), np.random.default_rng(0))
    assert np.abs(laid.mean(0) / [1, 2, 3]).max() < 0.1  # pieces hold less of the example's rim
    contrast = laid.std(0) / [1, 2, 3]
    assert 0.88 < contrast.min() < contrast.max() < 1.03  # the loudest pieces are left out


def test_contrast_is_the_same_whichever_way_the_surface_faces() -> None:
    """Along an axis one mapping is seen, between the axes several."""
    places, normals = make_ball()
    laid = lay_out(cut(make_noise()), places, normals, np.random.default_rng(0))[:, 0]
    straight, slanted = np.abs(normals).max(1) > 0.95, np.abs(normals).max(1) < 0.65
    assert min(straight.sum(), slanted.sum()) > 1000
    assert laid[slanted].std() == pytest.approx(laid[straight].std(), rel=0.1)


def test_contrast_is_the_same_where_pieces_meet() -> None:
    """No grid is seen: over many pieces laid at random, every place of it is as rough."""
    example, side = cut(make_noise()), 3 * round(RADIUS)
    plane = make_plane(2, side)
    squares = [lay_out(example, *plane, np.random.default_rng(seed))[:, 0] ** 2 for seed in range(100)]
    local = cv2.blur(np.mean(squares, 0).reshape(side, side), (5, 5))
    assert local.min() > 0.6 * local.mean()
    assert local.max() < 1.5 * local.mean()


def test_the_same_seed_gives_the_same() -> None:
    example = cut(make_noise())
    first = cover(example, 2)
    assert np.array_equal(cover(example, 2), first)
    assert not np.array_equal(cover(example, 2, seed=1), first)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("tilt_deg", [0.0, 90.0])
def test_stripes_are_as_wide_and_run_as_they_did(axis: int, tilt_deg: float) -> None:
    """In meters, on each of three planes; what was across and up in the example is so on the surface."""
    picture = cover(cut(make_stripes(tilt_deg)), axis)
    picture = picture.T if tilt_deg else picture
    assert measure_period(picture) == pytest.approx(PERIOD, rel=0.02)
    assert np.abs(np.diff(picture, axis=1)).mean() > 4 * np.abs(np.diff(picture, axis=0)).mean()


def test_twice_as_many_pixels_to_a_meter_are_half_as_large() -> None:
    """Points of the plane stay where they are."""
    finer = Example.cut(make_stripes(0.0), np.ones((SIDE, SIDE), bool), RADIUS, 2 * PX_PER_M, QUIET)
    assert measure_period(cover(finer, 2)) == pytest.approx(PERIOD / 2, rel=0.02)


@pytest.mark.parametrize("tilt_deg", [-70.0, -35.0, 0.0, 20.0, 60.0, 90.0])
def test_lines_stand_up(tilt_deg: float) -> None:
    picture = cover(cut(make_stripes(tilt_deg)).stand_up(), 2)
    assert measure_period(picture) == pytest.approx(PERIOD, rel=0.02)
    assert np.abs(np.diff(picture, axis=1)).mean() > 4 * np.abs(np.diff(picture, axis=0)).mean()


def test_each_piece_stands_up_on_its_own() -> None:
    """Lines that run to the left in one half of the example and to the right in the other."""
    detail = np.where(np.arange(SIDE)[None, :, None] < SIDE / 2, make_stripes(-40.0), make_stripes(40.0))
    usable = np.ones((SIDE, SIDE), bool)
    usable[:, SIDE // 2 - 8 : SIDE // 2 + 8] = False
    picture = cover(cut(detail, usable).stand_up(), 2)
    assert np.abs(np.diff(picture, axis=1)).mean() > 4 * np.abs(np.diff(picture, axis=0)).mean()


def test_only_what_is_usable_is_laid_out() -> None:
    """Pieces are round: none reaches out of an L."""
    usable = np.zeros((SIDE, SIDE), bool)
    usable[40:200, 40:100] = usable[140:200, 40:200] = True
    detail = np.where(usable[..., None], make_noise(), np.float32(1000.0))
    limit = math.sqrt(3) * np.abs(detail[usable]).max()
    assert np.abs(cover(cut(detail, usable), 2)).max() <= limit


def test_scars_are_not_laid_out_again() -> None:
    """What is loud and rare would be seen all over."""
    detail = make_noise()
    detail[100:106, 100:106] = 30.0
    assert np.abs(cover(cut(detail), 2)).max() < 10


def test_pieces_get_smaller_where_few_would_fit() -> None:
    usable = np.zeros((SIDE, SIDE), bool)
    usable[100:130, 100:130] = True
    example = cut(make_noise(), usable)
    assert example.radius < 15
    assert len(example.centers) > 50


def test_nothing_is_laid_out_without_pieces() -> None:
    example = cut(make_noise(2), np.zeros((SIDE, SIDE), bool))
    for each in (example, example.stand_up()):
        assert not len(each.centers)
        laid = lay_out(each, *make_plane(0), np.random.default_rng(0))
        assert laid.shape == (PLANE_SIDE**2, 2)
        assert not laid.any()
