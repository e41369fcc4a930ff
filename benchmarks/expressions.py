"""Do the 52 actions work on exaggerated heads: python benchmarks/expressions.py [--sheet FOLDER]

The five most exaggerated of the 168 annotated artworks (largest deviation from the mean face), each put on another
photo by the default translator: at geometry strengths 1 and 2, with the eyes at 2, and unexaggerated. Every action is
measured at weight 1 from five views. Needs the development pictures (../shared/data); writes results/expressions.json.
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
from portraitist import load_image, save_image
from portraitist.export.preview import Panel, draw_sheet
from portraitist.geometry.deformation import build_deformer, deform_to_landmarks
from portraitist.geometry.translation import (
    GeometryConfig,
    RegionStrengths,
    ShapeExemplar,
    make_translator,
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
from portraitist.types import EXPRESSION_NAMES, Head, HeadFit, Landmarks
from portraitist.unwrapping.projection import UnwrapConfig
from portraitist.unwrapping.teeth import fit_teeth
from portraitist.unwrapping.unwrap import make_content, unwrap_photo
from reconstruction_runs import segment_bare_head

RESULTS = Path(__file__).parent / "results" / "expressions.json"
PHOTOS = ("p00", "p08", "p14", "p26", "p33")
BLINK = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
CLOSED_LIPS = ({}, {"mouthPressLeft": 1.0, "mouthPressRight": 1.0}, {"jawOpen": 1.0, "mouthClose": 1.0})
SETTINGS = {
    "strength 1": GeometryConfig(),
    "strength 2": GeometryConfig(strength=2.0),
    "eyes 2": GeometryConfig(regions=RegionStrengths(eyes=2.0)),
}
SHEET_COLUMNS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="also draw the 52 actions on every head")
    options = parser.parse_args()
    if not DEFAULT_DATA.is_dir():
        print(f"SKIPPED: the development pictures are not at {DEFAULT_DATA}")
        return
    model = load_head_model()
    translator = make_translator("network", model)
    rows = {}
    for (art, exemplar), photo in zip(find_most_exaggerated(model), PHOTOS, strict=True):
        fit, content = make_content_head(photo, model)
        rows[photo] = measure_head(content, content, model)
        for name, config in SETTINGS.items():
            targets = translate_landmarks(fit, [exemplar], model, translator, config)
            exaggerated = deform_to_landmarks(content, targets, build_deformer(model, config.stiffness))
            rows[f"{photo} x {art}, {name}"] = measure_head(content, exaggerated, model)
            if options.sheet:
                options.sheet.mkdir(parents=True, exist_ok=True)
                save_image(options.sheet / f"{photo} {name}.png", draw_actions(exaggerated))
    for label, row in rows.items():
        print(label, *(f"  {name}: {value}" for name, value in row.items()), sep="\n")
    RESULTS.write_text(json.dumps({"heads": rows}, indent=1) + "\n")


def find_most_exaggerated(model: HeadModel) -> list[tuple[str, ShapeExemplar]]:
    """Names and shapes of the annotated artworks that deviate furthest from the mean face, one for each photo."""
    with np.load(DEFAULT_DATA / "landmarks" / "art68.npz") as file:
        points, names = file["points"], file["image"].tolist()
    found = []
    for name, face in zip(names, points, strict=True):
        with PillowImage.open(DEFAULT_DATA / name) as picture:
            landmarks = Landmarks(torch.from_numpy(face).float(), (picture.height, picture.width))
        exemplar = measure_shape(landmarks, fit_head(landmarks, model), model)
        found.append((float(exemplar.deviation.norm()), name, exemplar))
    return [(name, exemplar) for _, name, exemplar in sorted(found, key=lambda item: -item[0])[: len(PHOTOS)]]


def make_content_head(photo: str, model: HeadModel) -> tuple[HeadFit, Head]:
    """The sitter's fit, and the head with the photo's texture."""
    image = load_image(DEFAULT_DATA / "photos" / f"{photo}.jpg")
    landmarks, _ = detect_landmarks(image, LandmarkDetector(), what="photo")
    mask = segment_person(image, landmarks, PersonSegmenter())
    fit = fit_teeth(image, fit_photo(landmarks, mask, model), model)
    bare = segment_bare_head(image, landmarks, fit, mask)
    texture = unwrap_photo(image, fit, bare, model, UnwrapConfig(texture_size=512)).texture
    return fit, make_content(fit, texture, model)


def measure_head(content: Head, head: Head, model: HeadModel) -> dict[str, float | str]:
    """The figures of a head made from ``content``; shares in percent."""
    lids = measure_worst_exposure(head, BLINK, model).through
    lips = [measure_worst_exposure(head, weights, model).through["mouth_cavity"] for weights in CLOSED_LIPS]
    inside = [measure_worst_exposure(head, {action: 1.0}, model).outside for action in EXPRESSION_NAMES]
    flips = [count_flips(content, head, action) for action in EXPRESSION_NAMES]
    return {
        "eye shows when closed %": _percent(max(lids["eye_socket_left"], lids["eye_socket_right"])),
        "mouth shows when closed %": _percent(max(lips)),
        "inside shows elsewhere %": _percent(max(inside)),
        "inside shows elsewhere % in": EXPRESSION_NAMES[np.argmax(inside)],
        "teeth behind lip %": _percent(measure_teeth_lag(head, model)),
        "flipped triangles %": _percent(max(flips)),
        "flipped triangles % in": EXPRESSION_NAMES[np.argmax(flips)],
    }


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
