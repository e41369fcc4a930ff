"""A photo's face on a character of another program (Sec. 7.3): the artwork is the picture of the character's own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist.characters.figure import Figure
from portraitist.characters.glasses import find_bare
from portraitist.characters.paint import Paints
from portraitist.characters.portrait import Portrait, find_portrait
from portraitist.characters.replacing import Wearer, put_on
from portraitist.config import Config
from portraitist.devices import to_numpy
from portraitist.io.gltf_document import GltfDocument
from portraitist.io.images import round_to_bytes, save_image
from portraitist.mesh.carrying import pose_head
from portraitist.models import Models
from portraitist.pipeline import Sitter, collect_result, reconstruct, study_artwork, transfer_geometry, transfer_texture
from portraitist.progress import StageClock
from portraitist.types import COVER_NAMES, Image, ProgressCallback, Result
from portraitist.unwrapping.gaze import pick_irises
from portraitist.unwrapping.unwrap import unwrap_photo


@dataclass(frozen=True)
class ReplaceConfig:
    """``head``: how the head is made. ``keep_hair``: the character's own hair and headwear stay, and the new skull is
    as its own is; else the photo's take their place. ``keep_neck``: its own neck stays up to where it is thinnest; else
    the new head's reaches down to its end."""

    head: Config = field(default_factory=Config.standard)
    keep_hair: bool = True
    keep_neck: bool = True

    @property
    def seed(self) -> int:
        return self.head.seed


@dataclass(frozen=True)
class Replaced:
    """``document``: the character with the new face. ``result``: how the head was made, and the head as it is there;
    its artwork is the character's ``portrait``. ``before``: the character as it was."""

    document: GltfDocument
    result: Result
    before: Figure
    portrait: Portrait


def replace_face(
    photo: Image,
    character: Figure,
    models: Models,
    config: ReplaceConfig | None = None,
    *,
    face_landmarks: Float[Tensor, "68 2"] | None = None,
    face_view: Path | None = None,
    photo_face: int = 1,
    progress: ProgressCallback | None = None,
) -> Replaced:
    """The face of a photo, in the manner of a character and in place of its own (Sec. 7.3).

    ``photo``: sRGB [3, h, w] in 0..1. ``character``: as `read_figure` reads it. ``face_landmarks``: 68 points
    in iBUG order, pixels of the character's portrait, instead of detection; ``face_view``: a PNG file to which that is
    written first. ``photo_face``: which of several, from 1 for the largest on. ``progress`` is called after each step
    and may raise to stop. Raises NoFaceError, FitError, and InputError for a file that cannot be used or shows several
    characters.
    """
    config = config or ReplaceConfig()
    made = config.head
    if config.keep_hair:  # no other is needed
        made = replace(made, unwrap=replace(made.unwrap, hair="none"))
    clock = StageClock(progress)
    clock.start("character")
    paints = Paints(character.document, character.path)
    portrait = find_portrait(
        character, paints, models.detector, must_be_seen=face_landmarks is None and face_view is None
    )
    if face_view is not None:
        save_image(face_view, portrait.view.picture)
    sitter = reconstruct(photo, models, made, face=photo_face, progress=clock.report)
    sitter = _take_off_glasses(sitter, models, made)
    clock.start("study")
    exemplar = study_artwork(portrait.art, models, made, landmarks=face_landmarks, what="character")
    clock.start("geometry")
    geometry = transfer_geometry(sitter, [exemplar], models, made)
    clock.start("texture")
    # Painted as the character wears it, at rest: a laugh's narrow eyes and bared teeth are not what it shows.
    rest = pose_head(geometry.head, torch.zeros_like(geometry.head.expression))
    head = transfer_texture(rest, sitter, [exemplar], models, made, progress=progress)
    clock.start("joining")
    points, hair = exemplar.landmarks.points, exemplar.parts.share(*COVER_NAMES)
    wearer = Wearer(character, paints, portrait.view, to_numpy(points, np.float64), to_numpy(hair, np.float64))
    document, placed = put_on(wearer, head, keep_hair=config.keep_hair, keep_neck=config.keep_neck)
    clock.stop()
    result = collect_result(sitter, [exemplar], geometry, placed, made, clock.seconds)
    return Replaced(document, result, character, portrait)


def _take_off_glasses(sitter: Sitter, models: Models, config: Config) -> Sitter:
    """The sitter with skin where the photo shows the frame of glasses."""
    if not (sitter.parts.share("glasses") > 0.5).any():
        return sitter
    bare = find_bare(sitter.photo, sitter.parts, sitter.fit)
    irises = pick_irises(sitter.landmarks)
    unwrapped = unwrap_photo(sitter.photo, sitter.fit, bare, models.head, config.unwrap, irises=irises)
    return replace(sitter, content=replace(sitter.content, texture=round_to_bytes(unwrapped.texture)))
