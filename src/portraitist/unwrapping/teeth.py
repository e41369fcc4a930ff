"""How long this person's teeth are, as the photo shows them.

The head model has the same teeth behind all lips. But one smile is full of teeth and another shows their edges, and
people are known by it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from portraitist.devices import to_numpy
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.rasterizer import rasterize
from portraitist.rendering.sampling import sample_bilinear
from portraitist.types import Camera, HeadFit, Image
from portraitist.unwrapping.adaptation import estimate_factor, likelihood_of, tint
from portraitist.unwrapping.appearance_models import SkinColors
from portraitist.unwrapping.eyes import WHITE, expect_sclera
from portraitist.unwrapping.mouth import ENAMEL

ROWS = {"upper_teeth": -1.0, "lower_teeth": 1.0}
"""Rows of teeth, and the direction in which they grow."""
INSIDE = ("mouth_cavity", "tongue", *ROWS)
LENGTHS = np.arange(0.0, 0.0061, 0.0005)  # meters by which they may be longer
SPREAD = 0.002  # meters, standard deviation of how much longer one's teeth are than the model's
CELL = 0.001  # meters: pixels within it tell the same
MOUTH_PX = 96  # side of the picture in which they are compared
DOUBT = 0.05  # that a pixel's color is told wrong


def fit_teeth(photo: Image, fit: HeadFit, model: HeadModel) -> HeadFit:
    """The fit with the most probable length of both rows of teeth, in its neutral head, too; unchanged where the photo
    it was made of shows nothing of the mouth's inside."""
    camera = _look_at_mouth(fit, model)
    seen = rasterize(fit.mesh, camera)
    opening, lips = (seen.show(model.face_mask(*names)) for names in (INSIDE, ("lips",)))
    px_per_cell = (camera.scale_px * CELL) ** 2
    if opening.sum() < px_per_cell:
        return fit
    skin = seen.mask & ~opening & ~lips
    likely = _find_teeth(photo, fit, camera, *(to_numpy(mask) for mask in (opening, lips, skin)))
    moved = torch.zeros_like(fit.neutral)
    for row, direction in ROWS.items():
        ids = model.vertex_ids(row)
        heights = direction * fit.neutral[ids, 1]
        # They grow out of gums that stay.
        reach = direction * (heights - heights.min()) / (heights.max() - heights.min())
        scores = []
        for longer in LENGTHS:
            moved[ids, 1] = reach * float(longer)
            drawn = rasterize(fit.mesh.with_vertices(fit.mesh.vertices + moved), camera)
            teeth = to_numpy(drawn.show(model.face_mask(*ROWS)))
            score = np.log(np.where(teeth, likely, 1 - likely)[to_numpy(opening)]).sum() / px_per_cell
            scores.append(score - 0.5 * (longer / SPREAD) ** 2)
        moved[ids, 1] = reach * float(LENGTHS[int(np.argmax(scores))])
    return replace(fit, mesh=fit.mesh.with_vertices(fit.mesh.vertices + moved), neutral=fit.neutral + moved)


def _look_at_mouth(fit: HeadFit, model: HeadModel) -> Camera:
    """The photo's camera, of the mouth alone."""
    lips = fit.camera.project(fit.mesh.vertices[model.vertex_ids("lips")])
    low, high = lips.amin(0), lips.amax(0)
    scale = MOUTH_PX / float((high - low).max())
    offset = [scale * (own - float(middle)) + MOUTH_PX / 2 for own, middle in
              zip(fit.camera.center_px, (low + high) / 2, strict=True)]  # fmt: skip
    return replace(
        fit.camera, scale_px=scale * fit.camera.scale_px, center_px=(offset[0], offset[1]), size=(MOUTH_PX, MOUTH_PX)
    )


def _find_teeth(
    photo: Image,
    fit: HeadFit,
    camera: Camera,
    opening: Bool[np.ndarray, "h w"],
    lips: Bool[np.ndarray, "h w"],
    skin: Bool[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w"]:
    """How likely each pixel of the mouth's picture shows a tooth, never quite 0 or 1."""
    height, width = photo.shape[1:]
    rows, columns = torch.meshgrid(*[torch.arange(MOUTH_PX) + 0.5] * 2, indexing="ij")
    places = torch.stack([columns, rows], -1).to(photo)
    middle = torch.tensor(fit.camera.center_px).to(photo)
    scale = fit.camera.scale_px / camera.scale_px
    pixels = (places - torch.tensor(camera.center_px).to(photo)) * scale + middle
    uv = pixels / torch.tensor([width, height]).to(photo)
    colors = to_numpy(sample_bilinear(photo, uv.reshape(-1, 2)).T, np.float32)
    # Tongue and gums have the hue of lips.
    around, flesh = (SkinColors.learn(colors, mask.ravel().astype(np.float32)) for mask in (skin, lips))
    enamel = replace(ENAMEL, mean=expect_sclera(around).mean)
    inside = colors[opening.ravel()]
    authored = np.broadcast_to(WHITE, inside.shape)
    factor = estimate_factor(inside, authored, np.ones(len(inside), np.float32), enamel, flesh)
    likely = np.full(opening.shape, 0.5)
    likely[opening] = likelihood_of(inside, tint(authored, factor), enamel, flesh)
    return likely.clip(DOUBT, 1 - DOUBT)
