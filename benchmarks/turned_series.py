"""One series of ``parsing/turned``: the head of its frontal photo, turned to every other one and laid over its labels.

The head turns about its own upright axis by the labeled yaw; pitch and roll stay those of the fit. Each picture was cut
out and scaled by its makers, so the head is laid over the labels by shift and scale, at most 8 % from where eyes, nose
and mouth lie on the labeled ones (``metrics/silhouettes.py``). Where a picture ends within the person nothing counts.

Labeled hair is label 2 without brows and beards: pieces that lie mostly on the drawn face and do not reach its scalp.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import torch
from jaxtyping import Bool, Int

from drawn_heads import Drawing, draw_head, find_features, find_up, frame_head
from metrics.pictures import measure_overlap
from metrics.silhouettes import (
    Alignment,
    Outline,
    Truth,
    align_outline,
    drop_face_pieces,
    measure_coverage,
    pad_labels,
)
from portraitist import load_image, save_image
from portraitist.errors import PortraitistError
from portraitist.io.images import image_to_uint8
from portraitist.pipeline import Sitter
from portraitist.rendering.cameras import rotation_from_yaw_pitch
from portraitist.rendering.sampling import render
from portraitist.types import Camera, Head, Image

YAWS_DEG = (-90, -60, -30, 0, 30, 60, 90)
"""As in the names of the files: above zero the face looks to the viewer's left."""
HAIR, EYES, MOUTH = 2, 3, 5
MARGIN = 0.25  # of the picture's height, around it: where drawn heads may reach
GREEN, YELLOW, RED = (0, 255, 0), (255, 255, 0), (255, 0, 0)
FIGURES = ("overlap", "hair covered", "hair overlap")


@dataclass(frozen=True)
class LabeledView:
    """One photo of a series and its labels, with a margin of ``margin`` px around both labels and ``known``."""

    yaw_deg: int
    photo: Image
    labels: Int[np.ndarray, "h w"]
    known: Bool[np.ndarray, "h w"]
    margin: int


def read_view(folder: Path, yaw_deg: int) -> LabeledView:
    stem = folder / f"{yaw_deg:+04d}"
    labels = np.array(PIL.Image.open(stem.with_suffix(".png")))
    margin = round(MARGIN * labels.shape[0])
    return LabeledView(yaw_deg, load_image(stem.with_suffix(".jpg")), *pad_labels(labels, margin), margin)


def measure_series(folder: Path, pictures: Path) -> dict[str, dict[str, float] | str]:
    """Figures of every view by its yaw, and ``pictures/<series><yaw>-<photo or head>.jpg`` for the sheet."""
    from reconstruction_runs import reconstruct_whole

    try:
        sitter = reconstruct_whole(load_image(folder / "+000.jpg"))
    except PortraitistError as error:
        return {"error": str(error)}
    figures = {}
    for yaw_deg in YAWS_DEG:
        view = read_view(folder, yaw_deg)
        camera, alignment = align_head(sitter, view)
        drawing = draw_head(sitter.content, camera)
        figures[f"{yaw_deg:+04d}"] = {**measure_view(drawing, view), "scale": alignment.scale}
        stem = pictures / f"{folder.name}{yaw_deg:+04d}"
        save_image(stem.with_name(f"{stem.name}-photo.jpg"), draw_outlines(drawing, view))
        save_image(stem.with_name(f"{stem.name}-head.jpg"), crop_margin(render(sitter.content, camera), view))
    return figures


def align_head(sitter: Sitter, view: LabeledView) -> tuple[Camera, Alignment]:
    """A camera on the view's picture and its margin that sees the turned head where it overlaps the labels best, and
    how far it is from the fit's scale."""
    fitted, (height, width) = sitter.fit.camera, view.labels.shape
    rotation = fitted.rotation @ rotation_from_yaw_pitch(-view.yaw_deg, 0.0)
    turned = center_camera(sitter.content, rotation, fitted.scale_px)
    drawing = draw_head(sitter.content, turned)
    outline = Outline(drawing.all, find_features(sitter.content, turned), drawing.chin, find_up(turned))
    truth = Truth(view.labels > 0, view.known, find_labeled_features(view.labels))
    alignment = align_outline(outline, truth, height - 2 * view.margin)
    scale, center = alignment.scale, alignment.apply(np.array(turned.center_px))
    return Camera(rotation, scale * turned.scale_px, (float(center[0]), float(center[1])), (height, width)), alignment


def center_camera(head: Head, rotation: torch.Tensor, scale_px: float) -> Camera:
    """Square camera of this scale that holds head and layers whole, however they are turned."""
    framed = frame_head(head, 0.0, 0.0, 1)
    size = int(np.ceil(scale_px / framed.scale_px))
    vertices = torch.cat([head.mesh.vertices, *(layer.mesh.vertices for layer in head.layers)])
    x, y, _ = (rotation @ ((vertices.amin(0) + vertices.amax(0)) / 2) * scale_px).tolist()
    return Camera(rotation, scale_px, (size / 2 - x, size / 2 + y), (size, size))


def find_labeled_features(labels: Int[np.ndarray, "h w"]) -> np.ndarray:
    """Middle (x, y) of the middles of eyes, nose and mouth."""
    middles = [np.argwhere(labels == label).mean(0)[::-1] + 0.5 for label in range(EYES, MOUTH + 1)]
    return np.mean(middles, axis=0)


def measure_view(drawing: Drawing, view: LabeledView) -> dict[str, float]:
    """The three figures above the chin of the drawn head."""
    counted = view.known & drawing.mark_above_chin()
    hair = find_hair(drawing, view) & counted
    values = (
        measure_overlap(drawing.all & counted, (view.labels > 0) & counted),
        measure_coverage(drawing.all, hair),
        measure_overlap(drawing.hair & counted, hair),
    )
    return dict(zip(FIGURES, values, strict=True))


def find_hair(drawing: Drawing, view: LabeledView) -> Bool[np.ndarray, "h w"]:
    return drop_face_pieces(view.labels == HAIR, drawing.face, drawing.scalp)


def draw_outlines(drawing: Drawing, view: LabeledView) -> Image:
    """The photo with the outlines of the labels (green), the counted hair (yellow) and the drawn head (red)."""
    picture = image_to_uint8(view.photo).copy()
    for mask, color in ((drawing.all, RED), (view.labels > 0, GREEN), (find_hair(drawing, view), YELLOW)):
        inside = np.ascontiguousarray(_crop(mask, view.margin), np.uint8)
        contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, color, 2)
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255


def crop_margin(picture: Image, view: LabeledView) -> Image:
    return _crop(picture.permute(1, 2, 0), view.margin).permute(2, 0, 1)


def _crop(picture, margin: int):
    return picture[margin:-margin, margin:-margin]
