"""What is wrong with how a picture was taken or saved, told by the face in it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from portraitist.devices import to_numpy
from portraitist.io.images import image_to_uint8
from portraitist.landmarks.faces import MAX_OUTSIDE
from portraitist.reconstruction.fitting import SKIN_POINTS, embed_skin_points
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.shader_math import luminance
from portraitist.segmentation.person import fill_face_core, fill_hull
from portraitist.segmentation.picture import BARE_PARTS, PictureParts
from portraitist.types import HeadFit, Image, Landmarks

MOST_COVERED = 0.25  # of the middle of the face: a nose and a mouth under a mask are more
CLIPPED_SHARE = 0.5  # of the face: with more at the end of the range, most of it is lost (16 % at most in good photos)
LEAST_LEVELS = 32  # of 256 grays, 5 bits: in fewer, steps show on skin (good photos have 90 and more, 61 on one side)
RANGE_PERCENTILES = (1, 99)  # single pixels do not count
LARGEST_STRETCH = 1.2  # height over width, or the reverse: twice as far from 1 as in any of 75 good photos


def doubt_photo(photo: Image, landmarks: Landmarks, fit: HeadFit, model: HeadModel) -> list[str]:
    """Warnings for the user: a face that is clipped, all but without light and shade, or squashed."""
    return [*doubt_light(photo, landmarks), *doubt_proportions(landmarks, fit, model)]


def doubt_artwork(art: Image, landmarks: Landmarks, what: str) -> list[str]:
    """A warning for the user: a face all but without light and shade. Black and white, and any proportions, are art.

    ``what`` names the picture.
    """
    return doubt_levels(image_to_uint8(art)[fill_face(landmarks)], f"The face in the {what}")


def doubt_cover(parts: PictureParts, landmarks: Landmarks, what: str) -> list[str]:
    """A warning for the user: much of the middle of the face is something else. ``what`` names the picture."""
    core = fill_face_core(landmarks.points, landmarks.size)
    covered = 1 - to_numpy(parts.share(*BARE_PARTS, "hair"))[core].mean() if core.any() else 0.0
    if covered < MOST_COVERED:
        return []
    return [
        f"Something covers {100 * covered:.0f} % of the face in the {what} (a hand, a mask, writing?), and what is "
        "under it is guessed. Use a picture that shows the whole face, or say what is what with a mask of your own "
        "(--photo-mask or --art-mask)."
    ]


def doubt_light(photo: Image, landmarks: Landmarks) -> list[str]:
    """Light that spoils the face, or else one of its sides."""
    inside = fill_face(landmarks)
    if not inside.any():
        return []
    pixels = image_to_uint8(photo)[inside]
    eyes = landmarks.points[42:48].mean(0) - landmarks.points[36:42].mean(0)
    rows, columns = np.nonzero(inside)
    across = np.stack([columns, rows], 1) @ to_numpy(eyes)
    low, high = np.quantile(across, (1 / 3, 2 / 3))  # light seldom changes right in the middle
    sides = (
        doubt_exposure(pixels[side], "One side of the face in the photo") for side in (across <= low, across >= high)
    )
    return doubt_exposure(pixels, "The face in the photo") or next(filter(None, sides), [])


def doubt_exposure(pixels: UInt8[np.ndarray, "k 3"], what: str) -> list[str]:
    """The same for some of the face's pixels, which are called ``what``."""
    clipped = ((pixels == 255).any(1) | (pixels == 0).all(1)).mean()
    if clipped > CLIPPED_SHARE:
        return [
            f"{what} is as white or as black as a picture can be over {100 * clipped:.0f} % of its area, and shape and "
            "colors are lost there. Use a photo that is not overexposed or reduced to black and white."
        ]
    return doubt_levels(pixels, what)


def doubt_levels(pixels: UInt8[np.ndarray, "k 3"], what: str) -> list[str]:
    """The same for their range of brightness alone."""
    if not len(pixels):
        return []
    low, high = np.percentile(luminance(pixels.astype(np.float32)), RANGE_PERCENTILES)
    if high - low < LEAST_LEVELS:
        cause = "too dark" if high < 128 else "without contrast"
        return [
            f"{what} is {cause}: it has {max(round(high - low), 1)} of 256 levels of brightness, so that grain and "
            "steps show. Use a picture taken in more light, or one that was not darkened afterwards."
        ]
    return []


def doubt_proportions(landmarks: Landmarks, fit: HeadFit, model: HeadModel) -> list[str]:
    """A picture that was scaled unevenly: its face is higher or wider than faces are. Not told of a face that reaches
    beyond the picture, where it is guessed."""
    height, width = landmarks.size
    is_outside = ((landmarks.points < 0) | (landmarks.points > landmarks.points.new_tensor([width, height]))).any(1)
    if is_outside.float().mean() > MAX_OUTSIDE:
        return []
    stretch = measure_stretch(landmarks, fit, model)
    if max(stretch, 1 / stretch) < LARGEST_STRETCH:
        return []
    how = "tall" if stretch > 1 else "wide"
    return [
        f"The face in the photo is {max(stretch, 1 / stretch):.1f} times as {how} as faces are: the picture seems to "
        "have been scaled unevenly. Use it as it was taken."
    ]


def measure_stretch(landmarks: Landmarks, fit: HeadFit, model: HeadModel) -> float:
    """Height over width, in the picture, of what is as high as it is wide on the mean head; 1 in a good photo.

    By the affine map that takes the mean head, with the fitted pose and expression, to the landmarks.
    """
    if landmarks.dense is None:
        embedding, seen = model.landmarks68, landmarks.points
    else:
        embedding, seen = embed_skin_points(model), landmarks.dense[:SKIN_POINTS]
    shown = model.mean + torch.einsum("e,end->nd", fit.expression, model.expression_deltas)
    expected = to_numpy(fit.camera.project(embedding.positions(shown, model.faces)), np.float64)
    seen = to_numpy(seen, np.float64)
    affine = np.linalg.lstsq(expected - expected.mean(0), seen - seen.mean(0))[0]
    return float(affine[1, 1] / affine[0, 0])


def fill_face(landmarks: Landmarks) -> Bool[np.ndarray, "h w"]:
    """The pixels within the hull of the landmarks."""
    points = landmarks.points if landmarks.dense is None else landmarks.dense
    return fill_hull(to_numpy(points), landmarks.size)
