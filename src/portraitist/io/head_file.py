"""A head as one file of ours: lossless, versioned, and safe to load from strangers, since nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from portraitist import __version__
from portraitist.devices import CPU, move
from portraitist.errors import InputError
from portraitist.io.output_file import new_file
from portraitist.types import EXPRESSION_NAMES, REGIONS, Head, LandmarkEmbedding, Mesh

FORMAT_VERSION = 1
"""Goes up when an older Portraitist could not read, or would misread, what a newer one writes."""

METADATA_KEY = "portraitist_head"
"""The one entry of the file's metadata, a JSON object: safetensors would write several in random order."""

MAX_FILE_BYTES = 1 << 30
MAX_HEADER_BYTES = 1 << 16
MAX_TEXTURE_PX = 8192
MAX_COORDINATE_M = 1000.0
"""Bounds on what a stranger's file can make us allocate and compute; heads stay far below them."""

MISFIT_M = 1e-4
"""How far ``neutral + expression @ expression_deltas`` may be from ``vertices``."""


class _Entry(NamedTuple):
    """What a tensor of the file must be. Equal letters in shapes stand for equal sizes."""

    shape: tuple[int | str, ...]
    ids_below: int | str | None = None
    """Holds ids smaller than this number, or than the size this letter stands for. None: holds real numbers."""


ENTRIES = {
    "vertices": _Entry(("n", 3)),
    "faces": _Entry(("f", 3), ids_below="n"),
    "uvs": _Entry(("m", 2)),
    "uv_faces": _Entry(("f", 3), ids_below="m"),
    "regions": _Entry(("f",), ids_below=len(REGIONS)),
    "texture": _Entry((3, "t", "t")),
    "neutral": _Entry(("n", 3)),
    "expression": _Entry((len(EXPRESSION_NAMES),)),
    "expression_deltas": _Entry((len(EXPRESSION_NAMES), "n", 3)),
    "landmark_face_ids": _Entry((68,), ids_below="f"),
    "landmark_barycentrics": _Entry((68, 3)),
    "original": _Entry(("n", 3)),
}
"""The tensors of a file: float32, ids int64. The texture may also be stored in 8 bits."""


def save_head(path: str | Path, head: Head) -> None:
    """Write ``head`` so that ``load_head`` gives back every tensor bit for bit (on the CPU).

    The file is a safetensors file. It appears whole or not at all; a former one at ``path`` is replaced. A texture of
    whole 255ths is stored in 8 bits. Raises InputError when ``head`` breaks the rules of ``types.Head`` (shapes, ids,
    finite values), OutputError when the file cannot be written.
    """
    tensors = _head_to_tensors(head)
    try:
        _check_tensors(tensors)
    except ValueError as error:
        raise InputError(f"This head cannot be saved: {error}. See types.Head for what a head is.") from error
    tensors["texture"] = _compress_texture(tensors["texture"])
    about = {
        "version": FORMAT_VERSION,
        "portraitist": __version__,
        "regions": REGIONS,
        "expressions": EXPRESSION_NAMES,
    }
    data = safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(about)})
    with new_file(Path(path)) as temporary:
        temporary.write_bytes(data)


def load_head(path: str | Path) -> Head:
    """Read a head that ``save_head`` wrote.

    Nothing in the file is trusted: sizes, shapes, dtypes, ids, values and names are checked, and no code is run.
    Regions and expressions are matched by name. Raises InputError when the file is missing, damaged, of another kind,
    of a newer version, or does not hold a whole head.
    """
    path = Path(path)
    data = _read_bytes(path)
    about = _read_metadata(path, data)
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is damaged or cut short ({error}). Copy it again, or save the head again.") from error
    try:
        if tensors.keys() != ENTRIES.keys():
            raise ValueError(f"{sorted(tensors.keys() ^ ENTRIES.keys())[0]!r} is missing or does not belong there")
        tensors["texture"] = _expand_texture(tensors["texture"])
        tensors = _apply_names(tensors, about)
        _check_tensors(tensors)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} does not hold a usable head: {error}. Save the head again.") from error
    return _tensors_to_head(tensors)


def _head_to_tensors(head: Head) -> dict[str, Tensor]:
    tensors = {
        "vertices": head.mesh.vertices,
        "faces": head.mesh.faces,
        "uvs": head.mesh.uvs,
        "uv_faces": head.mesh.uv_faces,
        "regions": head.mesh.regions,
        "texture": head.texture,
        "neutral": head.neutral,
        "expression": head.expression,
        "expression_deltas": head.expression_deltas,
        "landmark_face_ids": head.landmarks68.face_ids,
        "landmark_barycentrics": head.landmarks68.barycentrics,
        "original": head.original,
    }
    # Cloned because safetensors refuses tensors that share memory, as those of a content head do.
    return {
        name: move(tensor.detach(), CPU).clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def _tensors_to_head(tensors: dict[str, Tensor]) -> Head:
    return Head(
        mesh=Mesh(*(tensors[name] for name in ("vertices", "faces", "uvs", "uv_faces", "regions"))),
        texture=tensors["texture"],
        neutral=tensors["neutral"],
        expression=tensors["expression"],
        expression_deltas=tensors["expression_deltas"],
        landmarks68=LandmarkEmbedding(tensors["landmark_face_ids"], tensors["landmark_barycentrics"]),
        original=tensors["original"],
    )


def _check_tensors(tensors: dict[str, Tensor]) -> None:
    """Raises ValueError that says what keeps the tensors from being a head."""
    sizes: dict[str, int] = {}
    for name, entry in ENTRIES.items():
        _check_shape(name, tensors[name], entry, sizes)
    for name, (_, below) in ENTRIES.items():
        if below is None:
            _check_numbers(name, tensors[name])
        else:
            _check_ids(name, tensors[name], sizes[below] if isinstance(below, str) else below)
    if sizes["t"] > MAX_TEXTURE_PX:
        raise ValueError(f"texture is {sizes['t']} pixels wide, at most {MAX_TEXTURE_PX} are possible")
    if float(tensors["texture"].min()) < 0 or float(tensors["texture"].max()) > 1:
        raise ValueError("texture holds values outside 0 to 1")
    moved = torch.einsum("e,env->nv", tensors["expression"].double(), tensors["expression_deltas"].double())
    misfit = float((tensors["neutral"] + moved - tensors["vertices"]).abs().max())
    if misfit > MISFIT_M:
        raise ValueError(f"neutral + expression @ expression_deltas is {misfit:.2g} m away from vertices")


def _check_shape(name: str, tensor: Tensor, entry: _Entry, sizes: dict[str, int]) -> None:
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


def _check_ids(name: str, tensor: Tensor, below: int) -> None:
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0 or high >= below:
        raise ValueError(f"{name} holds ids from {low} to {high}, possible are 0 to {below - 1}")


def _describe_shape(shape: Sequence[int | str]) -> str:
    return " x ".join(map(str, shape)) or "of one number"


def _compress_texture(texture: Tensor) -> Tensor:
    """8 bits per channel where that loses not a single bit (the sign of -0 counts), else the texture itself."""
    small = (texture * 255).round().to(torch.uint8)
    is_lossless = torch.equal(_expand_texture(small).view(torch.int32), texture.view(torch.int32))
    return small if is_lossless else texture


def _expand_texture(stored: Tensor) -> Tensor:
    return stored.to(torch.float32) / 255 if stored.dtype == torch.uint8 else stored


def _apply_names(tensors: dict[str, Tensor], about: dict[str, Any]) -> dict[str, Tensor]:
    """Regions and expressions in this version's order. Raises ValueError for names that it does not have."""
    regions, expressions = about["regions"], about["expressions"]
    if unknown := [name for name in regions if name not in REGIONS]:
        raise ValueError(f"the region {unknown[0]!r} is not known here")
    if sorted(expressions) != sorted(EXPRESSION_NAMES):
        raise ValueError(f"its expressions are not the {len(EXPRESSION_NAMES)} of ARKit")
    sizes: dict[str, int] = {}
    for name in ("regions", "expression", "expression_deltas"):
        _check_shape(name, tensors[name], ENTRIES[name], sizes)
    _check_ids("regions", tensors["regions"], len(regions))
    rows = [expressions.index(name) for name in EXPRESSION_NAMES]
    return tensors | {
        "regions": torch.tensor([REGIONS.index(name) for name in regions])[tensors["regions"]],
        "expression": tensors["expression"][rows],
        "expression_deltas": tensors["expression_deltas"][rows],
    }


def _read_bytes(path: Path) -> bytes:
    """The whole file: a mapped one would crash us if somebody shortened it meanwhile."""
    if not path.is_file():
        raise InputError(f"{path} {'is not a file' if path.exists() else 'does not exist'}. Give a saved head.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MB; no head of ours is.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _read_metadata(path: Path, data: bytes) -> dict[str, Any]:
    """Our part of the safetensors header: a small JSON object behind its length in 8 bytes."""
    length = int.from_bytes(data[:8], "little")
    try:
        if len(data) < 8 or length > min(MAX_HEADER_BYTES, len(data) - 8):
            raise ValueError("no safetensors header")
        header = json.loads(data[8 : 8 + length])
        about = json.loads(header["__metadata__"][METADATA_KEY])
        version = about["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is not a head saved by Portraitist. Give a head.safetensors from a result folder or save_head."
        ) from error
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise InputError(
            f"{path} has version {version!r} of the head format (Portraitist {about.get('portraitist')}); this "
            f"Portraitist {__version__} reads up to version {FORMAT_VERSION}. Install a newer Portraitist."
        )
    return about
