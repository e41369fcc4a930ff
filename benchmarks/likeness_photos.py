"""Likeness on the development photos: identity, held-out landmarks, round trip.

The head is rendered on white, from the front as in ``quality.py`` and in the photo's own pose and size. The photo cut
out along the face hull, on white, is measured beside it: what the embedding loses by missing hair and ground alone.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float

from metrics.identity import compare_embeddings, embed_face
from metrics.pictures import fill_hull, measure_psnr
from portraitist import load_image, save_image
from portraitist.errors import PortraitistError
from portraitist.io.images import image_to_uint8
from portraitist.rendering.cameras import view_camera
from portraitist.rendering.sampling import render_view
from portraitist.rendering.uv_layout import mark_texels
from portraitist.types import Image, Landmarks
from portraitist.unwrapping.gaze import pick_irises
from portraitist.unwrapping.projection import UnwrapConfig
from portraitist.unwrapping.unwrap import unwrap_photo
from reconstruction_runs import (
    HIDDEN_IDS,
    OVAL_IDS,
    SKIN_POINTS,
    Reconstruction,
    fit_without_hidden,
    load_models,
    reconstruct,
)

VIEW_PX, SHEET_PX = 512, 400
SHEET_VIEWS = {
    "front": (0, 0), "right 35": (35, 0), "left 35": (-35, 0), "right 75": (75, 0), "left 75": (-75, 0),
    "above": (0, -50),
}  # fmt: skip
"""(yaw, pitch) of the contact sheet."""
HULL_MARGIN_PX = 2


def measure_photo(path: Path, pictures: Path) -> dict[str, float | str]:
    """All figures of one photo, and the views of its head as ``pictures/<name>-<view>.jpg`` for the contact sheet."""
    photo = load_image(path)
    person = embed_face(image_to_uint8(photo))
    try:
        made = reconstruct(photo)
    except PortraitistError as error:
        return {"error": str(error), "identity_front": 1.0, "identity_pose": 1.0}
    mesh, texture, white = made.fit.mesh, made.unwrapped.texture, torch.ones(3)
    front = render_view(mesh, texture, view_camera(mesh.vertices, 0.0, 0.0, VIEW_PX), white)
    posed = render_view(mesh, texture, made.fit.camera, white)
    hull = torch.from_numpy(find_face_hull(made.landmarks))
    cut_out = torch.where(hull, photo, 1.0)
    for name, angles in SHEET_VIEWS.items():
        view = render_view(mesh, texture, view_camera(mesh.vertices, *angles, SHEET_PX), white)
        save_image(pictures / f"{path.stem}-{name}.jpg", view)
    save_image(pictures / f"{path.stem}-pose.jpg", posed)
    return {
        "identity_front": compare_embeddings(person, embed_face(image_to_uint8(front))),
        "identity_pose": compare_embeddings(person, embed_face(image_to_uint8(posed))),
        "identity_cut_out": compare_embeddings(person, embed_face(image_to_uint8(cut_out))),
        **measure_hidden_points(made.landmarks),
        "psnr_db": measure_psnr(to_array(render_own_light(made)), to_array(photo), hull.numpy()),
        "texels_from_photo": share_of_texels(made),
        "residual": made.fit.residual_relative,
    }


def render_own_light(made: Reconstruction) -> Image:
    """The head in the photo's pose, unwrapped without evening the light: what the round trip is measured on."""
    model, _, _ = load_models()
    irises = pick_irises(made.landmarks)
    unwrapped = unwrap_photo(made.photo, made.fit, made.bare, model, UnwrapConfig(delighting=0.0), irises=irises)
    return render_view(made.fit.mesh, unwrapped.texture, made.fit.camera, torch.ones(3))


def to_array(image: Image) -> Float[np.ndarray, "h w 3"]:
    return image.permute(1, 2, 0).numpy()


def find_face_hull(landmarks: Landmarks) -> Bool[np.ndarray, "h w"]:
    """Convex hull of all dense points: forehead to chin, without hair but for bangs. Two pixels off its edge."""
    assert landmarks.dense is not None
    hull = fill_hull(landmarks.dense[:SKIN_POINTS].numpy(), landmarks.size)
    side = 2 * HULL_MARGIN_PX + 1
    return cv2.erode(hull.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)


def measure_hidden_points(landmarks: Landmarks) -> dict[str, float]:
    """How far the fit puts the points it did not see from where they are, over the outer eye distance.

    ``hidden_rms`` counts all of them, ``hidden_inner_rms`` leaves out those on the outline of the face.
    """
    model, _, _ = load_models()
    assert landmarks.dense is not None
    fit = fit_without_hidden(landmarks)
    foretold = fit.camera.project(model.landmarks478.positions(fit.mesh.vertices, model.faces))
    errors = (foretold - landmarks.dense).norm(dim=1)[list(HIDDEN_IDS)].numpy()
    errors = errors / float((landmarks.points[36] - landmarks.points[45]).norm())
    inner = ~np.isin(HIDDEN_IDS, OVAL_IDS)
    return {
        "hidden_rms": float(np.sqrt((errors**2).mean())),
        "hidden_median": float(np.median(errors)),
        "hidden_inner_rms": float(np.sqrt((errors[inner] ** 2).mean())),
    }


def share_of_texels(made: Reconstruction) -> float:
    """Share of the texels inside the UV islands that come mostly from the photo."""
    islands = mark_texels(made.fit.mesh, made.unwrapped.seen.shape[-1]) >= 0
    return float((made.unwrapped.seen > 0.5)[islands].float().mean())
