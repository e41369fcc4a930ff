"""What of a character the new head replaces: skin down to a level of the neck, and what lies inside or close on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import Delaunay, KDTree

from portraitist.characters.cutting import avoid_level, cut_mesh, find_pieces, list_loops
from portraitist.characters.figure import Figure
from portraitist.characters.joining import measure_loop, pick_loop
from portraitist.characters.placing import JAW, Hits
from portraitist.errors import InputError
from portraitist.rendering.ray_casting import is_occluded

SKIN_POINTS = [*range(27 - JAW, 36 - JAW), *range(48 - JAW, 68 - JAW)]
"""Rows of the hits that lie on nose and mouth: on skin, whatever eyes, brows and glasses are made of."""

SHARE_OF_SKIN = 0.2  # of those points that a piece of surface must show to be the face's skin
INSIDE = 0.5  # share of a piece's vertices: eyeballs come out between the lids, and teeth between the lips
ON_FACE = 0.9  # share of a piece's vertices that lie before or behind the face: a fringe reaches beyond it
NEAR_FACE = 0.2  # outer eye distances that brows, lashes and moustaches stand off the skin
EAR = 0.5  # of an ear's height: smaller things on it are its rings
BROW_ROOM = 0.2  # of the face's height: how far above the points of the brows their hairs grow
MOSTLY = 0.5  # share of what is seen of hair that the picture has to show as hair
LEVELS = 24  # of the neck that are measured


@dataclass(frozen=True)
class Skin:
    """``places``: number of each vertex's place, the same for all of a node's that coincide. ``merged``: triangles of
    places. ``vertices``: which belong to the skin that the face is part of; ``faces``: the same of triangles. ``hit``:
    triangles of it that nose and mouth lie on."""

    places: Int[np.ndarray, "n"]
    merged: Int[np.ndarray, "f 3"]
    vertices: Bool[np.ndarray, "n"]
    faces: Bool[np.ndarray, "f"]
    hit: Int[np.ndarray, "_h"]


def find_skin(figure: Figure, hits: Hits) -> Skin:
    """The pieces of surface that nose and mouth lie on, all that is joined to them included."""
    nodes = np.array([piece.node for piece in figure.pieces])[figure.piece_of_vertex]
    keys = np.stack([figure.places, nodes], 1)
    places = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    merged = places[figure.faces]
    count = int(places.max()) + 1
    pieces = find_pieces(merged, count, np.ones(count, bool))
    shown = hits.face_ids[SKIN_POINTS]
    shown = shown[shown >= 0]
    numbers, times = np.unique(pieces[merged[shown, 0]], return_counts=True)
    chosen = numbers[times >= SHARE_OF_SKIN * len(SKIN_POINTS)]
    if not len(chosen):
        raise InputError(f"The face of {figure.path} hangs together nowhere. Join its surface (merge by distance).")
    on_skin = np.isin(pieces, chosen)
    faces = on_skin[merged[:, 0]]
    return Skin(places, merged, on_skin[places], faces, np.unique(shown[faces[shown]]))


def choose_level(
    skin: Skin,
    shapes: Float[np.ndarray, "n 3"],
    axis: Float[np.ndarray, "2"],
    low: float,
    high: float,
    *,
    keep_neck: bool,
) -> float:
    """Height in head space at which the skin is cut. ``shapes``: the figure's vertices in head space. ``axis``: x and z
    of the new neck. ``low``, ``high``: between which it can take over.

    The neck is kept up to where it is thinnest, or replaced down to the lowest level.
    """
    levels = np.linspace(low, high, LEVELS)
    lengths = [_measure_level(skin, shapes, axis, level) for level in levels]
    closed = [index for index, length in enumerate(lengths) if length > 0]
    if not closed:
        return float(low)
    best = min(closed, key=lambda index: lengths[index]) if keep_neck else closed[0]
    return float(levels[best])


def _measure_level(skin: Skin, shapes: Float[np.ndarray, "n 3"], axis: np.ndarray, level: float) -> float:
    """Length of the line along which a level cuts the neck; 0 where it is not closed."""
    count = int(skin.places.max()) + 1
    gone, heights, places = np.zeros(count, bool), np.zeros(count), np.zeros((count, 3))
    gone[skin.places] = find_gone(skin, shapes[:, 1] - level)
    heights[skin.places], places[skin.places] = avoid_level(shapes[:, 1] - level), shapes
    cut = cut_mesh(skin.merged[skin.faces], heights, gone)
    points = cut.matrix() @ places
    loops = [points[loop] for loop in list_loops(cut.rim)]
    picked = pick_loop(loops, axis)
    return 0.0 if picked is None else measure_loop(loops[picked])


def find_gone(skin: Skin, heights: Float[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Vertices of the skin above a level that are joined to the face there: raised arms are not."""
    count = int(skin.places.max()) + 1
    above = np.zeros(count, bool)
    above[skin.places] = heights > 0
    on_skin = np.zeros(count, bool)
    on_skin[skin.places] = skin.vertices
    pieces = find_pieces(skin.merged[skin.faces], count, above & on_skin)
    face = pieces[skin.merged[skin.hit]]
    return np.isin(pieces, face[face >= 0])[skin.places] & (pieces >= 0)[skin.places]


def list_units(figure: Figure, skin: Skin) -> Int[np.ndarray, "n"]:
    """Number of what goes or stays as a whole, for each vertex: a primitive or, of those that hold skin, each connected
    piece; -1 on the skin, and of vertices that no triangle has, as where primitives share their numbers."""
    count = int(skin.places.max()) + 1
    pieces = find_pieces(skin.merged, count, np.ones(count, bool))[skin.places]
    shared = np.unique(figure.piece_of_vertex[skin.vertices])
    units = np.where(np.isin(figure.piece_of_vertex, shared), len(figure.pieces) + pieces, figure.piece_of_vertex)
    used = np.zeros(len(units), bool)
    used[figure.faces] = True
    return np.where(skin.vertices | ~used, -1, units)


def find_features(
    figure: Figure,
    skin: Skin,
    gone: Bool[np.ndarray, "n"],
    shapes: Float[np.ndarray, "n 3"],
    landmarks: Float[np.ndarray, "68 2"],
    level: float,
    new_head: Float[np.ndarray, "f 3 3"],
    new_ears: Float[np.ndarray, "e 3"],
) -> Bool[np.ndarray, "n"]:
    """Vertices of eyes, teeth, brows, lashes...: units that lie inside the head that goes, close before its face, or
    behind the new one: a mask that ends above the chin does not hide its own teeth. Also of ears of their own.

    ``landmarks``: of the face in head space, seen from the front. ``level``: of the cut. ``new_head``: its triangles;
    ``new_ears``: vertices of its ears.
    """
    units = list_units(figure, skin)
    head = figure.faces[skin.faces & gone[figure.faces].all(1)]
    eyes = float(np.linalg.norm(landmarks[36] - landmarks[45]))
    numbers, unit_of = np.unique(units, return_inverse=True)
    lowest, highest = np.full(len(numbers), np.inf), np.full(len(numbers), -np.inf)
    np.minimum.at(lowest, unit_of, shapes[:, 1])
    np.maximum.at(highest, unit_of, shapes[:, 1])
    asked = np.flatnonzero((units >= 0) & (lowest[unit_of] >= level - eyes))  # others reach down to the chest
    points, own = shapes[asked], unit_of[asked]
    arms = points - new_head.mean((0, 1))
    covered = is_occluded(shapes[head], points, arms)
    hidden = covered | is_occluded(new_head, points, arms)
    before = _outline_face(landmarks).find_simplex(points[:, :2]) >= 0
    near = np.asarray(KDTree(shapes[gone]).query(points)[0]) < NEAR_FACE * eyes
    counts = np.maximum(np.bincount(own, minlength=len(numbers)), 1)
    at_ears = np.asarray(KDTree(new_ears).query(points)[0]) < NEAR_FACE * eyes
    inside, on_face, on_ears = (
        np.bincount(own, mask, len(numbers)) / counts for mask in (covered, before & (near | hidden), at_ears)
    )
    is_ear = (on_ears > ON_FACE) & (highest - lowest > EAR * np.ptp(new_ears[:, 1]))
    chosen = np.zeros(len(gone), bool)
    chosen[asked] = ((inside > INSIDE) | (on_face > ON_FACE) | is_ear)[own]
    return chosen


def find_hair(
    figure: Figure,
    skin: Skin,
    shapes: Float[np.ndarray, "n 3"],
    level: float,
    face_ids: Int[np.ndarray, "h w"],
    is_hair: Bool[np.ndarray, "h w"],
) -> Bool[np.ndarray, "n"]:
    """Vertices of hair and headwear: units most of which shows as that in a picture from the front, and those that it
    does not show, on the back of the head. ``face_ids``: what is seen there; ``is_hair``: what it is taken for."""
    units = list_units(figure, skin)
    unit_of_face = units[figure.faces[:, 0]]
    seen = np.where(face_ids >= 0, unit_of_face[face_ids], -1)
    chosen = np.zeros(len(units), bool)
    for unit in np.unique(units[units >= 0]):
        own, shown = units == unit, seen == unit
        on_head = np.median(shapes[own, 1]) > level
        chosen[own] = is_hair[shown].mean() > MOSTLY if shown.any() else on_head
    return chosen


def _outline_face(landmarks: Float[np.ndarray, "68 2"]) -> Delaunay:
    height = float(np.ptp(landmarks[:, 1]))
    above = landmarks[17:27] + np.array([0.0, BROW_ROOM * height])
    return Delaunay(np.concatenate([landmarks, above]))
