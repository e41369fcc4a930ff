"""The new head in the character's file: what goes is taken out of its meshes, all else is left as it is."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from portraitist.characters.cutting import Cut
from portraitist.characters.figure import Figure, Piece
from portraitist.characters.rigging import keep_strongest
from portraitist.io.gltf_document import GltfDocument

UNIT = ("NORMAL", "TANGENT")  # attributes of length 1


@dataclass(frozen=True)
class Remains:
    """``faces``: of the figure's vertices and, behind them, the new ones of ``cut``; ``piece_of_face``: which primitive
    each is of."""

    cut: Cut
    faces: Int[np.ndarray, "f 3"]
    piece_of_face: Int[np.ndarray, "f"]


def list_remains(figure: Figure, cut: Cut, cut_faces: Int[np.ndarray, "c"], goes: Bool[np.ndarray, "n"]) -> Remains:
    """``cut``: of the triangles ``cut_faces``. All others stay, but for those of vertices that go."""
    others = np.ones(len(figure.faces), bool)
    others[cut_faces] = False
    others &= ~goes[figure.faces].any(1)
    faces = np.concatenate([figure.faces[others], cut.faces])
    owners = np.concatenate([figure.piece_of_face[others], figure.piece_of_face[cut_faces[cut.origin]]])
    return Remains(cut, faces, owners)


def take_out(document: GltfDocument, figure: Figure, remains: Remains) -> set[int]:
    """Write what is left of the primitives that lost something into ``document``. Returns the nodes that lost all."""
    before = np.bincount(figure.piece_of_face, minlength=len(figure.pieces))
    kept = [np.flatnonzero(remains.piece_of_face == number) for number in range(len(figure.pieces))]
    changed = [
        number for number in range(len(figure.pieces)) if _has_changed(figure, remains, number, kept[number], before)
    ]
    for node in sorted({figure.pieces[number].node for number in changed}):
        _own_mesh(document, node)
    emptied: set[int] = set()
    gone: dict[int, list[int]] = {}
    for number in changed:
        piece = figure.pieces[number]
        mesh = document.tree["meshes"][document.tree["nodes"][piece.node]["mesh"]]
        if len(kept[number]):
            primitive = mesh["primitives"][piece.primitive]
            mesh["primitives"][piece.primitive] = _rewrite(document, figure, piece, primitive, remains, kept[number])
        else:
            gone.setdefault(piece.node, []).append(piece.primitive)
    for node, primitives in gone.items():
        mesh = document.tree["meshes"][document.tree["nodes"][node]["mesh"]]
        if len(primitives) == len(mesh["primitives"]):
            emptied.add(node)  # its mesh is left to nobody
        else:
            mesh["primitives"] = [p for number, p in enumerate(mesh["primitives"]) if number not in primitives]
    return emptied


def _has_changed(figure: Figure, remains: Remains, number: int, kept: np.ndarray, before: np.ndarray) -> bool:
    return bool(len(kept) != before[number]) or bool((remains.faces[kept] >= len(figure.vertices)).any())


def _own_mesh(document: GltfDocument, node: int) -> None:
    """A mesh that several nodes show is copied for the one in which it changes."""
    number = document.tree["nodes"][node]["mesh"]
    if sum(other.get("mesh") == number for other in document.tree["nodes"]) > 1:
        document.tree["nodes"][node]["mesh"] = document.append("meshes", copy.deepcopy(document.tree["meshes"][number]))


def _rewrite(
    document: GltfDocument, figure: Figure, piece: Piece, primitive: dict[str, Any], remains: Remains, kept: np.ndarray
) -> dict[str, Any]:
    """The primitive with the vertices that are left, those of the cut behind them."""
    faces = remains.faces[kept]
    ids, corners = np.unique(faces[:, ::-1] if piece.mirrored else faces, return_inverse=True)
    old = ids[ids < len(figure.vertices)] - piece.vertices.start
    new = ids[ids >= len(figure.vertices)] - len(figure.vertices)
    pairs = remains.cut.pairs[new] - piece.vertices.start
    shares = remains.cut.shares[new][:, None]
    buffers = document.buffers

    def divide(accessor: int, name: str) -> int:
        raw = buffers.read_raw(accessor)
        between = blend_rows(raw, pairs, shares, name)
        entry = document.tree["accessors"][accessor]
        rows = np.concatenate([raw[old], between])
        return document.add_numbers(rows, bounds=name == "POSITION", normalized=bool(entry.get("normalized")))

    attributes = {
        name: divide(accessor, name)
        for name, accessor in primitive["attributes"].items()
        if not name.startswith(("JOINTS_", "WEIGHTS_"))
    }
    attributes |= _divide_weights(document, figure, piece, primitive["attributes"], old, new, remains.cut)
    rewritten = {
        key: value for key, value in primitive.items() if key not in ("attributes", "indices", "targets", "mode")
    }
    rewritten |= {"attributes": attributes, "indices": document.add_triangles(corners.reshape(-1, 3), len(ids))}
    if "targets" in primitive:
        rewritten["targets"] = [
            {name: divide(accessor, name if name == "POSITION" else "") for name, accessor in target.items()}
            for target in primitive["targets"]
        ]
    return rewritten


def blend_rows(
    raw: np.ndarray, pairs: Int[np.ndarray, "k 2"], shares: Float[np.ndarray, "k 1"], name: str
) -> np.ndarray:
    """Rows between those of each pair, typed as they are; normals and tangents keep their length."""
    first, second = raw[pairs[:, 0]].astype(np.float64), raw[pairs[:, 1]].astype(np.float64)
    rows = first + shares * (second - first)
    if name in UNIT:
        length = np.linalg.norm(first[:, :3], axis=1) / np.maximum(np.linalg.norm(rows[:, :3], axis=1), 1e-12)
        rows[:, :3] *= length[:, None]
        rows[:, 3:] = first[:, 3:]  # on which side the bitangent lies
    return (np.round(rows) if raw.dtype.kind in "iu" else rows).astype(raw.dtype)


def _divide_weights(
    document: GltfDocument, figure: Figure, piece: Piece, attributes: dict[str, int], old: np.ndarray, new: np.ndarray,
    cut: Cut,
) -> dict[str, int]:  # fmt: skip
    """Old joints and weights as they are, those of new vertices in the first set."""
    written = {}
    if "JOINTS_0" not in attributes:
        return written
    ids, shares = weigh_cut(document, figure, figure.skin_of(piece), new, cut)
    for number in range(len([name for name in attributes if name.startswith("JOINTS_")])):
        joints = document.buffers.read_raw(attributes[f"JOINTS_{number}"])[old]
        weights = document.buffers.read(attributes[f"WEIGHTS_{number}"])[old].astype("<f4")
        more = (ids, shares) if number == 0 else (np.zeros_like(ids), np.zeros_like(shares))
        written[f"JOINTS_{number}"] = document.add_numbers(np.concatenate([joints, more[0].astype(joints.dtype)]))
        written[f"WEIGHTS_{number}"] = document.add_numbers(np.concatenate([weights, more[1]]))
    return written


def weigh_cut(
    document: GltfDocument, figure: Figure, skin: int | None, new: Int[np.ndarray, "k"], cut: Cut
) -> tuple[Int[np.ndarray, "k 4"], Float[np.ndarray, "k 4"]]:
    """Joints of a skin, and shares, of new vertices of a cut."""
    joints = document.tree["skins"][skin]["joints"] if skin is not None else [0]
    return keep_strongest(between(figure.weights, cut, new), joints, document.list_parents())


def between(weights: sp.csr_matrix, cut: Cut, new: Int[np.ndarray, "k"]) -> sp.csr_matrix:
    """Rows for new vertices of a cut."""
    first, second = weights[cut.pairs[new, 0]], weights[cut.pairs[new, 1]]
    shares = cut.shares[new]
    return sp.csr_matrix(sp.diags(1 - shares) @ first + sp.diags(shares) @ second)
