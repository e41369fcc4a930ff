"""A bust in three lights, rendered by Blender: blender -b --python examples/render_bust.py -- OUT/head.glb bust.png

Key light from the upper left, fill from the right, rim from behind; a plain ground. After ``--``: the GLB, the picture,
and, if wanted, its side in pixels (800) and the head's turn on its neck in degrees (0).
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import bpy
import numpy
from mathutils import Quaternion, Vector

# Debian 12 pairs a glTF importer that says numpy.bool with a NumPy that has no such name.
if not hasattr(numpy, "bool"):
    numpy.bool = bool

LIGHTS = {  # direction from the bust's middle, in its heights; power in watts per square meter of its height; size
    "Key": ((-0.9, -1.3, 0.9), 46.0, 0.6),
    "Fill": ((1.4, -1.1, 0.1), 16.0, 1.4),
    "Rim": ((0.7, 1.3, 1.0), 60.0, 0.5),
}
GROUND = (0.055, 0.06, 0.07, 1.0)
LENS_MM = 85.0
SAMPLES = 64


def main(glb: Path, picture: Path, side_px: int = 800, turn_deg: float = 0.0) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(glb))
    light_paint()
    turn_head(turn_deg)
    low, high = find_box()
    middle, height = (low + high) / 2, (high - low).z
    for name, (direction, power, size) in LIGHTS.items():
        light = bpy.data.objects.new(name, bpy.data.lights.new(name, "AREA"))
        light.data.energy, light.data.size = power * height**2, size * height
        light.location = middle + height * Vector(direction)
        light.rotation_euler = (middle - light.location).to_track_quat("-Z", "Y").to_euler()
        bpy.context.collection.objects.link(light)
    look_at(middle, high - low)
    render(picture, side_px)


def light_paint() -> None:
    """The file asks for no light on the painting; here it is a matt surface."""
    for material in bpy.data.materials:
        tree = material.node_tree
        image = next((node for node in tree.nodes if node.type == "TEX_IMAGE"), None)
        if image is None:
            continue
        for node in [node for node in tree.nodes if node != image]:
            tree.nodes.remove(node)
        surface, out = tree.nodes.new("ShaderNodeBsdfPrincipled"), tree.nodes.new("ShaderNodeOutputMaterial")
        surface.inputs["Roughness"].default_value = 0.75
        tree.links.new(image.outputs["Color"], surface.inputs["Base Color"])
        tree.links.new(surface.outputs["BSDF"], out.inputs["Surface"])


def turn_head(degrees: float) -> None:
    """About the joint "Neck"."""
    armature = next((thing for thing in bpy.data.objects if thing.type == "ARMATURE"), None)
    if armature and degrees:
        bone = armature.pose.bones["Neck"]
        bone.rotation_mode = "QUATERNION"
        upwards = bone.bone.matrix_local.to_3x3().inverted() @ Vector((0, 0, 1))
        bone.rotation_quaternion = Quaternion(upwards, math.radians(degrees))


def find_box() -> tuple[Vector, Vector]:
    """Corners of the box around all meshes, in Blender's axes: z up, the face towards -y."""
    graph = bpy.context.evaluated_depsgraph_get()
    corners = [
        thing.matrix_world @ vertex.co
        for thing in bpy.data.objects
        if thing.type == "MESH"
        for vertex in thing.evaluated_get(graph).data.vertices
    ]
    return tuple(Vector(pick(c[axis] for c in corners) for axis in range(3)) for pick in (min, max))


def look_at(middle: Vector, extent: Vector) -> None:
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens = LENS_MM
    distance = 1.15 * max(extent.x, extent.z) * LENS_MM / camera.data.sensor_width
    camera.location = middle + Vector((-0.3, -1.0, 0.05)).normalized() * distance
    camera.rotation_euler = (middle - camera.location).to_track_quat("-Z", "Y").to_euler()
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera


def render(picture: Path, side_px: int) -> None:
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = GROUND
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = SAMPLES, False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x = scene.render.resolution_y = side_px
    scene.render.filepath = str(picture.absolute())
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    glb, picture, *numbers = sys.argv[sys.argv.index("--") + 1 :]
    main(Path(glb), Path(picture), *(kind(text) for kind, text in zip((int, float), numbers, strict=False)))
