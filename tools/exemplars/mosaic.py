"""Mosaic: square-ish tesserae in rows along the forms (after Hausner 2001), set in grout and tilted to the light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from exemplars.fields import blur, trace_streamlines


@dataclass(frozen=True)
class Setting:
    """Tesserae: centers ``[n, 2]`` (x, y), unit directions ``[n, 2]``, sides in pixels ``[n]``; and for each pixel the
    tile it belongs to ``owner [h, w]`` and its distance from that tile's edge ``inset [h, w]``, pixels."""

    centers: np.ndarray
    directions: np.ndarray
    sides: np.ndarray
    owner: np.ndarray
    inset: np.ndarray


def set_tesserae(flow: np.ndarray, side_px: np.ndarray, seed: int, rounds: int = 6) -> Setting:
    """Cover the picture with tiles of ``side_px [h, w]`` along ``flow [h, w, 2]``.

    Rows are laid along evenly spaced streamlines, gaps are filled, then Lloyd's iteration with an oriented square
    metric evens the places out.
    """
    centers = _lay_rows(flow, side_px, seed)
    for _ in range(rounds):
        directions, sides = _read(flow, centers), _read(side_px, centers)
        owner, _ = _assign(side_px.shape, centers, directions, sides, step=2)
        centers = _mean_places(owner, centers, step=2)
    directions, sides = _read(flow, centers), _read(side_px, centers)
    owner, inset = _assign(side_px.shape, centers, directions, sides, step=1)
    return Setting(centers, directions, sides, owner, inset)


def _lay_rows(flow: np.ndarray, side_px: np.ndarray, seed: int) -> np.ndarray:
    inside = np.ones(side_px.shape, bool)
    lines = trace_streamlines(flow, side_px * 1.12, inside, seed, shortest_px=float(side_px.min()) * 2.5)
    rng = np.random.default_rng(seed)
    centers = []
    for line in lines:
        place = rng.uniform(0, 0.5) * side_px[int(line[0, 1]), int(line[0, 0])]
        lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        while place < lengths[-1]:
            x, y = (np.interp(place, lengths, line[:, axis]) for axis in (0, 1))
            centers.append((x, y))
            place += side_px[int(y), int(x)] * rng.uniform(0.95, 1.12)
    return _fill_gaps(np.array(centers), side_px)


def _fill_gaps(centers: np.ndarray, side_px: np.ndarray) -> np.ndarray:
    """Add a tile wherever one fits between the rows, and take away those that crowd each other."""
    pairs = cKDTree(centers).query_pairs(float(side_px.max()) * 0.6, output_type="ndarray")
    gap = np.linalg.norm(centers[pairs[:, 0]] - centers[pairs[:, 1]], axis=1)
    crowded = pairs[gap < 0.55 * _read(side_px, centers[pairs[:, 0]]), 1]
    centers = np.delete(centers, np.unique(crowded), axis=0)
    height, width = side_px.shape
    grid = np.mgrid[2:height:3, 2:width:3].reshape(2, -1).T[:, ::-1].astype(float)
    for _ in range(3):
        distance, _ = cKDTree(centers).query(grid)
        sides = _read(side_px, grid)
        free = np.flatnonzero(distance > 0.95 * sides)
        free = free[np.argsort(-distance[free] / sides[free])]
        added: list[np.ndarray] = []
        taken = np.zeros(len(grid), bool)
        tree = cKDTree(grid)
        for index in free:
            if not taken[index]:
                added.append(grid[index])
                taken[tree.query_ball_point(grid[index], 0.95 * sides[index])] = True
        if not added:
            break
        centers = np.concatenate([centers, added])
    return centers


def _read(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    column = np.clip(places[:, 0].astype(int), 0, values.shape[1] - 1)
    row = np.clip(places[:, 1].astype(int), 0, values.shape[0] - 1)
    return values[row, column]


def _assign(
    shape: tuple[int, int], centers: np.ndarray, directions: np.ndarray, sides: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest tile of every ``step``-th pixel, and half the lead over the second nearest, in pixels.

    The distance is that to a rounded square: a high power mean of the offsets along and across the tile, over its side.
    """
    rows, columns = np.mgrid[0 : shape[0] : step, 0 : shape[1] : step]
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5
    _, near = cKDTree(centers).query(pixels, k=9)
    offset = pixels[:, None] - centers[near]
    along = (offset * directions[near]).sum(2)
    across = offset[..., 1] * directions[near][..., 0] - offset[..., 0] * directions[near][..., 1]
    distance = (along**6 + across**6) ** (1 / 6)
    scaled = distance / sides[near]
    best = np.argsort(scaled, axis=1)[:, :2]
    index = np.arange(len(pixels))
    owner = near[index, best[:, 0]]
    lead = (scaled[index, best[:, 1]] - scaled[index, best[:, 0]]) / 2 * sides[owner]
    lead = np.minimum(lead, 0.56 * sides[owner] - distance[index, best[:, 0]])
    return owner.reshape(rows.shape), lead.reshape(rows.shape)


def _mean_places(owner: np.ndarray, centers: np.ndarray, step: int) -> np.ndarray:
    rows, columns = np.mgrid[: owner.shape[0], : owner.shape[1]] * step
    count = np.bincount(owner.ravel(), minlength=len(centers))
    x = np.bincount(owner.ravel(), columns.ravel(), len(centers)) / np.maximum(count, 1) + step / 2
    y = np.bincount(owner.ravel(), rows.ravel(), len(centers)) / np.maximum(count, 1) + step / 2
    return np.where(count[:, None] > 0, np.stack([x, y], axis=1), centers)[count > 0]


def color_tesserae(
    setting: Setting, target: np.ndarray, gold: np.ndarray, jitter: float, grout: np.ndarray, seed: int
) -> np.ndarray:
    """``[h, w, 3]``: every tile in one glass color, tilted a little, shiny where ``gold [h, w]`` says. The grout takes
    on some of the color around it, as lime mortar painted before setting does: faces keep their lightness."""
    rng = np.random.default_rng(seed)
    count = len(setting.centers)
    owner = setting.owner
    colors = _tile_colors(owner, setting.inset, target, count)
    shift = rng.normal(0, jitter, (count, 1)) + rng.normal(0, jitter * 0.45, (count, 3))
    is_gold = _read(blur(gold.astype(np.float32), 1), setting.centers)[:, None]
    flash = np.clip(rng.normal(0, 1, (count, 1)), -1.6, 2.4)
    colors = colors + shift + is_gold * (flash * np.array([0.105, 0.095, 0.050]))
    rows, columns = np.mgrid[: owner.shape[0], : owner.shape[1]] + 0.5
    offset = (np.stack([columns, rows], axis=2) - setting.centers[owner]) / setting.sides[owner][..., None]
    tilt = rng.normal(0, 0.10, (count, 2)) + np.array([-0.05, -0.07])
    shade = 1 + (offset * tilt[owner]).sum(2)
    edge = np.clip(setting.inset - 0.55, 0, None)
    bevel = np.clip(1 - edge / 1.6, 0, 1) * np.clip(-(offset[..., 0] + offset[..., 1]) * 1.4, -1, 1)
    surface = colors[owner] * (shade + 0.16 * bevel)[..., None]
    grain = blur(rng.standard_normal(owner.shape).astype(np.float32), 0.8) * 0.035
    cover = np.clip((setting.inset - 0.25) / 0.9, 0, 1)[..., None]
    around = blur(target.astype(np.float32), 14)
    bed = (0.45 * grout + 0.38 * around) * (1 + 2 * grain[..., None])
    return np.clip(bed + cover * (surface * (1 + grain[..., None]) - bed), 0, 1)


def _tile_colors(owner: np.ndarray, inset: np.ndarray, target: np.ndarray, count: int) -> np.ndarray:
    """Mean of the target over the inner part of every tile, drawn towards its middle so that lines stay crisp."""
    weight = np.clip(inset, 0.05, None) ** 1.5
    total = np.bincount(owner.ravel(), weight.ravel(), count)[:, None] + 1e-9
    sums = [np.bincount(owner.ravel(), (weight * target[..., channel]).ravel(), count) for channel in range(3)]
    return np.stack(sums, axis=1) / total
