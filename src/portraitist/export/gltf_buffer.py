"""Numbers of a glTF file: its one binary buffer, and the accessors that say what lies where."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import pygltflib as gl
from jaxtyping import Float

from portraitist.devices import to_numpy
from portraitist.io.glb_file import BINARY_CHUNK, JSON_CHUNK, MAGIC
from portraitist.types import Mesh

NEGLIGIBLE_M = 1e-7
"""Morph offsets below a tenth of a micrometer are stored as nothing, which makes most targets small."""

LARGEST = 32767  # of the 16-bit numbers that quantized positions are; it stands for 1
LARGEST_UNSIGNED = 65535  # of those that UVs are

KINDS = {"int16": gl.SHORT, "uint16": gl.UNSIGNED_SHORT, "uint8": gl.UNSIGNED_BYTE}
"""Of integers that stand for real numbers; all else becomes float32."""


@dataclass(frozen=True)
class Encoding:
    """How positions and morph offsets are stored. ``dense``: offsets of all vertices, instead of those that move, for
    programs without sparse accessors. ``reach``: None for float32 meters; else the largest coordinate, meters, that
    16-bit numbers are to stand for (KHR_mesh_quantization): the node has to be as large."""

    dense: bool = False
    reach: float | None = None

    def encode(self, values: Float[np.ndarray, "n 3"]) -> np.ndarray:
        if self.reach is None:
            return values.astype("<f4")
        return np.round(values * (LARGEST / self.reach)).astype("<i2")

    def encode_unit(self, values: Float[np.ndarray, "n 3"]) -> np.ndarray:
        """Unit vectors."""
        return values.astype("<f4") if self.reach is None else np.round(values * LARGEST).astype("<i2")

    def encode_uvs(self, values: Float[np.ndarray, "n 2"]) -> np.ndarray:
        """As 16-bit numbers only where all are in 0..1, which is all that these can stand for."""
        if self.reach is None or values.min() < 0 or values.max() > 1:
            return values.astype("<f4")
        return np.round(values * LARGEST_UNSIGNED).astype("<u2")

    @property
    def nothing(self) -> float:
        """Up to here encoded offsets are stored as nothing."""
        return NEGLIGIBLE_M if self.reach is None else 0.0


PLAIN = Encoding()


def split_at_uv_seams(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertex and UV of each vertex of the file, and its number for each corner: glTF has one index per corner, so each
    different pair of vertex and UV becomes one vertex."""
    faces, uv_faces = to_numpy(mesh.faces), to_numpy(mesh.uv_faces)
    pairs = np.stack([faces.reshape(-1), uv_faces.reshape(-1)], axis=1)
    unique_pairs, corners = np.unique(pairs, axis=0, return_inverse=True)
    return unique_pairs[:, 0], unique_pairs[:, 1], corners.reshape(-1)


def add_view(
    file: gl.GLTF2, blob: bytearray, data: bytes, target: int | None = None, *, stride: int | None = None
) -> int:
    """Append ``data`` to the buffer, aligned to 4 bytes as accessors need; return its buffer view."""
    view = gl.BufferView(buffer=0, byteOffset=len(blob), byteLength=len(data), byteStride=stride, target=target)
    file.bufferViews.append(view)
    blob.extend(data)
    blob.extend(bytes(-len(blob) % 4))
    return len(file.bufferViews) - 1


def add_accessor(file: gl.GLTF2, accessor: gl.Accessor) -> int:
    """Append it; return its number."""
    file.accessors.append(accessor)
    return len(file.accessors) - 1


def pack_glb(file: gl.GLTF2, blob: bytearray) -> bytes:
    """The bytes of a GLB: the file's JSON and its first buffer, which ``blob`` is. (pygltflib's own writer has no other
    buffers, and compressed files name one.)"""
    text = file.gltf_to_json((",", ":"), None).encode("utf-8")  # pyright: ignore[reportArgumentType]
    text += b" " * (-len(text) % 4)
    header = struct.pack("<IIIII", MAGIC, 2, 28 + len(text) + len(blob), len(text), JSON_CHUNK)
    return header + text + struct.pack("<II", len(blob), BINARY_CHUNK) + bytes(blob)


def add_vectors(file: gl.GLTF2, blob: bytearray, values: np.ndarray, bounds: bool = False) -> int:
    """An accessor for ``values [n, 2 to 4]``, of vertices; positions need their ``bounds`` written. Real numbers become
    float32; 8 and 16-bit integers stand for -1..1 or 0..1 (normalized), each vertex padded to 4 bytes."""
    kind = KINDS.get(values.dtype.newbyteorder("=").name, gl.FLOAT)
    data = values.astype("<f4") if kind == gl.FLOAT else values
    width, stride = data.shape[1] * data.itemsize, None
    if width % 4:
        padded = np.zeros((len(data), -(-width // 4) * 4 // data.itemsize), data.dtype)
        padded[:, : data.shape[1]] = data
        stride = padded.shape[1] * data.itemsize
        view = add_view(file, blob, padded.tobytes(), gl.ARRAY_BUFFER, stride=stride)
    else:
        view = add_view(file, blob, np.ascontiguousarray(data).tobytes(), gl.ARRAY_BUFFER)
    accessor = gl.Accessor(
        bufferView=view,
        componentType=kind,
        count=len(data),
        type=f"VEC{data.shape[1]}",
        normalized=kind != gl.FLOAT,
    )
    if bounds:
        accessor.min, accessor.max = data.min(0).tolist(), data.max(0).tolist()
    return add_accessor(file, accessor)


def add_indices(file: gl.GLTF2, blob: bytearray, ids: np.ndarray, vertex_count: int) -> int:
    """An accessor for the corners of triangles."""
    kind, dtype = _index_type(vertex_count)
    view = add_view(file, blob, ids.astype(dtype).tobytes(), gl.ELEMENT_ARRAY_BUFFER)
    return add_accessor(file, gl.Accessor(bufferView=view, componentType=kind, count=len(ids), type=gl.SCALAR))


def add_morph_target(file: gl.GLTF2, blob: bytearray, offsets: np.ndarray, encoding: Encoding = PLAIN) -> int:
    """Offsets ``[n, 3]`` as a sparse accessor over zeros, or as a plain one where that is smaller or asked for."""
    encoded = encoding.encode(offsets)
    moved = np.flatnonzero(np.abs(encoded).max(1) > encoding.nothing)
    kind, dtype = _index_type(len(offsets))
    whole = -(-3 * encoded.itemsize // 4) * 4
    if encoding.dense or len(moved) * (3 * encoded.itemsize + np.dtype(dtype).itemsize) >= len(offsets) * whole:
        return add_vectors(file, blob, encoded, bounds=True)
    # A blendshape that moves nothing still needs one entry: readers choke on empty sparse blocks.
    ids = moved if len(moved) else np.zeros(1, np.int64)
    values = encoded[ids] if len(moved) else np.zeros((1, 3), encoded.dtype)
    sparse = gl.Sparse(
        count=len(ids),
        indices=gl.AccessorSparseIndices(
            bufferView=add_view(file, blob, ids.astype(dtype).tobytes()), componentType=kind
        ),
        values=gl.AccessorSparseValues(bufferView=add_view(file, blob, values.tobytes())),
    )
    # The accessor has no buffer view of its own (all zeros), and then must not have a byteOffset either.
    number = gl.FLOAT if encoding.reach is None else gl.SHORT
    accessor = gl.Accessor(
        byteOffset=None,
        componentType=number,
        count=len(offsets),
        type=gl.VEC3,
        sparse=sparse,
        normalized=number == gl.SHORT,
    )
    # Some vertices are not listed (a full list is never sparse), so zero is always within the bounds.
    zero = np.zeros(3, values.dtype)
    accessor.min, accessor.max = np.minimum(values.min(0), zero).tolist(), np.maximum(values.max(0), zero).tolist()
    return add_accessor(file, accessor)


def _index_type(vertex_count: int) -> tuple[int, str]:
    """Smallest index type; the largest value of each is reserved (primitive restart)."""
    return (gl.UNSIGNED_SHORT, "<u2") if vertex_count < 65_535 else (gl.UNSIGNED_INT, "<u4")
