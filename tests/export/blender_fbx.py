"""Runs inside Blender: ``blender -b --factory-startup --python blender_fbx.py -- head.glb head.fbx report.json``.

Imports the GLB, exports all as FBX with textures embedded, imports that into an empty scene, and writes what is left of
each part: names of shape keys, how far each moves the part, and the pictures that its materials show.
"""

import json
import sys
from pathlib import Path

import bpy
import numpy

if not hasattr(numpy, "bool"):  # as in blender_script.py
    numpy.bool = bool


def main() -> None:
    glb, fbx, report = map(Path, sys.argv[sys.argv.index("--") + 1 :])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(glb))
    before = describe_parts()
    bpy.ops.export_scene.fbx(filepath=str(fbx), path_mode="COPY", embed_textures=True, add_leaf_bones=False)
    for path in [glb, *glb.parent.glob(f"{glb.stem}_*.png")]:  # what is found now comes from the FBX
        path.unlink()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.fbx(filepath=str(fbx))
    report.write_text(json.dumps({"before": before, "after": describe_parts()}))


def describe_parts() -> dict:
    return {thing.name: describe_part(thing) for thing in bpy.data.objects if thing.type == "MESH"}


def describe_part(part: bpy.types.Object) -> dict:
    keys = part.data.shape_keys.key_blocks
    rest = read_key(keys[0])
    scale = part.matrix_world.to_scale()[0]
    moves = {key.name: float(numpy.abs(read_key(key) - rest).max() * scale) for key in keys[1:]}
    values, joints = {key.name: key.value for key in keys[1:]}, [group.name for group in part.vertex_groups]
    return {"moves": moves, "values": values, "joints": joints, "pictures": list_pictures(part)}


def read_key(key: bpy.types.ShapeKey) -> numpy.ndarray:
    places = numpy.zeros(3 * len(key.data), numpy.float32)
    key.data.foreach_get("co", places)
    return places.reshape(-1, 3)


def list_pictures(part: bpy.types.Object) -> list:
    """Size and mean color of every picture that reaches a material's output."""
    found = []
    for slot in part.material_slots:
        for node in slot.material.node_tree.nodes:
            if node.type == "TEX_IMAGE" and node.image and node.outputs["Color"].is_linked:
                pixels = numpy.array(node.image.pixels[:]).reshape(-1, 4)
                target = node.outputs["Color"].links[0].to_socket.name
                found.append({"size": list(node.image.size), "mean": pixels[:, :3].mean(0).tolist(), "into": target})
    return found


main()
