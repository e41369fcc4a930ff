"""Pictures with labels drawn by hand, each as the product sees it: landmarks, person mask, fitted head."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from drawn_labels import draw_labels
from jaxtyping import Float, UInt8

from portraitist import load_image
from portraitist.devices import to_numpy
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.landmarks.views import ViewRenderer
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import load_head_model
from portraitist.reconstruction.silhouette import fit_photo
from portraitist.segmentation.person import PersonSegmenter, segment_person
from portraitist.segmentation.picture import draw_head, move_camera, render_mask, render_view

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[2] / "shared" / "data"
SIDE_PX, SOURCE_WINDOW = 448, 7.6  # of what is kept of a picture: room to vary the network's view in
BADLY_DRAWN = tuple(f"artistic_faces/{number}.png" for number in ("053", "073", "082", "120"))


@dataclass(frozen=True)
class Source:
    """An upright square around a head. ``inside``: the picture. ``head``: 0, or 1 to 4 as in `draw_head`."""

    name: str
    pixels: UInt8[np.ndarray, "s s 3"]
    labels: UInt8[np.ndarray, "s s"]
    inside: UInt8[np.ndarray, "s s"]
    person: UInt8[np.ndarray, "s s"]
    head: UInt8[np.ndarray, "s s"]
    points: Float[np.ndarray, "68 2"]

    @property
    def is_photo(self) -> bool:
        return not self.name.startswith("artistic_faces")


def find_mean_points() -> Float[torch.Tensor, "68 2"]:
    """The head model's mean face: y down, outer eye distance 1, middle at 0."""
    model = load_head_model()
    points = model.landmarks68.positions(model.mean, model.faces)[:, :2] * torch.tensor([1.0, -1.0])
    return (points - points.mean(0)) / (points[36] - points[45]).norm()


def make_sources(folder: Path) -> list[Source]:
    """Of every labeled picture, kept in ``folder``."""
    drawn = {
        name: polygons
        for file in ("paintings.json", "photos.json")
        for name, polygons in json.loads((HERE / file).read_text()).items()
    }
    model, detector, segmenter, mean = load_head_model(), LandmarkDetector(), PersonSegmenter(), find_mean_points()
    sources = []
    for name, polygons in drawn.items():
        kept = folder / f"{name.replace('/', '-')}.npz"
        if not kept.is_file():
            image = load_image(DATA / name)
            landmarks = detect_landmarks(image, detector)[0]
            person = segment_person(image, landmarks, segmenter)
            is_art = name.startswith("artistic_faces")
            fit = fit_head(landmarks, model) if is_art else fit_photo(landmarks, person, model)
            view = render_view(ViewRenderer(image_to_uint8(image)), landmarks, mean, SOURCE_WINDOW, SIDE_PX)
            masks = (np.ones(landmarks.size, np.float32), to_numpy(person))
            inside, seen = ((255 * render_mask(mask, view.matrix, SIDE_PX)).astype(np.uint8) for mask in masks)
            shifted = view.matrix + np.column_stack([np.zeros((2, 2)), view.matrix[:, :2] @ [0.5, 0.5] - 0.5])
            labels = draw_labels(polygons, landmarks.size)
            placed = cv2.warpAffine(labels, shifted, (SIDE_PX, SIDE_PX), flags=cv2.INTER_NEAREST)
            head = to_numpy(draw_head(fit.mesh, move_camera(fit.camera, view.matrix, SIDE_PX)))
            parts = (head * np.arange(1, 5)[:, None, None]).sum(0).astype(np.uint8)
            points = to_numpy(landmarks.points, np.float64) @ view.matrix[:, :2].T + view.matrix[:, 2]
            np.savez_compressed(
                kept, pixels=view.pixels, labels=placed, inside=inside, person=seen, head=parts, points=points
            )
            print(name, flush=True)
        with np.load(kept) as file:
            sources.append(Source(name, **{key: file[key] for key in file.files}))
    return sources
