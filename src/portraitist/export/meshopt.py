"""Vertices of a glTF file, compressed (EXT_meshopt_compression): neighbors differ little, and most targets move few.

Only the codec of attributes, without filters: what comes out is what went in, bit for bit.
"""

from __future__ import annotations

import numpy as np
import pygltflib as gl
from jaxtyping import UInt8

from portraitist.io.gltf_accessors import KINDS, WIDTHS

MESHOPT = "EXT_meshopt_compression"

# Of the format (its specification, appendix A).
HEADER = 0xA0
GROUP = 16  # differences that are stored with one number of bits
BLOCK_BYTES = 8192
LARGEST_BLOCK = 256  # elements
SHORTEST_TAIL = 32  # bytes
SENTINELS = (3, 15)  # of 2 and 4 bits: what is as large or larger follows behind as a byte


def compress_vertices(file: gl.GLTF2, blob: bytearray) -> bytearray:
    """The new buffer of a glTF file in which all views of vertices are compressed; the file's views are changed.

    Programs without the extension cannot read the file.
    """
    strides = {accessor.bufferView: _find_stride(file, accessor) for accessor in file.accessors}
    new, fallback = bytearray(), 0
    for number, view in enumerate(file.bufferViews):
        start = view.byteOffset or 0
        data = bytes(blob[start : start + view.byteLength])
        offset = len(new)
        if view.target == gl.ARRAY_BUFFER:
            stride = strides[number]
            packed = encode_attributes(np.frombuffer(data, np.uint8).reshape(-1, stride))
            place = {"buffer": 0, "byteOffset": offset, "byteLength": len(packed), "byteStride": stride}
            view.extensions = {MESHOPT: place | {"mode": "ATTRIBUTES", "count": len(data) // stride}}
            view.buffer, view.byteOffset = 1, fallback
            fallback += -(-len(data) // 4) * 4
            data = packed
        else:
            view.byteOffset = offset
        new.extend(data)
        new.extend(bytes(-len(new) % 4))
    # The second buffer is only there to be pointed at: nobody without the extension reads the file.
    file.buffers = [gl.Buffer(), gl.Buffer(byteLength=fallback, extensions={MESHOPT: {"fallback": True}})]
    return new


def encode_attributes(elements: UInt8[np.ndarray, "n stride"]) -> bytes:
    """Elements as bytes: per block and byte of an element, the differences to the element before."""
    count, stride = elements.shape
    differences = np.zeros((count, stride), np.int8)
    differences[1:] = (elements[1:] - elements[:-1]).view(np.int8)
    folded = ((differences >> 7) ^ (differences << 1)).view(np.uint8)  # small numbers of either sign become small
    block = min(BLOCK_BYTES // stride // GROUP * GROUP, LARGEST_BLOCK)
    parts = [bytes([HEADER])]
    for start in range(0, count, block):
        rows = folded[start : start + block]
        padded = np.zeros((-(-len(rows) // GROUP) * GROUP, stride), np.uint8)
        padded[: len(rows)] = rows
        parts += [_encode_block(column.reshape(-1, GROUP)) for column in padded.T]
    return b"".join([*parts, elements[0].tobytes().rjust(max(stride, SHORTEST_TAIL), b"\0")])


def _encode_block(groups: UInt8[np.ndarray, "g 16"]) -> bytes:
    """The same byte of all elements of a block. Each group is stored with 0, 2, 4 or 8 bits, as is shortest."""
    small, large = (4 + (groups >= SENTINELS[0]).sum(1)), (8 + (groups >= SENTINELS[1]).sum(1))
    sizes = np.stack([np.where(groups.any(1), GROUP + 1, 0), small, large, np.full(len(groups), GROUP)])
    modes = sizes.argmin(0)
    header = np.zeros(-(-len(groups) // 4) * 4, np.uint8)
    header[: len(groups)] = modes
    parts = [(header.reshape(-1, 4) << np.array([0, 2, 4, 6], np.uint8)).sum(1).astype(np.uint8).tobytes()]
    for group, mode in zip(groups[modes > 0], modes[modes > 0], strict=True):
        if mode == 3:
            parts.append(group.tobytes())
            continue
        bits, sentinel = 2 * mode, SENTINELS[mode - 1]
        codes = np.minimum(group, sentinel).reshape(-1, 8 // bits)
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)  # the first stands highest
        parts.append((codes << shifts).sum(1).astype(np.uint8).tobytes() + group[group >= sentinel].tobytes())
    return b"".join(parts)


def _find_stride(file: gl.GLTF2, accessor: gl.Accessor) -> int:
    own = file.bufferViews[accessor.bufferView].byteStride if accessor.bufferView is not None else None
    return own or WIDTHS[accessor.type] * np.dtype(KINDS[accessor.componentType]).itemsize
