"""The same characters as other programs might have made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from portraitist.io.gltf_document import GltfDocument, read_gltf
from portraitist.io.gltf_pruning import prune

SKINNED = ("JOINTS_0", "WEIGHTS_0")


def find_node(file: GltfDocument, name: str) -> int:
    """The node with a mesh whose name begins so."""
    nodes = enumerate(file.tree["nodes"])
    return next(number for number, node in nodes if "mesh" in node and node["name"].startswith(name))


def write(file: GltfDocument, path: Path, name: str) -> Path:
    prune(file)
    written = path.with_name(f"{name}.glb")
    written.write_bytes(file.pack())
    return written


def drop_skeleton(path: Path) -> Path:
    """A statue: no skin, no animation."""
    file = read_gltf(path)
    for node in file.tree["nodes"]:
        node.pop("skin", None)
    for mesh in file.tree["meshes"]:
        for primitive in mesh["primitives"]:
            for name in SKINNED:
                primitive["attributes"].pop(name, None)
    del file.tree["skins"], file.tree["animations"]
    return write(file, path, "statue")


def keep_mask(path: Path) -> Path:
    """The face as a mesh of its own that ends at the jaw: nothing that could be cut; the body has no neck."""
    file = read_gltf(path)
    node = find_node(file, "Body")
    mesh = file.tree["meshes"][file.tree["nodes"][node]["mesh"]]
    face, body = mesh["primitives"]
    places = file.buffers.read(face["attributes"]["POSITION"])
    corners = file.buffers.read_ids(face["indices"]).reshape(-1, 3)
    high, front = np.quantile(places[:, 1], 0.2), np.quantile(places[:, 2], 0.35)
    kept = corners[(places[corners][..., 1] > high).all(1) & (places[corners][..., 2] > front).all(1)]
    face["indices"] = file.add_triangles(kept, len(places))
    other = {"name": "Torso", "primitives": [body], "extras": mesh["extras"]}
    mesh["primitives"] = [face]
    torso = file.append("nodes", {"name": "Torso", "mesh": file.append("meshes", other), "skin": 0})
    file.tree["scenes"][0]["nodes"].append(torso)
    return write(file, path, "mask")


def quantize(path: Path) -> Path:
    """Positions and normals of skinned meshes as 16-bit numbers (KHR_mesh_quantization), as gltfpack writes them."""
    file = read_gltf(path)
    primitives = [p for mesh in file.tree["meshes"] for p in mesh["primitives"]]
    reach = max(np.abs(file.buffers.read(p["attributes"]["POSITION"])).max() for p in primitives)
    done: dict[int, int] = {}

    def store(accessor: int, scale: float, bounds: bool) -> int:
        if accessor not in done:
            values = np.round(file.buffers.read(accessor) / scale * 32767).astype("<i2")
            done[accessor] = file.add_numbers(values, bounds=bounds, normalized=True)
        return done[accessor]

    for primitive in primitives:
        attributes = primitive["attributes"]
        attributes["POSITION"] = store(attributes["POSITION"], reach, True)
        attributes["NORMAL"] = store(attributes["NORMAL"], 1.0, False)
        for target in primitive.get("targets", []):
            target.pop("NORMAL", None)
            target["POSITION"] = store(target["POSITION"], reach, True)
    for skin in file.tree["skins"]:
        inverse = file.buffers.read(skin["inverseBindMatrices"]).reshape(-1, 4, 4)
        inverse[:, :3] *= reach
        skin["inverseBindMatrices"] = file.add_numbers(inverse.reshape(-1, 16).astype("<f4"), None)
    file.tree["extensionsUsed"] = file.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
    return write(file, path, "quantized")


def mirror(path: Path) -> Path:
    """A statue that a negative scale mirrors; its numbers are mirrored as well, so that it looks the same."""
    file = read_gltf(drop_skeleton(path))
    for primitive in (primitive for mesh in file.tree["meshes"] for primitive in mesh["primitives"]):
        for group in (primitive["attributes"], *primitive.get("targets", [])):
            for name in {"POSITION", "NORMAL"} & {*group}:
                rows = file.buffers.read(group[name]).astype("<f4") * np.array([-1, 1, 1], "<f4")
                group[name] = file.add_numbers(rows, bounds=name == "POSITION")
        corners = file.buffers.read_ids(primitive["indices"]).reshape(-1, 3)[:, ::-1]
        primitive["indices"] = file.add_triangles(corners, int(corners.max()) + 1)
    scene = file.tree["scenes"][0]
    scene["nodes"] = [file.append("nodes", {"name": "Mirror", "scale": [-1, 1, 1], "children": scene["nodes"]})]
    return write(file, path, "mirrored")


def hang_free(path: Path) -> Path:
    """No scene: whoever opens the file shows all there is."""
    file = read_gltf(path)
    del file.tree["scenes"], file.tree["scene"]
    return write(file, path, "free")


def wear_ears(path: Path) -> Path:
    """Ears as objects of their own, over those of the skin, and a ring in each."""
    file = read_gltf(path)
    skin = file.tree["meshes"][file.tree["nodes"][find_node(file, "Body")]["mesh"]]["primitives"][0]
    places = file.buffers.read(skin["attributes"]["POSITION"])
    corners = file.buffers.read_ids(skin["indices"]).reshape(-1, 3)
    beside = np.abs(places[:, 0] - places[:, 0].mean())
    ears = corners[(beside[corners] > 0.87 * beside.max()).all(1)]
    low, high = np.quantile(places[np.unique(ears)][:, 1], [0.0, 1.0])
    rings = ears[(places[ears][..., 1] < low + 0.2 * (high - low)).all(1)]
    for name, triangles, wider in (("Ears", ears, 1.01), ("Rings", rings, 1.06)):
        moved = file.add_numbers((places * [wider, 1, 1]).astype("<f4"), bounds=True)
        attributes = skin["attributes"] | {"POSITION": moved}
        own = {"attributes": attributes, "indices": file.add_triangles(triangles, len(places))}
        mesh = file.append("meshes", {"name": name, "primitives": [own]})
        file.tree["scenes"][0]["nodes"].append(file.append("nodes", {"name": name, "mesh": mesh, "skin": 0}))
    return write(file, path, "ears")
