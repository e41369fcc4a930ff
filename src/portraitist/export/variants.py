"""Several paintings and looks of one head in one glTF file (KHR_materials_variants), never two looks at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pygltflib as gl

from portraitist.devices import to_numpy
from portraitist.errors import InputError
from portraitist.export.gltf_buffer import Encoding, add_indices, add_vectors, split_at_uv_seams
from portraitist.export.gltf_materials import (
    NO_OUTLINE,
    OUTLINE,
    TextureStore,
    add_material,
    add_outline_material,
    add_texture,
    find_darkest,
)
from portraitist.export.gltf_parts import Part, list_meshes, list_textures
from portraitist.mesh.laplacian import vertex_normals
from portraitist.types import REGIONS, Head, Mesh

VARIANTS = "KHR_materials_variants"
OUTLINE_WIDTH_M = 0.0015  # of the toon look: about two pixels of a head in 512
INSIDE = ("eyeballs", "mouth_inside", "teeth", "tongue")  # regions that get no outline: it would show between the lips


def check_styles(head: Head, name: str, styles: Mapping[str, Head]) -> None:
    """Raises InputError unless all heads have the topology and the layers of ``head``, so that one shape and one layout
    serve them all, and names that are theirs alone."""
    if name in styles:
        raise InputError(f"Two styles are called {name!r}. Rename one of the files: variants go by their names.")
    for style, other in styles.items():
        names, needed = [[layer.name for layer in each.layers] for each in (other, head)]
        if names != needed:
            got, want = [", ".join(each) or "none" for each in (names, needed)]
            raise InputError(
                f"The style {style!r} has other layers ({got}) than the first head ({want}). {SAME_SITTER}"
            )
        for part, own, new in zip(["head", *needed], list_meshes(head), list_meshes(other), strict=True):
            if not _is_same_topology(own, new):
                raise InputError(
                    f"The {part} of the style {style!r} has another topology than the first. {SAME_SITTER}"
                )


SAME_SITTER = "All styles of one file must be made from the same photo, with the same --hair and --subdivide."


def _is_same_topology(one: Mesh, other: Mesh) -> bool:
    pairs = ((one.faces, other.faces), (one.uv_faces, other.uv_faces), (one.uvs, other.uvs))
    same_count = len(one.vertices) == len(other.vertices)
    return same_count and all(np.array_equal(to_numpy(own), to_numpy(new)) for own, new in pairs)


def add_outlines(
    file: gl.GLTF2, blob: bytearray, parts: Sequence[Part], encoding: Encoding, looks: Sequence[str]
) -> None:
    """Put around each part a second primitive, turned inside out and moved out along the normals, with the same targets
    (inverted hull), in the color of the darkest paint of the head. It is seen where the first look is toon."""
    outline = shown = add_outline_material(file, find_darkest(parts[0].texture))
    if len(looks) > 1:
        hidden = add_outline_material(file, None)
        shown = outline if looks[0] == "toon" else hidden
    for part, mesh in zip(parts, file.meshes, strict=True):
        (primitive,) = mesh.primitives
        mesh.primitives.append(_make_hull(file, blob, part, primitive, encoding, shown))


def add_variants(
    file: gl.GLTF2, blob: bytearray, heads: Mapping[str, Head], looks: Sequence[str], store: TextureStore
) -> None:
    """Give each part a material for every style and every look. ``heads``: by their styles, the first being what the
    file shows, in the first look. Variants are called STYLE, LOOK or STYLE_LOOK, as far as there are several; a file
    with one style and one look has none."""
    choices = {_name_variant(style, look, heads, looks): look for style in heads for look in looks}
    if len(choices) < 2:
        return
    for number, mesh in enumerate(file.meshes):
        primitive, *hulls = mesh.primitives
        shown, texture = primitive.material or 0, _find_texture(file, primitive)
        title, materials = file.materials[shown].name, []
        for style, head in heads.items():
            if materials:
                texture = add_texture(file, blob, list_textures(head)[number], f"{title}_{style}", store)
            for look in looks:
                name = f"{title}_{_name_variant(style, look, heads, looks)}"
                materials.append(add_material(file, texture, name, unlit=look != "lit") if materials else shown)
        primitive.extensions = _map(materials)
        for hull in hulls:
            hull.extensions = _map([_find_outline(file, look == "toon") for look in choices.values()])
    file.extensions = {VARIANTS: {"variants": [{"name": name} for name in choices]}}


def _name_variant(style: str, look: str, heads: Mapping[str, Head], looks: Sequence[str]) -> str:
    if len(heads) == 1:
        return look
    return style if len(looks) == 1 else f"{style}_{look}"


def _map(materials: list[int]) -> dict[str, Any]:
    """Which material each variant has, by their numbers."""
    users = {material: [i for i, each in enumerate(materials) if each == material] for material in materials}
    return {VARIANTS: {"mappings": [{"material": material, "variants": each} for material, each in users.items()]}}


def _find_texture(file: gl.GLTF2, primitive: gl.Primitive) -> int:
    shading = file.materials[primitive.material or 0].pbrMetallicRoughness
    assert shading is not None
    assert shading.baseColorTexture is not None
    return shading.baseColorTexture.index or 0


def _find_outline(file: gl.GLTF2, shown: bool) -> int:
    """The material of outlines, or the one that hides them."""
    return next(i for i, material in enumerate(file.materials) if material.name == (OUTLINE if shown else NO_OUTLINE))


def _make_hull(
    file: gl.GLTF2, blob: bytearray, part: Part, primitive: gl.Primitive, encoding: Encoding, material: int
) -> gl.Primitive:
    """Its vertices are those of ``primitive``, in its order, so that targets are shared."""
    vertices, faces = to_numpy(part.mesh.vertices, np.float32), to_numpy(part.mesh.faces)
    vertex_ids, _, corners = split_at_uv_seams(part.mesh)
    outside = ~np.isin(to_numpy(part.mesh.regions), [REGIONS.index(name) for name in INSIDE])
    moved = vertices + OUTLINE_WIDTH_M * vertex_normals(vertices, faces)
    turned = corners.reshape(-1, 3)[outside][:, ::-1].reshape(-1)
    own = primitive.attributes
    return gl.Primitive(
        attributes=gl.Attributes(
            POSITION=add_vectors(file, blob, encoding.encode(moved[vertex_ids]), bounds=True), NORMAL=own.NORMAL
        ),
        indices=add_indices(file, blob, turned, len(vertex_ids)),
        material=material,
        targets=primitive.targets,
    )
