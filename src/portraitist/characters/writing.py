"""The new head as a node of the character's file, and the animations of its expressions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from portraitist.characters.figure import Figure, Piece
from portraitist.characters.new_head import NewHead, list_targets
from portraitist.characters.rigging import match_expression
from portraitist.characters.vrm_expressions import Change, renumber_expressions
from portraitist.export.gltf_buffer import NEGLIGIBLE_M
from portraitist.export.gltf_materials import UNLIT, encode_texture
from portraitist.export.mtoon import MTOON
from portraitist.io.gltf_document import GltfDocument
from portraitist.types import Image


def add_parts(
    document: GltfDocument, figure: Figure, piece: Piece, parts: Sequence[tuple[NewHead, Image]], emptied: set[int]
) -> list[int]:
    """Write the new head and its layers, each with its texture, where ``piece`` was; returns their nodes. ``emptied``:
    nodes whose meshes lost all that they showed: they lose their meshes, and that of the face takes the new head."""
    own = document.tree["nodes"][piece.node]
    sources = {each.node: list_targets(figure, each) for each in figure.pieces}
    for number in emptied:
        for key in ("mesh", "weights", *(["skin"] if number != piece.node else [])):
            document.tree["nodes"][number].pop(key, None)
    nodes, names = [], [*parts[0][0].morphs]
    for head, texture in parts:
        material = _add_material(document, piece, head.name, texture)
        mesh = document.append("meshes", _make_mesh(document, head, material, mirrored=piece.mirrored))
        _set_weights(document, figure, piece, mesh, names)
        if piece.node in emptied and not nodes:
            own["mesh"] = mesh
            nodes.append(piece.node)
        else:
            nodes.append(_add_node(document, piece.node, mesh, head.name))
    _move_expressions(document, sources, piece.node, nodes, names, emptied)
    spelled = {expression: name for name in names if (expression := match_expression(name))}
    change = Change(figure.document, sources, piece.node, nodes, names, spelled, emptied)
    renumber_expressions(document, change)
    return nodes


def _add_node(document: GltfDocument, beside: int, mesh: int, name: str) -> int:
    own = document.tree["nodes"][beside]
    node = {"name": document.name_anew(name), "mesh": mesh}
    if "skin" not in own:  # where that node goes, the head goes
        number = document.append("nodes", node)
        own["children"] = [*own.get("children", []), number]
        return number
    number = document.append("nodes", node | {"skin": own["skin"]})
    for scene in document.list("scenes"):  # joints alone place what is skinned
        scene["nodes"] = [*scene.get("nodes", []), number]
    return number


def _add_material(document: GltfDocument, piece: Piece, name: str, texture: Image) -> int:
    """As the old skin's material takes light, with the new texture."""
    data, mime_type = encode_texture(texture)
    image = document.append("images", {"name": name, "bufferView": document.add_view(data), "mimeType": mime_type})
    number = document.append("textures", {"source": image, "sampler": document.append("samplers", _SAMPLER.copy())})
    old = document.tree["materials"][piece.material] if piece.material is not None else {}
    rough = (
        old.get("pbrMetallicRoughness", {})
        if "metallicRoughnessTexture" not in old.get("pbrMetallicRoughness", {})
        else {}
    )
    material: dict[str, Any] = {
        "name": name,
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": number},
            "metallicFactor": 0.0,
            "roughnessFactor": rough.get("roughnessFactor", 1.0),
        },
        "doubleSided": True,
    }
    theirs = old.get("extensions", {})
    extensions = {UNLIT: {}} if UNLIT in theirs else {}
    if MTOON in theirs:
        extensions[MTOON] = {key: value for key, value in theirs[MTOON].items() if not key.endswith("Texture")}
        if "shadeMultiplyTexture" in theirs[MTOON]:
            extensions[MTOON]["shadeMultiplyTexture"] = {"index": number}
    if extensions:
        material["extensions"] = extensions
    return document.append("materials", material)


_SAMPLER = {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}


def _make_mesh(document: GltfDocument, head: NewHead, material: int, *, mirrored: bool) -> dict[str, Any]:
    part = head.part
    pairs, corners = np.unique(np.stack([part.faces.ravel(), part.uv_faces.ravel()], 1), axis=0, return_inverse=True)
    ids = pairs[:, 0]
    attributes = {
        "POSITION": document.add_numbers(head.positions[ids], bounds=True),
        "NORMAL": document.add_numbers(head.normals[ids]),
        "TEXCOORD_0": document.add_numbers(part.uvs[pairs[:, 1]].astype("<f4")),
    }
    if head.joints is not None and head.shares is not None:
        kind = "u1" if head.joints.max() < 256 else "<u2"
        attributes["JOINTS_0"] = document.add_numbers(head.joints[ids].astype(kind))
        attributes["WEIGHTS_0"] = document.add_numbers(head.shares[ids].astype("<f4"))
    targets = [{"POSITION": _add_offsets(document, offsets[ids])} for offsets in head.morphs.values()]
    triangles = corners.reshape(-1, 3)
    indices = document.add_triangles(triangles[:, ::-1] if mirrored else triangles, len(ids))
    primitive = {"attributes": attributes, "indices": indices, "material": material, "targets": targets}
    return {"name": head.name, "primitives": [primitive], "extras": {"targetNames": [*head.morphs]}}


def _add_offsets(document: GltfDocument, offsets: np.ndarray) -> int:
    """Only those that are not nothing."""
    scale = NEGLIGIBLE_M * float(np.abs(offsets).max() or 1.0) / 0.01
    moved = np.flatnonzero(np.abs(offsets).max(1) > scale)
    moved = moved if len(moved) else np.zeros(1, np.int64)
    values = offsets[moved].astype("<f4")
    kind, component = ("<u2", 5123) if len(offsets) < 65_535 else ("<u4", 5125)
    sparse = {
        "count": len(moved),
        "indices": {"bufferView": document.add_view(moved.astype(kind).tobytes()), "componentType": component},
        "values": {"bufferView": document.add_view(values.tobytes())},
    }
    low, high = np.minimum(values.min(0), 0), np.maximum(values.max(0), 0)
    if len(moved) == len(offsets):
        low, high = values.min(0), values.max(0)
    accessor = {"componentType": 5126, "count": len(offsets), "type": "VEC3", "sparse": sparse}
    return document.append("accessors", accessor | {"min": low.tolist(), "max": high.tolist()})


def _set_weights(document: GltfDocument, figure: Figure, piece: Piece, mesh: int, names: list[str]) -> None:
    """Those that the old face stood at."""
    theirs = list_targets(figure, piece)
    given = figure.document.tree["meshes"][piece.mesh].get("weights", [])
    given = figure.document.tree["nodes"][piece.node].get("weights", given)
    at = dict(zip(theirs, given, strict=False))
    document.tree["meshes"][mesh]["weights"] = [float(at.get(name, 0.0)) for name in names]


def _move_expressions(
    document: GltfDocument,
    sources: dict[int, list[str]],
    face: int,
    nodes: list[int],
    names: list[str],
    emptied: set[int],
) -> None:
    """What animations do with the old face's morph targets, they do with the new one's of the same name."""
    for animation in document.list("animations"):
        weights = [c for c in animation["channels"] if c["target"].get("path") == "weights"]
        able = [
            c for c in weights if c["target"].get("node") in sources and set(sources[c["target"]["node"]]) & {*names}
        ]
        able.sort(key=lambda channel: channel["target"]["node"] != face)
        animation["channels"] = [
            c for c in animation["channels"] if not (c in weights and c["target"].get("node") in emptied)
        ]
        if able:
            sampler = animation["samplers"][able[0]["sampler"]]
            own = sources[able[0]["target"]["node"]]
            animation["samplers"].append(_rename_columns(document, sampler, own, names))
            last = len(animation["samplers"]) - 1
            animation["channels"] += [{"sampler": last, "target": {"node": n, "path": "weights"}} for n in nodes]
    animations = [animation for animation in document.list("animations") if animation["channels"]]
    if "animations" in document.tree:
        document.tree["animations"] = animations
        if not animations:
            del document.tree["animations"]


def _rename_columns(
    document: GltfDocument, sampler: dict[str, Any], own: list[str], names: list[str]
) -> dict[str, Any]:
    values = document.buffers.read(sampler["output"]).reshape(-1, len(own))
    columns = np.zeros((len(values), len(names)), "<f4")
    for column, name in enumerate(names):
        if name in own:
            columns[:, column] = values[:, own.index(name)]
    return copy.copy(sampler) | {"output": document.add_numbers(columns.reshape(-1), None)}
