"""Clothes: flat cuts with a padded look, laid over the neck; the head has no shoulders of its own."""

from __future__ import annotations

import cv2
import numpy as np

from exemplars.fields import blend_directions, blur, smear_noise
from exemplars.scene import Scene
from exemplars.strokes import fill_polygon, lay_over, resample_curve
from exemplars.underpainting import Light, Portrait, Ramp, color_by_tone

CHIN, FOREHEAD = 152, 10


def place_points(scene: Scene, points: list[tuple[float, float]]) -> np.ndarray:
    """Pixels of points given in face heights right of and below the chin."""
    chin = scene.landmarks[CHIN]
    height = chin[1] - scene.landmarks[:, 1].min()
    return chin + np.array(points) * height


def cut_cloth(scene: Scene, corners: list[tuple[float, float]], smooth: bool = True) -> np.ndarray:
    """Coverage of a closed shape through ``corners`` (face heights about the chin)."""
    points = place_points(scene, corners)
    return fill_polygon(scene.labels.shape, resample_curve(points, 240, closed=True) if smooth else points)


def lay_cloth(
    portrait: Portrait, name: str, cover: np.ndarray, ramp: Ramp, light: Light, *,
    softness_px: float, folds: float, seed: int,
) -> None:  # fmt: skip
    """Put a padded piece of cloth on the portrait, in place: color, tone, flow and the named area.

    It bulges as the square root of the distance from its edge, within ``softness_px``; ``folds`` is their contrast.
    """
    solid = (cover > 0.5).astype(np.uint8)
    padded = cv2.copyMakeBorder(solid, 0, 200, 200, 200, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[: solid.shape[0], 200:-200]
    bulge = blur(np.sqrt(np.minimum(distance, softness_px) * softness_px).astype(np.float32), softness_px * 0.12)
    slope_y, slope_x = np.gradient(bulge)
    normals = np.stack([-slope_x, slope_y, np.ones_like(bulge)], axis=2)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    down = np.zeros_like(normals[..., :2])
    down[..., 1] = 1.0
    around = np.stack([-slope_y, slope_x], axis=2)
    flow = blend_directions([(around, np.ones(solid.shape) * 1.5), (down, np.full(solid.shape, 0.25))], 6)
    key = np.array(light.key) / np.linalg.norm(light.key)
    creases = smear_noise(flow, 160, 9, seed)
    tone = np.clip(0.25 + 0.6 * np.clip(normals @ key, 0, 1) + folds * creases, 0, 1)
    tone *= 0.55 + 0.45 * _open_sky(portrait, cover)
    portrait.color = lay_over(portrait.color, cover, color_by_tone(tone, ramp))
    portrait.tone = portrait.tone * (1 - cover) + tone * cover
    portrait.flow = np.where(solid[..., None] > 0, flow, portrait.flow)
    for area in portrait.areas.values():
        area *= 1 - cover
    portrait.areas[name] = cover.copy()


def _open_sky(portrait: Portrait, cover: np.ndarray) -> np.ndarray:
    """1 in the open, less close under the head that is not covered: a soft contact shadow falling down to the right."""
    head = (portrait.scene.labels >= 0) * (1 - cover)
    size = max(head.shape) / 30
    shadow = blur(np.roll(head.astype(np.float32), (int(size * 0.6), int(size * 0.4)), (0, 1)), size * 0.7)
    return 1 - np.clip(1.2 * shadow, 0, 1)
