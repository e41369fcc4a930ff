"""Compressed numbers of a glTF file, decoded by packages that are there for it (``pip install portraitist[gltf]``)."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from portraitist.errors import InputError
from portraitist.io.gltf_accessors import KINDS, WIDTHS
from portraitist.io.gltf_document import GltfDocument

MESHOPT, DRACO = "EXT_meshopt_compression", "KHR_draco_mesh_compression"
PACKAGES = {MESHOPT: "meshopt", DRACO: "DracoPy"}


def decompress(document: GltfDocument, path: Path) -> None:
    """Store plainly what is compressed in ``document``, which was read at ``path``. Raises InputError where the package
    is missing that decodes it."""
    needed = {*document.list("extensionsUsed"), *document.list("extensionsRequired")}
    if MESHOPT in needed:
        _decode_views(document, _open(MESHOPT, path))
        document.tree["buffers"] = document.tree["buffers"][:1]  # the others were there to be pointed at
    if DRACO in needed:
        _decode_meshes(document, _open(DRACO, path))
    for key in ("extensionsUsed", "extensionsRequired"):
        left = [name for name in document.list(key) if name not in PACKAGES]
        if left:
            document.tree[key] = left
        else:
            document.tree.pop(key, None)


def _open(extension: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(PACKAGES[extension])
    except ImportError as error:
        raise InputError(
            f"{path} is compressed ({extension}). Install what decodes it (pip install {PACKAGES[extension]}), or "
            "export it without compression."
        ) from error


def _decode_views(document: GltfDocument, meshopt: ModuleType) -> None:
    for view in document.list("bufferViews"):
        packed = view.get("extensions", {}).pop(MESHOPT, None)
        if packed is None:
            continue
        start, stride, count = packed.get("byteOffset", 0), packed["byteStride"], packed["count"]
        data = bytes(memoryview(document.blob)[start : start + packed["byteLength"]])
        rows = meshopt.decode_gltf_buffer(data, count, stride, packed["mode"], packed.get("filter", "NONE"))
        kind = f"<u{stride}" if packed["mode"] != "ATTRIBUTES" else np.uint8
        _put(document, view, np.ascontiguousarray(rows, kind).tobytes())
        if not view["extensions"]:
            del view["extensions"]


def _put(document: GltfDocument, view: dict[str, Any], data: bytes) -> None:
    document.blob.extend(bytes(-len(document.blob) % 4))
    view |= {"buffer": 0, "byteOffset": len(document.blob), "byteLength": len(data)}
    document.blob.extend(data)


def _decode_meshes(document: GltfDocument, draco: ModuleType) -> None:
    for mesh in document.list("meshes"):
        for primitive in mesh["primitives"]:
            packed = primitive.get("extensions", {}).pop(DRACO, None)
            if packed is None:
                continue
            decoded = draco.decode(document.buffers.read_view(packed["bufferView"]))
            for name, number in packed["attributes"].items():
                values = decoded.get_attribute_by_unique_id(number)["data"]
                _fill(document, primitive["attributes"][name], np.asarray(values))
            if "indices" in primitive:
                _fill(document, primitive["indices"], np.asarray(decoded.faces).reshape(-1, 1))
            if not primitive["extensions"]:
                del primitive["extensions"]


def _fill(document: GltfDocument, accessor: int, values: np.ndarray) -> None:
    """Give an accessor that has no numbers these."""
    entry = document.tree["accessors"][accessor]
    kind, width = np.dtype(KINDS[entry["componentType"]]), WIDTHS[entry["type"]]
    if values.shape != (entry["count"], width):
        raise ValueError(f"compressed numbers {values.shape} where {entry['count']} x {width} are said to be")
    own = document.add_numbers(values.astype(kind))
    entry["bufferView"] = document.tree["accessors"].pop(own)["bufferView"]
    entry.pop("byteOffset", None)
