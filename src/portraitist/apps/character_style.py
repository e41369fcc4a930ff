"""A stylized head on a whole body that is painted as the head is (Sec. 7.3)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from portraitist.apps.character import build_character
from portraitist.apps.character_manner import Manner, find_manner
from portraitist.apps.character_strokes import paint_body
from portraitist.apps.image_painting import count_steps
from portraitist.apps.view_painting import ViewPainting
from portraitist.body.shape import BodyShape
from portraitist.devices import move
from portraitist.models import Models
from portraitist.types import Head, Progress, ProgressCallback

SHARPNESS = 6.0  # strokes of two pictures, mixed evenly, would be none


def _paint_finely() -> ViewPainting:
    return ViewPainting(750, ((768, 10),), stroke_steps=15, sharpness=SHARPNESS)


@dataclass(frozen=True)
class CharacterConfig:
    """``body``: which. ``painting``: how it is painted, and its clothes. ``seed`` drives everything random."""

    body: BodyShape = field(default_factory=BodyShape)
    painting: ViewPainting = field(default_factory=_paint_finely)
    seed: int = 0

    @classmethod
    def draft(cls) -> CharacterConfig:
        """A quick look."""
        return cls(painting=replace(_paint_finely(), view_px=500, scales=((384, 6),), stroke_steps=8))

    @classmethod
    def standard(cls) -> CharacterConfig:
        """The default."""
        return cls()


def stylize_character(
    head: Head,
    models: Models,
    config: CharacterConfig | None = None,
    *,
    manner: Manner | None = None,
    progress: ProgressCallback | None = None,
) -> Head:
    """``head`` on a body as `build_character` makes it, painted with the network in the manner of an artwork
    (``read_manner``), by default as the head itself is painted. Without one, what belongs to a head that was never
    stylized stays plain.

    ``progress`` is called after each step and may raise to stop. Raises InputError as `build_character` does.
    """
    config = config or CharacterConfig.standard()
    head = move(head, models.device)
    if progress:
        progress(Progress("body", 0, 1))
    if not (manner or is_stylized(head)):
        return build_character(head, config.body)
    person = build_character(head, config.body, cloth=manner.worn if manner else None, strokes=False)
    manner = manner or find_manner(head)
    report = count_steps("painting", config.painting.total_steps, progress)
    return paint_body(person, manner, models.vgg, config.painting, torch.Generator().manual_seed(config.seed), report)


def is_stylized(head: Head) -> bool:
    """Whether an artwork has moved it. A photo's own head lies where the photo shows it."""
    return not torch.equal(head.mesh.vertices, head.original)
