"""Numbers of a glTF file: its one binary buffer, and the accessors that say what lies where."""

from __future__ import annotations

import numpy as np
import pygltflib as gl
from torch import Tensor

from portraitist.devices import to_numpy
from portraitist.types import Mesh

NEGLIGIBLE_M = 1e-7
"""Morph offsets below a tenth of a micrometer are stored as nothing, which makes most targets small."""


def split_at_uv_seams(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """glTF has one index per corner, so each different (vertex, uv) pair becomes one vertex."""
    faces, uv_faces = to_numpy(mesh.faces), to_numpy(mesh.uv_faces)
    pairs = np.stack([faces.reshape(-1), uv_faces.reshape(-1)], axis=1)
    unique_pairs, corners = np.unique(pairs, axis=0, return_inverse=True)
    return unique_pairs[:, 0], unique_pairs[:, 1], corners.reshape(-1)


def add_view(file: gl.GLTF2, blob: bytearray, data: bytes, target: int | None = None) -> int:
    """Append ``data`` to the buffer, aligned to 4 bytes as accessors need; return its buffer view."""
    file.bufferViews.append(gl.BufferView(buffer=0, byteOffset=len(blob), byteLength=len(data), target=target))
    blob.extend(data)
    blob.extend(bytes(-len(blob) % 4))
    return len(file.bufferViews) - 1


def add_accessor(file: gl.GLTF2, accessor: gl.Accessor) -> int:
    """Append it; return its number."""
    file.accessors.append(accessor)
    return len(file.accessors) - 1


def add_vectors(file: gl.GLTF2, blob: bytearray, values: np.ndarray, bounds: bool = False) -> int:
    """A plain float32 accessor for ``values [n, 2 or 3]``; positions need their bounds written."""
    view = add_view(file, blob, np.ascontiguousarray(values, dtype="<f4").tobytes(), gl.ARRAY_BUFFER)
    accessor = gl.Accessor(bufferView=view, componentType=gl.FLOAT, count=len(values), type=f"VEC{values.shape[1]}")
    if bounds:
        accessor.min, accessor.max = values.min(0).tolist(), values.max(0).tolist()
    return add_accessor(file, accessor)


def add_indices(file: gl.GLTF2, blob: bytearray, ids: np.ndarray, vertex_count: int) -> int:
    kind, dtype = _index_type(vertex_count)
    view = add_view(file, blob, ids.astype(dtype).tobytes(), gl.ELEMENT_ARRAY_BUFFER)
    return add_accessor(file, gl.Accessor(bufferView=view, componentType=kind, count=len(ids), type=gl.SCALAR))


def add_morph_target(file: gl.GLTF2, blob: bytearray, offsets: np.ndarray) -> int:
    """Offsets ``[n, 3]`` as a sparse accessor over zeros, or as a plain one where that is smaller."""
    moved = np.flatnonzero(np.abs(offsets).max(1) > NEGLIGIBLE_M)
    kind, dtype = _index_type(len(offsets))
    if len(moved) * (12 + np.dtype(dtype).itemsize) >= len(offsets) * 12:
        return add_vectors(file, blob, offsets, bounds=True)
    # A blendshape that moves nothing still needs one entry: readers choke on empty sparse blocks.
    ids = moved if len(moved) else np.zeros(1, np.int64)
    values = offsets[ids] if len(moved) else np.zeros((1, 3), np.float32)
    sparse = gl.Sparse(
        count=len(ids),
        indices=gl.AccessorSparseIndices(
            bufferView=add_view(file, blob, ids.astype(dtype).tobytes()), componentType=kind
        ),
        values=gl.AccessorSparseValues(bufferView=add_view(file, blob, values.astype("<f4").tobytes())),
    )
    # The accessor has no buffer view of its own (all zeros), and then must not have a byteOffset either.
    accessor = gl.Accessor(byteOffset=None, componentType=gl.FLOAT, count=len(offsets), type=gl.VEC3, sparse=sparse)
    # Some vertices are not listed (a full list is never sparse), so zero is always within the bounds.
    accessor.min, accessor.max = values.min(0, initial=0.0).tolist(), values.max(0, initial=0.0).tolist()
    return add_accessor(file, accessor)


def _index_type(vertex_count: int) -> tuple[int, str]:
    """Smallest index type; the largest value of each is reserved (primitive restart)."""
    return (gl.UNSIGNED_SHORT, "<u2") if vertex_count < 65_535 else (gl.UNSIGNED_INT, "<u4")


def to_float32(values: Tensor) -> np.ndarray:
    return to_numpy(values).astype(np.float32)
