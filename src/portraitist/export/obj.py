"""A head as Wavefront OBJ, with the material and the texture that belong to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from portraitist.body.standing import stand
from portraitist.devices import from_numpy, to_numpy
from portraitist.export.gltf_buffer import split_at_uv_seams
from portraitist.export.provenance import UNSIGNED, Provenance
from portraitist.io.images import save_image
from portraitist.io.output_file import new_file
from portraitist.rendering.layers import list_parts
from portraitist.rendering.sampling import sample_bilinear
from portraitist.types import Head, Image, Mesh


def write_obj(
    path: str | Path,
    head: Head,
    texture_name: str | None = None,
    *,
    vertex_colors: bool = False,
    provenance: Provenance = UNSIGNED,
) -> None:
    """Write ``path`` (``head.obj``), its materials (``head.mtl``) and its texture (``head.png``) side by side.

    Vertices carry the expression, are in meters (+Y up, face towards +Z) and keep the head model's order. Texture
    coordinates are given per corner with v up, as OBJ has it. Each layer is an object of its own with its own material
    and texture (``head_hair.png``), behind the head. The files name each other relatively: the folder can be moved.
    ``texture_name``: file name of the head's texture if it is not to be called after ``path``. ``vertex_colors``: the
    color of the texture at each vertex stands behind its coordinates, sRGB 0..1, for programs that know no textures.
    ``provenance``: stands in comments. Raises OutputError when a file cannot be written.
    """
    path, head = Path(path), stand(head)
    _, material_path, *texture_paths = list_obj_files(path, head, texture_name)
    parts, names = list_parts(head), ["head", *(layer.name for layer in head.layers)]
    for place, (_, texture) in zip(texture_paths, parts, strict=True):
        save_image(place, texture)
    materials = dict(zip(["painting", *names[1:]], texture_paths, strict=True))
    colors = [_find_colors(*part) if vertex_colors else None for part in parts]
    meshes = {name: mesh for name, (mesh, _) in zip(names, parts, strict=True)}
    about = "".join(f"# {name}: {_comment(fact)}\n" for name, fact in provenance.facts().items())
    texts = {
        material_path: about + "\n".join(_material_text(name, place.name) for name, place in materials.items()),
        path: about + _mesh_text(meshes, colors, list(materials), material_path.name),
    }
    for text_path, text in texts.items():
        with new_file(text_path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def list_obj_files(path: str | Path, head: Head, texture_name: str | None = None) -> list[Path]:
    """What `write_obj` writes: geometry, materials, the head's texture, and those of its layers."""
    path = Path(path)
    texture_path = path.with_name(texture_name or f"{path.stem}.png")
    layers = [texture_path.with_stem(f"{texture_path.stem}_{layer.name}") for layer in head.layers]
    return [path, path.with_suffix(".mtl"), texture_path, *layers]


def _material_text(name: str, texture_name: str) -> str:
    """Illumination model 0 is plain color: the painting already holds its light."""
    return f"newmtl {name}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 0\nmap_Kd {texture_name}\n"


def _comment(fact: str | bool) -> str:
    return str(fact).lower() if isinstance(fact, bool) else fact


def _find_colors(mesh: Mesh, texture: Image) -> Float[np.ndarray, "n 3"]:
    """The color of each vertex, sRGB 0..1: the mean where several texels are its own."""
    vertex_ids, uv_ids, _ = split_at_uv_seams(mesh)
    own = to_numpy(sample_bilinear(texture, mesh.uvs[from_numpy(uv_ids, mesh.uv_faces)]).T)
    total = np.zeros((len(mesh.vertices), 4))
    np.add.at(total, vertex_ids, np.concatenate([own, np.ones((len(own), 1))], axis=1))
    return total[:, :3] / np.maximum(total[:, 3:], 1)  # a vertex without faces has no texel


def _mesh_text(
    meshes: dict[str, Mesh], colors: list[np.ndarray | None], materials: list[str], material_file: str
) -> str:
    """One object for each mesh, with the colors and the material of its place. Numbers count on from object to
    object."""
    lines = [f"mtllib {material_file}"]
    first = np.array([1, 1])  # the next vertex and the next UV
    for (name, mesh), own, material in zip(meshes.items(), colors, materials, strict=True):
        corners = np.stack([to_numpy(mesh.faces), to_numpy(mesh.uv_faces)], axis=2) + first
        lines.append(f"o {name}")
        ends = [""] * len(mesh.vertices) if own is None else [f" {r:.4f} {g:.4f} {b:.4f}" for r, g, b in own]
        places = to_numpy(mesh.vertices)
        lines += [f"v {x:.7f} {y:.7f} {z:.7f}{end}" for (x, y, z), end in zip(places, ends, strict=True)]
        lines += [f"vt {u:.7f} {1 - v:.7f}" for u, v in to_numpy(mesh.uvs)]
        lines += [f"usemtl {material}", "s 1"]
        lines += ["f {}/{} {}/{} {}/{}".format(*corner) for corner in corners.reshape(-1, 6)]
        first += (len(mesh.vertices), len(mesh.uvs))
    return "\n".join(lines) + "\n"
