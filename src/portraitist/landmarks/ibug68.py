"""The 68 iBUG points, and where they lie among the 478 dense ones."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

# One entry per iBUG point: the dense point at its place, or the two neighbors between which it lies.
IBUG_FROM_DENSE: tuple[tuple[int, ...], ...] = (
    *[(127,), (234, 93), (93, 132), (132, 58), (172,), (136, 150), (149,), (176, 148), (152,)],  # jaw, sitter's right
    *[(377, 400), (378,), (379, 365), (397,), (288, 361), (361, 323), (323, 454), (356,)],  # jaw, sitter's left
    *[(70,), (63, 105), (105, 66), (66, 107), (107,)],  # right brow, from its outer end
    *[(336,), (336, 296), (296, 334), (334, 293), (300,)],  # left brow, from its inner end
    *[(168,), (6, 197), (195, 5), (4,), (240,), (99,), (2,), (328,), (460,)],  # nose: bridge, then under the nostrils
    *[(33,), (160,), (158,), (133, 173), (153,), (144,)],  # right eye
    *[(362, 398), (385,), (387,), (263,), (373,), (380,)],  # left eye
    *[
        (61,),
        (39, 40),
        (37,),
        (0,),
        (267,),
        (269, 270),
        (291,),
        (405, 321),
        (314,),
        (17,),
        (84,),
        (181, 91),
    ],  # outer lip
    *[(78,), (81, 82), (13,), (311, 312), (308,), (402, 317), (14,), (178, 87)],  # inner lip
)

OUTER_EYE_CORNERS = (36, 45)
# iBUG point that mirrors each point.
MIRROR_IDS = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
)  # fmt: skip


def dense_to_ibug68(dense: Float[Tensor, "478 d"]) -> Float[Tensor, "68 d"]:
    """The 68 iBUG points from the 478 dense ones, in 2D or 3D."""
    first = [indices[0] for indices in IBUG_FROM_DENSE]
    last = [indices[-1] for indices in IBUG_FROM_DENSE]
    return (dense[first] + dense[last]) / 2


def outer_eye_distance(shape: Float[Tensor, "68 2"]) -> Float[Tensor, ""]:
    right, left = OUTER_EYE_CORNERS
    return (shape[right] - shape[left]).norm()
