"""The file that Blender is given: parts on one skeleton, with three clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from anny_body import Body
from scipy.spatial.transform import Rotation

from portraitist.io.gltf_document import GltfDocument
from portraitist.mesh.laplacian import vertex_normals

SECONDS, KEYS = 1.0, 25


@dataclass
class Part:
    """One primitive of mesh ``name``. ``material``: name, linear color or None, texture file or None."""

    name: str
    material: tuple[str, tuple[float, float, float] | None, Path | None]
    vertices: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    uvs: np.ndarray | None
    morphs: dict[str, np.ndarray]


def write_source(
    path: Path, parts: list[Part], body: Body, talking: dict[str, str], *, scale: float = 1.0, turn_deg: float = 0.0
) -> None:
    """``talking``: a morph target and the clip that moves it. ``scale``: of the root, whose contents are as much
    larger; ``turn_deg``: about +Y."""
    file = GltfDocument({"asset": {"version": "2.0"}, "scene": 0}, bytearray())
    first = _add_joints(file, body, scale, turn_deg)
    materials: dict[str, int] = {}
    meshes: dict[str, list[Part]] = {}
    for part in parts:
        meshes.setdefault(part.name, []).append(part)
        if part.material[0] not in materials:
            materials[part.material[0]] = _add_material(file, *part.material)
    nodes = {}
    for name, own in meshes.items():
        targets = list(own[0].morphs)
        primitives = [_add_primitive(file, part, materials[part.material[0]], scale) for part in own]
        mesh = {"name": name, "primitives": primitives}
        if targets:
            mesh |= {"weights": [0.0] * len(targets), "extras": {"targetNames": targets}}
        nodes[name] = file.append("nodes", {"name": name, "mesh": file.append("meshes", mesh), "skin": 0})
    file.tree["nodes"][0]["children"] += list(nodes.values())
    file.tree["scenes"] = [{"nodes": [0]}]
    _add_clips(file, body, first, nodes, meshes, talking)
    path.write_bytes(file.pack())


def _add_joints(file: GltfDocument, body: Body, scale: float, turn_deg: float) -> int:
    turn = Rotation.from_euler("y", turn_deg, degrees=True).as_quat().tolist()
    floor = body.vertices[body.faces][..., 1].min()
    root = {"name": "Armature", "children": [1], "scale": [scale] * 3, "rotation": turn, "translation": [0, -floor, 0]}
    file.append("nodes", root)
    for number, (name, joint) in enumerate(zip(body.names, body.joints, strict=True)):
        above = body.parents[number]
        place = joint - (body.joints[above] if above >= 0 else 0)
        node = {"name": name, "translation": (place / scale).tolist()}
        children = [1 + child for child, parent in enumerate(body.parents) if parent == number]
        file.append("nodes", node | ({"children": children} if children else {}))
    inverse = np.tile(np.eye(4, dtype="<f4"), (len(body.joints), 1, 1))
    inverse[:, 3, :3] = -body.joints / scale
    numbers = file.add_numbers(inverse.reshape(-1, 16), None)
    file.append("skins", {"joints": [1 + j for j in range(len(body.names))], "inverseBindMatrices": numbers})
    return 1


def _add_material(file: GltfDocument, name: str, color: tuple[float, float, float] | None, texture: Path | None) -> int:
    rough: dict = {"metallicFactor": 0.0, "roughnessFactor": 0.8}
    if color is not None:
        rough["baseColorFactor"] = [*color, 1.0]
    if texture is not None:
        known = [image["name"] for image in file.list("images")]
        if texture.stem not in known:
            view = file.add_view(texture.read_bytes())
            source = file.append("images", {"name": texture.stem, "bufferView": view, "mimeType": "image/png"})
            file.append("textures", {"source": source})
            known.append(texture.stem)
        rough["baseColorTexture"] = {"index": known.index(texture.stem)}
    return file.append("materials", {"name": name, "pbrMetallicRoughness": rough, "doubleSided": True})


def _add_primitive(file: GltfDocument, part: Part, material: int, scale: float) -> dict:
    order = np.argsort(-part.weights, axis=1)[:, :4]
    shares = np.take_along_axis(part.weights, order, axis=1)
    shares /= shares.sum(1, keepdims=True)
    places = (part.vertices / scale).astype("<f4")
    attributes = {
        "POSITION": file.add_numbers(places, bounds=True),
        "NORMAL": file.add_numbers(vertex_normals(part.vertices, part.faces).astype("<f4")),
        "JOINTS_0": file.add_numbers(np.where(shares > 0, order, 0).astype("u1")),
        "WEIGHTS_0": file.add_numbers(shares.astype("<f4")),
    }
    if part.uvs is not None:
        attributes["TEXCOORD_0"] = file.add_numbers(part.uvs.astype("<f4"))
    targets = [{"POSITION": file.add_numbers((o / scale).astype("<f4"), bounds=True)} for o in part.morphs.values()]
    indices = file.add_triangles(part.faces, len(places))
    primitive = {"attributes": attributes, "indices": indices, "material": material}
    return primitive | ({"targets": targets} if targets else {})


def _add_clips(file, body: Body, first: int, nodes: dict, meshes: dict, talking: dict[str, str]) -> None:
    times = np.linspace(0, SECONDS, KEYS, dtype="<f4")
    phase = 2 * np.pi * times / SECONDS
    swings = {
        "Walk": {"LeftUpLeg": ("x", 25 * np.sin(phase)), "RightUpLeg": ("x", -25 * np.sin(phase)),
                 "LeftLeg": ("x", 20 - 20 * np.cos(phase)), "RightLeg": ("x", 20 + 20 * np.cos(phase)),
                 "LeftArm": ("x", -15 * np.sin(phase)), "RightArm": ("x", 15 * np.sin(phase))},
        "Wave": {"RightArm": ("z", -60 + 0 * phase), "RightForeArm": ("z", -50 + 20 * np.sin(2 * phase)),
                 "Neck": ("y", 15 * np.sin(phase)), "Head": ("y", 25 * np.sin(phase))},
    }  # fmt: skip
    clock = file.add_numbers(times, None, bounds=True)
    for clip, joints in swings.items():
        channels, samplers = [], []
        for name, (axis, angles) in joints.items():
            turns = Rotation.from_euler(axis, angles[:, None], degrees=True).as_quat().astype("<f4")
            samplers.append({"input": clock, "output": file.add_numbers(turns, None)})
            target = {"node": first + body.names.index(name), "path": "rotation"}
            channels.append({"sampler": len(samplers) - 1, "target": target})
        file.append("animations", {"name": clip, "channels": channels, "samplers": samplers})
    for morph, clip in talking.items():
        channels, samplers = [], []
        for mesh, own in meshes.items():
            if morph in own[0].morphs:
                rows = np.zeros((KEYS, len(own[0].morphs)), "<f4")
                rows[:, list(own[0].morphs).index(morph)] = 0.5 - 0.5 * np.cos(phase)
                samplers.append({"input": clock, "output": file.add_numbers(rows.reshape(-1), None)})
                channels.append({"sampler": len(samplers) - 1, "target": {"node": nodes[mesh], "path": "weights"}})
        file.append("animations", {"name": clip, "channels": channels, "samplers": samplers})
