"""A rectangle of the texture with some of its texels: small parts are worked on without touching the whole."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from portraitist.reconstruction.head_texels import HeadTexels


@dataclass(frozen=True, eq=False)
class TexelCrop:
    """``ids``: which of the head's k texels. ``pixel_ids``: their indices in the flattened rectangle. ``mask``: 1 on
    them in that rectangle, else 0. ``texture_size``: of the whole texture."""

    ids: Int[np.ndarray, "n"]
    pixel_ids: Int[np.ndarray, "n"]
    mask: Float[np.ndarray, "h w"]
    texture_size: int

    @classmethod
    def around(cls, texels: HeadTexels, chosen: Bool[np.ndarray, "k"]) -> TexelCrop:
        """The texels where ``chosen`` is true, in the smallest rectangle that holds them."""
        (ids,) = np.nonzero(chosen)
        rows, columns = np.divmod(texels.texel_ids[ids], texels.size)
        mask = np.zeros((int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1), np.float32)
        pixel_ids = (rows - rows.min()) * mask.shape[1] + columns - columns.min()
        mask.ravel()[pixel_ids] = 1
        return cls(ids, pixel_ids, mask, texels.size)

    def smooth(self, values: Float[np.ndarray, "n *c"], radius: float) -> Float[np.ndarray, "n *c"]:
        """Mean over about ``radius`` texels (of a 1024 texture) each way, counting only texels of the crop: a box
        twice, so that it leaves no edges."""
        side = 2 * max(round(radius * self.texture_size / 2048), 1) + 1
        picture = np.zeros((self.mask.size, *values.shape[1:]), np.float32)
        picture[self.pixel_ids] = values
        total, count = picture.reshape(*self.mask.shape, *values.shape[1:]), self.mask
        for _ in range(2):
            total, count = (cv2.blur(x, (side, side), borderType=cv2.BORDER_CONSTANT) for x in (total, count))
        share = count.ravel()[self.pixel_ids].reshape(-1, *[1] * (values.ndim - 1))
        return total.reshape(picture.shape)[self.pixel_ids] / share

    def fill(
        self, values: Float[np.ndarray, "n c"], known: Float[np.ndarray, "n"], default: Float[np.ndarray, "c"]
    ) -> Float[np.ndarray, "n c"]:
        """``values`` where they are ``known`` (0..1), elsewhere those around: pull-push over halved pictures (Gortler
        et al. 1996, "The Lumigraph"). Unlike there, weights are averaged: the less is known, the more the default
        counts, so that a few doubtful texels do not color all around them."""
        finest = np.zeros((*self.mask.shape, values.shape[1] + 1), np.float32)
        finest.reshape(-1, values.shape[1] + 1)[self.pixel_ids] = np.column_stack([values * known[:, None], known])
        levels: list[np.ndarray] = [finest]
        while min(levels[-1].shape[:2]) > 1:
            levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        filled = np.broadcast_to(default, (*levels[-1].shape[:2], values.shape[1])).astype(np.float32)
        for level in reversed(levels):
            grown = cv2.resize(filled, level.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            grown = grown.reshape(*level.shape[:2], -1)  # OpenCV drops a single channel
            own = level[..., :-1] / np.maximum(level[..., -1:], 1e-6)
            filled = grown + (own - grown) * np.minimum(level[..., -1:], 1)
        return filled.reshape(-1, values.shape[1])[self.pixel_ids]
