"""Pictures of the landmark translation table: photos warped by what every row makes of their landmarks (Fig. 6)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.interpolate import RBFInterpolator

from portraitist import load_image, save_image
from portraitist.export.preview import Panel, draw_sheet
from portraitist.geometry.shape_space import align_to, measure_deviation
from portraitist.geometry.translation import mean_face
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.types import HeadFit, Image, Landmarks

PHOTOS = ("p00", "p02", "p06", "p11", "p24", "p37")
SIDE_PX, PAGE_PX = 384, 3600
MARGIN = 0.6  # around the landmarks, of their larger side
OUTER_POINTS = 60  # inner lips lie on the outer ones' heels and tear the warp
GRID = 33


@dataclass(frozen=True)
class SheetPhoto:
    """A photo with what is needed to move its landmarks as a frontal shape is moved."""

    image: Image
    landmarks: Landmarks
    fit: HeadFit

    def deviation(self, model: HeadModel) -> Float[torch.Tensor, "68 2"]:
        neutral = model.landmarks68.positions(self.fit.neutral, model.faces)
        return measure_deviation(neutral[:, :2], mean_face(model))

    def move(self, moved: Float[np.ndarray, "68 2"], model: HeadModel) -> Float[np.ndarray, "68 2"]:
        """Displacement of the photo's landmarks, pixels, by one in the frame and unit of the mean face."""
        own = model.landmarks68.positions(self.fit.mesh.vertices, model.faces)
        neutral = model.landmarks68.positions(self.fit.neutral, model.faces)
        to_mean = align_to(neutral[:, :2], mean_face(model))[1]
        in_plane = torch.from_numpy(moved).float() @ torch.linalg.inv(to_mean).mT
        targets = own + torch.cat([in_plane, torch.zeros(68, 1)], 1)
        return (self.fit.camera.project(targets) - self.fit.camera.project(own)).numpy()


@cache
def read_sheet_photos(data: Path) -> list[SheetPhoto]:
    detector, model, photos = LandmarkDetector(), load_head_model(), []
    for name in PHOTOS:
        image = load_image(data / "photos" / f"{name}.jpg")
        landmarks, _ = detect_landmarks(image, detector, what="photo")
        photos.append(SheetPhoto(image, landmarks, fit_head(landmarks, model)))
    return photos


def measure_sheet_photos(data: Path) -> Float[np.ndarray, "k 136"]:
    """Deviations of the photos from the mean normal face."""
    model = load_head_model()
    return np.stack([photo.deviation(model).flatten().double().numpy() for photo in read_sheet_photos(data)])


def draw_warped_photos(
    folder: Path,
    data: Path,
    artworks: list[str],
    styles: Float[np.ndarray, "s 136"],
    translated: dict[str, Float[np.ndarray, "s k 136"]],
) -> None:
    """``warped.png``: one row per photo with a held-out artwork, one column per row of the table.

    ``artworks``: files of the held-out artworks, ``styles``: their deviations; ``translated``: every photo by each.
    """
    model, photos = load_head_model(), read_sheet_photos(data)
    contents, rows = measure_sheet_photos(data), []
    for k, s in enumerate(pick_different(styles, len(photos))):
        image, points = photos[k].image, photos[k].landmarks.points.numpy()
        art = Panel(Path(artworks[s]).stem, load_image(data / artworks[s]))
        row = [Panel(PHOTOS[k], warp_photo(image, points, np.zeros((68, 2)))), art]
        for name, shapes in translated.items():
            moved = photos[k].move((shapes[s, k] - contents[k]).reshape(68, 2), model)
            row.append(Panel(name, warp_photo(image, points, moved)))
        rows.append(row)
    folder.mkdir(parents=True, exist_ok=True)
    save_image(folder / "warped.png", draw_sheet(rows, PAGE_PX))


def pick_different(shapes: Float[np.ndarray, "s d"], count: int) -> Int[np.ndarray, "count"]:
    """Rows as far from each other as can be, beginning with the smallest."""
    picked = [int(np.linalg.norm(shapes, axis=1).argmin())]
    while len(picked) < count:
        apart = np.linalg.norm(shapes[:, None] - shapes[None, picked], axis=2).min(1)
        picked.append(int(apart.argmax()))
    return np.array(picked)


def warp_photo(image: Image, points: Float[np.ndarray, "68 2"], moved: Float[np.ndarray, "68 2"]) -> Image:
    """The face under the thin-plate spline that moves ``points`` by ``moved`` (pixels) and holds the frame."""
    low, high = points.min(0), points.max(0)
    side = (1 + 2 * MARGIN) * float((high - low).max())
    corner = (low + high) / 2 - side / 2
    frame = np.linspace(0, 1, 5)
    edges = np.array([(x, y) for x in frame for y in frame if x in (0, 1) or y in (0, 1)])
    still = corner + side * edges
    where = np.concatenate([(points + moved)[:OUTER_POINTS], still])
    back = RBFInterpolator(where, np.concatenate([-moved[:OUTER_POINTS], 0 * still]), kernel="thin_plate_spline")
    grid = np.linspace(0, 1, GRID)
    places = corner + side * np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    sources = (places + back(places)).reshape(GRID, GRID, 2).astype(np.float32)
    # Samples of the grid are its corners, those of the picture are middles of pixels.
    at = ((np.arange(SIDE_PX) + 0.5) / SIDE_PX * (GRID - 1)).astype(np.float32)
    dense = cv2.remap(sources, *np.meshgrid(at, at), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    picture = image.permute(1, 2, 0).numpy()
    warped = cv2.remap(
        picture, dense[..., 0] - 0.5, dense[..., 1] - 0.5, cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    return torch.from_numpy(warped).permute(2, 0, 1)
