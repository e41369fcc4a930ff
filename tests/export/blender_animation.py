"""Runs inside Blender: ``blender -b --factory-startup --python blender_animation.py -- animated.glb job.json report``.

Imports the GLB as a user would, and writes what plays at each of the job's ``times`` (seconds): of every part its shape
keys by name and its 4 x 4 place in the world, and how many keys the animation has.
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
    parts = [thing for thing in bpy.data.objects if thing.type == "MESH"]
    frames_per_second = scene.render.fps / scene.render.fps_base
    played = []
    for time in json.loads(job_path.read_text())["times"]:
        frame = time * frames_per_second
        scene.frame_set(int(frame), subframe=frame - int(frame))
        bpy.context.view_layer.update()
        played.append({part.name: read_part(part) for part in parts})
    report_path.write_text(json.dumps({"played": played, "actions": [action.name for action in bpy.data.actions]}))


def read_part(part: bpy.types.Object) -> dict:
    keys = {key.name: key.value for key in part.data.shape_keys.key_blocks}
    return {"keys": keys, "place": [list(row) for row in part.matrix_world]}


main()
