"""Is it the same head in every frame: neutral shapes fitted to video frames, compared within and between persons."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import torch

from likeness_rendered import find_vertices
from metrics.head_shape import HEAD_HEIGHT_MM, find_similarity, measure_head_height, measure_separation
from portraitist.errors import PortraitistError
from portraitist.landmarks.detection import detect_landmarks
from portraitist.reconstruction.fitting import fit_head
from reconstruction_runs import load_models

FRAMES = 12


def fit_video(path: Path) -> dict[str, list]:
    """Neutral face shapes of ``FRAMES`` frames, evenly over the video. ``shapes``: nested lists ``[k, v, 3]``, mm on
    a head of 230 mm. ``missed``: numbers of the frames without a face."""
    model, detector, _ = load_models()
    video = cv2.VideoCapture(str(path))
    numbers = np.linspace(0, video.get(cv2.CAP_PROP_FRAME_COUNT) - 1, FRAMES).astype(int).tolist()
    shapes, missed = [], []
    for number in numbers:
        video.set(cv2.CAP_PROP_POS_FRAMES, number)
        read, frame = video.read()
        try:
            if not read:
                raise PortraitistError("the frame cannot be read")
            pixels = torch.from_numpy(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).permute(2, 0, 1).float() / 255
            neutral = fit_head(detect_landmarks(pixels, detector)[0], model).neutral.double().numpy()
        except PortraitistError:
            missed.append(number)
            continue
        height = measure_head_height(neutral, model.faces.numpy(), model.template.regions.numpy())
        shapes.append((neutral[find_vertices()[1]] * HEAD_HEIGHT_MM / height).round(3).tolist())
    return {"shapes": shapes, "missed": missed}


def compare_videos(fitted: dict[str, dict[str, list]]) -> dict:
    """Distances (mean over the vertices of the face after a similarity, mm) and how well they tell persons apart.

    Every video shows another person.
    """
    shapes = [(name, np.array(shape)) for name, found in fitted.items() for shape in found["shapes"]]
    same, different, within = [], [], {name: [] for name in fitted}
    for (name, first), (other, second) in combinations(shapes, 2):
        distance = float(np.linalg.norm(find_similarity(first, second).apply(first) - second, axis=1).mean())
        if name == other:
            same.append(distance)
            within[name].append(distance)
        else:
            different.append(distance)
    return {
        "auc": measure_separation(np.array(same), np.array(different)),
        "persons": len(fitted),
        "frames": len(shapes),
        "same_median_mm": float(np.median(same)),
        "different_median_mm": float(np.median(different)),
        "videos": [
            {"video": name, "within_median_mm": float(np.median(found)), "missed": len(fitted[name]["missed"])}
            for name, found in within.items()
        ],
    }
