"""What alignment leaves of artworks: a similarity of frontal shapes (ours) against the paper's affine map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from dataset import find_mean_shape, weigh_groups
from frontal_shapes import read_art_shapes, read_normal_shapes
from portraitist.geometry.shape_space import align_to
from translation_figures import find_components

EYES_AND_MOUTH = (range(36, 42), range(42, 48), range(48, 68))  # whose middles Sec. 4.1 aligns by


def measure_alignments(data: Path) -> dict[str, dict[str, float]]:
    """Sizes of deviations (root mean square over points, outer eye distances) and the variance that 32 components of
    normal and art faces together explain, with pose and expression left in or taken out."""
    rows = {}
    for name, (normal, art, weights) in {"raw": _read_raw(data), "frontal": _read_frontal(data)}.items():
        mean = find_mean_shape(normal, weights)
        for alignment in (align_by_similarity, align_by_affine):
            aligned = [alignment(shapes, mean) - mean for shapes in (normal, art)]
            flat = [shapes.reshape(len(shapes), -1) for shapes in aligned]
            rows[f"{name}, {alignment.__name__.split('_')[-1]}"] = {
                "normal deviation": float(np.sqrt(np.average((flat[0] ** 2).sum(1), weights=weights) / 68)),
                "art deviation": float(np.sqrt((flat[1] ** 2).sum(1).mean() / 68)),
                "a face stretched 1.4 times": _measure_stretch(alignment, mean),
                "explained by 32 components": explain(*flat),
            }
    return rows


def _read_raw(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with np.load(data / "landmarks" / "photo68.npz") as photos, np.load(data / "landmarks" / "art68.npz") as art:
        flip = np.array([1.0, -1.0])
        return photos["points"] * flip, art["points"] * flip, weigh_groups(photos["group"])


def _read_frontal(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    normal, art = read_normal_shapes(data), read_art_shapes(data)
    normal, art = normal.take(normal.fitted), art.take(art.fitted)
    return normal.points.astype(float), art.points.astype(float), weigh_groups(normal.group)


def align_by_similarity(shapes: Float[np.ndarray, "n 68 2"], mean: Float[np.ndarray, "68 2"]) -> np.ndarray:
    return align_to(torch.from_numpy(shapes), torch.from_numpy(mean))[0].numpy()


def align_by_affine(shapes: Float[np.ndarray, "n 68 2"], mean: Float[np.ndarray, "68 2"]) -> np.ndarray:
    """Eye centers and mouth center exactly onto the mean's."""

    def corners(points: np.ndarray) -> np.ndarray:
        middles = np.stack([points[..., list(ids), :].mean(-2) for ids in EYES_AND_MOUTH], axis=-2)
        return np.concatenate([middles, np.ones((*middles.shape[:-1], 1))], axis=-1)

    wanted = corners(mean)[:, :2]
    maps = np.linalg.solve(corners(shapes), np.broadcast_to(wanted, (len(shapes), 3, 2)))
    return np.concatenate([shapes, np.ones((len(shapes), 68, 1))], axis=-1) @ maps


def _measure_stretch(alignment, mean: np.ndarray) -> float:
    """What is left of a face made 1.4 times as long below the eyes."""
    eyes = mean[36:48, 1].mean()
    longer = mean.copy()
    longer[:, 1] = eyes + np.where(mean[:, 1] < eyes, 1.4, 1.0) * (mean[:, 1] - eyes)
    return float(np.sqrt(((alignment(longer[None], mean)[0] - mean) ** 2).sum(1).mean()))


def explain(*sets: Float[np.ndarray, "n 136"]) -> float:
    components = find_components(*sets)
    kept = sum(((rows @ components) ** 2).sum() / len(rows) for rows in sets)
    return float(kept / sum((rows**2).sum() / len(rows) for rows in sets))
