"""A head as one GLB file that opens painted, named and movable in any viewer."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pygltflib as gl
import torch
from jaxtyping import Float
from PIL import Image as PillowImage
from torch import Tensor

from portraitist import __version__
from portraitist.devices import to_numpy
from portraitist.io.images import encode_png, image_to_uint8
from portraitist.io.output_file import new_file
from portraitist.mesh.carrying import find_layer_deltas
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import EXPRESSION_NAMES, Head, Image, Mesh

ORIGINAL_SHAPE = "originalShape"
"""Morph target that slides the exaggeration out again: at weight 1 the head has its unstylized shape."""

NEGLIGIBLE_M = 1e-7
"""Morph offsets below a tenth of a micrometer are stored as nothing, which makes most targets small."""

LARGEST_PNG_BYTES = 6_000_000
"""Above this the texture is embedded as JPEG: a 4k painting would otherwise weigh more than all the rest."""


def write_glb(path: str | Path, head: Head) -> None:
    """Write ``head`` as binary glTF 2.0: a node and mesh "Head" and, below it, one for each layer ("Hair", "Headwear"),
    each with an unlit material of its own and its texture embedded.

    The head's base shape is ``head.neutral``; the targets named in ``mesh.extras.targetNames`` are the 52 ARKit
    blendshapes plus ``originalShape``. Default weights are ``head.expression``, so that base + weights x targets =
    ``head.mesh.vertices``. Layers have the same targets and weights, so that they follow every expression. Vertices are
    doubled at UV seams only; normals come from the undivided mesh, so a lit viewer shows no seam either. The file
    appears whole or not at all. Raises OutputError when it cannot be written.
    """
    file, blob = build_gltf(head)
    save_gltf(path, file, blob)


def build_gltf(head: Head) -> tuple[gl.GLTF2, bytearray]:
    """What `write_glb` writes, and its binary buffer, for who adds to it. Node 0 is the head; all others are below."""
    file = gl.GLTF2(asset=gl.Asset(version="2.0", generator=f"Portraitist {__version__}"))
    blob = bytearray()
    weights = [*_float32(head.expression).tolist(), 0.0]
    shift = head.original - head.mesh.vertices
    _add_part(
        file, blob, "Head", head.mesh.with_vertices(head.neutral), _name_morphs(head.expression_deltas, shift),
        weights, head.texture, "Painting"
    )  # fmt: skip
    for layer, deltas in zip(head.layers, find_layer_deltas(head), strict=True):
        neutral = layer.mesh.vertices - torch.einsum("e,ekd->kd", head.expression, deltas)
        morphs, name = _name_morphs(deltas, layer.original - layer.mesh.vertices), layer.name.capitalize()
        _add_part(file, blob, name, layer.mesh.with_vertices(neutral), morphs, weights, layer.texture, name)
    # Who moves the head takes its layers along.
    file.nodes[0].children = list(range(1, len(file.nodes)))
    file.samplers = [
        gl.Sampler(
            magFilter=gl.LINEAR, minFilter=gl.LINEAR_MIPMAP_LINEAR, wrapS=gl.CLAMP_TO_EDGE, wrapT=gl.CLAMP_TO_EDGE
        )
    ]
    file.extensionsUsed = ["KHR_materials_unlit"]
    file.scenes = [gl.Scene(name="Head", nodes=[0])]
    file.scene = 0
    return file, blob


def save_gltf(path: str | Path, file: gl.GLTF2, blob: bytearray) -> None:
    """Write ``file`` with its binary buffer, whole or not at all. Raises OutputError when it cannot be written."""
    file.buffers = [gl.Buffer(byteLength=len(blob))]
    file.set_binary_blob(bytes(blob))
    with new_file(Path(path)) as temporary:
        temporary.write_bytes(b"".join(file.save_to_bytes()))


def _name_morphs(deltas: Float[Tensor, "52 n 3"], to_original: Float[Tensor, "n 3"]) -> dict[str, np.ndarray]:
    """Offsets by the names of the targets."""
    return dict(zip(EXPRESSION_NAMES, _float32(deltas), strict=True)) | {ORIGINAL_SHAPE: _float32(to_original)}


def _add_part(
    file: gl.GLTF2,
    blob: bytearray,
    name: str,
    mesh: Mesh,
    morphs: dict[str, np.ndarray],
    weights: list[float],
    texture: Image,
    material: str,
) -> None:
    """A node with a mesh of one primitive. ``morphs``: offsets of its vertices by the names of the targets."""
    vertex_ids, uv_ids, corners = _split_at_uv_seams(mesh)
    vertices = _float32(mesh.vertices)
    attributes = gl.Attributes(
        POSITION=_add_vectors(file, blob, vertices[vertex_ids], bounds=True),
        NORMAL=_add_vectors(file, blob, vertex_normals(vertices, to_numpy(mesh.faces))[vertex_ids]),
        TEXCOORD_0=_add_vectors(file, blob, _float32(mesh.uvs)[uv_ids]),
    )
    primitive = gl.Primitive(
        attributes=attributes,
        indices=_add_indices(file, blob, corners, len(vertex_ids)),
        material=len(file.materials),
        targets=[
            gl.Attributes(POSITION=_add_morph_target(file, blob, offset[vertex_ids])) for offset in morphs.values()
        ],
    )
    _add_unlit_material(file, blob, texture, material)
    extras = {"targetNames": [*morphs]}
    file.nodes.append(gl.Node(name=name, mesh=len(file.meshes)))
    file.meshes.append(gl.Mesh(name=name, primitives=[primitive], weights=weights, extras=extras))


def _split_at_uv_seams(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def _add_vectors(file: gl.GLTF2, blob: bytearray, values: np.ndarray, bounds: bool = False) -> int:
    """A plain float32 accessor for ``values [n, 2 or 3]``; positions need their bounds written."""
    view = add_view(file, blob, np.ascontiguousarray(values, dtype="<f4").tobytes(), gl.ARRAY_BUFFER)
    accessor = gl.Accessor(bufferView=view, componentType=gl.FLOAT, count=len(values), type=f"VEC{values.shape[1]}")
    if bounds:
        accessor.min, accessor.max = values.min(0).tolist(), values.max(0).tolist()
    return add_accessor(file, accessor)


def _add_indices(file: gl.GLTF2, blob: bytearray, ids: np.ndarray, vertex_count: int) -> int:
    kind, dtype = _index_type(vertex_count)
    view = add_view(file, blob, ids.astype(dtype).tobytes(), gl.ELEMENT_ARRAY_BUFFER)
    return add_accessor(file, gl.Accessor(bufferView=view, componentType=kind, count=len(ids), type=gl.SCALAR))


def _add_morph_target(file: gl.GLTF2, blob: bytearray, offsets: np.ndarray) -> int:
    """Offsets ``[n, 3]`` as a sparse accessor over zeros, or as a plain one where that is smaller."""
    moved = np.flatnonzero(np.abs(offsets).max(1) > NEGLIGIBLE_M)
    kind, dtype = _index_type(len(offsets))
    if len(moved) * (12 + np.dtype(dtype).itemsize) >= len(offsets) * 12:
        return _add_vectors(file, blob, offsets, bounds=True)
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


def _add_unlit_material(file: gl.GLTF2, blob: bytearray, texture: Image, name: str) -> None:
    """The painting already holds its light, so the material must not add any (KHR_materials_unlit)."""
    data, mime_type = _encode_texture(texture)
    file.textures.append(gl.Texture(source=len(file.images), sampler=0))
    file.images.append(gl.Image(name=name, bufferView=add_view(file, blob, data), mimeType=mime_type))
    file.materials.append(
        gl.Material(
            name=name,
            pbrMetallicRoughness=gl.PbrMetallicRoughness(
                baseColorTexture=gl.TextureInfo(index=len(file.textures) - 1), metallicFactor=0.0, roughnessFactor=1.0
            ),
            doubleSided=True,  # the neck is open below, and the mouth is seen from inside
            alphaCutoff=None,  # only allowed with alphaMode MASK
            extensions={"KHR_materials_unlit": {}},
        )
    )


def _encode_texture(texture: Image) -> tuple[bytes, str]:
    png = encode_png(texture)
    if len(png) <= LARGEST_PNG_BYTES:
        return png, "image/png"
    buffer = io.BytesIO()
    PillowImage.fromarray(image_to_uint8(texture)).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue(), "image/jpeg"


def _index_type(vertex_count: int) -> tuple[int, str]:
    """Smallest index type; the largest value of each is reserved (primitive restart)."""
    return (gl.UNSIGNED_SHORT, "<u2") if vertex_count < 65_535 else (gl.UNSIGNED_INT, "<u4")


def _float32(values: Tensor) -> np.ndarray:
    return to_numpy(values).astype(np.float32)
