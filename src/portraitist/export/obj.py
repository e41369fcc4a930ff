"""A head as Wavefront OBJ, with the material and the texture that belong to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from portraitist.devices import to_numpy
from portraitist.io.images import save_image
from portraitist.io.output_file import new_file
from portraitist.types import Head


def write_obj(path: str | Path, head: Head, texture_name: str | None = None) -> None:
    """Write ``path`` (``head.obj``), its material (``head.mtl``) and its texture (``head.png``) side by side.

    Vertices carry the expression, are in meters (+Y up, face towards +Z) and keep the head model's order. Texture
    coordinates are given per corner with v up, as OBJ has it. The files name each other relatively: the folder can be
    moved. ``texture_name``: file name of the texture if it is not to be called after ``path``. Raises OutputError when
    a file cannot be written.
    """
    path = Path(path)
    material_path = path.with_suffix(".mtl")
    texture_path = path.with_name(texture_name or f"{path.stem}.png")
    save_image(texture_path, head.texture)
    texts = {material_path: _material_text(texture_path.name), path: _mesh_text(head, material_path.name)}
    for text_path, text in texts.items():
        with new_file(text_path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _material_text(texture_name: str) -> str:
    """Illumination model 0 is plain color: the painting already holds its light."""
    return f"newmtl painting\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 0\nmap_Kd {texture_name}\n"


def _mesh_text(head: Head, material_name: str) -> str:
    vertices = to_numpy(head.mesh.vertices)
    uvs = to_numpy(head.mesh.uvs)
    faces = to_numpy(head.mesh.faces) + 1
    uv_faces = to_numpy(head.mesh.uv_faces) + 1
    corners = np.stack([faces, uv_faces], axis=2).reshape(-1, 6)
    lines = [f"mtllib {material_name}", "o head"]
    lines += [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in vertices]
    lines += [f"vt {u:.7f} {1 - v:.7f}" for u, v in uvs]
    lines += ["usemtl painting", "s 1"]
    lines += ["f {}/{} {}/{} {}/{}".format(*corner) for corner in corners]
    return "\n".join(lines) + "\n"
