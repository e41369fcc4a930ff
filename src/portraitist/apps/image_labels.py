"""Labels of whole pictures: the parts of the face, hair, and all that is around a head."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from portraitist.devices import move
from portraitist.segmentation.artwork import label_artwork
from portraitist.segmentation.parts import HAIR, LABELS, NOSE, SKIN, label_penalties
from portraitist.segmentation.picture import PART_NAMES, PictureParts
from portraitist.texture.exemplar import StyleSource
from portraitist.texture.labels import LabelRoles, face_roles
from portraitist.texture.patches import PatchSource
from portraitist.types import Fragments, Mesh

AROUND = ("headwear", "glasses", "clothes", "other", "background")
PICTURE_LABELS = (*LABELS, *AROUND, "anything")
"""Names of the labels. Anything is what the artwork does not show: it is painted as all that is no feature of a
face."""

ANYTHING = PICTURE_LABELS.index("anything")
_AROUND_IDS = tuple(PICTURE_LABELS.index(name) for name in AROUND)
BROAD = (SKIN, NOSE, HAIR, *_AROUND_IDS)
"""Labels that are painted with any strokes: all but the small features of a face."""

LEAST_SHARE = 0.002  # of an artwork's pixels: a part that shows less is a crumb of the segmentation
_LABEL_OF_PART = {"background": "background", "skin": "skin", "beard": "skin"}


def label_picture(
    parts: PictureParts, mesh: Mesh, seen: Fragments, points_px: Float[Tensor, "68 2"]
) -> Int[Tensor, "h w"]:
    """Part of every pixel of a picture: `label_artwork` on face and hair, the names of ``parts`` elsewhere.

    ``mesh``, ``seen``: the head as the picture shows it, rasterized. ``points_px``: its landmarks. Bare skin that is
    not the head's counts as skin.
    """
    names = [_LABEL_OF_PART.get(name, name) for name in PART_NAMES]
    of_part = move(torch.tensor([PICTURE_LABELS.index(name) for name in names]), mesh.faces.device)
    of_face = label_artwork(parts, mesh, seen, points_px)
    return torch.where(of_face >= 0, of_face, of_part[parts.labels()])


def replace_missing(labels: Int[Tensor, "h w"], source: StyleSource) -> Int[Tensor, "h w"]:
    """The labels of a picture with `ANYTHING` for parts that the artwork does not show. Features of the face stay:
    nothing else is painted like them."""
    areas = torch.bincount(source.labels.flatten(), minlength=len(PICTURE_LABELS))
    missing = areas < LEAST_SHARE * source.labels.numel()
    kept = torch.ones_like(missing)
    kept[list(BROAD)] = False
    return torch.where(missing[labels] & ~kept[labels], ANYTHING, labels)


def picture_roles() -> LabelRoles:
    """As in a face, and each other part like itself."""
    face, count = face_roles(), len(PICTURE_LABELS)
    penalties = torch.ones(count, count).fill_diagonal_(0)
    penalties[: len(LABELS), : len(LABELS)] = label_penalties()
    penalties[ANYTHING, list(BROAD)] = 0
    return LabelRoles(
        penalties=penalties,
        moments=face.moments,
        content=face.content,
        patches=(*face.patches, *_AROUND_IDS, ANYTHING),
        detailed=face.detailed,
        secondary=(*face.secondary, *_AROUND_IDS, ANYTHING),
    )


def borrow_patches(patches: PatchSource, roles: LabelRoles) -> PatchSource:
    """With those of other parts for a part that is painted like them at no cost: of all broad ones for what the artwork
    does not show."""
    free = [torch.nonzero(costs == 0)[:, 0].tolist() for costs in roles.penalties]
    return replace(patches, pixels=[torch.cat([patches.pixels[label] for label in own]) for own in free])
