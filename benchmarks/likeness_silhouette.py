"""Outline of the fitted head against the person's, between brows and chin, where a photo shows it bare."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from metrics.pictures import fill_hull, fill_rows, keep_band, measure_overlap
from portraitist import load_image, save_image
from portraitist.errors import PortraitistError
from portraitist.io.images import image_to_uint8
from portraitist.rendering.rasterizer import rasterize
from portraitist.types import Image, Landmarks
from reconstruction_runs import reconstruct

SHORT_HAIR = ("p01", "p04", "p08", "p09", "p12", "p16", "p18", "p29", "p31", "p32", "p35", "p37")
"""Photos with short hair and bare ears, chosen by looking. Four more would do by their hair, but not by their masks: in
p20 the neck is too dark, in p22 people behind, in p25 a collar and in p26 a hand count as skin."""
SKIN_SPREAD = np.array([15.0, 8.0, 8.0], np.float32)
SKIN_LIMIT = 2.8
"""Pixels count as skin within so many spreads (CIELAB: lightness, a, b) of the face's median."""
CRUMB = 0.02
"""Radius of what is too small to count, outer eye distances."""


def measure_outline(path: Path, pictures: Path) -> dict[str, float | str]:
    """Overlap of the fitted head's outline with the person's, brows to chin; a picture of both for checking by hand."""
    photo = load_image(path)
    try:
        made = reconstruct(photo)
    except PortraitistError as error:
        return {"error": str(error), "outline_iou": 0.0}
    band = find_band(made.landmarks)
    person = find_bare_head(photo, made.person, made.landmarks) & band
    head = fill_rows(rasterize(made.fit.mesh, made.fit.camera).mask.numpy() & band)
    save_image(pictures / f"{path.stem}-outline.jpg", draw_outlines(photo, person, head, made.landmarks))
    return {"outline_iou": measure_overlap(person, head), **measure_overhang(person, head, made.landmarks)}


def find_band(landmarks: Landmarks) -> Bool[np.ndarray, "h w"]:
    """Rows of an upright face from its brows to its chin; turned with the face."""
    points = landmarks.points.double().numpy()
    chin, brows = points[8], points[17:27].mean(0)
    across = points[42:48].mean(0) - points[36:42].mean(0)
    down = np.array([-across[1], across[0]]) / np.linalg.norm(across)
    return keep_band(landmarks.size, brows, brows + down * ((chin - brows) @ down))


def find_bare_head(photo: Image, person: Tensor, landmarks: Landmarks) -> Bool[np.ndarray, "h w"]:
    """The person without hair and clothes: pixels of the person mask in the colors of the face's skin, connected with
    the face, each row filled from the first to the last (brows, beards, glasses and shadows belong to the head)."""
    lab = cv2.cvtColor(np.ascontiguousarray(photo.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2LAB)
    hull = fill_hull(landmarks.points[1:].numpy(), landmarks.size)
    offset = (lab - np.median(lab[hull], axis=0)) / SKIN_SPREAD
    skin = (np.linalg.norm(offset, axis=2) < SKIN_LIMIT) & (person.numpy() > 0.5)
    eyes = float((landmarks.points[36] - landmarks.points[45]).norm())
    crumb = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(CRUMB * eyes) + 1,) * 2)
    clean = cv2.morphologyEx((skin | hull).astype(np.uint8), cv2.MORPH_OPEN, crumb)
    clean = np.asarray(clean, bool) & find_band(landmarks)
    _, labels = cv2.connectedComponents(clean.astype(np.uint8))
    counts = np.bincount(labels[hull & clean])
    return fill_rows(labels == counts.argmax())


def measure_overhang(person: np.ndarray, head: np.ndarray, landmarks: Landmarks) -> dict[str, float]:
    """How far the head's outline stands beyond the person's on either side (viewer's), mean over rows, in outer eye
    distances; negative where it falls short."""
    eyes = float((landmarks.points[36] - landmarks.points[45]).norm())
    rows = np.flatnonzero(person.any(1) & head.any(1))

    def ends(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return mask[rows].argmax(1), mask.shape[1] - mask[rows, ::-1].argmax(1)

    (left, right), (head_left, head_right) = ends(person), ends(head)
    return {
        "overhang_left": float((left - head_left).mean() / eyes),
        "overhang_right": float((head_right - right).mean() / eyes),
    }


def draw_outlines(photo: Image, person: np.ndarray, head: np.ndarray, landmarks: Landmarks) -> Image:
    """The photo, cut to the head, with the person's outline in green and the fitted head's in red."""
    picture = image_to_uint8(photo).copy()
    for mask, color in ((person, (0, 255, 0)), (head, (255, 0, 0))):
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, color, max(1, photo.shape[2] // 400))
    low, high = landmarks.points.amin(0), landmarks.points.amax(0)
    reach = 0.4 * (high - low).amax()
    left, top, right, bottom = [*(low - reach).int().clamp(min=0).tolist(), *(high + reach).int().tolist()]
    return torch.from_numpy(picture[top:bottom, left:right].copy()).permute(2, 0, 1).float() / 255
