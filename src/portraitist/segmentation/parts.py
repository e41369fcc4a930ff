"""Labels: the parts of a face that are told apart on the head and in the artwork, so that eyes are painted like eyes.

Without it the nearest hypercolumn decides, and the artwork's lips end up on cheeks (the paper's Fig. 14).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from portraitist.types import REGIONS, Mesh

FACE_REGIONS = ("skin", "lips", "eyelids", "brows", "nose", "eyeballs", "mouth_inside", "teeth", "tongue")

LABELS = ("skin", "nose", "eyelids", "lips", "brows", "eyes", "mouth", "hair")
"""Names of the labels. Ears, neck and scalp count as skin (the head is bare), teeth and tongue as mouth."""

SKIN, NOSE, EYELIDS, LIPS, BROWS, EYES, MOUTH, HAIR = range(len(LABELS))
FEATURES = (EYELIDS, LIPS, BROWS, EYES, MOUTH)
"""Small, but what a person is known by."""

UNLABELED = -1
BARE_SKIN_PENALTY = 0.15  # cosine distance: between skin, nose and eyelids, which are painted much alike
_BARE_SKIN = (SKIN, NOSE, EYELIDS)
_PART_OF_REGION = {
    "skin": SKIN,
    "lips": LIPS,
    "eyelids": EYELIDS,
    "brows": BROWS,
    "nose": NOSE,
    "ears": SKIN,
    "scalp": SKIN,
    "neck": SKIN,
    "eyeballs": EYES,
    "mouth_inside": MOUTH,
    "teeth": MOUTH,
    "tongue": MOUTH,
    "hair": HAIR,
    "headwear": HAIR,
    "bust": UNLABELED,
    "body": UNLABELED,
    "clothes": UNLABELED,
}


def is_one_of(labels: Tensor, members: tuple[int, ...]) -> Bool[Tensor, "..."]:
    """Where any of the parts is."""
    return torch.isin(labels, labels.new_tensor(members))


def label_faces(mesh: Mesh) -> Int[Tensor, "f"]:
    """Part of every face of the head."""
    parts = torch.tensor([_PART_OF_REGION[name] for name in REGIONS], device=mesh.regions.device)
    return parts[mesh.regions]


def label_penalties() -> Float[Tensor, "p p"]:
    """What it costs to paint a part (row) as another one (column) is painted in the artwork, in cosine distances."""
    penalties = torch.ones(len(LABELS), len(LABELS))
    penalties[torch.tensor(_BARE_SKIN)[:, None], torch.tensor(_BARE_SKIN)] = BARE_SKIN_PENALTY
    return penalties.fill_diagonal_(0)


def select_faces(mesh: Mesh, names: tuple[str, ...]) -> Bool[Tensor, "f"]:
    """Which faces of the mesh belong to the named regions."""
    return torch.tensor([name in names for name in REGIONS], device=mesh.regions.device)[mesh.regions]
