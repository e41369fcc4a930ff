"""Chart of all that can lie over a head: rays that leave it, over a cap from the crown to the ears and straight down
below. A radius for each of them is a surface, which needs no other topology than the chart's own."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from portraitist.devices import to_numpy
from portraitist.mesh.grids import grid_faces
from portraitist.mesh.laplacian import cotangent_laplacian, vertex_normals
from portraitist.reconstruction.head_model import HeadModel
from portraitist.rendering.ray_casting import cast_rays
from portraitist.rendering.shader_math import mix, smoothstep
from portraitist.types import REGIONS

COLUMNS = 96
CAP_ROWS = 28
HANGING_ROWS = 44
FARTHEST = 0.5  # meters from the axis, from where rays look at the head
THICK = 0.012  # meters: of hair that hangs free
LYING = (0.006, 0.012)  # meters over the skin: hair lies on it, hangs free
DECIMETER = 0.1  # meters: lengths of order one keep the systems well conditioned
# Where hair grows on the mean head seen from the side, (z, y) in meters: from the brow's hairline over temple and
# sideburn, around the ear and down behind it to the nape. The region "scalp" ends above and behind the ears.
HAIRLINE = np.array([
    (0.000, 0.080), (-0.022, 0.045), (-0.034, 0.012), (-0.042, -0.022), (-0.062, -0.022), (-0.085, 0.000),
    (-0.108, -0.045), (-0.150, -0.083), (-0.200, -0.083), (-0.200, 0.130),
], np.float32)  # fmt: skip
NEAREST = 0.02  # meters from the axis: a ray that meets nothing before has gone through a hole


@dataclass(frozen=True, eq=False)
class HairChart:
    """Rays in rows from the crown downwards and in columns once around, from the middle of the back by the sitter's
    right ear to the face and on.

    ``origins``, ``directions``: of each ray, meters and unit vectors in head space. ``azimuths``: of the columns,
    radians; 0 is the front, positive towards the sitter's left. ``skull``: where each ray leaves the head, its ears not
    counted. ``head``: the same with them. ``scalp``: whether it does so on the scalp. ``growing``: whether it does so
    where hair grows: on the scalp, temples, sideburns and behind the ears. ``clear``: no less than ``skull``, and at
    these lengths what falls over the neck is nowhere inside of it or of what is above.
    """

    origins: Float[np.ndarray, "r c 3"]
    directions: Float[np.ndarray, "r c 3"]
    azimuths: Float[np.ndarray, "c"]
    skull: Float[np.ndarray, "r c"]
    head: Float[np.ndarray, "r c"]
    scalp: Bool[np.ndarray, "r c"]
    growing: Bool[np.ndarray, "r c"]
    clear: Float[np.ndarray, "r c"]

    @functools.cached_property
    def faces(self) -> Int[np.ndarray, "f 3"]:
        """Triangles of the rays' ends, seen from outside counter-clockwise; closed around."""
        return grid_faces(*self.skull.shape)

    def place(self, radii: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c 3"]:
        """Points at these radii (meters)."""
        return self.origins + radii[..., None] * self.directions

    def place_inner_side(self, radii: Float[np.ndarray, "r c"], above: float) -> Float[np.ndarray, "r c 3"]:
        """Inner side of a surface at these radii: straight under it on the skin, or ``above`` that (meters); of what
        hangs free, inwards along the rays."""
        normals, height = self._measure_height(radii)
        lying = self.place(radii) - np.minimum(height - above, THICK) * normals
        return mix(lying, self.place(radii - THICK), self.tell_hanging(radii)[..., None])

    def tell_hanging(self, radii: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c"]:
        """How far a surface at these radii hangs free, 0..1; 0 where it lies on the head."""
        return smoothstep(self._measure_height(radii)[1][..., 0], THICK, 2 * THICK)

    def _measure_height(
        self, radii: Float[np.ndarray, "r c"]
    ) -> tuple[Float[np.ndarray, "r c 3"], Float[np.ndarray, "r c 1"]]:
        """Normals of the skin, and heights over it, meters."""
        skin = self.place(self.skull)
        normals = vertex_normals(skin.reshape(-1, 3), self.faces).reshape(skin.shape)
        return normals, ((self.place(radii) - skin) * normals).sum(-1, keepdims=True)

    def differentiate(self, radii: Float[np.ndarray, "r c"]) -> tuple[object, Float[np.ndarray, "k"]]:
        """Laplacian and areas of the surface with these radii, in decimeters."""
        laplacian, areas = cotangent_laplacian(self.place(radii).reshape(-1, 3) / DECIMETER, self.faces)
        return laplacian, np.maximum(areas, 1e-3 * areas.mean())  # the pole's triangles are slivers


def make_chart(vertices: Float[np.ndarray, "n 3"], lowest: float, model: HeadModel) -> HairChart:
    """Of a head (meters, head space), down to the height ``lowest``."""
    scalp, ears, brows = (vertices[to_numpy(model.vertex_ids(name))] for name in ("scalp", "ears", "brows"))
    center = np.array([scalp[:, 0].mean(), ears[:, 1].max(), (scalp[:, 2].min() + brows[:, 2].max()) / 2])
    azimuths = 2 * np.pi * np.arange(COLUMNS) / COLUMNS - np.pi
    elevations = np.zeros(CAP_ROWS + HANGING_ROWS)
    elevations[:CAP_ROWS] = np.pi / 2 * (1 - np.arange(CAP_ROWS) / (CAP_ROWS - 1))
    elevations[0] = np.pi / 2 - 1e-3  # so that the pole's rays still differ
    drops = np.zeros(CAP_ROWS + HANGING_ROWS)
    drops[CAP_ROWS:] = np.linspace(0, lowest - center[1], HANGING_ROWS + 1)[1:]
    level, height = np.cos(elevations)[:, None], np.sin(elevations)[:, None]
    around = [level * np.sin(azimuths), np.broadcast_to(height, (len(drops), COLUMNS)), level * np.cos(azimuths)]
    directions = np.stack(around, -1)
    origins = np.broadcast_to(center, directions.shape) + drops[:, None, None] * np.array([0.0, 1.0, 0.0])
    skin, of_ears = (to_numpy(model.face_mask(name)) for name in ("outer_skin", "ears"))
    faces, regions = to_numpy(model.faces), to_numpy(model.template.regions)
    ids, weights, skull = _leave(origins, directions, vertices[faces[skin & ~of_ears]])
    _, _, head = _leave(origins, directions, vertices[faces[skin]])
    scalp = (ids >= 0) & (regions[skin & ~of_ears][ids] == REGIONS.index("scalp"))
    met = to_numpy(model.mean, np.float64)[faces[skin & ~of_ears]][ids]
    from_side = (weights[..., None] * met).sum(2)[..., :0:-1].reshape(-1, 2)
    behind = np.array([cv2.pointPolygonTest(HAIRLINE, point, False) > 0 for point in from_side])
    growing = scalp | (ids >= 0) & behind.reshape(ids.shape)
    skull = _fill(skull)
    clear = np.maximum(skull, _enclose(vertices[to_numpy(model.vertex_ids("neck"))], origins))
    return HairChart(origins, directions, azimuths, skull, np.fmax(head, skull), scalp, growing, clear)


def _enclose(points: Float[np.ndarray, "k 3"], origins: Float[np.ndarray, "r c 3"]) -> Float[np.ndarray, "r c"]:
    """Radii of the rows below the cap at which none of these points, nor of those above, stands out between rays."""
    heights, radii = origins[CAP_ROWS:, 0, 1], np.zeros(origins.shape[:2])
    across = points - origins[0, 0]
    row = CAP_ROWS + (points[:, 1] - heights[0]) / (heights[1] - heights[0])
    column = (np.arctan2(across[:, 0], across[:, 2]) / (2 * np.pi) + 0.5) * COLUMNS
    within = (row > CAP_ROWS) & (row < len(radii) - 1)
    for rows, columns in itertools.product((np.floor(row), np.ceil(row)), (np.floor(column), np.ceil(column))):
        at = rows[within].astype(int), columns[within].astype(int) % COLUMNS
        np.maximum.at(radii, at, np.hypot(across[within, 0], across[within, 2]))
    return np.maximum.accumulate(radii, axis=0)


def _leave(
    origins: Float[np.ndarray, "r c 3"], directions: Float[np.ndarray, "r c 3"], corners: Float[np.ndarray, "f 3 3"]
) -> tuple[Int[np.ndarray, "r c"], Float[np.ndarray, "r c 3"], Float[np.ndarray, "r c"]]:
    """Last triangle that each ray meets (-1 for none), weights of its corners there, and its distance, NaN for none."""
    starts = (origins + FARTHEST * directions).reshape(-1, 3)
    ids, weights, distances = cast_rays(corners, starts, -directions.reshape(-1, 3))
    radii = np.where(ids >= 0, FARTHEST - distances, 0.0)
    met = radii > NEAREST
    found = np.where(met, ids, -1), weights, np.where(met, radii, np.nan)
    ids, weights, radii = (each.reshape(*origins.shape[:2], *each.shape[1:]) for each in found)
    return ids, weights, radii


def _fill(radii: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c"]:
    """Holes where the ears stand, and below the neck: from beside, else from above."""
    filled, columns = radii.copy(), np.arange(radii.shape[1])
    for number, row in enumerate(filled):
        known = ~np.isnan(row)
        if known.any():
            row[~known] = np.interp(columns[~known], columns[known], row[known], period=len(columns))
        elif number:
            row[:] = filled[number - 1]
    return filled
