"""Head, hair and hat on shoulders and clothes (Sec. 7.2): the whole portrait as a head with one layer more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from portraitist.apps.bust_painting import paint_bust_texture
from portraitist.apps.image_painting import count_steps
from portraitist.apps.image_style import find_landmarks, read_style
from portraitist.apps.view_painting import ViewPainting
from portraitist.bust.appearance import meet_neck
from portraitist.bust.following import follow_head
from portraitist.bust.layer import PhotoBust, build_bust
from portraitist.config import Config
from portraitist.models import Models
from portraitist.pipeline import (
    Exemplar,
    Sitter,
    collect_result,
    reconstruct,
    study_artwork,
    transfer_geometry,
    transfer_texture,
)
from portraitist.progress import StageClock
from portraitist.rendering.cameras import head_camera
from portraitist.types import Head, Image, ProgressCallback, Result

NO_CLOTHES = (
    "The photo shows no clothes, so the shoulders are bare, and those of a plausible body. Use a photo that shows the "
    "person down to the chest."
)


@dataclass(frozen=True)
class BustConfig:
    """``head``: how the head is made. ``painting``: how the rest is painted."""

    head: Config = field(default_factory=Config.standard)
    painting: ViewPainting = field(default_factory=ViewPainting)

    @property
    def seed(self) -> int:
        return self.head.seed

    @classmethod
    def draft(cls) -> BustConfig:
        """A quick look."""
        return cls(Config.draft(), ViewPainting(view_px=256, scales=((192, 20),), stroke_steps=10))

    @classmethod
    def standard(cls) -> BustConfig:
        """The default."""
        return cls()


def stylize_bust(
    photo: Image,
    art: Image,
    models: Models,
    config: BustConfig | None = None,
    *,
    photo_face: int = 1,
    art_face: int = 1,
    progress: ProgressCallback | None = None,
) -> Result:
    """Photo and artwork in, the stylized head on stylized shoulders out: the last layer of both heads is the bust.

    ``photo``, ``art``: sRGB [3, h, w] in 0..1. ``photo_face``, ``art_face``: which of several, from 1 for the largest
    on. ``progress`` is called after each step and may raise to stop. Raises NoFaceError, FitError, and InputError for a
    face that is not there.
    """
    config = config or BustConfig.standard()
    clock = StageClock(progress)
    sitter = reconstruct(photo, models, config.head, face=photo_face, progress=clock.report)
    clock.start("bust")
    bust = build_sitter_bust(sitter, models)
    # Its hair as it lies on the shoulders; they themselves are painted later.
    sitter = replace(sitter, content=replace(bust.head, layers=bust.head.layers[:-1]))
    clock.start("study")
    exemplar = study_artwork(art, models, config.head, face=art_face)
    clock.start("geometry")
    geometry = transfer_geometry(sitter, [exemplar], models, config.head)
    placed = follow_head(bust.head.layers[-1], sitter.content, geometry.head)
    clock.start("texture")
    covered = replace(placed, layers=placed.layers[:-1])
    painted = transfer_texture(covered, sitter, [exemplar], models, config.head, progress=progress)
    clock.start("painting")
    whole = replace(painted, layers=(*painted.layers, placed.layers[-1]))
    stylized = paint_bust(whole, bust, exemplar, models, config, progress)
    clock.stop()
    result = collect_result(sitter, [exemplar], geometry, stylized, config.head, clock.seconds)
    return replace(result, content=bust.head, warnings=(*result.warnings, *doubt_bust(bust)))


def doubt_bust(bust: PhotoBust) -> tuple[str, ...]:
    """What a user should know of a bust."""
    return (NO_CLOTHES,) if bool((bust.bare == 1).all()) else ()


def build_sitter_bust(sitter: Sitter, models: Models) -> PhotoBust:
    """The unstylized head of a sitter on shoulders and clothes."""
    parts = sitter.parts
    shares = 1 - parts.share("background"), parts.share("clothes"), parts.share("skin")
    return build_bust(sitter.content, sitter.photo, *shares, sitter.fit, models.head)


def paint_bust(
    head: Head,
    bust: PhotoBust,
    exemplar: Exemplar,
    models: Models,
    config: BustConfig,
    progress: ProgressCallback | None = None,
) -> Head:
    """``head``, stylized and painted, with the bust that is its last layer painted, too."""
    generator = torch.Generator().manual_seed(config.seed)
    size = config.painting.view_px
    front = head_camera(replace(head, layers=head.layers[-1:]), 0.0, 0.0, size)
    artwork = read_style(exemplar, find_landmarks(head, front), (size, size))
    report = count_steps("painting", config.painting.total_steps, progress)
    texture = paint_bust_texture(head, bust.bare, artwork, models.vgg, config.painting, generator, report)
    layer = replace(head.layers[-1], texture=texture)
    layer = replace(layer, texture=meet_neck(layer, bust.bare, head, models.head))
    return replace(head, layers=(*head.layers[:-1], layer))
