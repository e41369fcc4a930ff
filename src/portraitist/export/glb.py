"""A head as one GLB file that opens painted, named and movable in any viewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygltflib as gl
import torch
from jaxtyping import Float
from torch import Tensor

from portraitist import __version__
from portraitist.devices import to_numpy
from portraitist.export.gltf_buffer import add_indices, add_morph_target, add_vectors, split_at_uv_seams, to_float32
from portraitist.export.gltf_materials import add_unlit_material
from portraitist.export.provenance import UNSIGNED, Provenance
from portraitist.io.output_file import new_file
from portraitist.mesh.carrying import find_layer_deltas
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import EXPRESSION_NAMES, Head, Image, Mesh

ORIGINAL_SHAPE = "originalShape"
"""Morph target that slides the exaggeration out again: at weight 1 the head has its unstylized shape."""


def write_glb(path: str | Path, head: Head, *, provenance: Provenance = UNSIGNED) -> None:
    """Write ``head`` as binary glTF 2.0: a node and mesh "Head" and, below it, one for each layer ("Hair", "Headwear"),
    each with an unlit material of its own and its texture embedded.

    The head's base shape is ``head.neutral``; the targets named in ``mesh.extras.targetNames`` are the 52 ARKit
    blendshapes plus ``originalShape``. Default weights are ``head.expression``, so that base + weights x targets =
    ``head.mesh.vertices``. Layers have the same targets and weights, so that they follow every expression. Vertices are
    doubled at UV seams only; normals come from the undivided mesh, so a lit viewer shows no seam either.
    ``provenance``: stands in ``asset.extras`` and ``asset.copyright``. The file appears whole or not at all. Raises
    OutputError when it cannot be written.
    """
    file, blob = build_gltf(head, provenance=provenance)
    save_gltf(path, file, blob)


def build_gltf(head: Head, *, provenance: Provenance = UNSIGNED) -> tuple[gl.GLTF2, bytearray]:
    """What `write_glb` writes, and its binary buffer, for who adds to it. Node 0 is the head; all others are below."""
    file = gl.GLTF2(asset=_describe_asset(provenance))
    blob = bytearray()
    weights = [*to_float32(head.expression).tolist(), 0.0]
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


def _describe_asset(provenance: Provenance) -> gl.Asset:
    facts = provenance.facts()
    return gl.Asset(
        version="2.0", generator=f"Portraitist {__version__}", copyright=provenance.copyright(), extras=facts
    )


def _name_morphs(deltas: Float[Tensor, "52 n 3"], to_original: Float[Tensor, "n 3"]) -> dict[str, np.ndarray]:
    """Offsets by the names of the targets."""
    return dict(zip(EXPRESSION_NAMES, to_float32(deltas), strict=True)) | {ORIGINAL_SHAPE: to_float32(to_original)}


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
    vertex_ids, uv_ids, corners = split_at_uv_seams(mesh)
    vertices = to_float32(mesh.vertices)
    attributes = gl.Attributes(
        POSITION=add_vectors(file, blob, vertices[vertex_ids], bounds=True),
        NORMAL=add_vectors(file, blob, vertex_normals(vertices, to_numpy(mesh.faces))[vertex_ids]),
        TEXCOORD_0=add_vectors(file, blob, to_float32(mesh.uvs)[uv_ids]),
    )
    primitive = gl.Primitive(
        attributes=attributes,
        indices=add_indices(file, blob, corners, len(vertex_ids)),
        material=len(file.materials),
        targets=[
            gl.Attributes(POSITION=add_morph_target(file, blob, offset[vertex_ids])) for offset in morphs.values()
        ],
    )
    add_unlit_material(file, blob, texture, material)
    extras = {"targetNames": [*morphs]}
    file.nodes.append(gl.Node(name=name, mesh=len(file.meshes)))
    file.meshes.append(gl.Mesh(name=name, primitives=[primitive], weights=weights, extras=extras))
