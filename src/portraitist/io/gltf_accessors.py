"""The numbers in the buffer of a glTF file, however they are stored; no number in it is trusted to lie inside."""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MOST = 20_000_000  # numbers of one accessor: a file of a few bytes can ask for any number of zeros


class Buffers:
    """``tree``: the JSON of the file. ``blob``: its binary buffer. Methods raise ValueError, KeyError and the like
    where the file is wrong."""

    def __init__(self, tree: dict[str, Any], blob: bytes | bytearray) -> None:
        self._tree, self._blob = tree, blob

    def read_view(self, number: int) -> bytes:
        """The bytes of a buffer view."""
        view = self._tree["bufferViews"][number]
        start, length = view.get("byteOffset", 0), view["byteLength"]
        if view.get("buffer", 0) != 0 or start < 0 or length < 0 or start + length > len(self._blob):
            raise ValueError("a view beyond the file's own buffer")
        return bytes(memoryview(self._blob)[start : start + length])

    def read(self, number: int) -> np.ndarray:
        """Real numbers [count, width] of an accessor: integers that stand for -1..1 or 0..1 as these, sparse ones
        filled in."""
        accessor = self._tree["accessors"][number]
        values = self.read_raw(number).astype(np.float64)
        if accessor.get("normalized"):
            kind = np.dtype(KINDS[accessor["componentType"]])
            values = np.maximum(values / np.iinfo(kind).max, -1)
        return values

    def read_ids(self, number: int) -> np.ndarray:
        """Whole numbers [count] of an accessor."""
        return self.read_raw(number).reshape(-1).astype(np.int64)

    def read_raw(self, number: int) -> np.ndarray:
        """The numbers [count, width] of an accessor as they are typed, sparse ones filled in."""
        accessor = self._tree["accessors"][number]
        kind, width, count = np.dtype(KINDS[accessor["componentType"]]), WIDTHS[accessor["type"]], accessor["count"]
        if not 0 < count * width <= MOST:
            raise ValueError("an accessor without numbers, or with too many")
        values = np.zeros((count, width), kind)
        if "bufferView" in accessor:
            values = self._read_block(accessor["bufferView"], accessor.get("byteOffset", 0), kind, count, width).copy()
        if sparse := accessor.get("sparse"):
            where, what = sparse["indices"], sparse["values"]
            id_kind, size = np.dtype(KINDS[where["componentType"]]), sparse["count"]
            if not 0 < size <= count:
                raise ValueError("a sparse accessor with more numbers than it has")
            ids = self._read_block(where["bufferView"], where.get("byteOffset", 0), id_kind, size, 1)[:, 0]
            values[ids] = self._read_block(what["bufferView"], what.get("byteOffset", 0), kind, size, width)
        return values

    def _read_block(self, view: int, offset: int, kind: np.dtype, count: int, width: int) -> np.ndarray:
        data, own = self.read_view(view), kind.itemsize * width
        stride = self._tree["bufferViews"][view].get("byteStride", own)
        if stride < own or offset < 0 or offset + stride * (count - 1) + own > len(data):
            raise ValueError("an accessor beyond its view")
        return np.ndarray((count, width), kind, data, offset, (stride, kind.itemsize))
