"""Runs inside Blender: ``blender -b --factory-startup --python blender_character.py -- character.glb job.json report``.

Imports the GLB as a user would, and writes for each of the job's ``moments`` (name of an animation, seconds) the lowest
and highest corner of every part in Blender's axes, its shape keys that are on, and the names of all bones.
"""

import json
import sys
from pathlib import Path

import bpy
import numpy

if not hasattr(numpy, "bool"):  # as in blender_script.py
    numpy.bool = bool


def main() -> None:
    glb, job_path, report_path = map(Path, sys.argv[sys.argv.index("--") + 1 :])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(glb))
    scene = bpy.context.scene
    (armature,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    played = []
    for name, time in json.loads(job_path.read_text())["moments"]:
        for animated in list_animated():
            for track in animated.nla_tracks:
                track.mute = track.name != name
        (first,) = {strip.frame_start for track in armature.animation_data.nla_tracks for strip in track.strips}
        frame = first + time * scene.render.fps / scene.render.fps_base
        scene.frame_set(int(frame), subframe=frame - int(frame))
        graph = bpy.context.evaluated_depsgraph_get()
        parts = [thing for thing in bpy.data.objects if thing.type == "MESH" and thing.find_armature() == armature]
        played.append({part.name.split(".")[0]: read_part(part.evaluated_get(graph)) for part in parts})
    report_path.write_text(json.dumps({"played": played, "bones": [bone.name for bone in armature.data.bones]}))


def list_animated() -> list:
    """Armature and shape keys, and what moves them."""
    owners = [*bpy.data.objects, *(mesh.shape_keys for mesh in bpy.data.meshes if mesh.shape_keys)]
    moved = [owner.animation_data for owner in owners if owner.animation_data]
    for each in moved:
        each.action = None
    return moved


def read_part(part: bpy.types.Object) -> dict:
    mesh = part.to_mesh()
    places = numpy.empty(3 * len(mesh.vertices))
    mesh.vertices.foreach_get("co", places)
    world = numpy.array(part.matrix_world)
    places = places.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]
    keys = {key.name: key.value for key in part.data.shape_keys.key_blocks} if part.data.shape_keys else {}
    part.to_mesh_clear()
    return {"low": places.min(0).tolist(), "high": places.max(0).tolist(), "keys": keys}


main()
