"""Two closed lines, one above the other, joined by a strip of triangles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int


def zip_loops(
    upper: Float[np.ndarray, "k 3"], lower: Float[np.ndarray, "m 3"]
) -> tuple[Int[np.ndarray, "f 3"], Int[np.ndarray, "f"]]:
    """Triangles between two loops that run the same way round; corners 0..k-1 are the upper ones, those behind the
    lower.

    Always the shorter of the two possible diagonals is drawn. Triangles run from the upper to the lower loop against
    their sense. Also returned: for each triangle the upper corner from which the upper loop's edge nearby starts.
    """
    start_upper, start_lower = _closest_pair(upper, lower)
    i = j = 0
    faces, edges, k, m = [], [], len(upper), len(lower)

    def up(step: int) -> int:
        return (start_upper + step) % k

    def low(step: int) -> int:
        return (start_lower + step) % m

    while i < k or j < m:
        to_upper = np.linalg.norm(upper[up(i + 1)] - lower[low(j)])
        to_lower = np.linalg.norm(upper[up(i)] - lower[low(j + 1)])
        if j == m or (i < k and to_upper <= to_lower):
            faces.append((up(i), k + low(j), up(i + 1)))
            edges.append(up(i))
            i += 1
        else:
            faces.append((up(i), k + low(j), k + low(j + 1)))
            edges.append(up(i) if i < k else up(k - 1))
            j += 1
    return np.array(faces), np.array(edges)


def _closest_pair(upper: np.ndarray, lower: np.ndarray) -> tuple[int, int]:
    distances = np.linalg.norm(upper[:, None] - lower[None], axis=2)
    first, second = np.unravel_index(distances.argmin(), distances.shape)
    return int(first), int(second)


def pick_loop(loops: Sequence[Float[np.ndarray, "_k 3"]], axis: Float[np.ndarray, "2"]) -> int | None:
    """The longest of closed lines that go around a vertical ``axis`` (x, z): not those inside a mouth or a nose. None
    where none does."""
    around = [number for number, loop in enumerate(loops) if _winds(loop[:, [0, 2]] - axis)]
    return max(around, key=lambda number: measure_loop(loops[number]), default=None)


def _winds(points: Float[np.ndarray, "k 2"]) -> bool:
    """Whether a closed line goes around the origin."""
    after = np.roll(points, -1, 0)
    turns = np.arctan2(points[:, 0] * after[:, 1] - points[:, 1] * after[:, 0], (points * after).sum(1))
    return bool(abs(turns.sum()) > np.pi)


def measure_loop(points: Float[np.ndarray, "k 3"]) -> float:
    """Its length."""
    return float(np.linalg.norm(np.roll(points, -1, 0) - points, axis=1).sum())
