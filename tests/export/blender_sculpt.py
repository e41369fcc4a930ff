"""Runs inside Blender: ``blender -b --factory-startup --python blender_sculpt.py -- head.glb job.json edited.glb``.

Imports the GLB as a user would, pushes the base shape of every part around points, paints a square into the head's
texture, and exports all as GLB. Job: ``pushes`` (center, radius and way in Blender's space, meters), ``paint`` (RGB
0..1, or null), ``key`` (name of a shape key to be sculpted by the same pushes instead, or null), ``delete`` (name of a
part, or null), ``split`` (whether to cut one triangle in three, which changes the topology).
"""

import json
import sys
from pathlib import Path

import bpy
import numpy

if not hasattr(numpy, "bool"):  # as in blender_script.py
    numpy.bool = bool


def main() -> None:
    glb, job_path, edited = map(Path, sys.argv[sys.argv.index("--") + 1 :])
    job = json.loads(job_path.read_text())
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(glb))
    if job["delete"]:
        bpy.data.objects.remove(bpy.data.objects[job["delete"]])
    for part in [thing for thing in bpy.data.objects if thing.type == "MESH"]:
        for center, radius, way in job["pushes"]:
            push(part, job["key"], numpy.array(center), radius, numpy.array(way))
    if job["paint"]:
        paint(job["paint"])
    if job["split"]:
        split(bpy.data.objects["Head"])
    bpy.ops.export_scene.gltf(filepath=str(edited), export_format="GLB", export_morph=True)


def push(part: bpy.types.Object, name: str | None, center: numpy.ndarray, radius: float, way: numpy.ndarray) -> None:
    """Of the base shape with every key on it, as Blender's own tools do; or of one key."""
    keys = part.data.shape_keys.key_blocks
    rest = read(keys[0].data)
    share = numpy.clip(1 - numpy.linalg.norm(rest - center, axis=1) / radius, 0, 1)[:, None]
    for key in [keys[name]] if name else keys:
        write(key.data, read(key.data) + share * way)
    if not name:
        write(part.data.vertices, rest + share * way)


def read(points) -> numpy.ndarray:
    places = numpy.zeros(3 * len(points), numpy.float32)
    points.foreach_get("co", places)
    return places.reshape(-1, 3).astype(float)


def write(points, places: numpy.ndarray) -> None:
    points.foreach_set("co", places.astype(numpy.float32).reshape(-1))


def paint(color: list) -> None:
    """The upper left quarter of the head's picture (Blender counts rows from below)."""
    image = next(image for image in bpy.data.images if image.name.startswith("Painting"))
    width, height = image.size
    pixels = numpy.array(image.pixels[:], numpy.float32).reshape(height, width, 4)
    pixels[height // 2 :, : width // 2, :3] = color
    image.pixels[:] = pixels.reshape(-1).tolist()
    image.pack()


def split(part: bpy.types.Object) -> None:
    import bmesh

    mesh = bmesh.new()
    mesh.from_mesh(part.data)
    mesh.faces.ensure_lookup_table()
    bmesh.ops.poke(mesh, faces=[mesh.faces[0]])
    mesh.to_mesh(part.data)
    mesh.free()


main()
