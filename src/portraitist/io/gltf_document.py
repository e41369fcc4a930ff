"""A glTF file of any program as it stands: its JSON and its buffer, to be read, added to and written again."""

from __future__ import annotations

import base64
import copy
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float

from portraitist.errors import InputError
from portraitist.io.glb_file import BINARY_CHUNK, JSON_CHUNK, MAGIC, local_matrix, open_glb
from portraitist.io.gltf_accessors import Buffers
from portraitist.io.images import check_file

KINDS = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
VERTICES, TRIANGLES = 34962, 34963  # targets of buffer views
LARGEST_FILE = 2**32 - 1  # bytes: what the header of a GLB can say


@dataclass
class GltfDocument:
    """``tree``: the JSON, none of which is lost. ``blob``: its one buffer; what is added comes last."""

    tree: dict[str, Any]
    blob: bytearray

    def copy(self) -> GltfDocument:
        """One that can be changed without changing this one."""
        return GltfDocument(copy.deepcopy(self.tree), bytearray(self.blob))

    @property
    def buffers(self) -> Buffers:
        return Buffers(self.tree, self.blob)

    def list(self, what: str) -> list[Any]:
        """``nodes``, ``meshes``...: none where the file has no such list."""
        return self.tree.get(what, [])

    def append(self, what: str, entry: dict[str, Any]) -> int:
        """Its number in the list ``what``."""
        self.tree.setdefault(what, []).append(entry)
        return len(self.tree[what]) - 1

    def add_view(self, data: bytes, target: int | None = None) -> int:
        """A buffer view of ``data``."""
        self.blob.extend(bytes(-len(self.blob) % 4))
        view = {"buffer": 0, "byteOffset": len(self.blob), "byteLength": len(data)}
        self.blob.extend(data)
        return self.append("bufferViews", view if target is None else view | {"target": target})

    def add_numbers(
        self, values: np.ndarray, target: int | None = VERTICES, *, bounds: bool = False, normalized: bool = False
    ) -> int:
        """An accessor of rows ``[n, width]``, stored as they are typed. Those of vertices are padded to words of 4
        bytes, as they have to be."""
        rows = np.ascontiguousarray(values.reshape(len(values), -1))
        width, view = rows.shape[1] * rows.itemsize, {}
        if target == VERTICES and width % 4:
            padded = np.zeros((len(rows), -(-width // 4) * 4 // rows.itemsize), rows.dtype)
            padded[:, : rows.shape[1]] = rows
            number, view = self.add_view(padded.tobytes(), target), {"byteStride": padded.shape[1] * rows.itemsize}
        else:
            number = self.add_view(rows.tobytes(), target)
        self.tree["bufferViews"][number] |= view
        accessor: dict[str, Any] = {
            "bufferView": number,
            "componentType": KINDS[rows.dtype.newbyteorder("=").name],
            "count": len(rows),
            "type": SHAPES[rows.shape[1]],
        }
        if bounds:
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        return self.append("accessors", accessor | ({"normalized": True} if normalized else {}))

    def add_triangles(self, triangles: np.ndarray, vertex_count: int) -> int:
        """An accessor of the corners ``[f, 3]``."""
        kind = "<u2" if vertex_count < np.iinfo(np.uint16).max else "<u4"
        return self.add_numbers(triangles.reshape(-1, 1).astype(kind), TRIANGLES)

    def place_nodes(self) -> dict[int, Float[np.ndarray, "4 4"]]:
        """Where each node of the shown scene stands at rest, by its number; of all nodes where there is no scene.
        Raises ValueError for a node that is there twice, and for nodes that hang on each other."""
        places: dict[int, np.ndarray] = {}
        scenes, above = self.list("scenes"), self.list_parents()
        free = [number for number in range(len(self.list("nodes"))) if number not in above]
        reached = [*free]
        for number in reached:  # grows while it is read
            reached += self.tree["nodes"][number].get("children", [])
        if len(reached) != len(self.list("nodes")):
            raise ValueError("nodes that hang on each other, or on two others")
        roots = scenes[self.tree.get("scene", 0)].get("nodes", []) if scenes else free
        waiting = [(number, np.eye(4)) for number in roots]
        while waiting:
            number, above = waiting.pop()
            if number in places:
                raise ValueError(f"node {number} is there twice")
            node = self.tree["nodes"][number]
            places[number] = above @ local_matrix(node)
            waiting += [(child, places[number]) for child in node.get("children", [])]
        return places

    def list_parents(self) -> dict[int, int]:
        """The node above each node that has one."""
        return {child: number for number, node in enumerate(self.list("nodes")) for child in node.get("children", [])}

    def name_anew(self, wished: str) -> str:
        """``wished``, or with a number behind it that no other node has."""
        taken = {node.get("name") for node in self.list("nodes")}
        names = [wished, *(f"{wished}_{number}" for number in range(2, len(taken) + 3))]
        return next(name for name in names if name not in taken)

    def pack(self) -> bytes:
        """The bytes of a GLB. Raises InputError where it would be too large for one."""
        blob = bytes(self.blob) + bytes(-len(self.blob) % 4)
        others = self.tree.get("buffers", [{}])[1:]
        tree = self.tree | {"buffers": [{"byteLength": len(blob)}, *others]}
        text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 4)
        length = 28 + len(text) + len(blob)
        if length > LARGEST_FILE:
            raise InputError(f"The character would have {length / 2**30:.1f} GB; a GLB can hold 4. Use a smaller one.")
        header = struct.pack("<IIIII", MAGIC, 2, length, len(text), JSON_CHUNK)
        return header + text + struct.pack("<II", len(blob), BINARY_CHUNK) + blob


def read_gltf(path: str | Path) -> GltfDocument:
    """A GLB, or a glTF with its buffers beside it or inside. Raises InputError when it is missing, damaged, or no
    glTF 2.0."""
    path = Path(path)
    check_file(path)
    try:
        data = path.read_bytes()
        tree, blob = open_glb(data) if data[:4] == struct.pack("<I", MAGIC) else (json.loads(data), b"")
        if not str(tree["asset"]["version"]).startswith("2."):
            raise ValueError(f"glTF of version {tree['asset']['version']}")
        document = GltfDocument(tree, bytearray(blob))
        _gather_buffers(document, path)
        return document
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a stranger's file can be wrong at any place
        raise InputError(
            f"{path} is no usable GLB or glTF ({type(error).__name__}: {error}). Export it again."
        ) from error


def _gather_buffers(document: GltfDocument, path: Path) -> None:
    """All buffers that have contents become one."""
    starts, kept = [0], document.tree.get("buffers", [])
    for number, buffer in enumerate(kept):
        if "uri" in buffer:
            document.blob.extend(bytes(-len(document.blob) % 4))
            starts[number:] = [len(document.blob)]
            document.blob.extend(read_uri(buffer["uri"], path))
        elif number:
            starts.append(-1)  # only there to be pointed at by what is compressed
    if len(kept) > 1 or any("uri" in buffer for buffer in kept):
        _renumber(document, starts)


def _renumber(document: GltfDocument, starts: Sequence[int]) -> None:
    kept = document.tree["buffers"]
    fallbacks = [number for number, start in enumerate(starts) if start < 0]
    numbers = {old: 1 + new for new, old in enumerate(fallbacks)}
    places = [view for view in document.list("bufferViews")]
    places += [own for view in places for own in view.get("extensions", {}).values() if "buffer" in own]
    for view in places:
        old = view.get("buffer", 0)
        if old in numbers:
            view["buffer"] = numbers[old]
        else:
            view |= {"buffer": 0, "byteOffset": view.get("byteOffset", 0) + starts[old]}
    document.tree["buffers"] = [{"byteLength": len(document.blob)}, *(kept[number] for number in fallbacks)]


def read_uri(uri: str, path: Path) -> bytes:
    """What a file at ``path`` names: data in the name itself, or a file in the same folder."""
    if uri.startswith("data:"):
        return base64.b64decode(uri.partition(",")[2], validate=True)
    beside = path.parent / unquote(uri)
    if path.parent.resolve() not in beside.resolve().parents:
        raise InputError(f"{path} names a file elsewhere ({uri}). Only those in its own folder are read.")
    check_file(beside)
    return beside.read_bytes()
