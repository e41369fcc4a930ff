"""A stylized head in place of a character's own: placed, fitted to the skin, joined to it, and written."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from portraitist.characters.assembling import list_remains, take_out
from portraitist.characters.coloring import color_neck
from portraitist.characters.cutting import Cut, avoid_level, cut_mesh
from portraitist.characters.figure import Figure, Piece
from portraitist.characters.fitting import Target, fit_to_skin, mark_borders
from portraitist.characters.head_part import find_seam, join_head
from portraitist.characters.new_head import Place, rig_head, rig_layer
from portraitist.characters.paint import Paints
from portraitist.characters.placing import Hits, Similarity, find_hits, place_head
from portraitist.characters.removal import Skin, choose_level, find_features, find_gone, find_hair, find_skin
from portraitist.characters.sharing import share_color, share_shape
from portraitist.characters.viewing import SUPERSAMPLE, View
from portraitist.characters.writing import add_parts
from portraitist.devices import from_numpy, to_numpy
from portraitist.export.gltf_parts import list_parts
from portraitist.export.neck_joint import find_neck_ring
from portraitist.io.gltf_document import GltfDocument
from portraitist.io.gltf_pruning import prune
from portraitist.mesh.carrying import carry_layers
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.types import Head

RING_ROOM = 0.008  # meters above the end of the new neck within which it is not cut: all around, the cut meets skin
CHIN_ROOM = 0.010  # meters below the chin
CHIN = 8  # of the 68 points


@dataclass(frozen=True)
class Wearer:
    """A character, its picture from the front and the 68 ``points`` of its face there, pixels. ``hair``: how much of
    each pixel is hair or headwear, 0..1."""

    figure: Figure
    paints: Paints
    view: View
    points: Float[np.ndarray, "68 2"]
    hair: Float[np.ndarray, "h w"]


@dataclass(frozen=True)
class Plan:
    """What goes where. ``marks``: the new head's 68 points; ``shapes``: the character's vertices; both in head space.
    ``ring``, ``axis``: end and place (x, z) of the new neck; ``level``: height of the cut; ``gone``: vertices of the
    skin above it; ``features``: those of eyes, brows..."""

    hits: Hits
    similarity: Similarity
    shapes: Float[np.ndarray, "n 3"]
    skin: Skin
    ring: Int[np.ndarray, "r"]
    axis: Float[np.ndarray, "2"]
    level: float
    heights: Float[np.ndarray, "n"]
    gone: Bool[np.ndarray, "n"]
    features: Bool[np.ndarray, "n"]


def put_on(wearer: Wearer, head: Head, *, keep_hair: bool, keep_neck: bool) -> tuple[GltfDocument, Head]:
    """The character's file with ``head`` in place of its own, and the head as it is there, in head space.

    Raises InputError where the face's surface cannot be made out.
    """
    model = load_head_model()
    plan = make_plan(wearer, head, model, keep_hair=keep_hair, keep_neck=keep_neck)
    fitted, shares = _fit(wearer, plan, head, model, keep_hair=keep_hair)
    cut_faces = np.flatnonzero(plan.skin.faces)
    cut = cut_mesh(wearer.figure.faces[cut_faces], plan.heights, plan.gone)
    document = _write(wearer, plan, fitted, shares, cut, cut_faces)
    return document, fitted


def make_plan(wearer: Wearer, head: Head, model: HeadModel, *, keep_hair: bool, keep_neck: bool) -> Plan:
    """Where the head goes, and what goes for it."""
    figure, neutral = wearer.figure, to_numpy(head.neutral, np.float64)
    corners = neutral[to_numpy(model.faces)[to_numpy(head.landmarks68.face_ids)]]
    marks = (corners * to_numpy(head.landmarks68.barycentrics, np.float64)[..., None]).sum(1)
    hits = find_hits(wearer.view, wearer.points)
    similarity = place_head(marks, hits, wearer.view)
    shapes = similarity.undo(figure.vertices)
    skin, ring = find_skin(figure, hits), find_neck_ring(head.mesh)
    axis = neutral[ring].mean(0)[[0, 2]]
    low, high = neutral[ring, 1].max() + RING_ROOM, marks[CHIN, 1] - CHIN_ROOM
    level = choose_level(skin, shapes, axis, low, max(high, low), keep_neck=keep_neck)
    heights = np.zeros(int(skin.places.max()) + 1)
    heights[skin.places] = avoid_level(shapes[:, 1] - level)
    even = heights[skin.places]  # the same on both sides of a seam, so that they are cut at the same points
    gone = find_gone(skin, even)
    new = neutral[to_numpy(model.faces)], neutral[to_numpy(model.vertex_ids("ears"))]
    features = find_features(figure, skin, gone, shapes, marks[:, :2], level, *new)
    if not keep_hair:
        is_hair = np.kron(wearer.hair, np.ones((SUPERSAMPLE, SUPERSAMPLE))) > 0.5
        features |= find_hair(figure, skin, shapes, level, wearer.view.face_ids, is_hair)
    return Plan(hits, similarity, shapes, skin, ring, axis, level, even, gone, features)


def _fit(
    wearer: Wearer, plan: Plan, head: Head, model: HeadModel, *, keep_hair: bool
) -> tuple[Head, Float[np.ndarray, "n"]]:
    """The head on the character's skin, in its colors, and how much of each vertex is the character's."""
    neutral = to_numpy(head.neutral, np.float64)
    shares = share_shape(model, neutral, plan.level, keep_hair=keep_hair)
    merged = plan.skin.merged[plan.skin.faces]
    places = np.zeros((int(plan.skin.places.max()) + 1, 3))
    places[plan.skin.places] = plan.shapes
    target = Target(places, merged, mark_borders(merged, len(places)))
    removed = plan.skin.vertices | plan.features
    cover = plan.shapes[wearer.figure.faces[~removed[wearer.figure.faces].any(1)]]
    cover = cover[cover[..., 1].min(1) > plan.level]
    moves = fit_to_skin(model, neutral, shares, target, cover) - neutral
    shape, faces = neutral + moves, plan.skin.faces
    colors = share_color(model, shape, keep_hair=keep_hair)
    texture = color_neck(
        head.texture, model, shape, colors, wearer.figure, wearer.paints, target, faces, plan.similarity.scale
    )
    moved = from_numpy(moves.astype(np.float32), head.neutral)
    mesh = head.mesh.with_vertices(head.mesh.vertices + moved)
    layers = () if keep_hair else carry_layers(head.layers, head.mesh, mesh.vertices)
    return replace(head, mesh=mesh, neutral=head.neutral + moved, texture=texture, layers=layers), shares


def _write(
    wearer: Wearer, plan: Plan, head: Head, shares: Float[np.ndarray, "n"], cut: Cut, cut_faces: Int[np.ndarray, "c"]
) -> GltfDocument:
    figure, skin = wearer.figure, plan.skin
    new_places = np.unique(skin.places[cut.pairs], axis=0, return_inverse=True)[1].reshape(-1)
    seam = find_seam(cut, (cut.matrix() @ plan.shapes)[len(plan.shapes) :], new_places, plan.axis)
    mesh, shape = head.mesh, to_numpy(head.neutral, np.float64)
    topology = to_numpy(mesh.faces), to_numpy(mesh.uvs, np.float64), to_numpy(mesh.uv_faces)
    part = join_head(shape, *topology, plan.ring, plan.level, seam)
    removed = skin.faces | plan.features[figure.faces].any(1)
    piece = _find_face_piece(figure, plan)
    place = Place(figure, piece, plan.similarity, plan.shapes, removed, cut, seam)
    new_head = rig_head(part, to_numpy(head.expression_deltas, np.float64), shares, place)
    document = figure.document.copy()
    emptied = take_out(document, figure, list_remains(figure, cut, cut_faces, plan.features))
    layers = [(rig_layer(layer, new_head, place), layer.texture) for layer in list_parts(head)[1:]]
    add_parts(document, figure, piece, [(new_head, head.texture), *layers], emptied)
    prune(document)
    return document


def _find_face_piece(figure: Figure, plan: Plan) -> Piece:
    """The primitive that shows most of the face's skin."""
    shown = plan.hits.face_ids[plan.hits.face_ids >= 0]
    return figure.pieces[int(np.bincount(figure.piece_of_face[shown[plan.skin.faces[shown]]]).argmax())]
