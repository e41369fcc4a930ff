"""A head as one GLB file that opens painted, named and movable in any viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pygltflib as gl

from portraitist import __version__
from portraitist.body.standing import has_body, stand
from portraitist.devices import to_numpy
from portraitist.export.body_joints import add_body
from portraitist.export.gltf_buffer import (
    Encoding,
    add_indices,
    add_morph_target,
    add_vectors,
    pack_glb,
    split_at_uv_seams,
)
from portraitist.export.gltf_materials import (
    TextureStore,
    add_material,
    add_texture,
    list_extensions,
    name_texture_file,
)
from portraitist.export.gltf_parts import Part, find_normals, list_parts, list_weights
from portraitist.export.meshopt import MESHOPT, compress_vertices
from portraitist.export.neck_joint import add_neck, has_bust
from portraitist.export.provenance import UNSIGNED, Provenance
from portraitist.export.skin import HEAD_JOINT, add_skin
from portraitist.export.variants import OUTLINE_WIDTH_M, VARIANTS, add_outlines, add_variants, check_styles
from portraitist.io.output_file import new_file
from portraitist.types import Head

QUANTIZATION = "KHR_mesh_quantization"


@dataclass(frozen=True)
class GlbForm:
    """How a head is put into a GLB; each program has its own wishes.

    ``dense``: morph targets are stored whole, for programs without sparse accessors. ``quantized``: shape in 16 bits
    (KHR_mesh_quantization; steps of about 0.006 mm), which pages load faster. ``compressed``: vertices by meshopt
    (EXT_meshopt_compression), for pages that have its decoder. ``small_textures``: as JPEG where that is smaller.
    ``textures_beside``: as PNG files beside the GLB, called after it; Blender gives embedded ones no names of files,
    and loses all but one of them when it writes FBX. ``morph_normals``: targets move normals, too, for lit programs
    that do not compute them. ``visemes``: also the 15 of Oculus, mouthOpen and eyesClosed. ``skinned``: all hangs on
    one joint below a root "Armature", for programs that show morph targets on skinned meshes only (a bust hangs on two
    anyway); not for quantized ones, whose nodes would lose their scale. ``looks``: of `LOOKS`; the first is shown,
    others are variants. ``bones``: what those of a body are called, see `rename`. ``clips``: a body brings its motions.
    """

    dense: bool = False
    quantized: bool = False
    compressed: bool = False
    small_textures: bool = False
    textures_beside: bool = False
    morph_normals: bool = False
    visemes: bool = False
    skinned: bool = False
    looks: tuple[str, ...] = ("unlit",)
    bones: str = "vrm"
    clips: bool = True

    def __post_init__(self) -> None:
        if self.quantized and self.skinned:
            raise ValueError("a quantized GLB cannot be skinned")
        if self.small_textures and self.textures_beside:
            raise ValueError("textures beside a GLB are PNG")


PLAIN = GlbForm()


def write_glb(
    path: str | Path,
    head: Head,
    form: GlbForm = PLAIN,
    *,
    name: str = "painting",
    styles: Mapping[str, Head] | None = None,
    provenance: Provenance = UNSIGNED,
) -> None:
    """Write ``head`` as binary glTF 2.0: a node and mesh "Head" and, below it, one for each layer ("Hair", "Headwear",
    "Bust"), each with a material of its own, unlit if ``form`` does not say otherwise, and its texture embedded. With a
    bust all hangs on joints instead (`add_neck`), so that the head turns on its neck, but for quantized ones. With a
    body all hangs on its bones (`add_body`) and moves; it stands on y = 0, as tall as it is.

    The head's base shape is ``head.neutral``; the targets named in ``mesh.extras.targetNames`` are the 52 ARKit
    blendshapes plus ``originalShape``. Default weights are ``head.expression``, so that base + weights x targets =
    ``head.mesh.vertices``. Layers have the same targets and weights, so that they follow every expression. Vertices are
    doubled at UV seams only; normals come from the undivided mesh, so a lit viewer shows no seam either.

    ``styles``: other heads of the same sitter by the names of their styles, that of ``head`` being ``name``. Their
    textures become variants (KHR_materials_variants), their shapes targets ``shape_NAME`` behind the others.
    ``provenance``: stands in ``asset.extras`` and ``asset.copyright``. The file appears whole or not at all. Raises
    InputError for styles with another topology, OutputError when the file cannot be written.
    """
    path = Path(path)
    store = TextureStore(form.small_textures, path.stem if form.textures_beside else None)
    file, blob = build_gltf(head, form, store, name=name, styles=styles, provenance=provenance)
    for texture, data in store.files.items():
        with new_file(path.with_name(texture)) as temporary:
            temporary.write_bytes(data)
    save_gltf(path, file, blob)


def list_texture_files(path: str | Path, head: Head, styles: Mapping[str, Head] | None = None) -> list[Path]:
    """What `write_glb` writes beside ``path`` where the form has ``textures_beside``."""
    path = Path(path)
    names = ["Painting", *(layer.name.capitalize() for layer in head.layers)]
    names += [f"{name}_{style}" for style in styles or {} for name in names]
    return [path.with_name(name_texture_file(path.stem, name)) for name in names]


def build_gltf(
    head: Head,
    form: GlbForm = PLAIN,
    store: TextureStore | None = None,
    *,
    name: str = "painting",
    styles: Mapping[str, Head] | None = None,
    provenance: Provenance = UNSIGNED,
) -> tuple[gl.GLTF2, bytearray]:
    """What `write_glb` writes, and its binary buffer, for who adds to it. Node 0 is the head, its layers come next.
    ``store``: takes the textures that are not to be embedded."""
    head, styles = stand(head), {style: stand(other) for style, other in (styles or {}).items()}
    file, blob = build_parts(head, form, store, name=name, styles=styles, provenance=provenance)
    if has_body(head):
        add_body(file, blob, head, form.bones, form.clips)
    elif has_bust(head) and not form.quantized:
        add_neck(file, blob, head)
    elif form.skinned:
        add_skin(file, blob, head, [HEAD_JOINT])
    return file, compress_vertices(file, blob) if form.compressed else blob


def build_parts(
    head: Head,
    form: GlbForm = PLAIN,
    store: TextureStore | None = None,
    *,
    name: str = "painting",
    styles: Mapping[str, Head] | None = None,
    provenance: Provenance = UNSIGNED,
) -> tuple[gl.GLTF2, bytearray]:
    """The same without joints, and not compressed yet."""
    styles, store = styles or {}, store or TextureStore(form.small_textures)
    check_styles(head, name, styles)
    asset = gl.Asset(version="2.0", generator=f"Portraitist {__version__}", copyright=provenance.copyright())
    asset.extras = provenance.facts()
    file, blob = gl.GLTF2(asset=asset), bytearray()
    parts = list_parts(head, visemes=form.visemes, styles=styles)
    encoding = Encoding(form.dense or form.compressed, _find_reach(parts) if form.quantized else None)
    normals = {target: find_normals(parts, target) for target in [None, *[*parts[0].morphs] * form.morph_normals]}
    for number, part in enumerate(parts):
        own = {target: rows[number] for target, rows in normals.items()}
        _add_part(file, blob, part, own, list_weights(head, part), form, encoding, store)
    if "toon" in form.looks:
        add_outlines(file, blob, parts, encoding, form.looks)
    add_variants(file, blob, {name: head, **styles}, form.looks, store)
    # Who moves the head takes its layers along.
    file.nodes[0].children = list(range(1, len(file.nodes)))
    if encoding.reach is not None:
        file.nodes[0].scale = [encoding.reach] * 3
    file.samplers = [
        gl.Sampler(
            magFilter=gl.LINEAR, minFilter=gl.LINEAR_MIPMAP_LINEAR, wrapS=gl.CLAMP_TO_EDGE, wrapT=gl.CLAMP_TO_EDGE
        )
    ]
    file.scenes = [gl.Scene(name="Scene", nodes=[0])]
    file.scene = 0
    needed = [*[QUANTIZATION] * form.quantized, *[MESHOPT] * form.compressed]
    variants = [VARIANTS] if VARIANTS in (file.extensions or {}) else []
    file.extensionsRequired = needed
    file.extensionsUsed = [*list_extensions(file), *variants, *needed]
    return file, blob


def save_gltf(path: str | Path, file: gl.GLTF2, blob: bytearray) -> None:
    """Write ``file`` with its binary buffer, whole or not at all. Raises OutputError when it cannot be written."""
    file.buffers = [gl.Buffer(byteLength=len(blob)), *file.buffers[1:]]
    with new_file(Path(path)) as temporary:
        temporary.write_bytes(pack_glb(file, blob))


def _find_reach(parts: list[Part]) -> float:
    """No coordinate and no offset of any part, nor of the outline around it, is larger; meters."""
    shapes = [to_numpy(part.mesh.vertices) for part in parts]
    offsets = [offset for part in parts for offset in part.morphs.values()]
    return float(max(np.abs(values).max() for values in (*shapes, *offsets))) + OUTLINE_WIDTH_M


def _add_part(
    file: gl.GLTF2,
    blob: bytearray,
    part: Part,
    normals: Mapping[str | None, np.ndarray],
    weights: list[float],
    form: GlbForm,
    encoding: Encoding,
    store: TextureStore,
) -> None:
    """A node with a mesh of one primitive, and its material. ``normals``: at rest (None), and moved by targets."""
    vertex_ids, uv_ids, corners = split_at_uv_seams(part.mesh)
    vertices = to_numpy(part.mesh.vertices, np.float32)
    attributes = gl.Attributes(
        POSITION=add_vectors(file, blob, encoding.encode(vertices[vertex_ids]), bounds=True),
        NORMAL=add_vectors(file, blob, encoding.encode_unit(normals[None][vertex_ids])),
        TEXCOORD_0=add_vectors(file, blob, encoding.encode_uvs(to_numpy(part.mesh.uvs, np.float32)[uv_ids])),
    )
    targets = []
    for name, offset in part.morphs.items():
        target = gl.Attributes(POSITION=add_morph_target(file, blob, offset[vertex_ids], encoding))
        if form.morph_normals:
            change = normals[name] - normals[None]
            target.NORMAL = add_morph_target(file, blob, change[vertex_ids], Encoding(form.dense))
        targets.append(target)
    texture = add_texture(file, blob, part.texture, part.material, store)
    primitive = gl.Primitive(
        attributes=attributes,
        indices=add_indices(file, blob, corners, len(vertex_ids)),
        material=add_material(file, texture, part.material, unlit=form.looks[0] != "lit"),
        targets=targets or None,
    )
    extras = {"targetNames": [*part.morphs]}
    file.nodes.append(gl.Node(name=part.name, mesh=len(file.meshes)))
    file.meshes.append(gl.Mesh(name=part.name, primitives=[primitive], weights=weights or None, extras=extras))
