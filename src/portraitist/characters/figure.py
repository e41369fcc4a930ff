"""A character as it stands at rest: every surface that its file shows, in one space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from portraitist.characters.paint import locate_base_color
from portraitist.errors import InputError
from portraitist.io.glb_file import READABLE, TRIANGLES
from portraitist.io.gltf_accessors import Buffers
from portraitist.io.gltf_compression import decompress
from portraitist.io.gltf_document import GltfDocument, read_gltf
from portraitist.mesh.laplacian import triangle_areas, vertex_normals

STRIP, FAN = 5, 6  # modes of a primitive, beside single triangles
MOST_SETS = 4  # of joints of one vertex, four in each
WELD = 1e-5  # of the figure's size: closer vertices are one


@dataclass(frozen=True)
class Piece:
    """One primitive on one node: ``vertices`` and ``faces`` are its places in those of the figure. ``mirrored``: its
    triangles turn the other way round in the file than in the scene, as a negative scale has it."""

    node: int
    mesh: int
    primitive: int
    material: int | None
    vertices: slice
    faces: slice
    mirrored: bool = False


@dataclass(frozen=True)
class Figure:
    """``vertices``: in the space of the scene, +Y up. ``uvs``: of the colors, origin at the top left. ``colors``: of
    the vertices themselves, linear. ``weights``: how much each node moves each vertex; rows sum to 1. ``skins``: by
    number, where each of a skin's joints puts what hangs on it alone."""

    document: GltfDocument
    path: Path
    pieces: tuple[Piece, ...]
    vertices: Float[np.ndarray, "n 3"]
    faces: Int[np.ndarray, "f 3"]
    uvs: Float[np.ndarray, "n 2"]
    colors: Float[np.ndarray, "n 4"]
    weights: sp.csr_matrix
    piece_of_vertex: Int[np.ndarray, "n"]
    piece_of_face: Int[np.ndarray, "f"]
    skins: dict[int, Float[np.ndarray, "_j 4 4"]]

    def primitive(self, piece: Piece) -> dict[str, Any]:
        return self.document.tree["meshes"][piece.mesh]["primitives"][piece.primitive]

    def skin_of(self, piece: Piece) -> int | None:
        return self.document.tree["nodes"][piece.node].get("skin")

    def corners(self, faces: np.ndarray | slice = slice(None)) -> Float[np.ndarray, "_g 3 3"]:
        return self.vertices[self.faces[faces]]

    @cached_property
    def places(self) -> Int[np.ndarray, "n"]:
        """Number of each vertex's place: the same for all that coincide."""
        size = float(np.ptp(self.vertices, axis=0).max()) or 1.0
        rounded = np.round((self.vertices - self.vertices.min(0)) / (size * WELD)).astype(np.int64)
        return np.unique(rounded, axis=0, return_inverse=True)[1].reshape(-1)

    @cached_property
    def normals(self) -> Float[np.ndarray, "n 3"]:
        """Of vertices that coincide, the same."""
        merged = np.zeros((self.places.max() + 1, 3))
        merged[self.places] = self.vertices
        return vertex_normals(merged, self.places[self.faces])[self.places].astype(np.float64)

    @cached_property
    def uv_per_length(self) -> Float[np.ndarray, "f"]:
        """Of each triangle, UV units per unit of the scene: the square root of the ratio of areas."""
        uvs = self.uvs[self.faces]
        a, b = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
        areas = np.maximum(2 * triangle_areas(self.corners()), np.finfo(float).tiny)
        return np.sqrt(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / areas)


def read_figure(path: str | Path) -> Figure:
    """Raises InputError for a file that is missing, damaged, compressed in a way that is not read, or shows nothing."""
    document, path = read_gltf(path), Path(path)
    try:
        decompress(document, path)
        required = [name for name in document.list("extensionsRequired") if not name.startswith("KHR_materials_")]
        if unknown := sorted({*required} - READABLE):
            raise InputError(f"{path} needs {unknown[0]}, which is not read here. Export it again without it.")
    except InputError:
        raise
    except Exception as error:  # as below
        raise InputError(
            f"{path} cannot be decompressed ({type(error).__name__}: {error}). Export it again."
        ) from error
    return build_figure(document, path)


def build_figure(document: GltfDocument, path: Path) -> Figure:
    """The same of a document that was read; ``path``: named in messages, and where its pictures may lie beside."""
    try:
        return _Reader(document, path).read()
    except InputError:
        raise
    except Exception as error:  # a stranger's file can be wrong at any place
        raise InputError(
            f"{path} is no usable GLB or glTF ({type(error).__name__}: {error}). Export it again."
        ) from error


class _Reader:
    def __init__(self, document: GltfDocument, path: Path) -> None:
        self._document, self._path = document, path
        self._buffers: Buffers = document.buffers
        self._places = document.place_nodes()
        self._skins = {number: self._place_joints(skin) for number, skin in enumerate(document.list("skins"))}

    def read(self) -> Figure:
        pieces, surfaces, vertex_count, face_count = [], [], 0, 0
        for node_number in sorted(self._places):
            node = self._document.tree["nodes"][node_number]
            if "mesh" not in node:
                continue
            for number, primitive in enumerate(self._document.tree["meshes"][node["mesh"]]["primitives"]):
                if primitive.get("mode", TRIANGLES) not in (TRIANGLES, STRIP, FAN):
                    continue  # points and lines
                surface = self._read_primitive(node_number, node, primitive)
                spans = (
                    slice(vertex_count, vertex_count + len(surface.vertices)),
                    slice(face_count, face_count + len(surface.faces)),
                )
                pieces.append(
                    Piece(node_number, node["mesh"], number, primitive.get("material"), *spans, surface.mirrored)
                )
                surfaces.append(surface)
                vertex_count, face_count = spans[0].stop, spans[1].stop
        if not pieces:
            raise InputError(f"{self._path} shows no surface. Give the file of a character.")
        return Figure(
            document=self._document,
            path=self._path,
            pieces=tuple(pieces),
            vertices=np.concatenate([each.vertices for each in surfaces]),
            faces=np.concatenate([s.faces + p.vertices.start for s, p in zip(surfaces, pieces, strict=True)]),
            uvs=np.concatenate([each.uvs for each in surfaces]),
            colors=np.concatenate([each.colors for each in surfaces]),
            weights=sp.csr_matrix(sp.vstack([each.weights for each in surfaces])),
            piece_of_vertex=np.repeat(np.arange(len(pieces)), [len(each.vertices) for each in surfaces]),
            piece_of_face=np.repeat(np.arange(len(pieces)), [len(each.faces) for each in surfaces]),
            skins=self._skins,
        )

    def _place_joints(self, skin: dict[str, Any]) -> Float[np.ndarray, "j 4 4"]:
        inverse = np.tile(np.eye(4), (len(skin["joints"]), 1, 1))
        if "inverseBindMatrices" in skin:
            inverse = self._buffers.read(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
        return np.stack([self._places[joint] @ bind for joint, bind in zip(skin["joints"], inverse, strict=True)])

    def _read_primitive(self, number: int, node: dict[str, Any], primitive: dict[str, Any]) -> _Surface:
        attributes = primitive["attributes"]
        own = self._buffers.read(attributes["POSITION"])
        ids = self._buffers.read_ids(primitive["indices"]) if "indices" in primitive else np.arange(len(own))
        if ids.max(initial=0) >= len(own) or not np.isfinite(own).all():
            raise ValueError("numbers of vertices that do not go together")
        self._check_numbers(primitive, len(own))
        weights = self._read_weights(number, node, attributes, len(own))
        if "skin" in node:
            joints = self._document.tree["skins"][node["skin"]]["joints"]
            to_scene = np.einsum("nj,jab->nab", weights[:, joints].toarray(), self._skins[node["skin"]])
        else:
            to_scene = self._places[number][None]
        vertices = np.einsum("nab,nb->na", np.broadcast_to(to_scene[:, :3, :3], (len(own), 3, 3)), own)
        base = locate_base_color(self._document, primitive.get("material"))
        uvs = np.zeros((len(own), 2))
        if base is not None and f"TEXCOORD_{base.uv_set}" in attributes:
            uvs = base.place(self._buffers.read(attributes[f"TEXCOORD_{base.uv_set}"])[:, :2])
        colors = np.ones((len(own), 4))
        if "COLOR_0" in attributes:
            given = self._buffers.read(attributes["COLOR_0"])
            colors[:, : given.shape[1]] = given
        mirrored = bool(np.median(np.linalg.det(to_scene[:, :3, :3])) < 0)
        faces = _list_triangles(ids, primitive)
        return _Surface(
            vertices + to_scene[:, :3, 3], faces[:, ::-1] if mirrored else faces, uvs, colors, weights, mirrored
        )

    def _check_numbers(self, primitive: dict[str, Any], count: int) -> None:
        """All that a cut divides, now: a file that is wrong is told before the long computation."""
        for group in (primitive["attributes"], *primitive.get("targets", [])):
            if any(len(self._buffers.read_raw(accessor)) != count for accessor in group.values()):
                raise ValueError("as many numbers as vertices are missing")

    def _read_weights(self, number: int, node: dict[str, Any], attributes: dict[str, int], count: int) -> sp.csr_matrix:
        nodes = len(self._document.tree["nodes"])
        if "skin" not in node:
            return sp.csr_matrix((np.ones(count), (np.arange(count), np.full(count, number))), (count, nodes))
        joints = np.array(self._document.tree["skins"][node["skin"]]["joints"])
        total = sp.csr_matrix((count, nodes))
        for each in range(MOST_SETS):
            if f"JOINTS_{each}" not in attributes:
                break
            ids = joints[self._buffers.read_raw(attributes[f"JOINTS_{each}"]).astype(np.int64)]
            shares = self._buffers.read(attributes[f"WEIGHTS_{each}"])
            rows = np.repeat(np.arange(count), ids.shape[1])
            total = total + sp.csr_matrix((shares.ravel(), (rows, ids.ravel())), (count, nodes))
        sums = np.asarray(total.sum(1)).ravel()
        if not (sums > 0).all():
            raise ValueError("a vertex that no joint moves")
        return sp.csr_matrix(sp.diags(1 / sums) @ total)


@dataclass(frozen=True)
class _Surface:
    vertices: Float[np.ndarray, "n 3"]
    faces: Int[np.ndarray, "f 3"]
    uvs: Float[np.ndarray, "n 2"]
    colors: Float[np.ndarray, "n 4"]
    weights: sp.csr_matrix
    mirrored: bool


def _list_triangles(ids: Int[np.ndarray, "k"], primitive: dict[str, Any]) -> Int[np.ndarray, "f 3"]:
    mode = primitive.get("mode", TRIANGLES)
    if mode == TRIANGLES:
        return ids[: len(ids) // 3 * 3].reshape(-1, 3)
    if mode == FAN:
        return np.stack([np.full(len(ids) - 2, ids[0]), ids[1:-1], ids[2:]], 1)
    strip = np.stack([ids[:-2], ids[1:-1], ids[2:]], 1)
    strip[1::2] = strip[1::2, [1, 0, 2]]
    return strip
