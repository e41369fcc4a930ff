"""Runs inside Blender: ``blender -b --factory-startup --python through_blender.py -- in.glb out.glb``."""

import sys

import bpy
import numpy

if not hasattr(numpy, "bool"):  # Debian 12 pairs a glTF importer with a NumPy that has no such name
    numpy.bool = bool

source, out = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=source)
bpy.ops.export_scene.gltf(
    filepath=out, export_format="GLB", export_image_format="JPEG", export_extras=True, export_morph_normal=False
)
