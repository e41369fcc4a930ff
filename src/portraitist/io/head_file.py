"""A head as one file of ours: lossless, versioned, and safe to load from strangers, since nothing is unpickled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from portraitist import __version__
from portraitist.errors import InputError
from portraitist.io.head_tensors import (
    HEAD,
    HEAD_REGIONS,
    check_height,
    check_ids,
    check_layer_names,
    check_shape,
    check_tensors,
    compress_textures,
    expand_textures,
    head_to_tensors,
    list_entries,
    tensors_to_head,
)
from portraitist.io.output_file import new_file
from portraitist.types import EXPRESSION_NAMES, Head

FORMAT_VERSION = 2
"""Goes up when an older Portraitist could not read, or would misread, what a newer one writes. 2: with layers."""

VERSION_WITHOUT_LAYERS = 1
"""Written for heads that have none, so that older ones can still read them."""

METADATA_KEY = "portraitist_head"
"""The one entry of the file's metadata, a JSON object: safetensors would write several in random order."""

MAX_FILE_BYTES = 1 << 30
MAX_HEADER_BYTES = 1 << 16
"""Bounds on what a stranger's file can make us allocate; heads stay far below them."""


def save_head(path: str | Path, head: Head) -> None:
    """Write ``head`` so that ``load_head`` gives back every tensor bit for bit (on the CPU).

    The file is a safetensors file. It appears whole or not at all; a former one at ``path`` is replaced. A texture of
    whole 255ths is stored in 8 bits. Raises InputError when ``head`` breaks the rules of ``types.Head`` (shapes, ids,
    finite values, layers), OutputError when the file cannot be written.
    """
    layers = [layer.name for layer in head.layers]
    try:
        tensors = head_to_tensors(head)
        check_tensors(tensors, layers)
        check_height(head.height)
    except ValueError as error:
        raise InputError(f"This head cannot be saved: {error}. See types.Head for what a head is.") from error
    about = {
        "version": FORMAT_VERSION if layers else VERSION_WITHOUT_LAYERS,
        "portraitist": __version__,
        "regions": HEAD_REGIONS,
        "expressions": EXPRESSION_NAMES,
    } | ({"layers": layers} if layers else {})
    if head.height is not None:
        about["height"] = head.height
    data = safetensors.torch.save(compress_textures(tensors), {METADATA_KEY: json.dumps(about)})
    with new_file(Path(path)) as temporary:
        temporary.write_bytes(data)


def load_head(path: str | Path) -> Head:
    """Read a head that ``save_head`` wrote.

    Nothing in the file is trusted: sizes, shapes, dtypes, ids, values and names are checked, and no code is run.
    Regions and expressions are matched by name. Raises InputError when the file is missing, damaged, of another kind,
    of a newer version, or does not hold a whole head with known layers.
    """
    path = Path(path)
    data = _read_bytes(path)
    about = _read_metadata(path, data)
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is damaged or cut short ({error}). Copy it again, or save the head again.") from error
    try:
        layers = list(about.get("layers", []))
        check_layer_names(layers)
        needed = {name for entries in list_entries(layers).values() for name in entries}
        if tensors.keys() != needed:
            raise ValueError(f"{sorted(tensors.keys() ^ needed)[0]!r} is missing or does not belong there")
        tensors = _apply_names(expand_textures(tensors), about)
        check_tensors(tensors, layers)
        height = check_height(about.get("height"))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} does not hold a usable head: {error}. Save the head again.") from error
    return replace(tensors_to_head(tensors, layers), height=height)


def _apply_names(tensors: dict[str, Tensor], about: dict[str, Any]) -> dict[str, Tensor]:
    """Regions and expressions in this version's order. Raises ValueError for names that it does not have."""
    regions, expressions = about["regions"], about["expressions"]
    if unknown := [name for name in regions if name not in HEAD_REGIONS]:
        raise ValueError(f"the region {unknown[0]!r} is not known here")
    if sorted(expressions) != sorted(EXPRESSION_NAMES):
        raise ValueError(f"its expressions are not the {len(EXPRESSION_NAMES)} of ARKit")
    sizes: dict[str, int] = {}
    for name in ("regions", "expression", "expression_deltas"):
        check_shape(name, tensors[name], HEAD[name], sizes)
    check_ids("regions", tensors["regions"], len(regions))
    rows = [expressions.index(name) for name in EXPRESSION_NAMES]
    return tensors | {
        "regions": torch.tensor([HEAD_REGIONS.index(name) for name in regions])[tensors["regions"]],
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
