"""A head that was sculpted or repainted in another program comes back as a head, with all that it can do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from threadpoolctl import threadpool_limits
from torch import Tensor

from portraitist.body.standing import find_stand, has_body, stand
from portraitist.devices import from_numpy, to_numpy
from portraitist.devices import move as move_to
from portraitist.errors import InputError
from portraitist.geometry.blendshape_transfer import transfer_blendshapes
from portraitist.io.glb_file import GlbPart, read_glb
from portraitist.io.images import image_to_uint8
from portraitist.mesh.carrying import find_layer_deltas
from portraitist.reconstruction.head_model import HeadModel, load_head_model
from portraitist.types import EXPRESSION_NAMES, Head, Image, Layer, Mesh

UV_ROUNDING = 2e-5  # by how much a program may move UVs unasked: 16-bit numbers are 1.5e-5 apart
UNTOUCHED_M = 2e-5  # what a vertex moves less was rounded, not sculpted: quantized ones are 1e-5 apart
EDITED_M = 1e-4  # by how much a shape key must differ somewhere to have been sculpted
OTHER_UNITS = 2.0  # a head so many times as large or small was exported in other units
ADVICE = "Sculpt and paint as you like, but keep all vertices, triangles and UVs."


@threadpool_limits.wrap(limits=1, user_api="blas")
def import_glb(path: str | Path, head: Head) -> Head:
    """``head`` with the shape and the textures that its GLB at ``path`` was given in another program.

    The file's triangles are found again by their UVs, so that vertices may come in any order, doubled or not; of
    doubled ones the mean is taken. What was not moved, and a texture that was not repainted, stay as they are bit for
    bit. The base shape is taken for the neutral one; in a file without morph targets, for the one with the head's
    expression where it is nearer to that. Blendshapes are carried over to the new shape as they are to an exaggerated
    one (Sec. 7.1), but for those whose shape keys were sculpted themselves: these are taken from the file. Heads that
    were subdivided keep theirs. ``original`` is not touched. A layer that was deleted in the file is left out.

    Raises InputError for a file that cannot be read or has no part "Head", and for changed topology or UVs, telling
    what differs.
    """
    parts, path = read_glb(path), Path(path)
    if "Head" not in parts:
        found = ", ".join(parts) or "none"
        raise InputError(f"{path} has no mesh called Head (there are: {found}). Give it back the name that it had.")
    parts = _bring_back(parts, head)
    at_rest = "jawOpen" in parts["Head"].morphs
    layer_deltas = _find_written_deltas(head)
    edited = _apply_to_head(_match(path, "Head", parts["Head"], head.mesh), parts["Head"], head, at_rest)
    layers = []
    for layer, deltas in zip(head.layers, layer_deltas, strict=True):
        part = parts.get(layer.name.capitalize())
        if part is not None:
            given = _match(path, layer.name.capitalize(), part, layer.mesh)
            layers.append(_apply_to_layer(given, part, layer, deltas, head, at_rest))
    return dataclasses.replace(edited, layers=tuple(layers))


def _find_written_deltas(head: Head) -> tuple[Float[Tensor, "52 _k 3"], ...]:
    """How expressions move layers in the file, in head space: on somebody who stands there, and is as large as that."""
    if not has_body(head):
        return find_layer_deltas(head)
    scale, _ = find_stand(head)
    return tuple(deltas / scale for deltas in find_layer_deltas(stand(head)))


def _bring_back(parts: dict[str, GlbPart], head: Head) -> dict[str, GlbPart]:
    """In head space: somebody with a body stands on the ground in files."""
    if not has_body(head):
        return parts
    scale, shift = find_stand(head)
    moved = {}
    for name, part in parts.items():
        morphs = {target: offsets / scale for target, offsets in part.morphs.items()}
        positions = (part.positions - to_numpy(shift, np.float64)) / scale
        moved[name] = dataclasses.replace(part, positions=positions, morphs=morphs)
    return moved


def _match(path: Path, name: str, part: GlbPart, mesh: Mesh) -> Int[np.ndarray, "_n"]:
    """Which vertex of the mesh each vertex of the part is; -1: one that no triangle uses.

    A triangle is known by the UVs of its corners and the sense in which they go round: two sides of a layer may have
    the same UVs, but then one of them is turned over.
    """
    uvs, canonical = np.unique(to_numpy(mesh.uvs, np.float64), axis=0, return_inverse=True)
    distances, nearest = KDTree(uvs).query(part.uvs)
    own = _roll(canonical.reshape(-1)[to_numpy(mesh.uv_faces)])
    places = {(a, b, c): number for number, (a, b, c) in enumerate(own.corners.tolist())}
    used = np.unique(part.triangles)
    if moved := int((np.asarray(distances)[used] > UV_ROUNDING).sum()):
        raise InputError(
            f"In {path}, {moved} of {len(used)} vertices of {name} have UVs that the head does not have. {ADVICE}"
        )
    theirs = _roll(np.asarray(nearest)[part.triangles])
    faces = [places.get((a, b, c), -1) for a, b, c in theirs.corners.tolist()]
    strange, missing = faces.count(-1), len(own.corners) - len({*faces} - {-1})
    if strange or missing or len(faces) != len(own.corners):
        raise InputError(
            f"{path} has {len(faces)} triangles in {name}, the head has {len(own.corners)}; {strange} are new and "
            f"{missing} are missing, so its topology was changed. {ADVICE}"
        )
    vertex_ids = np.full(len(part.positions), -1)
    corners = np.take_along_axis(to_numpy(mesh.faces)[faces], own.order[faces], axis=1)
    vertex_ids[np.take_along_axis(part.triangles, theirs.order, axis=1)] = corners
    return vertex_ids


@dataclasses.dataclass(frozen=True)
class _Rolled:
    """Triangles that begin with their smallest number. ``order``: which corner came to which place."""

    corners: Int[np.ndarray, "f 3"]
    order: Int[np.ndarray, "f 3"]


def _roll(corners: Int[np.ndarray, "f 3"]) -> _Rolled:
    order = (corners.argmin(1)[:, None] + np.arange(3)) % 3
    return _Rolled(np.take_along_axis(corners, order, axis=1), order)


def _gather(values: Float[np.ndarray, "m 3"], ids: Int[np.ndarray, "m"], count: int) -> Float[np.ndarray, "n 3"]:
    """Mean over the part's vertices of each vertex of the mesh; NaN where it has none."""
    known = ids >= 0
    total = np.stack([np.bincount(ids[known], values[known, axis], minlength=count) for axis in range(3)], axis=1)
    with np.errstate(invalid="ignore"):
        return total / np.bincount(ids[known], minlength=count)[:, None]


def _find_moves(
    part: GlbPart, ids: Int[np.ndarray, "m"], rest: Float[Tensor, "n 3"], shown: Float[Tensor, "n 3"], at_rest: bool
) -> Float[np.ndarray, "n 3"]:
    """How far each vertex was moved, meters. ``rest``, ``shown``: neutral and with the head's expression."""
    given = _gather(part.positions, ids, len(rest))
    moves = [given - to_numpy(each, np.float64) for each in (rest, shown)]
    move = moves[0] if at_rest else min(moves, key=lambda each: float(np.nanmedian(np.linalg.norm(each, axis=1))))
    size, own = (float(np.linalg.norm(np.nanstd(each, axis=0))) for each in (given, to_numpy(rest, np.float64)))
    if not 1 / OTHER_UNITS < size / own < OTHER_UNITS:
        raise InputError(
            f"The file's shape is {size / own:.3g} times as large as the head. Export it in meters, unscaled."
        )
    move[~(np.linalg.norm(move, axis=1) > UNTOUCHED_M)] = 0  # those that have no triangle, too
    return move


def _apply_to_head(ids: Int[np.ndarray, "m"], part: GlbPart, head: Head, at_rest: bool) -> Head:
    move = _find_moves(part, ids, head.neutral, head.mesh.vertices, at_rest)
    neutral = head.neutral + from_numpy(move.astype(np.float32), head.neutral)
    deltas, model = head.expression_deltas, load_head_model()
    if move.any() and _has_topology(head.mesh, model):
        deltas = transfer_blendshapes(head.neutral, neutral, deltas, model)
    deltas = _take_sculpted(deltas, part, ids, head, move)
    edited = dataclasses.replace(head, neutral=neutral, expression_deltas=deltas, texture=_pick(part, head.texture))
    if not move.any() and torch.equal(deltas, head.expression_deltas):
        return edited
    return dataclasses.replace(edited, mesh=head.mesh.with_vertices(edited.posed(head.expression)))


def _take_sculpted(
    deltas: Float[Tensor, "52 n 3"], part: GlbPart, ids: Int[np.ndarray, "m"], head: Head, move: np.ndarray
) -> Float[Tensor, "52 n 3"]:
    """With those of the file that somebody changed. ``move``: of the base shape [n, 3]."""
    changes = {}
    for row, name in enumerate(EXPRESSION_NAMES):
        if name in part.morphs:
            given = np.nan_to_num(_gather(part.morphs[name], ids, len(move)))
            changes[row] = given - to_numpy(head.expression_deltas[row], np.float64)
    # In some programs the shape keys stay when the base is sculpted: then all of them lack its move.
    stayed = sum(np.abs(change + move).sum() < np.abs(change).sum() for change in changes.values())
    missing = move if stayed > len(changes) / 2 else 0.0
    new = deltas.clone()
    for row, change in changes.items():
        if np.linalg.norm(change + missing, axis=1).max() > EDITED_M:
            own = head.expression_deltas[row]
            new[row] = own + from_numpy((change + missing).astype(np.float32), own)
    return new


def _apply_to_layer(
    ids: Int[np.ndarray, "m"], part: GlbPart, layer: Layer, deltas: Float[Tensor, "52 k 3"], head: Head, at_rest: bool
) -> Layer:
    neutral = layer.mesh.vertices - torch.einsum("e,ekd->kd", head.expression, deltas)
    move = _find_moves(part, ids, neutral, layer.mesh.vertices, at_rest)
    vertices = layer.mesh.vertices + from_numpy(move.astype(np.float32), neutral)
    return dataclasses.replace(layer, mesh=layer.mesh.with_vertices(vertices), texture=_pick(part, layer.texture))


def _pick(part: GlbPart, own: Image) -> Image:
    """The file's texture, or our own where it holds the same pixels, or none."""
    if part.texture is None:
        return own
    ours, theirs = image_to_uint8(own), image_to_uint8(part.texture)
    is_same = ours.shape == theirs.shape and bool((ours == theirs).all())
    return own if is_same else move_to(part.texture, own.device)


def _has_topology(mesh: Mesh, model: HeadModel) -> bool:
    return np.array_equal(to_numpy(mesh.faces), to_numpy(model.faces))
