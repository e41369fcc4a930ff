"""A head as Wavefront OBJ, with the material and the texture that belong to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from portraitist.devices import to_numpy
from portraitist.io.images import save_image
from portraitist.io.output_file import new_file
from portraitist.types import Head, Mesh


def write_obj(path: str | Path, head: Head, texture_name: str | None = None) -> None:
    """Write ``path`` (``head.obj``), its materials (``head.mtl``) and its texture (``head.png``) side by side.

    Vertices carry the expression, are in meters (+Y up, face towards +Z) and keep the head model's order. Texture
    coordinates are given per corner with v up, as OBJ has it. Each layer is an object of its own with its own material
    and texture (``head_hair.png``), behind the head. The files name each other relatively: the folder can be moved.
    ``texture_name``: file name of the head's texture if it is not to be called after ``path``. Raises OutputError when
    a file cannot be written.
    """
    path = Path(path)
    material_path = path.with_suffix(".mtl")
    texture_path = path.with_name(texture_name or f"{path.stem}.png")
    meshes, textures = {"head": head.mesh}, {"painting": (texture_path, head.texture)}
    for layer in head.layers:
        meshes[layer.name] = layer.mesh
        textures[layer.name] = texture_path.with_stem(f"{texture_path.stem}_{layer.name}"), layer.texture
    for place, texture in textures.values():
        save_image(place, texture)
    materials = "\n".join(_material_text(name, place.name) for name, (place, _) in textures.items())
    texts = {material_path: materials, path: _mesh_text(meshes, list(textures), material_path.name)}
    for text_path, text in texts.items():
        with new_file(text_path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _material_text(name: str, texture_name: str) -> str:
    """Illumination model 0 is plain color: the painting already holds its light."""
    return f"newmtl {name}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 0\nmap_Kd {texture_name}\n"


def _mesh_text(meshes: dict[str, Mesh], materials: list[str], material_file: str) -> str:
    """One object for each mesh, with the material of its place. Numbers count on from object to object."""
    lines = [f"mtllib {material_file}"]
    first = np.array([1, 1])  # the next vertex and the next UV
    for (name, mesh), material in zip(meshes.items(), materials, strict=True):
        corners = np.stack([to_numpy(mesh.faces), to_numpy(mesh.uv_faces)], axis=2) + first
        lines.append(f"o {name}")
        lines += [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in to_numpy(mesh.vertices)]
        lines += [f"vt {u:.7f} {1 - v:.7f}" for u, v in to_numpy(mesh.uvs)]
        lines += [f"usemtl {material}", "s 1"]
        lines += ["f {}/{} {}/{} {}/{}".format(*corner) for corner in corners.reshape(-1, 6)]
        first += (len(mesh.vertices), len(mesh.uvs))
    return "\n".join(lines) + "\n"
