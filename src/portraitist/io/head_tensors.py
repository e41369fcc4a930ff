"""A head as named tensors, as its file holds them, and what each must be. Nothing in a stranger's file is trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from portraitist.devices import CPU, move
from portraitist.types import EXPRESSION_NAMES, LAYER_NAMES, REGIONS, Head, LandmarkEmbedding, Layer, Mesh

HEAD_REGIONS = tuple(name for name in REGIONS if name not in LAYER_NAMES)
"""What faces of a head itself may be; those of a layer are of the region that it is called after."""

MAX_TEXTURE_PX = 8192
MAX_COORDINATE_M = 1000.0
"""Bounds on what a stranger's file can make us allocate and compute; heads stay far below them."""

MISFIT_M = 1e-4
"""How far ``neutral + expression @ expression_deltas`` may be from ``vertices``."""


class Entry(NamedTuple):
    """What a tensor of the file must be. Equal letters in shapes stand for equal sizes."""

    shape: tuple[int | str, ...]
    ids_below: int | str | None = None
    """Holds ids smaller than this number, or than the size this letter stands for. None: holds real numbers."""


SURFACE = {
    "vertices": Entry(("n", 3)),
    "faces": Entry(("f", 3), ids_below="n"),
    "uvs": Entry(("m", 2)),
    "uv_faces": Entry(("f", 3), ids_below="m"),
    "texture": Entry((3, "t", "t")),
    "original": Entry(("n", 3)),
}
"""The tensors of a head and of a layer: float32, ids int64. The texture may also be stored in 8 bits."""

HEAD = SURFACE | {
    "regions": Entry(("f",), ids_below=len(HEAD_REGIONS)),
    "neutral": Entry(("n", 3)),
    "expression": Entry((len(EXPRESSION_NAMES),)),
    "expression_deltas": Entry((len(EXPRESSION_NAMES), "n", 3)),
    "landmark_face_ids": Entry((68,), ids_below="f"),
    "landmark_barycentrics": Entry((68, 3)),
}


def list_entries(layers: Iterable[str]) -> dict[str, dict[str, Entry]]:
    """The tensors of a head with the named layers, by the part that they belong to; those of a layer are called
    ``hair.vertices`` and the like."""
    return {"head": HEAD} | {
        layer: {f"{layer}.{name}": entry for name, entry in SURFACE.items()} for layer in layers
    }  # fmt: skip


def head_to_tensors(head: Head) -> dict[str, Tensor]:
    """Those of `list_entries`, on the CPU. Raises ValueError for layers that break the rules of ``types.Layer``."""
    check_layer_names([layer.name for layer in head.layers])
    tensors = _surface_to_tensors(head.mesh, head.texture, head.original) | {
        "regions": head.mesh.regions,
        "neutral": head.neutral,
        "expression": head.expression,
        "expression_deltas": head.expression_deltas,
        "landmark_face_ids": head.landmarks68.face_ids,
        "landmark_barycentrics": head.landmarks68.barycentrics,
    }
    for layer in head.layers:
        regions, needed = layer.mesh.regions, _regions_of_layer(layer.name, layer.mesh.faces)
        if regions.dtype != needed.dtype or not torch.equal(regions, needed):
            raise ValueError(f"the layer {layer.name} has faces of another region")
        surface = _surface_to_tensors(layer.mesh, layer.texture, layer.original)
        tensors |= {f"{layer.name}.{name}": tensor for name, tensor in surface.items()}
    # Cloned because safetensors refuses tensors that share memory, as those of a content head do.
    return {
        name: move(tensor.detach(), CPU).clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def _surface_to_tensors(mesh: Mesh, texture: Tensor, original: Tensor) -> dict[str, Tensor]:
    own = {"vertices": mesh.vertices, "faces": mesh.faces, "uvs": mesh.uvs, "uv_faces": mesh.uv_faces}
    return own | {"texture": texture, "original": original}


def tensors_to_head(tensors: Mapping[str, Tensor], layers: Sequence[str]) -> Head:
    """The head of tensors that were checked."""
    return Head(
        mesh=_tensors_to_mesh(tensors, "", tensors["regions"]),
        texture=tensors["texture"],
        neutral=tensors["neutral"],
        expression=tensors["expression"],
        expression_deltas=tensors["expression_deltas"],
        landmarks68=LandmarkEmbedding(tensors["landmark_face_ids"], tensors["landmark_barycentrics"]),
        original=tensors["original"],
        layers=tuple(_tensors_to_layer(tensors, name) for name in layers),
    )


def _tensors_to_layer(tensors: Mapping[str, Tensor], name: str) -> Layer:
    mesh = _tensors_to_mesh(tensors, f"{name}.", _regions_of_layer(name, tensors[f"{name}.faces"]))
    return Layer(name, mesh, tensors[f"{name}.texture"], tensors[f"{name}.original"])


def _tensors_to_mesh(tensors: Mapping[str, Tensor], prefix: str, regions: Tensor) -> Mesh:
    vertices, faces, uvs, uv_faces = (tensors[prefix + name] for name in ("vertices", "faces", "uvs", "uv_faces"))
    return Mesh(vertices, faces, uvs, uv_faces, regions)


def _regions_of_layer(name: str, faces: Tensor) -> Tensor:
    return faces.new_full((len(faces),), REGIONS.index(name))


def check_layer_names(names: Sequence[object]) -> None:
    """Raises ValueError for a layer that is not known, or that is there twice."""
    if unknown := [name for name in names if name not in LAYER_NAMES]:
        raise ValueError(f"the layer {unknown[0]!r} is not known here")
    if len(set(names)) < len(names):
        raise ValueError("it has two layers of one name")


def check_height(height: object) -> float | None:
    """Meters, or None. Raises ValueError for what nobody is tall."""
    if height is None:
        return None
    if type(height) is not float or not 0 < height <= MAX_COORDINATE_M:
        raise ValueError(f"its height is {height!r}, not a number of meters")
    return height


def check_tensors(tensors: Mapping[str, Tensor], layers: Sequence[str]) -> None:
    """Raises ValueError that says what keeps the tensors from being a head with the named layers."""
    for entries in list_entries(layers).values():
        _check_part(tensors, entries)
    moved = torch.einsum("e,env->nv", tensors["expression"].double(), tensors["expression_deltas"].double())
    misfit = float((tensors["neutral"] + moved - tensors["vertices"]).abs().max())
    if misfit > MISFIT_M:
        raise ValueError(f"neutral + expression @ expression_deltas is {misfit:.2g} m away from vertices")


def _check_part(tensors: Mapping[str, Tensor], entries: Mapping[str, Entry]) -> None:
    sizes: dict[str, int] = {}
    for name, entry in entries.items():
        check_shape(name, tensors[name], entry, sizes)
    for name, (_, below) in entries.items():
        if below is None:
            _check_numbers(name, tensors[name])
        else:
            check_ids(name, tensors[name], sizes[below] if isinstance(below, str) else below)
        if name.endswith("texture"):
            _check_texture(name, tensors[name])


def check_shape(name: str, tensor: Tensor, entry: Entry, sizes: dict[str, int]) -> None:
    """``sizes``: what letters stand for so far; new ones are added."""
    for side, got in zip(entry.shape, tensor.shape, strict=False):
        if isinstance(side, str) and got > 0:
            sizes.setdefault(side, got)
    needed = [sizes.get(side, side) if isinstance(side, str) else side for side in entry.shape]
    if list(tensor.shape) != needed:
        raise ValueError(f"{name} has shape {_describe_shape(tensor.shape)}, needed is {_describe_shape(needed)}")
    dtype = torch.float32 if entry.ids_below is None else torch.int64
    if tensor.dtype != dtype:
        raise ValueError(f"{name} holds {tensor.dtype}, needed is {dtype}")


def _check_numbers(name: str, tensor: Tensor) -> None:
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"{name} holds numbers that are not finite")
    if float(tensor.abs().max()) > MAX_COORDINATE_M:
        raise ValueError(f"{name} reaches {float(tensor.abs().max()):.3g}, at most {MAX_COORDINATE_M:g} is possible")


def check_ids(name: str, tensor: Tensor, below: int) -> None:
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0 or high >= below:
        raise ValueError(f"{name} holds ids from {low} to {high}, possible are 0 to {below - 1}")


def _check_texture(name: str, tensor: Tensor) -> None:
    if tensor.shape[-1] > MAX_TEXTURE_PX:
        raise ValueError(f"{name} is {tensor.shape[-1]} pixels wide, at most {MAX_TEXTURE_PX} are possible")
    if float(tensor.min()) < 0 or float(tensor.max()) > 1:
        raise ValueError(f"{name} holds values outside 0 to 1")


def _describe_shape(shape: Sequence[int | str]) -> str:
    return " x ".join(map(str, shape)) or "of one number"


def compress_textures(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """8 bits per channel where that loses not a single bit (the sign of -0 counts), else the texture itself."""
    stored = dict(tensors)
    for name, texture in tensors.items():
        if name.endswith("texture"):
            small = (texture * 255).round().to(torch.uint8)
            is_lossless = torch.equal(_expand(small).view(torch.int32), texture.view(torch.int32))
            stored[name] = small if is_lossless else texture
    return stored


def expand_textures(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: _expand(tensor) if name.endswith("texture") else tensor for name, tensor in stored.items()}


def _expand(stored: Tensor) -> Tensor:
    return stored.to(torch.float32) / 255 if stored.dtype == torch.uint8 else stored
