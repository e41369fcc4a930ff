"""The expressions of VRM files, which know morph targets by number: of the new head's as they were of the old face's.

VRM 1.0 binds a node's targets with weights 0..1, VRM 0.x a mesh's with weights 0..100.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from portraitist.export.vrm import PRESETS, VRM
from portraitist.io.gltf_document import GltfDocument

OLD_VRM = "VRM"  # the extension of VRM 0.x
OLD_NAMES = {
    "joy": "happy", "sorrow": "sad", "fun": "relaxed", "a": "aa", "i": "ih", "u": "ou", "e": "ee", "o": "oh",
    "blink_l": "blinkLeft", "blink_r": "blinkRight",
    "lookup": "lookUp", "lookdown": "lookDown", "lookleft": "lookLeft", "lookright": "lookRight",
}  # fmt: skip
"""What VRM 0.x calls the presets of VRM 1.0."""

PLAIN = {"shader": "VRM_USE_GLTFSHADER", "renderQueue": 2000} | {
    f"{kind}Properties": {} for kind in ("float", "vector", "texture")
}
"""How VRM 0.x says that a material is drawn as glTF has it; it has such an entry for each material."""


@dataclass(frozen=True)
class Change:
    """``old``: the file before. ``targets``: names of each old node's morph targets. ``face``: the old face's node;
    ``nodes``: those of the new head and its layers, ``names``: of their targets, by names of the 52 in ``spelled``.
    ``emptied``: nodes that lost their meshes."""

    old: GltfDocument
    targets: dict[int, list[str]]
    face: int
    nodes: list[int]
    names: list[str]
    spelled: dict[str, str]
    emptied: set[int]


Bind = tuple[int, int, float]
"""Node, number of a morph target, weight 0..1."""


def renumber_expressions(document: GltfDocument, change: Change) -> None:
    """Write the expressions of ``document`` anew; bones are not touched.

    Presets that bound targets of other names than the 52 bind these, as our own VRM files do.
    """
    extensions = document.tree.get("extensions", {})
    if VRM in extensions:
        _renumber_new(extensions[VRM], change)
    if OLD_VRM in extensions:
        _renumber_old(document, extensions[OLD_VRM], change)


def _renumber_new(vrm: dict[str, Any], change: Change) -> None:
    for kind, group in vrm.get("expressions", {}).items():
        for name, expression in group.items():
            given = [(b["node"], b["index"], b.get("weight", 1.0)) for b in expression.get("morphTargetBinds", [])]
            binds = _translate(given, name if kind == "preset" else "", change)
            if given:
                expression["morphTargetBinds"] = [{"node": n, "index": i, "weight": w} for n, i, w in binds]
    notes = vrm.get("firstPerson", {}).get("meshAnnotations", [])
    own = [note for note in notes if note["node"] == change.face]
    noted = {note["node"] for note in notes if note["node"] not in change.emptied - {*change.nodes}}
    notes[:] = [note for note in notes if note["node"] in noted]
    notes += [own[0] | {"node": node} for node in change.nodes if own and node not in noted]


def _renumber_old(document: GltfDocument, vrm: dict[str, Any], change: Change) -> None:
    before = {number: node["mesh"] for number, node in enumerate(change.old.list("nodes")) if "mesh" in node}
    after = {number: node["mesh"] for number, node in enumerate(document.list("nodes")) if "mesh" in node}
    for group in vrm.get("blendShapeMaster", {}).get("blendShapeGroups", []):
        bound = group.get("binds", [])
        given = [(n, b["index"], b["weight"] / 100) for b in bound for n, mesh in before.items() if mesh == b["mesh"]]
        preset = str(group.get("presetName", ""))
        binds = _translate(given, OLD_NAMES.get(preset, preset), change)
        written = {(after[n], i): 100 * w for n, i, w in binds if n in after}
        group["binds"] = [{"mesh": m, "index": i, "weight": w} for (m, i), w in written.items()]
    notes = vrm.get("firstPerson", {}).get("meshAnnotations", [])
    own = [note for note in notes if note["mesh"] == before[change.face]]
    noted = {note["mesh"] for note in notes}
    notes += [own[0] | {"mesh": after[node]} for node in change.nodes if own and after[node] not in noted]
    if "materialProperties" in vrm:
        known, materials = len(vrm["materialProperties"]), document.list("materials")
        vrm["materialProperties"] += [
            copy.deepcopy(PLAIN) | {"name": material["name"], "keywordMap": {}, "tagMap": {}}
            for material in materials[known:]
        ]


def _translate(given: list[Bind], preset: str, change: Change) -> list[Bind]:
    """What an expression binds after it has bound ``given``. ``preset``: its name in VRM 1.0, where it is one."""
    kept, wished, expressions, lost = [], dict[str, float](), {*change.spelled.values()}, False
    for node, number, weight in sorted(given, key=lambda bind: bind[0] == change.face):
        names = change.targets.get(node, [])
        name = names[number] if number < len(names) else ""
        if node not in change.emptied:
            kept.append((node, number, weight))
        if name in change.names:
            wished[name] = weight  # the old face has the last word
        if name not in expressions:  # if anything, it moves the neck
            lost |= node == change.face or node in change.emptied
    if lost and not expressions & {*wished}:
        wished |= {change.spelled[name]: weight for name, weight in PRESETS.get(preset, {}).items()}
    new = [(n, change.names.index(name), weight) for n in change.nodes for name, weight in wished.items()]
    return [*kept, *new]
