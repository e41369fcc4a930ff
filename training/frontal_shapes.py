"""Raw landmark files to frontal shapes: every face fitted with the head model, then turned to the front and relaxed.

Pose and expression are most of what raw landmarks differ by. What the head model cannot explain stays in the shape.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from portraitist.errors import FitError
from portraitist.geometry.shape_space import frontal_landmarks
from portraitist.landmarks import camera_pose
from portraitist.reconstruction import contour_landmarks, fitting, gauss_newton, head_model, landmark_noise
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import load_head_model
from portraitist.types import Landmarks

CACHE = Path(__file__).resolve().parent / "cache"
CHUNK = 64


@dataclass(frozen=True)
class FrontalShapes:
    """68 points of n faces, seen from the front, without expression: meters on a head of life size, x right and y up.

    ``group``: faces of one person or picture share it. ``source``: the set a face is from. ``angles_deg``: yaw and
    pitch that were taken out. ``fitted``: False where no head explains the points; such rows are zero.
    """

    points: Float[np.ndarray, "n 68 2"]
    source: np.ndarray
    group: np.ndarray
    angles_deg: Float[np.ndarray, "n 2"]
    fitted: np.ndarray

    def take(self, rows: np.ndarray) -> FrontalShapes:
        return FrontalShapes(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def read_normal_shapes(data: Path, processes: int = 2) -> FrontalShapes:
    """Real faces with hand-set points (``photo68.npz``)."""
    with np.load(data / "landmarks" / "photo68.npz") as file:
        return _frontalize(file["points"], file["source"], file["group"], processes)


def read_art_shapes(data: Path, processes: int = 2) -> FrontalShapes:
    """Artworks with hand-set points (``art68.npz``); each is its own group."""
    with np.load(data / "landmarks" / "art68.npz") as file:
        return _frontalize(file["points"], file["source"], file["image"], processes)


def _frontalize(points: np.ndarray, source: np.ndarray, group: np.ndarray, processes: int) -> FrontalShapes:
    """Fit all faces, or read what an earlier run with the same points and the same fitting has kept."""
    key = hashlib.sha256(np.ascontiguousarray(points).tobytes())
    for code in (fitting, camera_pose, gauss_newton, contour_landmarks, landmark_noise, head_model, frontal_landmarks):
        key.update(inspect.getsource(code).encode())
    kept = CACHE / f"frontal-{key.hexdigest()[:12]}.npz"
    if not kept.is_file():
        chunks = [points[start : start + CHUNK] for start in range(0, len(points), CHUNK)]
        with get_context("spawn").Pool(processes) as pool:
            parts = _report(pool.imap(_frontalize_chunk, chunks), len(chunks))
        fields = (np.concatenate(field) for field in zip(*parts, strict=True))
        CACHE.mkdir(exist_ok=True)
        np.savez_compressed(kept, **dict(zip(("points", "angles_deg", "fitted"), fields, strict=True)))
    with np.load(kept) as file:
        return FrontalShapes(file["points"], source, group, file["angles_deg"], file["fitted"])


def _report(parts: Iterable, total: int) -> list:
    done = []
    for part in parts:
        done.append(part)
        print(f"\rfitting heads: {100 * len(done) // total} %", end="", flush=True)
    print()
    return done


def _frontalize_chunk(chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    torch.set_num_threads(1)
    model = load_head_model()
    shapes, angles = np.zeros((len(chunk), 68, 2), np.float32), np.zeros((len(chunk), 2), np.float32)
    fitted = np.ones(len(chunk), bool)
    with threadpool_limits(limits=1, user_api="blas"):
        for row, points in enumerate(chunk):
            size = (int(points[:, 1].max()) + 2, int(points[:, 0].max()) + 2)
            landmarks = Landmarks(points=torch.from_numpy(points), size=size)
            try:
                fit = fit_head(landmarks, model)
            except FitError:
                fitted[row] = False
                continue
            shapes[row] = frontal_landmarks(landmarks, fit, model)[:, :2].numpy()
            angles[row] = np.degrees(gauss_newton.rotation_to_angles(fit.camera.rotation.double().numpy())[:2])
    return shapes, angles, fitted
