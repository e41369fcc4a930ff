"""Sizes of the files that `portraitist export` writes, beside what they hold: python benchmarks/exports.py HEAD

HEAD: head.safetensors of a result. Writes results/exports.json and prints the table of docs/exports.md. With
``--style HEAD2`` also a file of both styles. Of readers those are asked that are there: trimesh and pygltflib, Khronos'
validator (npm's global gltf-validator).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gl
import trimesh

from portraitist import Head, load_head
from portraitist.export.meshopt import MESHOPT
from portraitist.export.profiles import PROFILES
from portraitist.export.provenance import UNSIGNED

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "exports.json"
TOLERANCE_M = 1e-4  # by how much a reader's box may differ from the head's


def measure(profile: str, head: Head, folder: Path, suffix: str | None = None, **options: Any) -> dict[str, Any]:
    """Bytes of all files of a profile, and what is in them."""
    path = folder / f"head{suffix or PROFILES[profile].suffix}"
    PROFILES[profile].write(path, head, provenance=UNSIGNED, **options)
    files = [path, *PROFILES[profile].list_files(path, head, **options)]
    sizes = {"bytes": sum(each.stat().st_size for each in files), "files": len(files)}
    sizes["gzip_bytes"] = sum(len(gzip.compress(each.read_bytes(), 6)) for each in files)
    if path.suffix in (".glb", ".vrm"):
        sizes |= split_glb(path, files[1:])
        sizes["validator"] = ask_validator(path)
    if path.suffix in (".glb", ".obj"):
        sizes["trimesh"] = ask_trimesh(path, head, is_neutral=path.suffix == ".glb")
    if path.suffix in (".stl", ".ply"):
        body = trimesh.load_mesh(path)
        sizes |= {"triangles": len(body.faces), "watertight": bool(body.is_volume), "bodies": int(body.body_count)}
    return sizes


def split_glb(path: Path, beside: list[Path]) -> dict[str, Any]:
    """Bytes of textures, of morph targets and of the rest."""
    file = gl.GLTF2().load_binary(str(path))  # a VRM, too
    lengths = [(view.extensions or {}).get(MESHOPT, {}).get("byteLength", view.byteLength) for view in file.bufferViews]
    textures = sum(lengths[image.bufferView] for image in file.images if image.bufferView is not None)
    views = set()
    for mesh in file.meshes:
        for target in (target for primitive in mesh.primitives for target in primitive.targets):
            for number in target.values():
                views |= list_views(file.accessors[number])
    morphs = sum(lengths[view] for view in views)
    return {
        "texture_bytes": textures + sum(each.stat().st_size for each in beside),
        "morph_bytes": morphs,
        "morphs": len(file.meshes[0].weights),
        "rest_bytes": path.stat().st_size - textures - morphs,
        "vertices": sum(file.accessors[mesh.primitives[0].attributes.POSITION].count for mesh in file.meshes),
    }


def list_views(accessor: gl.Accessor) -> set[int]:
    sparse = [accessor.sparse.indices.bufferView, accessor.sparse.values.bufferView] if accessor.sparse else []
    return {view for view in (accessor.bufferView, *sparse) if view is not None}


def ask_trimesh(path: Path, head: Head, *, is_neutral: bool) -> str:
    """Whether it finds the head where it is, with its textures."""
    try:
        scene = trimesh.load_scene(path)
    except IndexError:  # it looks for the buffer of what is compressed
        return "not read"
    vertices = head.neutral if is_neutral else head.mesh.vertices
    box = np.stack([vertices.amin(0).numpy(), vertices.amax(0).numpy()])
    name = "Head" if "Head" in scene.geometry else "painting"
    off = np.abs(scene.geometry[name].bounds - box).max()
    return "ok" if off < TOLERANCE_M else "shape not read"


def ask_validator(path: Path) -> str:
    """Its counts of errors and warnings, or that it is not there."""
    npm = shutil.which("npm")
    if npm is None:
        return "not installed"
    root = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=True).stdout.strip()
    command = ["node", str(ROOT / ".ci" / "validate_glb.js"), str(path)]
    run = subprocess.run(command, env=os.environ | {"NODE_PATH": root}, capture_output=True, text=True, check=False)
    return run.stdout.strip().removeprefix("glTF validator: ") or "not installed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", type=Path)
    parser.add_argument("--style", type=Path, help="another head of the same sitter")
    arguments = parser.parse_args()
    head = load_head(arguments.head)
    cases: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in PROFILES}
    cases["web, --compressed"] = ("web", {"compressed": True})
    cases["web, --visemes"] = ("web", {"visemes": True})
    cases["unity, --morph-normals"] = ("unity", {"morph_normals": True})
    cases |= {f"print, {suffix}": ("print", {"suffix": suffix}) for suffix in PROFILES["print"].others}
    if arguments.style:
        styles = {"name": "first", "styles": {"second": load_head(arguments.style)}}
        cases["web, --style, --looks unlit,lit,toon"] = ("web", styles | {"looks": ("unlit", "lit", "toon")})
    results = {}
    for case, (profile, options) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            results[case] = measure(profile, head, Path(folder), **options)
    texture = head.texture.shape[-1]
    RESULTS.write_text(
        json.dumps({"texture_px": texture, "layers": len(head.layers), "cases": results}, indent=1) + "\n"
    )
    print("| file | MB | textures | morphs | the rest | gzip |\n|---|---|---|---|---|---|")
    for case, row in results.items():
        parts = [
            f"{row[part] / 1e6:.2f}" if part in row else "" for part in ("texture_bytes", "morph_bytes", "rest_bytes")
        ]
        print(f"| {case} | {row['bytes'] / 1e6:.2f} | {' | '.join(parts)} | {row['gzip_bytes'] / 1e6:.2f} |")


if __name__ == "__main__":
    main()
