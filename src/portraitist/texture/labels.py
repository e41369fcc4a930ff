"""What the losses make of labels: which parts of an object are painted like which, and what of them is held.

Without labels the nearest hypercolumn decides, and the artwork's lips end up on cheeks (the paper's Fig. 14).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.devices import from_numpy
from portraitist.errors import InputError
from portraitist.rendering.uv_layout import find_nearest_texels
from portraitist.segmentation.parts import (
    BROWS,
    EYELIDS,
    EYES,
    FEATURES,
    HAIR,
    LIPS,
    MOUTH,
    NOSE,
    SKIN,
    UNLABELED,
    is_one_of,
    label_penalties,
)
from portraitist.segmentation.texels import label_texels, mark_face_texels
from portraitist.types import Fragments, Mesh

# In the order of LABELS: the field of LabelStrengths.
STRENGTH_OF_LABEL = ("skin", "skin", "eyes", "lips", "brows", "eyes", "mouth", "hair")


@dataclass(frozen=True)
class LabelStrengths:
    """What ``TextureConfig.strength`` is multiplied by in each part of the head, 0..1. Ears and neck are skin."""

    skin: float = 1.0
    eyes: float = 1.0
    brows: float = 1.0
    lips: float = 1.0
    mouth: float = 1.0
    hair: float = 1.0


@dataclass(frozen=True)
class LabelRoles:
    """The part that each label plays in the objective; labels are 0 to p - 1.

    ``penalties`` [p, p]: what painting one label (row) as another one (column) is painted in the artwork costs, in
    cosine distances. ``moments``: labels whose means and covariances are compared. ``content``: labels whose features
    are held to the content's, point by point. ``patches``: labels painted with the artwork's patches. ``lit``: labels
    whose broad light and shade stays the content's. ``detailed``: small labels that get more points than their area
    gives. ``secondary``: labels of which one picture shows more than another (hair); sizes are measured without them.
    """

    penalties: Float[Tensor, "p p"]
    moments: tuple[int, ...]
    content: tuple[int, ...]
    patches: tuple[int, ...]
    lit: tuple[int, ...] = ()
    detailed: tuple[int, ...] = ()
    secondary: tuple[int, ...] = ()

    @classmethod
    def uniform(cls, count: int) -> LabelRoles:
        """``count`` labels that play the same part: each is painted as it is in the artwork."""
        everything = tuple(range(count))
        return cls(1 - torch.eye(count), moments=everything, content=(), patches=everything)

    @property
    def count(self) -> int:
        return len(self.penalties)


@functools.cache
def face_roles() -> LabelRoles:
    """The parts of a face, as `segmentation.parts` names them: a person is known by the features, which are held."""
    return LabelRoles(
        penalties=label_penalties(),
        moments=(SKIN,),
        content=(NOSE, EYELIDS, LIPS, BROWS, EYES, MOUTH),
        # Looks and smiles are drawn in a few pixels, which the distribution of patches does not put in their places.
        patches=(SKIN, NOSE, EYELIDS, HAIR),
        lit=(EYES, MOUTH),
        detailed=FEATURES,
        secondary=(HAIR,),
    )


@dataclass(frozen=True)
class TexelLabels:
    """Labels of a texture's texels. ``map``: label of each, `UNLABELED` between the UV islands and on what is not to
    be compared. ``shown``: where the object is like what an artwork shows; on a head ears and neck are labeled as skin
    but are no part of that. ``extended``, ``extended_shown``: the same, continued beyond the islands."""

    map: Int[Tensor, "t t"]
    shown: Bool[Tensor, "t t"]
    roles: LabelRoles
    extended: Int[Tensor, "t t"]
    extended_shown: Bool[Tensor, "t t"]

    @classmethod
    def make(
        cls,
        mesh: Mesh,
        labels: Int[Tensor, "t t"],
        roles: LabelRoles | None = None,
        shown: Bool[Tensor, "t t"] | None = None,
    ) -> TexelLabels:
        """Labels 0 to p - 1 of any mesh's texture. Without ``roles`` all labels play the same part, and without
        ``shown`` an artwork shows them all. Raises InputError when no texel has a label."""
        if not (labels >= 0).any():
            raise InputError("No texel has a label, so there is nothing to paint. Give labels from 0 upwards.")
        roles = roles or LabelRoles.uniform(int(labels.max()) + 1)
        shown = labels >= 0 if shown is None else shown
        rows, columns = from_numpy(find_nearest_texels(mesh, labels.shape[-1]), labels)
        return cls(labels, shown, roles, labels[rows, columns], shown[rows, columns])

    def is_one_of(self, members: tuple[int, ...]) -> Bool[Tensor, "t t"]:
        return is_one_of(self.map, members)

    def look_up(self, fragments: Fragments) -> tuple[Int[Tensor, "h w"], Bool[Tensor, "h w"]]:
        """Label of what each pixel shows, and whether artworks show such a place."""
        side = self.map.shape[-1]
        columns, rows = (fragments.uv * side).long().clamp(0, side - 1).unbind(-1)
        labels = torch.where(fragments.mask, self.extended[rows, columns], UNLABELED)
        return labels, self.extended_shown[rows, columns] & (labels >= 0)


def label_head(mesh: Mesh, size: int) -> TexelLabels:
    """Labels of the texture of a head, or of a layer over it: `segmentation.texels.label_texels` with the roles of a
    face. ``size``: the texture's side."""
    labels = label_texels(mesh, size)
    shown = mark_face_texels(mesh, size) | (labels == HAIR)
    return TexelLabels.make(mesh, labels, face_roles(), shown)
