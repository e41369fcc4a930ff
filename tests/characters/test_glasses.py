"""Frames of glasses are not taken from a photo, and all else is."""

from __future__ import annotations

import dataclasses

import torch

from portraitist.characters.glasses import find_bare
from portraitist.segmentation.picture import BARE_PARTS, PART_NAMES, PictureParts

EYES = slice(36, 48)  # of the 68 points


def test_only_the_frame_goes(sitter):
    """The embedded photo with a dark bar drawn across nose and cheeks, and glasses said to be around it."""
    photo, points = sitter.photo.clone(), sitter.photo_landmarks.points
    left, right = points[EYES, 0].amin().int().item(), points[EYES, 0].amax().int().item()
    top, bottom = points[EYES, 1].amin().int().item(), points[30, 1].int().item()
    row = round(0.4 * points[28, 1].item() + 0.6 * points[30, 1].item())
    shares = torch.zeros(len(PART_NAMES), *photo.shape[1:])
    shares[PART_NAMES.index("skin")] = 1
    around = slice(top, bottom), slice(left, right)
    shares[PART_NAMES.index("skin")][around] = 0
    shares[PART_NAMES.index("glasses")][around] = 1
    parts = PictureParts(shares)
    plain = find_bare(photo, parts, sitter.photo_fit)
    photo[:, row - 2 : row + 3, left:right] = 0.05
    bare = find_bare(photo, parts, sitter.photo_fit)
    lens = parts.share("glasses") > 0
    bar = torch.zeros_like(lens)
    bar[row - 2 : row + 3, left:right] = True
    assert (bare[bar] < 0.5).float().mean() > 0.95
    assert torch.equal(bare[~lens], parts.share(*BARE_PARTS)[~lens])
    assert (bare[lens & ~bar] > 0.5).float().mean() > 0.7
    assert ((bare > 0.5) == (plain > 0.5))[lens & ~bar].float().mean() > 0.9
    nothing = dataclasses.replace(parts, shares=torch.zeros_like(shares).index_fill(0, torch.tensor([1]), 1.0))
    assert torch.equal(find_bare(photo, nothing, sitter.photo_fit), torch.ones_like(bare))
