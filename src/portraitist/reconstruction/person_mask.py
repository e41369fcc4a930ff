"""Person mask of a photo, with the fitted head in its place where the segmenter does not see the face."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from portraitist.reconstruction.fitting import FitConfig, fit_head
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.rasterizer import rasterize
from portraitist.segmentation.person import PersonSegmenter, holds_face, segment_person
from portraitist.types import Image, Landmarks

MISSED = (
    "The person in the photo could not be told from the background, so the outline of the fitted head was used: hair, "
    "ears and neck may show background. Use a photo in natural colors, with some room around the head."
)


def find_person(
    photo: Image,
    landmarks: Landmarks,
    segmenter: PersonSegmenter,
    model: HeadModel,
    config: FitConfig | None = None,
) -> tuple[Float[Tensor, "h w"], list[str]]:
    """How much of each pixel is the person, 0..1, and warnings for the user.

    Where landmarks are there is a face, so that a mask without it is worth nothing: the silhouette of the head that is
    fitted to the landmarks takes its place. Raises FitError when no head fits.
    """
    mask = segment_person(photo, landmarks, segmenter)
    if holds_face(mask, landmarks.points):
        return mask, []
    fit = fit_head(landmarks, model, config)
    return rasterize(fit.mesh, fit.camera).mask.to(mask), [MISSED]
