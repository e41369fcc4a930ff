"""Which file which program gets. Nothing heavy is imported before one is written: the command reads this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portraitist.export.provenance import Provenance
    from portraitist.types import Head

LOOKS = ("unlit", "lit", "toon")
"""The painting as it is; the painting under the program's lamps; as it is, with an outline."""


@dataclass(frozen=True)
class Profile:
    """``suffix``: of the file; ``others``: which it may have instead. ``about``: what it is, in a few words. ``takes``:
    the options that it knows beyond ``provenance``. ``write(path, head, provenance=..., **options)`` writes it, whole
    or not at all, and returns what the user should know, or None. ``list_files``, with the same arguments: all that is
    written beside the file itself."""

    suffix: str
    about: str
    takes: tuple[str, ...]
    write: Callable[..., tuple[str, ...] | None]
    list_files: Callable[..., list[Path]] = lambda path, head, **options: []
    others: tuple[str, ...] = ()


def _as_glb(**own: Any) -> Callable[..., None]:
    """Writer of GLBs of one form."""

    def write(
        path: Path,
        head: Head,
        *,
        provenance: Provenance,
        name: str = "painting",
        styles: Mapping[str, Head] | None = None,
        **asked: Any,
    ) -> None:
        from portraitist.export.glb import GlbForm, write_glb

        write_glb(path, head, GlbForm(**own | asked), name=name, styles=styles, provenance=provenance)

    return write


def _list_textures(path: Path, head: Head, *, styles: Mapping[str, Head] | None = None, **_: Any) -> list[Path]:
    from portraitist.export.glb import list_texture_files

    return list_texture_files(path, head, styles)


def _write_obj(path: Path, head: Head, *, provenance: Provenance, vertex_colors: bool = False) -> None:
    from portraitist.export.obj import write_obj

    write_obj(path, head, vertex_colors=vertex_colors, provenance=provenance)


def _list_obj_files(path: Path, head: Head, **_: Any) -> list[Path]:
    from portraitist.export.obj import list_obj_files

    return list_obj_files(path, head)[1:]


def _write_vrm(path: Path, head: Head, **asked: Any) -> None:
    from portraitist.export.vrm import write_vrm

    write_vrm(path, head, name=path.stem, **asked)


def _write_usdz(path: Path, head: Head, **asked: Any) -> None:
    from portraitist.export.usd import write_usdz

    write_usdz(path, head, **asked)


def _write_print(
    path: Path, head: Head, *, provenance: Provenance, thinnest_mm: float | None = None, **asked: Any
) -> tuple[str, ...]:
    from portraitist.export.print_files import WRITERS
    from portraitist.export.solid import build_solid, describe_doubts

    solid = build_solid(head, **asked)
    WRITERS[path.suffix.lower()](path, solid, provenance)
    return describe_doubts(solid) if thinnest_mm is None else describe_doubts(solid, thinnest_mm)


GLB_OPTIONS = ("looks", "styles", "visemes", "morph_normals", "bones")

PROFILES = {
    "web": Profile(
        ".glb",
        "small, shape in 16 bits, textures as JPEG, unlit",
        (*GLB_OPTIONS, "compressed"),
        _as_glb(quantized=True, small_textures=True),
    ),
    "blender": Profile(
        ".glb",
        "textures beside it, lit, so that they survive FBX",
        GLB_OPTIONS,
        _as_glb(looks=("lit",), textures_beside=True, bones="standard"),
        _list_textures,
    ),
    "unity": Profile(
        ".glb",
        "on bones, whole morph targets, unlit",
        GLB_OPTIONS,
        _as_glb(dense=True, skinned=True, bones="mixamo"),
    ),
    "unreal": Profile(
        ".glb",
        "on bones, whole morph targets, unlit",
        GLB_OPTIONS,
        _as_glb(dense=True, skinned=True, bones="game-engine"),
    ),
    "obj": Profile(".obj", "still, with .mtl and textures", ("vertex_colors",), _write_obj, _list_obj_files),
    "vrm": Profile(
        ".vrm",
        "avatar (VRM 1.0) on the bones of a body, with MToon materials",
        ("terms", "license_url"),
        _write_vrm,
    ),
    "usd": Profile(".usdz", "for Apple and Pixar, with blendshapes; lit; needs usd-core", ("visemes",), _write_usdz),
    "print": Profile(
        ".3mf",
        "one closed body in millimeters, in color; .ply in color and .stl without by -o",
        ("height_mm", "flat_base", "thinnest_mm"),
        _write_print,
        others=(".stl", ".ply"),
    ),
}
