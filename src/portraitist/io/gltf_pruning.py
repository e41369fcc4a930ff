"""What nothing in a glTF file refers to any more, taken out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from portraitist.io.gltf_document import GltfDocument

KNOWN = {
    "EXT_mesh_gpu_instancing",
    "EXT_texture_webp",
    "KHR_lights_punctual",
    "KHR_mesh_quantization",
    "KHR_texture_basisu",
    "KHR_texture_transform",
    "VRMC_materials_mtoon",
    "VRMC_node_constraint",
    "VRMC_springBone",
    "VRMC_vrm",
}
"""Extensions whose references are known here, beside those that are about materials only (KHR_materials_...)."""

Reference = tuple[dict[str, Any], str]


def prune(document: GltfDocument) -> None:
    """Take out meshes, accessors and buffer views that are not used, and close the gaps in the buffer.

    A file with extensions that may refer to what is not known here is left as it is.
    """
    used = {*document.tree.get("extensionsUsed", [])}
    if any(name not in KNOWN and not name.startswith("KHR_materials_") for name in used):
        return
    _drop(document, "meshes", _list_mesh_references)
    _drop(document, "accessors", _list_accessor_references)
    _drop(document, "bufferViews", _list_view_references)
    _close_gaps(document)


def _drop(document: GltfDocument, what: str, references: Callable[[GltfDocument], Iterator[Reference]]) -> None:
    entries = document.list(what)
    used = sorted({place[key] for place, key in references(document)})
    numbers = {old: new for new, old in enumerate(used)}
    if len(used) == len(entries):
        return
    for place, key in [*references(document)]:
        place[key] = numbers[place[key]]
    document.tree[what] = [entries[number] for number in used]
    if not used:
        del document.tree[what]


def _list_mesh_references(document: GltfDocument) -> Iterator[Reference]:
    yield from ((node, "mesh") for node in document.list("nodes") if "mesh" in node)


def _list_accessor_references(document: GltfDocument) -> Iterator[Reference]:
    for mesh in document.list("meshes"):
        for primitive in mesh["primitives"]:
            for group in (primitive["attributes"], *primitive.get("targets", [])):
                yield from ((group, name) for name in group)
            if "indices" in primitive:
                yield primitive, "indices"
    for skin in document.list("skins"):
        if "inverseBindMatrices" in skin:
            yield skin, "inverseBindMatrices"
    for animation in document.list("animations"):
        for sampler in animation["samplers"]:
            yield from ((sampler, "input"), (sampler, "output"))
    for node in document.list("nodes"):
        instances = node.get("extensions", {}).get("EXT_mesh_gpu_instancing", {}).get("attributes", {})
        yield from ((instances, name) for name in instances)


def _list_view_references(document: GltfDocument) -> Iterator[Reference]:
    for accessor in document.list("accessors"):
        sparse = accessor.get("sparse", {})
        for place in (accessor, sparse.get("indices", {}), sparse.get("values", {})):
            if "bufferView" in place:
                yield place, "bufferView"
    for image in document.list("images"):
        if "bufferView" in image:
            yield image, "bufferView"


def _close_gaps(document: GltfDocument) -> None:
    """The bytes of the views that are left, one behind the other; views that share bytes go on doing so."""
    blob, moved = bytearray(), dict[tuple[int, int], int]()
    for place in document.list("bufferViews"):
        span = place.get("byteOffset", 0), place["byteLength"]
        if span not in moved:
            blob.extend(bytes(-len(blob) % 8))
            moved[span] = len(blob)
            blob.extend(memoryview(document.blob)[span[0] : sum(span)])
        place["byteOffset"] = moved[span]
    document.blob = blob
