"""The numbers of the new head as the character's file has them: in the space of its skin, on its joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from portraitist.characters.assembling import between, blend_rows
from portraitist.characters.cutting import Cut
from portraitist.characters.figure import Figure, Piece
from portraitist.characters.head_part import HeadPart, Seam
from portraitist.characters.placing import Similarity
from portraitist.characters.rigging import keep_strongest, match_expression, transfer_weights
from portraitist.devices import to_numpy
from portraitist.export.gltf_parts import Part
from portraitist.io.gltf_accessors import KINDS
from portraitist.mesh.closest_points import find_closest
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import EXPRESSION_NAMES

LEAST_MORPH = 1e-4  # of the head's size: what a morph target moves less is not its own


@dataclass(frozen=True)
class NewHead:
    """``name``: of its node. ``positions``, ``normals``, ``morphs`` (offsets by name): in the space of the skin.
    ``joints``, ``shares``: of the skin, None where there is none."""

    name: str
    part: HeadPart
    positions: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    morphs: dict[str, Float[np.ndarray, "n 3"]]
    joints: Int[np.ndarray, "n 4"] | None
    shares: Float[np.ndarray, "n 4"] | None


@dataclass(frozen=True)
class Place:
    """Where the new head goes. ``piece``: what held the face. ``removed``: triangles of the skin and of what goes with
    it. ``cut``, ``seam``: of the character's skin; None where it is not cut."""

    figure: Figure
    piece: Piece
    similarity: Similarity
    shapes: Float[np.ndarray, "n 3"]
    removed: Bool[np.ndarray, "f"]
    cut: Cut
    seam: Seam | None


def rig_head(
    part: HeadPart, deltas: Float[np.ndarray, "52 _n 3"], shares: Float[np.ndarray, "_n"], place: Place
) -> NewHead:
    """``deltas``: of the 52 blendshapes at the head model's vertices, head space. ``shares``: how much of each of these
    is the character's."""
    figure = place.figure
    old_faces = figure.faces[place.removed]
    own, seam_ids = part.vertices[: part.seam_start], place.seam.ids if place.seam else np.zeros(0, np.int64)
    inner = part.faces[(part.faces < part.seam_start).all(1)]
    weights = transfer_weights(own, inner, place.shapes, old_faces, figure.weights)
    weights = sp.csr_matrix(sp.vstack([weights, between(figure.weights, place.cut, seam_ids)]))
    rigged = _Rig.build(weights, place)
    positions, normals = rigged.put(part.vertices, part.normals)
    reader = _SeamReader(place, seam_ids, part.seam_start)
    positions[part.seam_start :] = reader.read("POSITION", positions)
    normals[part.seam_start :] = reader.read("NORMAL", normals)
    normals = _meet_seam(part, normals)
    morphs = _list_morphs(part, deltas, shares, place, reader, rigged.turns)
    return NewHead("Face", part, positions.astype("<f4"), normals.astype("<f4"), morphs, rigged.joints, rigged.shares)


def _meet_seam(part: HeadPart, normals: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Unit normals, those near the seam as along it: the triangles of its strip are too narrow to have any."""
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    seam = part.vertices[part.seam_start :]
    if not len(seam):
        return normals
    distances, nearest = KDTree(seam).query(part.vertices[: part.seam_start], k=2)
    shares = 1 / np.maximum(distances, 1e-9)
    along = (normals[part.seam_start :][nearest] * shares[..., None]).sum(1)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    normals[: part.seam_start] = along + part.fade[:, None] * (normals[: part.seam_start] - along)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class _Rig:
    """``joints``, ``shares``: as of `NewHead`. ``frames``: from the numbers of the skin to the scene, for each vertex.
    ``turns``: what offsets in head space are in the skin."""

    joints: Int[np.ndarray, "n 4"] | None
    shares: Float[np.ndarray, "n 4"] | None
    frames: Float[np.ndarray, "n 4 4"]
    turns: Float[np.ndarray, "n 3 3"]
    place: Place

    @classmethod
    def build(cls, weights: sp.csr_matrix, place: Place) -> _Rig:
        """``weights`` [n, nodes]."""
        figure, document = place.figure, place.figure.document
        skin, joints, shares = figure.skin_of(place.piece), None, None
        if skin is not None:
            joints, shares = keep_strongest(weights, document.tree["skins"][skin]["joints"], document.list_parents())
            frames = np.einsum("nj,njab->nab", shares.astype(np.float64), figure.skins[skin][joints])
        else:
            count = len(weights.indptr) - 1
            frames = np.broadcast_to(document.place_nodes()[place.piece.node], (count, 4, 4))
        turn = place.similarity.scale * place.similarity.rotation
        turns = np.einsum("nab,bc->nac", np.linalg.inv(frames[:, :3, :3]), turn)
        return cls(joints, shares, frames, turns, place)

    def put(
        self, vertices: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
        """From head space to the numbers of the skin."""
        arms = self.place.similarity.apply(vertices) - self.frames[:, :3, 3]
        positions = np.einsum("nab,nb->na", np.linalg.inv(self.frames[:, :3, :3]), arms)
        turned = normals @ self.place.similarity.rotation.T
        return positions, np.einsum("nab,nb->na", self.frames[:, :3, :3].swapaxes(1, 2), turned)


def rig_layer(layer: Part, head: NewHead, place: Place) -> NewHead:
    """Hair or headwear over the new ``head``, moved by what moves the skin next to it."""
    mesh = layer.mesh
    vertices, faces = to_numpy(mesh.vertices, np.float64), to_numpy(mesh.faces)
    face_ids, weights = find_closest(vertices, head.part.vertices, head.part.faces)
    corners = head.part.faces[face_ids]
    nodes = len(place.figure.document.tree["nodes"])
    skin = place.figure.skin_of(place.piece)
    rows = sp.csr_matrix((len(vertices), nodes))
    if head.joints is not None and head.shares is not None:
        members = np.array(place.figure.document.tree["skins"][skin]["joints"])
        ids = members[head.joints[corners]].reshape(len(vertices), -1)
        shares = (weights[..., None] * head.shares[corners]).reshape(len(vertices), -1)
        rows = sp.csr_matrix((shares.ravel(), (np.repeat(np.arange(len(ids)), ids.shape[1]), ids.ravel())), rows.shape)
    rig = _Rig.build(rows, place)
    positions, normals = rig.put(vertices, vertex_normals(vertices, faces).astype(np.float64))
    morphs = {name: np.zeros_like(positions, "<f4") for name in head.morphs}
    own = {match_expression(name): name for name in head.morphs}
    for name, offsets in layer.morphs.items():
        if name in own:
            morphs[own[name]] = np.einsum("nab,nb->na", rig.turns, offsets).astype("<f4")
    whole = sp.csr_matrix(sp.identity(len(vertices)))
    uvs, uv_faces = to_numpy(mesh.uvs, np.float64), to_numpy(mesh.uv_faces)
    part = HeadPart(vertices, faces, uvs, uv_faces, normals, whole, np.ones(len(vertices)), len(vertices))
    unit = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return NewHead(layer.name, part, positions.astype("<f4"), unit.astype("<f4"), morphs, rig.joints, rig.shares)


def _list_morphs(
    part: HeadPart, deltas: np.ndarray, shares: np.ndarray, place: Place, reader: _SeamReader, to_skin: np.ndarray
) -> dict[str, Float[np.ndarray, "n 3"]]:
    """The 52, under the character's own names where it has them, and those others of its targets that move the neck."""
    names = list_targets(place.figure, place.piece)
    theirs = {match_expression(name): name for name in reversed(names)}
    morphs = {}
    for row, name in enumerate(EXPRESSION_NAMES):
        offsets = np.zeros((len(part.vertices), 3))
        offsets[: part.seam_start] = part.fade[:, None] * (part.matrix @ deltas[row])
        offsets = np.einsum("nab,nb->na", to_skin, offsets)
        offsets[part.seam_start :] = reader.read_target(theirs.get(name, ""), offsets)
        morphs[theirs.get(name, name)] = offsets.astype("<f4")
    used = np.unique(part.faces)
    size = float(np.ptp(part.vertices[used], axis=0).max())
    for name in names:
        if name not in morphs:
            moves = _carry_target(part, part.matrix @ shares, place, names.index(name))
            if np.abs(moves[used]).max() > LEAST_MORPH * size:
                offsets = np.einsum("nab,nb->na", to_skin, moves)
                offsets[part.seam_start :] = reader.read_target(name, offsets)
                morphs[name] = offsets.astype("<f4")
    return morphs


def _carry_target(
    part: HeadPart, shares: Float[np.ndarray, "k"], place: Place, number: int
) -> Float[np.ndarray, "n 3"]:
    """What a morph target of the old skin does to what is the character's of the new head, in head space."""
    figure = place.figure
    moves = np.zeros((len(figure.vertices), 3))
    frames = place_frames(figure, place.piece)
    for piece in figure.pieces:
        if piece.node == place.piece.node:
            target = figure.primitive(piece)["targets"][number]
            if "POSITION" in target:
                moves[piece.vertices] = figure.document.buffers.read(target["POSITION"]) @ frames.T
    face_ids, weights = find_closest(part.vertices, place.shapes, figure.faces[place.removed])
    corners = figure.faces[place.removed][face_ids]
    carried = (moves[corners] * weights[..., None]).sum(1) @ place.similarity.rotation / place.similarity.scale
    carried[: part.seam_start] *= shares[:, None]
    return carried


def place_frames(figure: Figure, piece: Piece) -> Float[np.ndarray, "3 3"]:
    """How a piece's numbers are turned and scaled to the scene; of a skin, by its first joint."""
    skin = figure.skin_of(piece)
    frame = figure.skins[skin][0] if skin is not None else figure.document.place_nodes()[piece.node]
    return frame[:3, :3]


def list_targets(figure: Figure, piece: Piece) -> list[str]:
    """Names of a piece's morph targets, numbers where they have none."""
    mesh = figure.document.tree["meshes"][piece.mesh]
    count = len(figure.primitive(piece).get("targets", []))
    names = [*mesh.get("extras", {}).get("targetNames", [])] if isinstance(mesh.get("extras"), dict) else []
    return [str(names[number]) if number < len(names) else f"target_{number}" for number in range(count)]


class _SeamReader:
    """The character's own numbers along the cut: those that are written for its skin, bit for bit, where that hangs on
    the same joints as the new head."""

    def __init__(self, place: Place, ids: Int[np.ndarray, "m"], start: int) -> None:
        self._place, self._ids, self._start = place, ids, start
        figure = place.figure
        self._piece_of = figure.piece_of_vertex[place.cut.pairs[ids, 0]] if len(ids) else ids
        skin = figure.skin_of(place.piece)
        self._alike = [
            piece.node == place.piece.node or (skin is not None and figure.skin_of(piece) == skin)
            for piece in figure.pieces
        ]

    def read(self, name: str, computed: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "m 3"]:
        """Of attribute ``name``; as ``computed`` where the file has none."""
        return self._collect(lambda piece: self._place.figure.primitive(piece)["attributes"].get(name), name, computed)

    def read_target(self, target: str, computed: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "m 3"]:
        """Offsets of the morph target of that name; 0 where there is none."""
        still = np.zeros_like(computed)

        def find(piece: Piece) -> int | None:
            names = list_targets(self._place.figure, piece)
            targets = self._place.figure.primitive(piece).get("targets", [])
            return targets[names.index(target)].get("POSITION") if target in names else None

        return self._collect(find, "", still)

    def _collect(self, find, name: str, computed: np.ndarray) -> Float[np.ndarray, "m 3"]:
        figure, buffers = self._place.figure, self._place.figure.document.buffers
        rows = computed[self._start :].copy()
        for number in np.unique(self._piece_of):
            piece, mask = figure.pieces[number], self._piece_of == number
            accessor = find(piece)
            if accessor is None or not self._alike[number]:
                continue
            ids = self._ids[mask]
            pairs = self._place.cut.pairs[ids] - piece.vertices.start
            raw = blend_rows(buffers.read_raw(accessor), pairs, self._place.cut.shares[ids][:, None], name)
            entry = figure.document.tree["accessors"][accessor]
            if entry.get("normalized"):
                raw = np.maximum(raw / np.iinfo(np.dtype(KINDS[entry["componentType"]])).max, -1)
            rows[mask] = raw
        return rows
