"""Do the 52 actions work on exaggerated heads: python benchmarks/expressions.py [--sheet FOLDER]

The five most exaggerated of the 168 annotated artworks (largest deviation from the mean face), each put on another
photo at geometry strength 1, and the unexaggerated heads beside them. Every action is measured at weight 1 from five
views. Needs the development pictures (../shared/data); writes results/expressions.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage

from metrics.expressions import measure_teeth_lag, measure_worst_exposure, pose_head
from metrics.shape import measure_flipped_share
from pairs import DEFAULT_DATA
from portraitist import Config, load_image, save_image
from portraitist.export.preview import Panel, draw_sheet
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.translation import (
    DirectTranslator,
    ShapeExemplar,
    mean_face,
    measure_shape,
    translate_landmarks,
)
from portraitist.landmarks.detection import detect_landmarks
from portraitist.landmarks.detector import LandmarkDetector
from portraitist.reconstruction.fitting import fit_head
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.reconstruction.silhouette import fit_photo
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.sampling import render_view
from portraitist.segmentation.person import PersonSegmenter, segment_person
from portraitist.types import EXPRESSION_NAMES, Head, Landmarks
from portraitist.unwrapping.projection import UnwrapConfig
from portraitist.unwrapping.unwrap import make_content, unwrap_photo

RESULTS = Path(__file__).parent / "results" / "expressions.json"
PHOTOS = ("p00", "p08", "p14", "p26", "p33")
BLINK = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
CLOSED_LIPS = ({}, {"mouthPressLeft": 1.0, "mouthPressRight": 1.0}, {"jawOpen": 1.0, "mouthClose": 1.0})
SHEET_COLUMNS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="also draw the 52 actions on every head")
    options = parser.parse_args()
    if not DEFAULT_DATA.is_dir():
        print(f"SKIPPED: the development pictures are not at {DEFAULT_DATA}")
        return
    model = load_head_model()
    heads = {}
    for (art, exemplar), photo in zip(find_most_exaggerated(model, len(PHOTOS)), PHOTOS, strict=True):
        heads[f"{photo} x {art}"] = make_heads(photo, exemplar, model)
    rows = {label: measure_head(content, exaggerated, model) for label, (content, exaggerated) in heads.items()}
    for label, row in rows.items():
        print(label, *(f"  {name}: {value}" for name, value in row.items()), sep="\n")
    RESULTS.write_text(json.dumps({"heads": rows}, indent=1) + "\n")
    if options.sheet:
        options.sheet.mkdir(parents=True, exist_ok=True)
        for number, (_, exaggerated) in enumerate(heads.values()):
            save_image(options.sheet / f"head{number}.png", draw_actions(exaggerated))


def find_most_exaggerated(model: HeadModel, count: int) -> list[tuple[str, ShapeExemplar]]:
    """Names and shapes of the annotated artworks that deviate furthest from the mean face."""
    with np.load(DEFAULT_DATA / "landmarks" / "art68.npz") as file:
        points, names = file["points"], file["image"].tolist()
    found = []
    for name, face in zip(names, points, strict=True):
        with PillowImage.open(DEFAULT_DATA / name) as picture:
            landmarks = Landmarks(torch.from_numpy(face).float(), (picture.height, picture.width))
        exemplar = measure_shape(landmarks, fit_head(landmarks, model), model, DirectTranslator(mean_face(model)))
        found.append((float(exemplar.deviation.norm()), name, exemplar))
    return [(name, exemplar) for _, name, exemplar in sorted(found, key=lambda item: -item[0])[:count]]


def make_heads(photo: str, exemplar: ShapeExemplar, model: HeadModel) -> tuple[Head, Head]:
    """The sitter's head and the exaggerated one, by direct transfer, which goes furthest, with the photo's texture."""
    image = load_image(DEFAULT_DATA / "photos" / f"{photo}.jpg")
    landmarks, _ = detect_landmarks(image, LandmarkDetector(), what="photo")
    mask = segment_person(image, landmarks, PersonSegmenter())
    fit = fit_photo(landmarks, mask, model)
    content = make_content(fit, unwrap_photo(image, fit, mask, model, UnwrapConfig(texture_size=512)).texture, model)
    targets = translate_landmarks(fit, [exemplar], model, DirectTranslator(mean_face(model)))
    return content, deform_to_landmarks(content, targets, build_deformer(model, Config().geometry.stiffness))


def measure_head(content: Head, exaggerated: Head, model: HeadModel) -> dict[str, float]:
    """The head's figures, those of the unexaggerated head (``... before``) beside them; shares in percent."""
    row = {}
    for name, head in {"": exaggerated, " before": content}.items():
        lids = measure_worst_exposure(head, BLINK, model).through
        row["eye shows when closed %" + name] = _percent(max(lids["eye_socket_left"], lids["eye_socket_right"]))
        lips = [measure_worst_exposure(head, weights, model).through["mouth_cavity"] for weights in CLOSED_LIPS]
        row["mouth shows when closed %" + name] = _percent(max(lips))
        inside = [measure_worst_exposure(head, {action: 1.0}, model).outside for action in EXPRESSION_NAMES]
        row["inside shows elsewhere %" + name] = _percent(max(inside))
        row["teeth behind lip %" + name] = _percent(measure_teeth_lag(head, model))
    flips = [count_flips(content, exaggerated, action) for action in EXPRESSION_NAMES]
    row["flipped triangles %"], row["flipped triangles % in"] = _percent(max(flips)), EXPRESSION_NAMES[np.argmax(flips)]
    return row


def _percent(share: float) -> float:
    return round(100 * share, 3)


def count_flips(content: Head, exaggerated: Head, action: str) -> float:
    """Share of skin triangles that are turned over under the action and were not on the unexaggerated head."""
    before, after = (pose_head(head, {action: 1.0}) for head in (content, exaggerated))
    return measure_flipped_share(before, after, content.mesh.faces, content.mesh.regions)


def draw_actions(head: Head) -> torch.Tensor:
    """All 52 actions at weight 1 on one sheet, the neutral head first."""
    camera = view_camera(head.neutral, 0.0, 0.0, 320, margin=0.8)
    poses = {"neutral": {}, **{name: {name: 1.0} for name in EXPRESSION_NAMES}}
    white = torch.ones(3)
    panels = [
        Panel(name, render_view(head.mesh.with_vertices(pose_head(head, weights)), head.texture, camera, white))
        for name, weights in poses.items()
    ]
    rows = [panels[first : first + SHEET_COLUMNS] for first in range(0, len(panels), SHEET_COLUMNS)]
    return draw_sheet(rows, 2600)


if __name__ == "__main__":
    main()
