"""Reads a GLB independently and slowly."""

from __future__ import annotations

import io

import numpy as np
import pygltflib as gl
from PIL import Image as PillowImage

SCALAR_TYPES = {gl.FLOAT: "<f4", gl.UNSIGNED_SHORT: "<u2", gl.UNSIGNED_INT: "<u4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def read_accessor(file: gl.GLTF2, index: int) -> np.ndarray:
    """Independent, slow reading of an accessor, sparse ones included."""
    accessor, blob = file.accessors[index], file.binary_blob()

    def read(view: int, dtype: str, count: int) -> np.ndarray:
        return np.frombuffer(blob, dtype, count, file.bufferViews[view].byteOffset)

    dtype, width = SCALAR_TYPES[accessor.componentType], WIDTHS[accessor.type]
    if accessor.bufferView is None:
        values = np.zeros((accessor.count, width), np.float32)
    else:
        values = read(accessor.bufferView, dtype, accessor.count * width).reshape(accessor.count, width).copy()
    if (sparse := accessor.sparse) is not None:
        ids = read(sparse.indices.bufferView, SCALAR_TYPES[sparse.indices.componentType], sparse.count)
        assert (np.diff(ids.astype(int)) > 0).all(), "sparse indices must increase"
        values[ids] = read(sparse.values.bufferView, dtype, sparse.count * width).reshape(-1, width)
    return values


def read_image(file: gl.GLTF2, index: int) -> np.ndarray:
    """Pixels 0..1 of an embedded picture."""
    view = file.bufferViews[file.images[index].bufferView]
    data = file.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    return np.asarray(PillowImage.open(io.BytesIO(data))) / 255
