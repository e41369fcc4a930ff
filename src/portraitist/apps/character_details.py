"""What makes cloth a garment: bands along its hems, seams, and the laces and soles of shoes, as changes of tone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from portraitist.apps.character_surface import Surface
from portraitist.body.body_model import PIECES, BodyModel
from portraitist.body.skeleton import JOINTS
from portraitist.rendering.shader_math import smoothstep

SEAM, SEAM_WIDTH = 0.4, 0.0022  # how dark it is, as a change of tone, and half of its width in meters
BANDS = {"top": {1: 0.018, 24: 0.035, 32: 0.034}, "trousers": {54: 0.026}}
"""Meters of the band at the hem in each row of the body."""

RIB, RIB_WIDTH = 0.06, 0.009  # tone and meters of the ribs of a knitted band
KNITTED = (1, 24, 32)  # rows of hems with ribs
SOLE_AT, SOLE_TONE = 0.865, 0.34  # from 0 at a shoe's upper end to 1 on the ground; how much lighter the sole is
LACES, LACE_TONE = (0.5, 0.62, 0.74, 0.86), 0.3  # shares of the way from ankle to ball
LACE_SIDE, LACE_WIDTH = 0.016, 0.0035  # meters: half of their length, and of their width
TOE_CAP = 1.02  # the same: where the seam across the toes is
HEM_STEP = 0.002  # meters between points along a hem


@dataclass(frozen=True, eq=False)
class Details:
    """Of clothes in the rest pose. ``points``: along all hems, ``rows``: which hem each is of, ``along``: meters along
    it. ``joints``: of the body. ``scale``: how many times as large as a person it is."""

    points: Float[np.ndarray, "p 3"]
    rows: Float[np.ndarray, "p"]
    along: Float[np.ndarray, "p"]
    joints: Float[np.ndarray, "j 3"]
    scale: float

    @classmethod
    def find(
        cls, clothes: Float[np.ndarray, "e 3"], joints: Float[np.ndarray, "j 3"], scale: float, model: BodyModel
    ) -> Details:
        """``clothes``: vertices of the garments of `BodyModel`."""
        rims = model.clothes_ease < 0
        faces = model.clothes_faces[rims[model.clothes_faces].any(1)]
        edges = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
        edges = np.unique(np.sort(edges[~rims[edges].any(1)], axis=1), axis=0)
        lengths = np.linalg.norm(clothes[edges[:, 1]] - clothes[edges[:, 0]], axis=1)
        counts = np.ceil(lengths / (HEM_STEP * scale)).astype(int).clip(1)
        share = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])[:, None]
        own = np.repeat(edges, counts, axis=0)
        points = clothes[own[:, 0]] * (1 - share) + clothes[own[:, 1]] * share
        rows = model.rows[model.clothes_sources[own[:, 0]]].astype(float)
        off = points - np.repeat(_middles(clothes, edges, model), counts, axis=0)
        radius = np.linalg.norm(off, axis=1).mean()
        return cls(points, rows, np.arctan2(off[:, 0], off[:, 2]) * radius, joints, scale)

    def shade(self, surface: Surface, model: BodyModel) -> Float[np.ndarray, "k"]:
        """Changes of the tone of every texel."""
        pieces = model.clothes_pieces[surface.face_ids]
        tones = np.zeros(len(pieces))
        for piece, bands in BANDS.items():
            own = pieces == PIECES.index(piece)
            tones[own] += self._find_bands(surface.places[own], bands)
        own = pieces == PIECES.index("trousers")
        tones[own] += self._find_leg_seams(surface.places[own])
        level = np.zeros(len(model.clothes_sources))
        heights = model.shoes[..., 1]
        level[-heights.size :] = ((heights.max() - heights) / np.ptp(heights)).reshape(-1)
        level = surface.pick(level)
        for side in ("left", "right"):
            own = pieces == PIECES.index(f"{side} shoe")
            tones[own] += self._find_shoe(surface.places[own], level[own], side)
        return tones

    def _line(self, distance: np.ndarray, width: float = SEAM_WIDTH) -> np.ndarray:
        """A dark line where the distance (meters of a person) is 0."""
        return -SEAM * np.exp(-((distance / width) ** 2))

    def _find_bands(self, places: np.ndarray, bands: dict[int, float]) -> np.ndarray:
        tones = np.zeros(len(places))
        for row, width in bands.items():
            hem = self.rows == row
            far, nearest = KDTree(self.points[hem]).query(places, distance_upper_bound=2 * width * self.scale)
            (own,) = np.nonzero(np.isfinite(far))
            far, nearest = far[own] / self.scale, np.flatnonzero(hem)[np.asarray(nearest)[own]]
            tones[own] += self._line(far - width)
            if row in KNITTED:
                inside = smoothstep(far, width, width - 2 * SEAM_WIDTH)
                tones[own] += RIB * inside * np.sin(2 * np.pi * self.along[nearest] / self.scale / RIB_WIDTH)
        return tones

    def _find_leg_seams(self, places: np.ndarray) -> np.ndarray:
        """Down the outer side of each leg, and the fly."""
        tones = np.zeros(len(places))
        for side, sign in (("left", 1), ("right", -1)):
            hip, foot = (self.joints[JOINTS[side + name]] for name in ("UpperLeg", "Foot"))
            share = ((places - hip) @ (foot - hip)) / ((foot - hip) @ (foot - hip))
            middle = hip + share[:, None] * (foot - hip)
            outside = (sign * (places - middle)[:, 0] > 0) & (sign * places[:, 0] > 0)
            tones += outside * self._line((places - middle)[:, 2] / self.scale)
        hips, crotch = self.joints[JOINTS["hips"]], self.joints[JOINTS["leftUpperLeg"]] * [0, 1, 1]
        front = (places[:, 2] > hips[2]) & (places[:, 1] > crotch[1] - 0.05 * self.scale)
        return tones + front * self._line(places[:, 0] / self.scale)

    def _find_shoe(self, places: np.ndarray, level: np.ndarray, side: str) -> np.ndarray:
        foot, ball = (self.joints[JOINTS[side + name]] for name in ("Foot", "Toes"))
        forward = (ball - foot) * [1, 0, 1]
        length = np.linalg.norm(forward)
        share = (places - foot) @ forward / length**2
        across = (places - foot) @ np.cross([0, 1, 0], forward / length) / self.scale
        tones = SOLE_TONE * smoothstep(level, SOLE_AT, SOLE_AT + 0.01) + self._line((level - SOLE_AT) * 0.2)
        upper = level < SOLE_AT - 0.03
        for lace in LACES:
            near = np.abs(share - lace) * length / self.scale
            bar = (1 - smoothstep(near, 0.7 * LACE_WIDTH, LACE_WIDTH)) * (np.abs(across) < LACE_SIDE) * upper
            tones += LACE_TONE * bar
        return tones + upper * self._line((share - TOE_CAP) * length / self.scale)


def _middles(clothes: np.ndarray, edges: np.ndarray, model: BodyModel) -> Float[np.ndarray, "q 3"]:
    """For each edge of a hem the middle of that hem: of its row, and of its side of the body."""
    rows = model.rows[model.clothes_sources[edges[:, 0]]]
    sides = np.where(np.isin(rows, (32, 54)), np.sign(clothes[edges[:, 0], 0]), 0)
    middles = np.zeros((len(edges), 3))
    for row, side in {*zip(rows.tolist(), sides.tolist(), strict=True)}:
        own = (rows == row) & (sides == side)
        middles[own] = clothes[edges[own]].reshape(-1, 3).mean(0)
    return middles
