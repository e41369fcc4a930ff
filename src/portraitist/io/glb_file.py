"""Reads what other programs make of our GLBs: shapes, UVs, morph targets and textures. Nothing in a file is trusted."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import PIL.Image
from jaxtyping import Float, Int

from portraitist.errors import InputError
from portraitist.io.gltf_accessors import Buffers
from portraitist.io.head_tensors import MAX_TEXTURE_PX
from portraitist.io.images import check_file, convert_to_8bit, image_from_pil
from portraitist.types import Image

READABLE = {
    "EXT_texture_webp",
    "KHR_materials_unlit",
    "KHR_materials_variants",
    "KHR_mesh_quantization",
    "KHR_texture_transform",
}
"""Extensions without which a file may say that it cannot be read: these can, and others change what numbers mean."""

TRIANGLES = 4  # mode of a primitive
MAGIC, JSON_CHUNK, BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
POSED = 1e-4  # by how much a skin may move at rest what hangs on it, in meters and parts of 1


@dataclass(frozen=True)
class GlbPart:
    """What a node with a mesh shows. ``positions``: as its base shape stands in the scene, meters. ``uvs``: origin at
    the top left. ``morphs``: offsets at weight 1, by names. ``texture``: what its first material shows, or None."""

    positions: Float[np.ndarray, "n 3"]
    uvs: Float[np.ndarray, "n 2"]
    triangles: Int[np.ndarray, "f 3"]
    morphs: dict[str, Float[np.ndarray, "n 3"]]
    texture: Image | None


def read_glb(path: str | Path) -> dict[str, GlbPart]:
    """The parts of a GLB by the names of their nodes, without the numbers that Blender puts behind (``Head.001``).

    Surfaces without UVs, such as outlines, are left out. Textures may be embedded, or lie in the same folder. Raises
    InputError when the file is missing, damaged, compressed, or no GLB.
    """
    path = Path(path)
    check_file(path)
    try:
        tree, blob = open_glb(path.read_bytes())
        if unknown := sorted({*tree.get("extensionsRequired", [])} - READABLE):
            raise InputError(f"{path} needs {unknown[0]}, which is not read here. Export it again without compression.")
        return _Reader(tree, Buffers(tree, blob), path).read_parts()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a stranger's file can be wrong at any place
        raise InputError(f"{path} is no usable GLB ({type(error).__name__}: {error}). Export it again.") from error


def open_glb(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The two chunks of a GLB."""
    magic, version, length = struct.unpack_from("<III", data)
    if magic != MAGIC or version != 2 or length > len(data):
        raise ValueError("no binary glTF 2.0, or cut short")
    size, kind = struct.unpack_from("<II", data, 12)
    if kind != JSON_CHUNK:
        raise ValueError("its first part is not JSON")
    tree, rest, blob = json.loads(data[20 : 20 + size]), 20 + size, b""
    if rest + 8 <= length:
        size, kind = struct.unpack_from("<II", data, rest)
        blob = data[rest + 8 : rest + 8 + size] if kind == BINARY_CHUNK else b""
    return tree, blob


class _Reader:
    def __init__(self, tree: dict[str, Any], buffers: Buffers, path: Path) -> None:
        self._tree, self._buffers, self._path = tree, buffers, path
        self._places: dict[int, np.ndarray] = {}
        scene = tree["scenes"][tree.get("scene", 0)]
        open_nodes = [(number, np.eye(4)) for number in scene.get("nodes", [])]
        while open_nodes:
            number, above = open_nodes.pop()
            if number in self._places:
                raise ValueError(f"node {number} is there twice")
            node = tree["nodes"][number]
            self._places[number] = above @ local_matrix(node)
            open_nodes += [(child, self._places[number]) for child in node.get("children", [])]

    def read_parts(self) -> dict[str, GlbPart]:
        parts = {}
        for number, place in sorted(self._places.items()):
            node = self._tree["nodes"][number]
            if "mesh" not in node:
                continue
            mesh = self._tree["meshes"][node["mesh"]]
            read = self._read_mesh(mesh, self._place_skin(node["skin"]) if "skin" in node else place)
            for name in (node.get("name"), mesh.get("name")):
                if read is not None and isinstance(name, str):
                    parts.setdefault(_strip_number(name), read)
        return parts

    def _place_skin(self, number: int) -> np.ndarray:
        """Where a skin puts what hangs on it: the same for all joints, or it is not at rest."""
        skin = self._tree["skins"][number]
        inverse = np.tile(np.eye(4), (len(skin["joints"]), 1, 1))
        if "inverseBindMatrices" in skin:
            inverse = self._buffers.read(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
        placed = np.stack([self._places[joint] @ bind for joint, bind in zip(skin["joints"], inverse, strict=True)])
        if np.abs(placed - placed[0]).max() > POSED:
            raise InputError(f"The skeleton in {self._path} is posed. Export it in its rest pose.")
        return placed[0]

    def _read_mesh(self, mesh: dict[str, Any], place: np.ndarray) -> GlbPart | None:
        shown = [each for each in mesh["primitives"] if "TEXCOORD_0" in each["attributes"]]
        if not shown:
            return None
        names = mesh.get("extras", {}).get("targetNames", [])
        positions, uvs, triangles, morphs, count = [], [], [], {name: [] for name in names}, 0
        for primitive in shown:
            if primitive.get("mode", TRIANGLES) != TRIANGLES:
                raise ValueError("a surface that is not made of triangles")
            own = self._buffers.read(primitive["attributes"]["POSITION"])
            positions.append(own @ place[:3, :3].T + place[:3, 3])
            uvs.append(self._buffers.read(primitive["attributes"]["TEXCOORD_0"])[:, :2])
            ids = self._buffers.read_ids(primitive["indices"]) if "indices" in primitive else np.arange(len(own))
            if len(uvs[-1]) != len(own) or ids.max(initial=0) >= len(own):
                raise ValueError("numbers of vertices that do not go together")
            triangles.append(ids.reshape(-1, 3) + count)
            count += len(own)
            for name, target in zip(names, primitive.get("targets", []), strict=False):
                morphs[name].append(self._buffers.read(target["POSITION"]) @ place[:3, :3].T)
        whole = {name: np.concatenate(offsets) for name, offsets in morphs.items() if len(offsets) == len(shown)}
        if not np.isfinite(np.concatenate([*positions, *whole.values()])).all():
            raise ValueError("numbers that are not finite")
        texture = self._read_texture(shown[0].get("material"))
        return GlbPart(np.concatenate(positions), np.concatenate(uvs), np.concatenate(triangles), whole, texture)

    def _read_texture(self, number: int | None) -> Image | None:
        """Of the color, or of the light that the material gives off, which is how some programs write unlit ones."""
        if number is None:
            return None
        material = self._tree["materials"][number]
        info = material.get("pbrMetallicRoughness", {}).get("baseColorTexture") or material.get("emissiveTexture")
        if info is None:
            return None
        texture = self._tree["textures"][info["index"]]
        webp = texture.get("extensions", {}).get("EXT_texture_webp", {})
        image = self._tree["images"][webp.get("source", texture.get("source"))]
        with PIL.Image.open(io.BytesIO(self._read_image(image)), formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.width != picture.height or picture.width > MAX_TEXTURE_PX:
                raise InputError(
                    f"A texture in {self._path} is {picture.width} x {picture.height} pixels, but textures of heads "
                    f"are square, of at most {MAX_TEXTURE_PX}. Scale it back."
                )
            return image_from_pil(convert_to_8bit(picture).convert("RGB"))  # alpha is not shown on an opaque material

    def _read_image(self, image: dict[str, Any]) -> bytes:
        if "bufferView" in image:
            return self._buffers.read_view(image["bufferView"])
        uri: str = image["uri"]
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(",")[2], validate=True)
        beside = self._path.parent / unquote(uri)
        if self._path.parent.resolve() not in beside.resolve().parents:
            raise InputError(f"{self._path} has a texture elsewhere ({uri}). Only those in its own folder are read.")
        check_file(beside)
        return beside.read_bytes()


def local_matrix(node: dict[str, Any]) -> np.ndarray:
    """Of a node, against the one above it. Raises ValueError for a rotation that is none."""
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), float)
    if not math.isclose(x * x + y * y + z * z + w * w, 1, abs_tol=1e-3):
        raise ValueError("a rotation that is none")
    turn = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(turn) * np.array(node.get("scale", (1, 1, 1)), float)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _strip_number(name: str) -> str:
    stem, _, number = name.rpartition(".")
    return stem if len(number) == 3 and number.isdigit() else name
