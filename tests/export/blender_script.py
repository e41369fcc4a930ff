"""Runs inside Blender: ``blender -b --factory-startup --python blender_script.py -- head.glb job.json folder``.

Imports the GLB as a user would, and writes what Blender made of it: ``report.json`` and one picture per shape that the
job lists. Job: ``size_px``, ``width_m`` (of the picture), ``camera_to_head`` (4 x 4, in head space), and ``shapes``
(name: weights by shape key; null leaves the imported ones).
"""

import json
import sys
from pathlib import Path

import bpy
import numpy
from mathutils import Matrix

# Debian 12 pairs a glTF importer that says numpy.bool with a NumPy (1.24) that has no such name: there it would fail on
# every file that has normals.
if not hasattr(numpy, "bool"):
    numpy.bool = bool

HEAD_TO_BLENDER = Matrix(((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1)))
"""Blender has z up and looks at a face that is turned to -y."""


def main() -> None:
    glb, job_path, folder = map(Path, sys.argv[sys.argv.index("--") + 1 :])
    job = json.loads(job_path.read_text())
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(glb))
    objects = {thing.name: thing for thing in bpy.data.objects if thing.type == "MESH"}
    keys = {name: thing.data.shape_keys.key_blocks for name, thing in objects.items()}
    report = {
        "parents": {thing.name: thing.parent and thing.parent.name for thing in bpy.data.objects},
        "shape_keys": {name: [key.name for key in own] for name, own in keys.items()},
        "values": {name: [key.value for key in own] for name, own in keys.items()},
        "materials": {name: [slot.material.name for slot in thing.material_slots] for name, thing in objects.items()},
        "images": [list(image.size) for image in bpy.data.images if image.packed_file],
        "unit_scale": bpy.context.scene.unit_settings.scale_length,
        "positions": {},
    }
    set_up_rendering(job)
    for name, weights in job["shapes"].items():
        for key in (key for own in keys.values() for key in own[1:]) if weights is not None else ():
            key.value = weights.get(key.name, 0.0)
        report["positions"][name] = {part: read_positions(thing) for part, thing in objects.items()}
        bpy.context.scene.render.filepath = str(folder / f"{name}.png")
        bpy.ops.render.render(write_still=True)
    (folder / "report.json").write_text(json.dumps(report))


def set_up_rendering(job: dict) -> None:
    """Orthographic camera, transparent ground, colors as they are in the texture."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.type = "ORTHO"
    camera.data.ortho_scale = job["width_m"]
    camera.matrix_world = HEAD_TO_BLENDER @ Matrix(job["camera_to_head"])
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 32
    scene.cycles.use_denoising = False
    scene.cycles.pixel_filter_type = "BOX"
    scene.render.resolution_x = scene.render.resolution_y = job["size_px"]
    scene.render.film_transparent = True
    scene.render.image_settings.color_mode = "RGBA"
    scene.view_settings.view_transform = "Standard"


def read_positions(part: bpy.types.Object) -> list[float]:
    """World coordinates of the vertices with the shape keys applied, one list x y z x y z ..."""
    shown = part.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return [value for vertex in shown.data.vertices for value in shown.matrix_world @ vertex.co]


main()
