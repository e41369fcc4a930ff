"""Some of an atlas' texels and the rectangle around them: small parts are worked on without touching the whole."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from portraitist.reconstruction.head_texels import HeadTexels


@dataclass(frozen=True, eq=False)
class TexelPatch:
    """``ids``: which of the atlas' k texels. ``places``: their indices in the flattened rectangle of ``shape``.
    ``counted``: 1 on them in that rectangle. ``texture_size``: of the atlas."""

    ids: Int[np.ndarray, "n"]
    places: Int[np.ndarray, "n"]
    shape: tuple[int, int]
    counted: Float[np.ndarray, "h w"]
    texture_size: int

    @classmethod
    def cut(cls, atlas: HeadTexels, chosen: Bool[np.ndarray, "k"]) -> TexelPatch:
        """The texels where ``chosen`` is true."""
        (ids,) = np.nonzero(chosen)
        rows, columns = np.divmod(atlas.texel_ids[ids], atlas.size)
        shape = (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1)
        places = (rows - rows.min()) * shape[1] + columns - columns.min()
        counted = np.zeros(shape, np.float32)
        counted.ravel()[places] = 1
        return cls(ids, places, shape, counted, atlas.size)

    def smooth(self, values: Float[np.ndarray, "n *c"], radius: float) -> Float[np.ndarray, "n *c"]:
        """Mean over about ``radius`` texels (of a 1024 texture) each way, counting only texels of the patch: a box
        twice, so that it leaves no edges."""
        side = 2 * max(round(radius * self.texture_size / 2048), 1) + 1
        picture = np.zeros((self.counted.size, *values.shape[1:]), np.float32)
        picture[self.places] = values
        total, count = picture.reshape(*self.shape, *values.shape[1:]), self.counted
        for _ in range(2):
            total, count = (cv2.blur(x, (side, side), borderType=cv2.BORDER_CONSTANT) for x in (total, count))
        share = count.ravel()[self.places].reshape(-1, *[1] * (values.ndim - 1))
        return total.reshape(picture.shape)[self.places] / share
