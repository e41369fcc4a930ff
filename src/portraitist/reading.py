"""What a picture shows, found or given by the user: the points of its face, the fitted head, the person, the parts."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from portraitist.devices import move
from portraitist.errors import InputError
from portraitist.io.landmark_files import check_landmarks
from portraitist.landmarks.agreement import check_against_picture
from portraitist.landmarks.detection import detect_landmarks
from portraitist.models import Models
from portraitist.reconstruction.fitting import FitConfig, fit_head
from portraitist.reconstruction.person_mask import find_person
from portraitist.reconstruction.picture_doubts import doubt_artwork, doubt_cover, doubt_photo
from portraitist.reconstruction.silhouette import fit_photo
from portraitist.segmentation.part_masks import place_parts
from portraitist.segmentation.person import segment_person
from portraitist.segmentation.picture import PictureParts, segment_picture
from portraitist.types import HeadFit, Image, Landmarks
from portraitist.unwrapping.teeth import fit_teeth


@dataclass(frozen=True)
class Reading:
    """``person``: how much of each pixel is the person, 0..1. ``warnings``: for the user."""

    fit: HeadFit
    person: Float[Tensor, "h w"]
    parts: PictureParts
    warnings: list[str]


def find_landmarks(
    image: Image, given: Float[Tensor, "68 2"] | None, face: int, models: Models, what: str
) -> tuple[Landmarks, list[str]]:
    """The points of face number ``face``, or those ``given`` (pixels), and warnings. ``what`` names the picture.

    Raises NoFaceError, and InputError for points that are not the picture's or a face that is not there.
    """
    if given is None:
        return detect_landmarks(image, models.detector, what=what, face=face)
    if face != 1:
        raise InputError(f"Face {face} of the {what} was asked for, but landmarks were given. Give one or the other.")
    size = (image.shape[1], image.shape[2])
    check_landmarks(given, size)
    points, warnings = check_against_picture(move(given.float(), image.device), image, models.detector, what)
    return Landmarks(points=points, size=size), warnings


def read_photo(
    photo: Image, landmarks: Landmarks, models: Models, config: FitConfig, parts: PictureParts | None = None
) -> Reading:
    """Head, person and parts of a photo. Given parts take the place of person mask and segmentation: all but their
    background is the person then.

    Raises FitError when no head fits, InputError for given parts of another size.
    """
    if parts is None:
        person, warnings = find_person(photo, landmarks, models.segmenter, models.head, config)
    else:
        parts, warnings = place_parts(parts, photo, "photo"), []
        person = 1 - parts.share("background")
    fit = fit_teeth(photo, fit_photo(landmarks, person, models.head, config), models.head)
    if parts is None:
        parts = segment_picture(photo, landmarks, fit.mesh, fit.camera, person, models.parts, models.vgg)
    doubts = doubt_photo(photo, landmarks, fit, models.head) + doubt_cover(parts, landmarks, "photo")
    return Reading(fit, person, parts, warnings + doubts)


def read_artwork(
    art: Image, landmarks: Landmarks, models: Models, config: FitConfig, what: str, parts: PictureParts | None = None
) -> Reading:
    """The same of an artwork, whose head is fitted to its landmarks alone. ``what`` names it in messages."""
    fit = fit_head(landmarks, models.head, config)
    if parts is None:
        person = segment_person(art, landmarks, models.segmenter)
        parts = segment_picture(art, landmarks, fit.mesh, fit.camera, person, models.parts, models.vgg)
    else:
        parts = place_parts(parts, art, what)
        person = 1 - parts.share("background")
    return Reading(fit, person, parts, doubt_artwork(art, landmarks, what) + doubt_cover(parts, landmarks, what))
